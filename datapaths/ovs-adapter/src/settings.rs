//! What an instance is told before it has bridges: `other_config` of the table `Open_vSwitch`, ovs-vswitchd.conf.db(5).

use netdev::Cpu;
use std::time::Duration;

/// With threads that poll, and DPDK's own, on `cpu`, if one is given; with DPDK and as many mebibytes in hugepages, if they
/// are.
pub fn other_config(cpu: Option<Cpu>, dpdk_mebibytes: Option<u32>) -> Vec<(&'static str, String)> {
    let mask = cpu.map(mask);
    let polling = mask.clone().map(|mask| ("pmd-cpu-mask", mask));
    let mut settings: Vec<_> = polling.into_iter().collect();
    if let Some(mebibytes) = dpdk_mebibytes {
        settings.extend([
            ("dpdk-init", "true".to_owned()),
            // Without files nothing is left behind, and no hugetlbfs must be mounted.
            (
                "dpdk-extra",
                "--no-pci --no-telemetry --in-memory".to_owned(),
            ),
            ("dpdk-socket-mem", mebibytes.to_string()),
            // A pool of buffers is made as large as the pages allow that are free (`dpdk_mp_create` of OVS's
            // lib/netdev-dpdk.c): without a limit, pages that were reserved for a droplet which begins at the same time.
            ("dpdk-socket-limit", mebibytes.to_string()),
        ]);
        settings.extend(mask.map(|mask| ("dpdk-lcore-mask", mask)));
    }
    settings
}

/// A set of one processor as Open vSwitch takes it: a hexadecimal number with a bit for each, of any length.
fn mask(Cpu(cpu): Cpu) -> String {
    format!("0x{}{}", 1 << (cpu % 4), "0".repeat(cpu / 4))
}

/// With flows that stay for another datapath to have them: its packets are not seen here.
pub fn for_another(cpu: Option<Cpu>) -> Vec<(&'static str, String)> {
    let mut settings = other_config(cpu, None);
    settings.extend([
        ("max-idle", IDLE.as_millis().to_string()),
        ("flow-limit", FLOWS.to_string()),
        // Otherwise flows with few packets go when it takes long to look at all.
        ("min-revalidate-pps", "0".to_owned()),
    ]);
    settings
}

/// How long a flow stays that no packet uses.
pub const IDLE: Duration = Duration::from_secs(60);
/// Flows that such a switch has at the most.
pub const FLOWS: u32 = 110_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_takes_no_more_pages_than_are_reserved_for_it() {
        let settings = other_config(None, Some(256));
        let setting = |name: &str| {
            let mut settings = settings.iter();
            let found = settings.find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(setting("dpdk-socket-mem"), Some("256"));
        assert_eq!(setting("dpdk-socket-limit"), Some("256"));
    }

    #[test]
    fn a_mask_has_the_bit_of_any_processor() {
        assert_eq!(mask(Cpu(0)), "0x1");
        assert_eq!(mask(Cpu(7)), "0x80");
        assert_eq!(mask(Cpu(127)), format!("0x8{}", "0".repeat(31)));
        assert_eq!(mask(Cpu(128)), format!("0x1{}", "0".repeat(32)));
        assert_eq!(mask(Cpu(255)), format!("0x8{}", "0".repeat(63)));
    }
}
