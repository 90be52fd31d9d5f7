//! Bindings for DPDK 22.11 and newer, in the shape that `capsule` 0.1.5 expects of its own bindings, whose place they
//! take by `[patch.crates-io]`: those were made for DPDK 19.11 and no longer build.
//!
//! Only what capsule and `mizar-dpdk` use is bound. Functions that DPDK defines inline have an underscore in front and
//! go through `shim.c`. Names that DPDK has changed since have their old ones.

#![allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    unused_qualifications,
    reason = "generated from C, and named as there"
)]

mod kni;

pub use kni::*;

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

use std::ffi::{CStr, CString, c_char, c_int};

mod linked {
    use super::{c_char, c_int};

    unsafe extern "C" {
        pub(super) fn rte_eal_init(argc: c_int, argv: *mut *mut c_char) -> c_int;
    }
}

/// Options that DPDK 20.11 renamed, with their names since.
const RENAMED: [(&CStr, &CStr); 2] = [
    (c"--master-lcore", c"--main-lcore"),
    (c"--pci-whitelist", c"--allow"),
];

/// `rte_eal_init`, taking options by their old names as well.
///
/// # Safety
/// As `rte_eal_init`: `argv` holds `argc` strings. Once a process, from its first thread.
pub unsafe fn rte_eal_init(argc: c_int, argv: *mut *mut c_char) -> c_int {
    let count = usize::try_from(argc).unwrap_or(0);
    let mut arguments: Vec<*mut c_char> = (0..count)
        .map(|index| {
            // SAFETY: by contract.
            let argument = unsafe { *argv.add(index) };
            // SAFETY: by contract.
            let text = unsafe { CStr::from_ptr(argument) };
            let renamed = RENAMED.iter().find(|(old, _)| *old == text);
            // DPDK keeps pointers into its arguments, so these are never freed.
            renamed.map_or(argument, |(_, new)| CString::from(*new).into_raw())
        })
        .chain([std::ptr::null_mut()])
        .collect();
    let pointer = arguments.as_mut_ptr();
    std::mem::forget(arguments);
    // SAFETY: as many strings, then a null pointer, all alive for ever.
    unsafe { linked::rte_eal_init(argc, pointer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_kernel_network_interface_fail_cleanly() {
        // SAFETY: always safe.
        unsafe {
            assert_eq!(rte_kni_init(1), -1);
            let mut ops = rte_kni_ops::default();
            let conf = rte_kni_conf::default();
            assert!(rte_kni_alloc(std::ptr::null_mut(), &conf, &mut ops).is_null());
        }
    }
}
