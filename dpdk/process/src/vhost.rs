//! Brings near what the next burst of a vhost-user port will touch.
//!
//! The descriptors and buffers of a virtio queue were last written by the other side, on another processor, and each of
//! them is a cache line that has to come from there. DPDK's driver asks for those of four frames at a time; here those of a
//! whole burst are asked for at once, up to three lines a frame, just before the driver goes through it. Only hints are
//! given: nothing is written, and a wrong guess costs time, never a frame.
//!
//! Descriptors are read in a mapping of our own, which stays when the driver lets go of its mapping. Buffers are asked for
//! by the driver's addresses, since a processor may find a line by the address it was brought near with, and a hint about
//! an address that is gone does nothing. Queues are packed rings with a descriptor a frame (virtio
//! 1.1, section 2.7); for others no hints are given. When the other side goes and comes back, hints go on about what was
//! there before, to no use, and keep its memory.

use crate::device::BURST;
use crate::prefetch::{to_read, to_write};
use capsule_ffi as ffi;
use memmap2::{MmapOptions, MmapRaw};
use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::ptr::null_mut;

/// Queues by the other side's use of them (virtio 1.1, section 5.1.2).
const DEVICE_SENDS: u16 = 0;
const DEVICE_RECEIVES: u16 = 1;
/// Flags of a descriptor (virtio 1.1, section 2.7.1 and 2.7.6).
const AVAILABLE: u16 = 1 << 7;
const USED: u16 = 1 << 15;
/// The header in front of each frame (virtio 1.1, section 5.1.6).
const HEADER: usize = 12;
const LINE: usize = 64;
/// Lines of a frame that are asked for: the core looks at no more than its headers, and the processor's own prefetching
/// sees to the rest of a long one.
const LINES: usize = 3;
const DESCRIPTORS_PER_LINE: usize = LINE / size_of::<Descriptor>();
/// No process here has as many vhost devices.
const MOST_DEVICES: i32 = 1024;

/// A descriptor of a packed ring (virtio 1.1, section 2.7.13).
#[repr(C)]
#[derive(Clone, Copy)]
struct Descriptor {
    address: u64,
    len: u32,
    id: u16,
    flags: u16,
}

/// Part of the other side's memory, as the driver has it mapped.
#[derive(Clone, Copy)]
struct Region {
    /// Where it begins by the other side's addresses.
    begin: u64,
    /// Where it begins by the driver's.
    local: u64,
    len: u64,
}

impl Region {
    /// The driver's address for one of the other side's, if it is in this region.
    #[inline(always)]
    fn local(self, address: u64) -> Option<*const u8> {
        let at = address.wrapping_sub(self.begin);
        (at < self.len).then(|| self.local.wrapping_add(at) as *const u8)
    }
}

/// A packed ring, followed by counting frames.
struct Ring {
    /// Where its descriptors are mapped.
    mapping: MmapRaw,
    /// Where the first of `size` descriptors is in there, in bytes.
    offset: usize,
    size: usize,
    /// The one that the driver is to look at next, and which value of the flag means that it is available.
    at: usize,
    wrap: bool,
}

/// The queues of a connected vhost-user port.
pub struct Ahead {
    regions: Vec<Region>,
    receive: Ring,
    send: Ring,
}

impl Ahead {
    /// For the port at this socket. `None` where it has other queues than are known here.
    pub fn of(socket: &str) -> Option<Self> {
        let device = (0..MOST_DEVICES).find(|device| {
            let mut name = [0; 256];
            // SAFETY: room for a name, with its length.
            let result =
                unsafe { ffi::rte_vhost_get_ifname(*device, name.as_mut_ptr(), name.len()) };
            // SAFETY: on success there is a string in it.
            result == 0 && unsafe { CStr::from_ptr(name.as_ptr()) }.to_str() == Ok(socket)
        })?;
        let mut features = 0;
        // SAFETY: a place for the result.
        let result = unsafe { ffi::rte_vhost_get_negotiated_features(device, &raw mut features) };
        if result != 0 || features & (1 << ffi::VIRTIO_F_RING_PACKED) == 0 {
            return None;
        }
        let known = memory(device)?;
        let ring = |queue| Ring::of(device, queue, &known);
        let (receive, send) = (ring(DEVICE_RECEIVES)?, ring(DEVICE_SENDS)?);
        let region = |region: &ffi::rte_vhost_mem_region| Region {
            begin: region.guest_phys_addr,
            local: region.host_user_addr,
            len: region.size,
        };
        Some(Self {
            regions: known.iter().map(region).collect(),
            receive,
            send,
        })
    }

