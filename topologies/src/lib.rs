//! Topologies of the overlay: droplets, VPCs, networks with bouncers and dividers, endpoints, policies
//! and flows; the catalogue of them; and the oracle that says what must come out where.

pub mod catalogue;
pub mod frame;
pub mod oracle;
pub mod provision;
#[cfg(feature = "proptest")]
pub mod strategy;
pub mod topology;
pub mod traffic;
pub mod vectors;
