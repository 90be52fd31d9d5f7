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

/// Those of one droplet under test, the simplest first.
pub const ENTRIES: [Entry; 5] = [
    Entry {
        name: "encap",
        text: include_str!("catalogue/encap.toml"),
    },
    Entry {
        name: "decap",
        text: include_str!("catalogue/decap.toml"),
    },
    Entry {
        name: "vtep",
        text: include_str!("catalogue/vtep.toml"),
    },
    Entry {
        name: "hop",
        text: include_str!("catalogue/hop.toml"),
    },
    Entry {
        name: "divide",
        text: include_str!("catalogue/divide.toml"),
    },
];

/// Those of whole overlays, from endpoint to endpoint, the simplest first.
pub const OVERLAYS: [Entry; 5] = [
    Entry {
        name: "direct",
        text: include_str!("catalogue/direct.toml"),
    },
    Entry {
        name: "bounce",
        text: include_str!("catalogue/bounce.toml"),
    },
    Entry {
        name: "inter-network",
        text: include_str!("catalogue/inter-network.toml"),
    },
    Entry {
        name: "mixed",
        text: include_str!("catalogue/mixed.toml"),
    },
    Entry {
        name: "fan",
        text: include_str!("catalogue/fan.toml"),
    },
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
