//! OpenFlow 1.4 with the extensions of Open vSwitch.
//!
//! It is the first version of which bundles are part. What an extension looks like is defined by Open vSwitch, in
//! `include/openflow/nicira-ext.h` and comments of `lib/ofp-actions.c`.

mod action;
mod connection;
mod decode;
mod learn;
mod monitor;
mod oxm;
mod packet;
mod port;
#[cfg(test)]
mod recorded;
mod refusal;
#[cfg(test)]
mod robustness;
mod rule;
mod session;
mod stream;
mod tlv;
mod wire;

pub use connection::Connection;
pub use monitor::Monitor;
pub use packet::PacketIn;
pub use port::PortStats;
pub use refusal::Refusal;
pub use rule::{Aggregate, Change, Filter, RuleStats};
pub use tlv::TlvMapping;
