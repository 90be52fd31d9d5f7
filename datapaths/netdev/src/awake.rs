//! Keeping processors from sleeping.

use crate::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;

/// As long as it lives, no processor of the machine sleeps when it is idle: each waits for work in a loop.
///
/// To wake a sleeping processor takes microseconds, on a virtual machine tens of them, and an interrupt
/// between processors costs the sender as well. A measurement that includes this measures how the
/// machine sleeps. It needs root; the kernel ends it when the process does.
/// See Documentation/power/pm_qos_interface.rst of the kernel.
#[derive(Debug)]
pub struct Awake {
    _request: File,
}

impl Awake {
    /// Keeps processors awake from now on.
    ///
    /// # Errors
    /// Where the kernel refuses or has no such interface.
    pub fn hold() -> Result<Self, Error> {
        let path = "/dev/cpu_dma_latency";
        let request = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().write(true).open(path)?;
            // The longest tolerable wake-up in microseconds, as 32 bits of this machine's order.
            file.write_all(&0_i32.to_ne_bytes())?;
            Ok(file)
        };
        let request =
            request().map_err(|e| Error::io(format!("keeping processors awake by {path}"), e))?;
        Ok(Self { _request: request })
    }
}
