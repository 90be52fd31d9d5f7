//! From what a droplet must know ([`topologies::provision::Provision`]) to tables the core looks up.
//!
//! [`Entries`] is the provision in the core's own layout, ready to be copied into any table, a BPF map
//! included. [`Native`] holds them in this process; it serves the datapaths that run the core natively.

mod acl;
mod clock;
mod entries;
mod native;
mod prefix;
mod worth;

pub use entries::{CapacityError, Entries, class_of_service};
pub use native::Native;
