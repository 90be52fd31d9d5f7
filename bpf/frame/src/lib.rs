//! A frame as the kernel shows it to a program.

#![no_std]
#![feature(asm_experimental_arch)]

use core::arch::asm;
use mizar_wire::Header;
use mizar_wire::frame::Frame;

/// Start and end address; every access compares with the end in the form the verifier follows.
pub struct Packet {
    start: usize,
    end: usize,
    len: usize,
}

impl Packet {
    /// The frame from `start` to `end`, which a context says.
    ///
    /// # Safety
    /// They are a context's, and nothing was done since that ends pointers into the frame.
    #[inline(always)]
    pub unsafe fn new(start: usize, end: usize) -> Self {
        Self {
            start,
            end,
            len: end - start,
        }
    }

    /// The same where the frame has more bytes than can be seen: `len` of them altogether.
    #[inline(always)]
    #[must_use]
    pub fn of_len(self, len: usize) -> Self {
        Self { len, ..self }
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

impl Frame for Packet {
    #[inline(always)]
    fn len(&self) -> usize {
        self.len
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

    /// Word by word, which LLVM would load byte by byte; the kernel allows unaligned access to packets.
    #[inline(always)]
    fn words<const N: usize>(&self, at: usize) -> Option<[u64; N]> {
        let address = self.at::<[u64; N]>(at)?;
        let mut words = [0; N];
        let mut number = 0;
        while number < N {
            // SAFETY: in bounds by the comparison.
            unsafe {
                asm!(
                    "{word} = *(u64 *)({address} + 0)",
                    word = out(reg) words[number],
                    address = in(reg) address + number * size_of::<u64>(),
                    options(nostack, readonly, pure)
                );
            }
            number += 1;
        }
        Some(words)
    }

    /// Word by word as well, which LLVM would not.
    #[inline(always)]
    fn set_words<const N: usize>(&mut self, at: usize, words: [u64; N]) -> Option<()> {
        let address = self.at::<[u64; N]>(at)?;
        let mut number = 0;
        while number < N {
            // SAFETY: in bounds by the comparison; the frame is this program's alone while it runs.
            unsafe {
                asm!(
                    "*(u64 *)({address} + 0) = {word}",
                    word = in(reg) words[number],
                    address = in(reg) address + number * size_of::<u64>(),
                    options(nostack)
                );
            }
            number += 1;
        }
        Some(())
    }
}
