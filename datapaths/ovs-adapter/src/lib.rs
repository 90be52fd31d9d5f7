//! The Mizar OVS adapter: what every datapath that forwards by Open vSwitch has in common.
//!
//! [`instance`] runs an Open vSwitch of its own: never the machine's, always a child of this process, in a
//! network namespace and a folder that nobody else uses. [`database`] and [`instance::Instance::control`]
//! speak the two protocols by which it is configured, OVSDB (RFC 7047) and appctl.

pub mod database;
pub mod error;
pub mod installation;
pub mod instance;
mod jsonrpc;
mod process;

pub use database::Database;
pub use error::Error;
pub use installation::{Flavour, Installation, Version};
pub use instance::Instance;