    /// Before a burst is received.
    #[inline(always)]
    pub fn receive(&mut self) {
        // The header holds nothing where nothing was agreed upon that it would say.
        self.receive
            .bring_near(&self.regions, BURST, HEADER, to_read);
    }

    /// After as many frames were received.
    #[inline(always)]
    pub fn received(&mut self, frames: usize) {
        self.receive.advance(frames);
    }

    /// Before as many frames are sent.
    #[inline(always)]
    pub fn send(&mut self, frames: usize) {
        self.send.bring_near(&self.regions, frames, 0, to_write);
    }

    /// After as many frames were sent.
    #[inline(always)]
    pub fn sent(&mut self, frames: usize) {
        self.send.advance(frames);
    }
}

/// The other side's memory.
fn memory(device: i32) -> Option<Vec<ffi::rte_vhost_mem_region>> {
    let mut table = null_mut();
    // SAFETY: a place for the result, which has as many regions as it says and is this function's to free.
    unsafe {
        if ffi::rte_vhost_get_mem_table(device, &raw mut table) != 0 || table.is_null() {
            return None;
        }
        let known = (*table).regions.as_slice((*table).nregions as usize);
        let known = known.to_vec();
        libc::free(table.cast());
        Some(known)
    }
}

impl Ring {
    fn of(device: i32, queue: u16, known: &[ffi::rte_vhost_mem_region]) -> Option<Self> {
        let mut ring = ffi::rte_vhost_vring::default();
        let (mut available, mut used) = (0, 0);
        // SAFETY: places for the results; of a packed ring the union has packed descriptors.
        let first = unsafe {
            let found = ffi::rte_vhost_get_vhost_vring(device, queue, &raw mut ring) == 0
                && ffi::rte_vhost_get_vring_base(device, queue, &raw mut available, &raw mut used)
                    == 0;
            found.then_some(ring.__bindgen_anon_1.desc_packed as u64)?
        };
        let size = usize::from(ring.size);
        let at = usize::from(available & 0x7fff);
        if at >= size {
            return None;
        }
        let (region, offset) = known.iter().find_map(|region| {
            let offset = first.checked_sub(region.mmap_addr as u64)?;
            let end = offset.checked_add((size * size_of::<Descriptor>()) as u64)?;
            (end <= region.mmap_size).then_some((region, offset as usize))
        })?;
        if region.fd < 0 || !offset.is_multiple_of(align_of::<Descriptor>()) {
            return None;
        }
        // SAFETY: the driver keeps it open as long as the other side is there, which it has just become.
        let file = unsafe { BorrowedFd::borrow_raw(region.fd) };
        let mapping = MmapOptions::new()
            .len(usize::try_from(region.mmap_size).ok()?)
            .map_raw_read_only(&file)
            .ok()?;
        Some(Self {
            mapping,
            offset,
            size,
            at,
            // What DPDK keeps in the highest bit.
            wrap: available & 0x8000 != 0,
        })
    }

    /// The first descriptor.
    #[inline(always)]
    fn first(&self) -> *const Descriptor {
        self.mapping.as_ptr().wrapping_add(self.offset).cast()
    }

