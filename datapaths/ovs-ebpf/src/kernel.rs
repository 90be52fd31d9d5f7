//! What the programs need of the kernel, and since when it has it.
//!
//! | feature | since | for |
//! | --- | --- | --- |
//! | arrays that may be mapped | 5.5 | flows and their counters without system calls |
//! | bounded loops | 5.3 | actions and masks, one after the other |
//! | ring buffer | 5.8 | upcalls |
//! | `bpf_ktime_get_coarse_ns` | 5.11 | when a flow was used last |
//! | threaded NAPI | 5.12 | work on one processor, to be measured |
//! | `bpf_xdp_load_bytes` | 5.18 | upcalls at XDP |
//! | tcx links | 6.6 | programs at tc that are taken away by themselves; before, they are filters of clsact |
//!
//! The versions are those of the tables in the kernel's git history and of bpf-helpers(7); none but the running kernel was
//! tried. Helpers are looked for in the running kernel by their presence, not by its version, since distributions carry some
//! to older ones.

use crate::object::Hook;
use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported};
use datapath_api::{KernelRelease, Missing};

/// The running kernel, in words.
pub fn release() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

/// The oldest kernel that has all of the table above that programs at a hook cannot do without.
pub fn oldest(hook: Hook) -> KernelRelease {
    match hook {
        Hook::Tc => KernelRelease::new(5, 12),
        Hook::Xdp => KernelRelease::new(5, 18),
    }
}

/// A helper, and the version of the kernel that brought it.
type Helper = (BpfHelper, &'static str, &'static str);

const RING: Helper = (
    BpfHelper::BPF_FUNC_ringbuf_reserve,
    "bpf_ringbuf_reserve",
    "5.8",
);
const CLOCK: Helper = (
    BpfHelper::BPF_FUNC_ktime_get_coarse_ns,
    "bpf_ktime_get_coarse_ns",
    "5.11",
);
const LOAD: Helper = (
    BpfHelper::BPF_FUNC_xdp_load_bytes,
    "bpf_xdp_load_bytes",
    "5.18",
);

/// What the running kernel lacks for the programs at a hook. Only root can ask it.
pub fn lacks(hook: Hook) -> Vec<Missing> {
    let (program, helpers): (_, &[Helper]) = match hook {
        Hook::Tc => (ProgramType::SchedClassifier, &[RING, CLOCK]),
        Hook::Xdp => (ProgramType::Xdp, &[RING, CLOCK, LOAD]),
    };
    let lacks = helpers
        .iter()
        .filter(|(helper, ..)| matches!(is_helper_supported(program, *helper), Ok(false)));
    lacks
        .map(|(_, name, since)| {
            Missing::new(
                format!("the BPF helper {name} in {}", release()),
                format!("Linux {since} or later"),
            )
        })
        .collect()
}
