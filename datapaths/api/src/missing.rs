//! What a machine lacks.

use netdev::Hugepages;
use serde::{Deserialize, Serialize};

/// Something a datapath needs and this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// What.
    pub what: String,
    /// The command that provides it, or what else to do.
    pub remedy: String,
}

impl Missing {
    /// `what` is missing; `remedy` provides it.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// Missing unless this process has every privilege of root.
    pub fn privileges() -> Option<Self> {
        // SAFETY: has no preconditions.
        let is_root = unsafe { libc::geteuid() } == 0;
        (!is_root).then(|| {
            Self::new(
                "privileges (network namespaces and BPF)",
                "cargo xtask bench",
            )
        })
    }

    /// Missing where the machine has no room for as many mebibytes in hugepages: they are reserved for a moment to find
    /// out. Needs privileges; without them nothing is said, since [`Missing::privileges`] says it.
    pub fn hugepages(mebibytes: u32) -> Option<Self> {
        if Self::privileges().is_some() {
            return None;
        }
        let error = Hugepages::reserve(mebibytes).err()?;
        let remedy = "sysctl -w vm.compact_memory=1 vm.drop_caches=3, or fewer programs at once";
        Some(Self::new(error.to_string(), remedy))
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; to provide it: {}", self.what, self.remedy)
    }
}
