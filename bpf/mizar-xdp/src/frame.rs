//! A frame as XDP shows it.

use aya_ebpf::programs::XdpContext;
use core::arch::asm;
use mizar_core::Frame;
use mizar_wire::Header;

/// Start and end address; every access compares with the end in the form the verifier follows.
pub struct XdpFrame {
    start: usize,
    end: usize,
}

impl XdpFrame {
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }

    #[inline(always)]
    fn at<T>(&self, at: usize) -> Option<usize> {
        let from = self.start + at;
        // LLVM would leave out a comparison that an earlier one, further into the frame, implies; the
        // verifier cannot follow that where offsets are variable. So the end is a new value each time.
        let mut end = self.end;
        // SAFETY: copies a register to itself. Not `pure`, or LLVM would merge the copies.
        unsafe { asm!("{0} = {0}", inout(reg) end, options(nomem, nostack)) };
        if from + size_of::<T>() > end {
            None
        } else {
            Some(from)
        }
    }
}

impl Frame for XdpFrame {
    #[inline(always)]
    fn len(&self) -> usize {
        self.end - self.start
    }

    #[inline(always)]
    fn get<T: Header>(&self, at: usize) -> Option<&T> {
        // SAFETY: in bounds by the comparison, valid for any bytes by `Header`; the kernel places a frame
        // at an even address, and allows unaligned access besides.
        self.at::<T>(at)
            .map(|address| unsafe { &*(address as *const T) })
    }

    #[inline(always)]
    fn get_mut<T: Header>(&mut self, at: usize) -> Option<&mut T> {
        // SAFETY: as in `get`; the frame is this program's alone while it runs.
        self.at::<T>(at)
            .map(|address| unsafe { &mut *(address as *mut T) })
    }
}
