//! A frame in DPDK's memory.

use crate::prefetch;
use capsule_ffi as ffi;
use mizar_droplet::Buffer;
use std::ptr::NonNull;

/// A frame in one segment of DPDK's memory. Dropping it gives the memory back.
#[repr(transparent)]
pub struct Mbuf(NonNull<ffi::rte_mbuf>);

impl Mbuf {
    /// Takes over what DPDK handed out.
    ///
    /// # Safety
    /// It is a frame of a pool, and nobody else has it.
    #[inline(always)]
    pub unsafe fn new(raw: NonNull<ffi::rte_mbuf>) -> Self {
        Self(raw)
    }

    /// Hands it to DPDK.
    #[inline(always)]
    pub fn into_raw(self) -> *mut ffi::rte_mbuf {
        let raw = self.0.as_ptr();
        std::mem::forget(self);
        raw
    }

    #[inline(always)]
    fn raw(&self) -> &ffi::rte_mbuf {
        // SAFETY: alive as long as this is.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    fn raw_mut(&mut self) -> &mut ffi::rte_mbuf {
        // SAFETY: alive as long as this is, and nobody else has it.
        unsafe { self.0.as_mut() }
    }

    /// Makes it `len` bytes long, and hands out the bytes, which are what was there before. `None` if it cannot take
    /// as many.
    #[inline(always)]
    pub fn reset(&mut self, len: usize) -> Option<&mut [u8]> {
        let raw = self.raw_mut();
        let short = u16::try_from(len).ok()?;
        if short > raw.buf_len.checked_sub(raw.data_off)? {
            return None;
        }
        raw.data_len = short;
        raw.pkt_len = u32::from(short);
        Some(self.frame_mut())
    }

    /// Whether it lies in one piece.
    #[inline(always)]
    pub fn is_whole(&self) -> bool {
        u32::from(self.raw().data_len) == self.raw().pkt_len
    }
}

/// Asks for a frame's first bytes to be brought near.
#[inline(always)]
pub fn prefetch(frame: &ffi::rte_mbuf) {
    let data = frame.buf_addr.cast::<u8>();
    prefetch::to_read(data.wrapping_add(usize::from(frame.data_off)));
}

impl Buffer for Mbuf {
    #[inline(always)]
    fn frame_mut(&mut self) -> &mut [u8] {
        let raw = self.raw_mut();
        // SAFETY: `data_len` bytes from there are this frame's (rte_mbuf_core.h).
        unsafe {
            let data = raw.buf_addr.cast::<u8>().add(usize::from(raw.data_off));
            std::slice::from_raw_parts_mut(data, usize::from(raw.data_len))
        }
    }

    #[inline(always)]
    fn grow(&mut self, len: usize) -> bool {
        let raw = self.raw_mut();
        let Some(start) = u16::try_from(len)
            .ok()
            .filter(|len| len.is_multiple_of(2))
            .and_then(|len| {
                Some((
                    raw.data_off.checked_sub(len)?,
                    raw.data_len.checked_add(len)?,
                ))
            })
        else {
            return false;
        };
        (raw.data_off, raw.data_len) = start;
        raw.pkt_len += len as u32;
        true
    }

    #[inline(always)]
    fn strip(&mut self, len: usize) -> bool {
        let raw = self.raw_mut();
        match u16::try_from(len) {
            Ok(short) if short.is_multiple_of(2) && short <= raw.data_len => {
                raw.data_off += short;
                raw.data_len -= short;
                raw.pkt_len -= u32::from(short);
                true
            }
            _ => false,
        }
    }
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: a frame of a pool that nobody else has.
        unsafe { ffi::_rte_pktmbuf_free(self.0.as_ptr()) };
    }
}
