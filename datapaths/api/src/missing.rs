//! What a machine lacks.

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
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; to provide it: {}", self.what, self.remedy)
    }
}
