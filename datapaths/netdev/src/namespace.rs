//! Network namespaces without a name.

use crate::Error;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A network namespace that lives as long as this value.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
}

impl Namespace {
    /// Makes a namespace with its loopback device up and IPv6 off, so that nothing but the tester sends.
    ///
    /// # Errors
    /// Where the process may not make one (it needs `CAP_SYS_ADMIN`).
    pub fn new() -> Result<Self, Error> {
        let made = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    // SAFETY: affects this thread alone.
                    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                        return Err(Error::last("making a network namespace"));
                    }
                    for scope in ["all", "default"] {
                        let path = format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6");
                        // A kernel without IPv6 has no such file, and nothing to switch off.
                        let _ = std::fs::write(path, "1");
                    }
                    File::open("/proc/thread-self/ns/net")
                        .map_err(|e| Error::io("opening the new network namespace", e))
                })
                .join()
        });
        let fd = made.map_err(|_| Error::Thread)??.into();
        Ok(Self { fd })
    }

    /// Runs `work` on a thread inside the namespace, and waits for it.
    ///
    /// # Errors
    /// Where the namespace cannot be entered, or `work` panics.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R, Error> {
        std::thread::scope(|scope| {
            scope
                .spawn(|| self.enter().map(|()| work()))
                .join()
                .map_err(|_| Error::Thread)?
        })
    }

    /// Moves the calling thread into the namespace for good.
    ///
    /// # Errors
    /// Where the kernel refuses (it needs `CAP_SYS_ADMIN`).
    pub fn enter(&self) -> Result<(), Error> {
        // SAFETY: a valid descriptor of a network namespace; affects this thread alone.
        if unsafe { libc::setns(self.fd.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
            return Err(Error::last("entering a network namespace"));
        }
        Ok(())
    }

    /// Runs `work` inside the namespace with a `/sys` that shows its devices.
    pub(crate) fn with_sysfs<R: Send>(
        &self,
        work: impl FnOnce() -> Result<R, Error> + Send,
    ) -> Result<R, Error> {
        self.run(|| {
            // SAFETY: CLONE_NEWNS gives this thread, which ends with the closure, mounts of its own.
            unsafe {
                if libc::unshare(libc::CLONE_NEWNS) != 0 {
                    return Err(Error::last("making a mount namespace"));
                }
                let private = libc::MS_REC | libc::MS_PRIVATE;
                let (none, root) = (c"none".as_ptr(), c"/".as_ptr());
                if libc::mount(none, root, std::ptr::null(), private, std::ptr::null()) != 0 {
                    return Err(Error::last("making mounts private"));
                }
                let sysfs = c"sysfs".as_ptr();
                if libc::mount(sysfs, c"/sys".as_ptr(), sysfs, 0, std::ptr::null()) != 0 {
                    return Err(Error::last("mounting /sys"));
                }
            }
            work()
        })?
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
