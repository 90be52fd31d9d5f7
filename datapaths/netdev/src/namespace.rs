//! Network namespaces without a name.

use crate::Error;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

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
                    // A kernel without IPv6 has no such files, and nothing to switch off.
                    let _ = disable_ipv6();
                    File::open("/proc/thread-self/ns/net")
                        .map_err(|e| Error::io("opening the new network namespace", e))
                })
                .join()
        });
        let fd = made.map_err(|_| Error::Thread)??.into();
        Ok(Self { fd })
    }

    /// A namespace that a path leads to, as `/proc/PID/ns/net` does.
    ///
    /// # Errors
    /// Where it leads to none, or may not be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| {
            let doing = format!("opening the network namespace {}", path.display());
            Error::io(doing, e)
        })?;
        Ok(Self { fd: file.into() })
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

    /// Runs `work` inside the namespace with the path of a sysfs that shows its devices. It is mounted nowhere:
    /// the path leads through this process's descriptor of it.
    pub(crate) fn with_sysfs<R: Send>(
        &self,
        work: impl FnOnce(&Path) -> Result<R, Error> + Send,
    ) -> Result<R, Error> {
        self.run(|| {
            let sysfs = detached(c"sysfs").map_err(|e| Error::io("opening a sysfs", e))?;
            let path = format!("/proc/self/fd/{}", sysfs.as_raw_fd());
            work(Path::new(&path))
        })?
    }
}

/// Switches IPv6 off in the calling thread's namespace.
fn disable_ipv6() -> std::io::Result<()> {
    let disable = |proc: &str| {
        ["all", "default"].into_iter().try_for_each(|scope| {
            std::fs::write(
                format!("{proc}/sys/net/ipv6/conf/{scope}/disable_ipv6"),
                "1",
            )
        })
    };
    match disable("/proc") {
        // In a container.
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
            let proc = detached(c"proc")?;
            disable(&format!("/proc/self/fd/{}", proc.as_raw_fd()))
        }
        done => done,
    }
}

/// A file system of the kernel's that shows the calling thread's namespaces, mounted nowhere: fsopen(2), fsmount(2), Linux
/// 5.2.
fn detached(kind: &std::ffi::CStr) -> std::io::Result<OwnedFd> {
    // `FSCONFIG_CMD_CREATE` of include/uapi/linux/mount.h.
    const CREATE: libc::c_uint = 6;
    let owned = |result: libc::c_long| {
        if result < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: a descriptor that the kernel just made for this process.
        Ok(unsafe { OwnedFd::from_raw_fd(result as libc::c_int) })
    };
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: a valid name, and null pointers where these calls take none.
    unsafe {
        let context = owned(libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 0))?;
        let fd = context.as_raw_fd();
        if libc::syscall(libc::SYS_fsconfig, fd, CREATE, none, none, 0) < 0 {
            return Err(std::io::Error::last_os_error());
        }
        owned(libc::syscall(libc::SYS_fsmount, fd, 0, 0))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
