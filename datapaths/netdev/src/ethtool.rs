//! Offloads and links of devices, by the ioctl interface of include/uapi/linux/ethtool.h.

use crate::Error;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const ETHTOOL_GLINK: u32 = 0x0a;
const ETHTOOL_SRXCSUM: u32 = 0x15;
const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_SSG: u32 = 0x19;
const ETHTOOL_STSO: u32 = 0x1f;
const ETHTOOL_SGSO: u32 = 0x24;
const ETHTOOL_SGRO: u32 = 0x2c;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Switches off every offload that changes what is on the wire.
pub(crate) fn disable_offloads(name: &str) -> Result<(), Error> {
    for command in [
        ETHTOOL_STSO,
        ETHTOOL_SGSO,
        ETHTOOL_SGRO,
        ETHTOOL_STXCSUM,
        ETHTOOL_SSG,
        ETHTOOL_SRXCSUM,
    ] {
        set(name, command, 0)?;
    }
    Ok(())
}

/// Switches generic receive offload on.
pub(crate) fn enable_gro(name: &str) -> Result<(), Error> {
    set(name, ETHTOOL_SGRO, 1)
}

fn set(name: &str, command: u32, data: u32) -> Result<(), Error> {
    let doing = || format!("setting offloads of {name}");
    // SAFETY: plain socket call; the descriptor is owned at once.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(Error::last(doing()));
        }
        OwnedFd::from_raw_fd(fd)
    };
    let value = Value { command, data };
    match ask(socket.as_fd(), name, value) {
        Ok(_) => Ok(()),
        // A device that does not have the offload needs no switching.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        Err(error) => Err(Error::io(doing(), error)),
    }
}

/// Whether a device is there, and somebody at its other end; asked by any socket of its namespace.
pub(crate) fn has_link(socket: BorrowedFd<'_>, name: &str) -> Result<bool, Error> {
    let value = Value {
        command: ETHTOOL_GLINK,
        data: 0,
    };
    match ask(socket, name, value) {
        Ok(value) => Ok(value.data != 0),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(false),
        Err(error) => Err(Error::io(format!("asking for the link of {name}"), error)),
    }
}

/// Gives the kernel a command about a device of the socket's namespace; its answer.
fn ask(socket: BorrowedFd<'_>, name: &str, mut value: Value) -> std::io::Result<Value> {
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(std::io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request and the value it points to outlive the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &request) } {
        0 => Ok(value),
        _ => Err(std::io::Error::last_os_error()),
    }
}
