//! Processes that run DPDK, as the rest of the program sees them.
//!
//! DPDK's environment starts once a process and takes it over, so it never runs in the harness.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `client` | such a process: started, asked, and ended |
//! | `devices` | DPDK's devices for the ports of a droplet, and for those of its tester |

mod client;
pub mod devices;

pub use client::{Client, Launched, MEBIBYTES, missing, version};
