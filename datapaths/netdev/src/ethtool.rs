//! Device offloads, by the ioctl interface of include/uapi/linux/ethtool.h.

use crate::Error;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

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
    let mut value = Value { command, data };
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(Error::NoInterface(name.to_owned()));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request and the value it points to outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &request) };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        // A device that does not have the offload needs no switching.
        if error.raw_os_error() != Some(libc::EOPNOTSUPP) {
            return Err(Error::io(doing(), error));
        }
    }
    Ok(())
}
