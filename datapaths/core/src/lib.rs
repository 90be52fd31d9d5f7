//! The Mizar forwarding core, shared by every datapath that can run it.
//!
//! [`agent`] decides what happens to a frame that leaves an endpoint, [`transit`] to one that arrives at a
//! droplet's uplink. Both look at a [`Frame`] and at [`Tables`] and return a verdict, which is a value;
//! the datapath makes room or strips, and [`apply`] writes the bytes. Nothing here allocates, panics or
//! does I/O, so the same source compiles natively and into BPF.
//!
//! What "right" means is defined by golden vectors recorded from Mizar's own programs. Where this core
//! differs on purpose, it refuses what Mizar would misread: see [`transit`] and [`inner`].

#![cfg_attr(not(test), no_std)]

pub mod acl;
pub mod agent;
pub mod apply;
pub mod established;
pub mod flow;
pub mod hash;
pub mod inner;
pub mod invalidation;
pub mod policy;
pub mod reason;
mod scaled;
pub mod short_header;
pub mod stages;
pub mod tables;
pub mod transit;
pub mod verdict;

pub use mizar_wire::frame::{self, Frame};
pub use reason::Reason;
pub use tables::Tables;
