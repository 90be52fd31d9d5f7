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

    /// Missing unless this process is root's, and has the capabilities that docker/compose.yaml gives: who is root in a
    /// container often has fewer.
    pub fn privileges() -> Option<Self> {
        // SAFETY: has no preconditions.
        let is_root = unsafe { libc::geteuid() } == 0;
        if !is_root {
            return Some(Self::new(
                "privileges (network namespaces and BPF)",
                "cargo xtask bench",
            ));
        }
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let absent = absent(effective(&status)?);
        (!absent.is_empty()).then(|| {
            let options = absent.iter().map(|name| format!("--cap-add {name}"));
            Self::new(
                format!("capabilities of root: {}", absent.join(", ")),
                format!("docker run {} ...", options.collect::<Vec<_>>().join(" ")),
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

/// Capabilities, and their bits (`include/uapi/linux/capability.h`): for devices and programs, whole frames, memory of
/// AF_XDP sockets, namespaces with BPF and its measuring, and threads that go first.
const CAPABILITIES: [(&str, u32); 5] = [
    ("NET_ADMIN", 12),
    ("NET_RAW", 13),
    ("IPC_LOCK", 14),
    ("SYS_ADMIN", 21),
    ("SYS_NICE", 23),
];

/// The capabilities in effect that a `/proc/PID/status` tells, a bit each.
fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    u64::from_str_radix(line?.trim(), 16).ok()
}

/// Those that are needed and not among `effective`.
fn absent(effective: u64) -> Vec<&'static str> {
    let absent = CAPABILITIES
        .iter()
        .filter(|(_, bit)| effective >> bit & 1 == 0);
    absent.map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_that_a_container_lacks_are_named() {
        // What Docker gives by default.
        let status = "Name:\tbench\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n";
        let held = effective(status).unwrap();
        assert_eq!(
            absent(held),
            ["NET_ADMIN", "IPC_LOCK", "SYS_ADMIN", "SYS_NICE"]
        );
        // What docker/compose.yaml gives.
        let held = CAPABILITIES
            .iter()
            .fold(0, |held, (_, bit)| held | 1 << bit);
        assert_eq!(absent(held), [""; 0]);
        assert_eq!(effective("Name:\tbench\n"), None);
    }
}
