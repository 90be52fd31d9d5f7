//! The Mizar OVS adapter: what every datapath that forwards by Open vSwitch has in common.
//!
//! [`instance`] runs an Open vSwitch of its own: never the machine's, always a child of this process, in a
//! network namespace and a folder that nobody else uses. [`database`] and [`instance::Instance::control`]
//! speak the two protocols by which it is configured, OVSDB (RFC 7047) and appctl.

pub mod capability;
pub mod database;
pub mod droplet;
pub mod error;
pub mod flow;
pub mod installation;
pub mod instance;
pub mod interpreter;
mod jsonrpc;
pub mod openflow;
pub mod program;
pub mod reactive;
pub mod settings;
pub mod statistics;

use datapath_api::Difference;

/// Where packets forwarded by the proactive program differ from Mizar's.
pub const DIFFERENCES: &[Difference] = &[
    Difference::OuterSourcePort,
    Difference::OuterTimeToLive,
    Difference::OuterTypeOfService,
    Difference::OuterHeadersAnew,
    Difference::EmptyOptions,
    Difference::BouncerChoice,
    Difference::NoShaping,
    Difference::RefusalKind,
    Difference::Parsing,
    Difference::Neighbours,
    Difference::Tracking,
    Difference::ScaledEndpoints,
];

/// Where packets that the core decides about differ from Mizar's: in what the switch does to them afterwards.
pub const REACTIVE_DIFFERENCES: &[Difference] = &[
    Difference::OuterSourcePort,
    Difference::OuterTimeToLive,
    Difference::OuterTypeOfService,
    Difference::OuterHeadersAnew,
    Difference::EmptyOptions,
    Difference::NoShaping,
    Difference::RefusalKind,
    Difference::Parsing,
    Difference::Neighbours,
    Difference::InnerChecksums,
];

pub use database::Database;
pub use error::Error;
pub use installation::{Flavour, Installation, Version};
pub use instance::{Appctl, Instance};
