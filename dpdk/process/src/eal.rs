//! DPDK's environment abstraction layer (EAL).

use anyhow::{Context, ensure};
use capsule_ffi as ffi;
use dpdk_protocol::{Memory, Start};
use std::ffi::{CStr, CString, c_char};

/// Frames that there is memory for.
pub const FRAMES: u32 = 16_383;
/// Frames that a thread keeps for itself.
pub const CACHE: u32 = 256;
/// Frames that a queue holds, where the device lets it.
pub const QUEUE: u16 = 512;

/// Options beside those for devices and processors.
///
/// With memory that has no file nothing is left behind however a process ends, no hugetlbfs must be mounted, and
/// processes need no names to be told apart. A memory segment in one file is what a port that shares memory asks for.
pub fn options(start: &Start) -> Vec<String> {
    let mut options = vec![
        "--no-pci".to_owned(),
        "--no-telemetry".to_owned(),
        "--log-level=*:warning".to_owned(),
        "-m".to_owned(),
        start.mebibytes.to_string(),
    ];
    let of_memory = match start.memory {
        Memory::Huge => ["--in-memory", "--single-file-segments"],
        Memory::Ordinary => ["--no-huge", "--no-shconf"],
    };
    options.extend(of_memory.map(str::to_owned));
    options
}

/// The environment. Dropping it ends it.
pub struct Environment(());

impl Environment {
    /// Starts it, with the calling thread on the processor that forwards.
    pub fn start(start: &Start) -> anyhow::Result<Self> {
        let cpu = start.cpu.to_string();
        let devices = start.devices.iter().flat_map(|device| {
            let device = format!("{},{}", device.name, device.arguments);
            ["--vdev".to_owned(), device]
        });
        let arguments = ["dpdk-process".to_owned(), "-l".to_owned(), cpu]
            .into_iter()
            .chain(options(start))
            .chain(devices)
            .map(CString::new)
            .collect::<Result<Vec<_>, _>>()
            .context("an option has a zero byte")?;
        let mut pointers: Vec<*mut c_char> = arguments
            .into_iter()
            // DPDK keeps pointers to them.
            .map(CString::into_raw)
            .collect();
        let count = i32::try_from(pointers.len()).context("too many options")?;
        // SAFETY: as many strings, which live for ever; called once, from the first thread.
        let parsed = unsafe { ffi::rte_eal_init(count, pointers.as_mut_ptr()) };
        ensure!(parsed >= 0, "starting DPDK's environment: {}", last_error());
        Ok(Self(()))
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // SAFETY: it was started, and nobody uses it any more.
        unsafe { ffi::rte_eal_cleanup() };
    }
}

/// The version of DPDK.
pub fn version() -> String {
    // SAFETY: returns a string that lives for ever.
    let version = unsafe { CStr::from_ptr(ffi::_rte_version()) };
    version.to_string_lossy().into_owned()
}

/// What DPDK's last call on this thread failed of.
pub fn last_error() -> String {
    // SAFETY: has no preconditions.
    described(unsafe { ffi::_rte_errno() })
}

/// An error that a call returned as a negative number.
pub fn described(number: i32) -> String {
    // SAFETY: returns a string that lives until the next call of this thread.
    let text = unsafe { CStr::from_ptr(ffi::rte_strerror(number.abs())) };
    text.to_string_lossy().into_owned()
}

/// The time stamp counter.
#[inline(always)]
pub fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every such processor has it.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: has no preconditions.
    return unsafe { ffi::_rte_rdtsc() };
}