    /// Asks by `hint` for the buffers of up to `frames` frames, each from a byte on, and for the descriptors of the burst
    /// after them.
    #[inline(always)]
    fn bring_near(&self, regions: &[Region], frames: usize, from: usize, hint: impl Fn(*const u8)) {
        let (mut at, mut wrap) = (self.at, self.wrap);
        for _ in 0..frames {
            // SAFETY: one of the ring's, which are in the mapping, as was checked; it may change at any time.
            let descriptor = unsafe { self.first().add(at).read_volatile() };
            let is_available = (descriptor.flags & AVAILABLE != 0) == wrap
                && (descriptor.flags & USED != 0) != wrap;
            if !is_available {
                break;
            }
            let mut found = regions.iter();
            let Some(buffer) = found.find_map(|region| region.local(descriptor.address)) else {
                break;
            };
            let len = (descriptor.len as usize).min(LINES * LINE);
            for byte in (from..len).step_by(LINE) {
                hint(buffer.wrapping_add(byte));
            }
            at += 1;
            if at == self.size {
                (at, wrap) = (0, !wrap);
            }
        }
        for line in 0..BURST / DESCRIPTORS_PER_LINE {
            let next = (at + line * DESCRIPTORS_PER_LINE) % self.size;
            to_read(self.first().wrapping_add(next));
        }
    }

    #[inline(always)]
    fn advance(&mut self, frames: usize) {
        self.at += frames;
        if self.at >= self.size {
            self.at -= self.size;
            self.wrap = !self.wrap;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memmap2::MmapMut;
    use std::cell::RefCell;

    const SIZE: usize = 8;
    /// Where the other side's memory begins by its own addresses, and by the driver's.
    const GUEST: u64 = 0x1_0000;
    const LOCAL: u64 = 0x7f00_0000;

    /// A ring of buffers of 100 bytes, the first at `GUEST`, of which those `available` have that flag for the round.
    fn ring(at: usize, wrap: bool, available: impl Fn(usize) -> bool) -> Ring {
        let mut mapping = MmapMut::map_anon(SIZE * size_of::<Descriptor>()).unwrap();
        for place in 0..SIZE {
            // Those before the ring's place were passed: the next time is the next round.
            let round = wrap != (place < at);
            let flags = if available(place) == round {
                AVAILABLE
            } else {
                USED
            };
            let descriptor = Descriptor {
                address: GUEST + 1000 * place as u64,
                len: 100,
                id: place as u16,
                flags,
            };
            let bytes = &mut mapping[place * size_of::<Descriptor>()..];
            // SAFETY: the mapping has room for one there, and begins at a page.
            unsafe { bytes.as_mut_ptr().cast::<Descriptor>().write(descriptor) };
        }
        Ring {
            mapping: MmapRaw::from(mapping),
            offset: 0,
            size: SIZE,
            at,
            wrap,
        }
    }

    /// What is asked for of up to `frames` frames, from their byte `from` on.
    fn asked(ring: &Ring, frames: usize, from: usize) -> Vec<u64> {
        let regions = [
            Region {
                begin: 0,
                local: 1,
                len: 16,
            },
            Region {
                begin: GUEST,
                local: LOCAL,
                len: 5_500,
            },
        ];
        let asked = RefCell::new(Vec::new());
        ring.bring_near(&regions, frames, from, |byte| {
            asked.borrow_mut().push(byte as u64)
        });
        asked.into_inner()
    }

    #[test]
    fn buffers_are_asked_for_line_by_line_by_the_drivers_addresses() {
        let ring = ring(1, true, |_| true);
        assert_eq!(
            asked(&ring, 2, 12),
            [LOCAL + 1012, LOCAL + 1076, LOCAL + 2012, LOCAL + 2076]
        );
    }

    #[test]
    fn those_that_are_not_available_are_left_alone() {
        let ring = ring(0, true, |place| place != 1);
        assert_eq!(asked(&ring, 3, 64), [LOCAL + 64]);
    }

    #[test]
    fn after_the_last_comes_the_first_of_the_next_round() {
        for wrap in [true, false] {
            let mut ring = ring(SIZE - 1, wrap, |place| place == 0 || place == SIZE - 1);
            // The last one is in no region.
            assert_eq!(asked(&ring, 2, 64), Vec::<u64>::new());
            ring.advance(1);
            assert_eq!((ring.at, ring.wrap), (0, !wrap));
            assert_eq!(asked(&ring, 2, 64), [LOCAL + 64]);
        }
    }

    #[test]
    fn a_buffer_outside_the_memory_that_is_known_ends_it() {
        let ring = ring(4, true, |_| true);
        // The sixth would end beyond the second region, and begins in it.
        assert_eq!(asked(&ring, 4, 64), [LOCAL + 4064, LOCAL + 5064]);
    }
}
