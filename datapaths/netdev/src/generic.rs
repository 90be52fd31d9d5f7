//! Families of generic netlink: include/uapi/linux/genetlink.h.

use crate::Error;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// `GENL_ID_CTRL`: the family that knows the others.
const CONTROL: u16 = 16;
/// `CTRL_CMD_GETFAMILY`.
const GET_FAMILY: u8 = 3;
/// `CTRL_ATTR_FAMILY_NAME`.
const FAMILY_NAME: u16 = 2;
/// Lengths of `struct nlmsghdr`, `struct genlmsghdr` and `struct nlattr`.
const HEADER: usize = 16;
const GENERIC: usize = 4;
const ATTRIBUTE: usize = 4;

/// Whether the kernel has a generic netlink family of this name. To a process with the privilege it loads the module
/// that brings it, if there is one.
///
/// # Errors
/// Where the kernel cannot be asked.
pub fn has_generic_netlink_family(name: &str) -> Result<bool, Error> {
    let doing = || format!("asking for the generic netlink family {name}");
    // SAFETY: has no preconditions; the descriptor is owned at once.
    let socket = unsafe {
        let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        let fd = libc::socket(libc::AF_NETLINK, flags, libc::NETLINK_GENERIC);
        if fd < 0 {
            return Err(Error::last(doing()));
        }
        OwnedFd::from_raw_fd(fd)
    };
    let request = request(name);
    let fd = socket.as_raw_fd();
    // SAFETY: a buffer of the length that is given.
    let sent = unsafe { libc::send(fd, request.as_ptr().cast(), request.len(), 0) };
    if sent < 0 {
        return Err(Error::last(doing()));
    }
    let mut answer = vec![0u8; 8192];
    // SAFETY: a buffer of the length that is given.
    let received = unsafe { libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) };
    let Ok(length) = usize::try_from(received) else {
        return Err(Error::last(doing()));
    };
    answer.truncate(length);
    read(&answer).map_err(|error| Error::io(doing(), error))
}

fn request(name: &str) -> Vec<u8> {
    let attribute = ATTRIBUTE + name.len() + 1;
    let total = HEADER + GENERIC + attribute.next_multiple_of(4);
    let mut out = Vec::with_capacity(total);
    out.extend((total as u32).to_ne_bytes());
    out.extend(CONTROL.to_ne_bytes());
    out.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    // Number and port: there is one request, and the kernel fills in the port.
    out.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    out.extend([GET_FAMILY, 1, 0, 0]);
    out.extend((attribute as u16).to_ne_bytes());
    out.extend(FAMILY_NAME.to_ne_bytes());
    out.extend(name.as_bytes());
    out.resize(total, 0);
    out
}

/// The kernel answers with the family, or with the error that there is none.
fn read(answer: &[u8]) -> std::io::Result<bool> {
    let strange = || std::io::Error::other("the kernel's answer is too short");
    let kind = answer
        .get(4..6)
        .and_then(|kind| kind.try_into().ok())
        .map(u16::from_ne_bytes)
        .ok_or_else(strange)?;
    if i32::from(kind) != libc::NLMSG_ERROR {
        return Ok(true);
    }
    let code = answer
        .get(HEADER..HEADER + 4)
        .and_then(|code| code.try_into().ok())
        .map(i32::from_ne_bytes)
        .ok_or_else(strange)?;
    match -code {
        libc::ENOENT => Ok(false),
        code => Err(std::io::Error::from_raw_os_error(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_its_own_family_and_no_invented_one() {
        // The family that knows the others knows itself.
        assert!(has_generic_netlink_family("nlctrl").unwrap());
        assert!(!has_generic_netlink_family("no_such_one").unwrap());
    }

    #[test]
    fn strange_answers_are_errors() {
        for length in 0..20 {
            let mut answer = vec![0; length];
            if let Some(kind) = answer.get_mut(4..6) {
                kind.copy_from_slice(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
            }
            assert!(read(&answer).is_err(), "{length}");
        }
    }
}
