//! Filling a map with one system call instead of one per entry (`BPF_MAP_UPDATE_BATCH`, Linux 5.6; for
//! prefix tries 5.14). aya has no call for it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `BPF_MAP_UPDATE_BATCH` of include/uapi/linux/bpf.h.
const UPDATE_BATCH: libc::c_long = 26;
/// `BPF_MAP_DELETE_ELEM`.
const DELETE_ELEMENT: libc::c_long = 3;
/// `BPF_MAP_UPDATE_ELEM`.
const UPDATE_ELEMENT: libc::c_long = 2;

/// The member of `union bpf_attr` for batches.
#[repr(C, align(8))]
struct BatchAttributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    element_flags: u64,
    flags: u64,
}

/// The member of `union bpf_attr` for one element.
#[repr(C, align(8))]
struct ElementAttributes {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Removes the entry of `key` from the map `fd`, whose keys have its length. That there is none is no error.
///
/// # Errors
/// The kernel's refusal.
pub fn delete(fd: BorrowedFd<'_>, key: &[u8]) -> io::Result<()> {
    let mut element = ElementAttributes {
        map_fd: fd.as_raw_fd() as u32,
        pad: 0,
        key: key.as_ptr().addr() as u64,
        value: 0,
        flags: 0,
    };
    match bpf(DELETE_ELEMENT, &mut element) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn bpf<A>(command: libc::c_long, attributes: &mut A) -> io::Result<()> {
    // SAFETY: the attributes are of the layout the command wants, and what they point to outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<A>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Enters `count` entries into the map `fd`: keys and values one behind the other, as large as those of the map.
///
/// # Errors
/// The kernel's refusal, such as `E2BIG` for a full map.
pub fn update(fd: BorrowedFd<'_>, count: usize, keys: &[u8], values: &[u8]) -> io::Result<()> {
    if count == 0 {
        return Ok(());
    }
    let map_fd = fd.as_raw_fd() as u32;
    let mut batch = BatchAttributes {
        in_batch: 0,
        out_batch: 0,
        keys: keys.as_ptr().addr() as u64,
        values: values.as_ptr().addr() as u64,
        count: u32::try_from(count).map_err(io::Error::other)?,
        map_fd,
        element_flags: 0,
        flags: 0,
    };
    match bpf(UPDATE_BATCH, &mut batch) {
        // Neither the command nor the map type may know batches: EINVAL before 5.6, ENOTSUPP (524) after.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | 524)) => {}
        result => return result,
    }
    let each = |bytes: &[u8]| (bytes.len() / count).max(1);
    let entries = keys.chunks(each(keys)).zip(values.chunks(each(values)));
    for (key, value) in entries {
        let mut element = ElementAttributes {
            map_fd,
            pad: 0,
            key: key.as_ptr().addr() as u64,
            value: value.as_ptr().addr() as u64,
            flags: 0,
        };
        bpf(UPDATE_ELEMENT, &mut element)?;
    }
    Ok(())
}
