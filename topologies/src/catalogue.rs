//! Topologies that are built in.

use crate::topology::{Parameters, Topology, TopologyError};
use std::path::Path;

/// A topology that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Its text, in TOML.
    pub text: &'static str,
}

/// The entry whose text is the file of this name.
macro_rules! entry {
    ($name:literal) => {
        Entry {
            name: $name,
            text: include_str!(concat!("catalogue/", $name, ".toml")),
        }
    };
}

/// Those of one droplet under test, the simplest first.
pub const ENTRIES: [Entry; 5] = [
    entry!("encap"),
    entry!("decap"),
    entry!("vtep"),
    entry!("hop"),
    entry!("divide"),
];

/// Those of whole overlays, from endpoint to endpoint, the simplest first.
pub const OVERLAYS: [Entry; 6] = [
    entry!("direct"),
    entry!("bounce"),
    entry!("inter-network"),
    entry!("guarded"),
    entry!("mixed"),
    entry!("fan"),
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().chain(&OVERLAYS)
}

impl Entry {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// Where the parameters ask for more than Mizar's capacities allow.
    pub fn load(&self, parameters: Parameters) -> Result<Topology, TopologyError> {
        Topology::parse(&format!("{}.toml", self.name), self.text, parameters)
    }
}

/// The built-in topology of that name, or else the file of that path.
///
/// # Errors
///
/// As [`Topology::load`]; also where there is neither.
pub fn find(name_or_path: &str, parameters: Parameters) -> Result<Topology, TopologyError> {
    if let Some(entry) = all().find(|entry| entry.name == name_or_path) {
        return entry.load(parameters);
    }
    let path = Path::new(name_or_path);
    if path.exists() {
        return Topology::load(path, parameters);
    }
    Err(TopologyError::Unknown {
        name: name_or_path.to_owned(),
        known: all().map(|entry| entry.name).collect(),
    })
}
