//! Access to a frame's bytes with every bound proven.

use crate::Header;

/// The bytes of one Ethernet frame, starting at an even address.
///
/// An implementation for the kernel compares addresses in a way its verifier can follow; the one for
/// slices, [`Slice`], serves everything else. A header that does not lie wholly inside the frame is
/// `None`, never a panic.
pub trait Frame {
    /// Bytes in the frame.
    fn len(&self) -> usize;

    /// Whether the frame has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The header of type `T` at byte `at`, which must be even.
    fn get<T: Header>(&self, at: usize) -> Option<&T>;

    /// The same, to be written.
    fn get_mut<T: Header>(&mut self, at: usize) -> Option<&mut T>;

    /// The words in native byte order from byte `at` on, which must be even.
    #[inline(always)]
    fn words<const N: usize>(&self, at: usize) -> Option<[u64; N]> {
        let halves = self.get::<[[u16; 4]; N]>(at)?;
        let mut words = [0; N];
        for (word, [a, b, c, d]) in words.iter_mut().zip(halves) {
            let all = [a, b, c, d].map(|half| half.to_ne_bytes());
            *word = zerocopy::transmute!(all);
        }
        Some(words)
    }

    /// Writes words in native byte order from byte `at` on, which must be even.
    #[inline(always)]
    fn set_words<const N: usize>(&mut self, at: usize, words: [u64; N]) -> Option<()> {
        let places = self.get_mut::<[[u16; 4]; N]>(at)?;
        for (place, word) in places.iter_mut().zip(words) {
            *place = zerocopy::transmute!(word);
        }
        Some(())
    }
}

/// A frame in memory that this process owns.
pub struct Slice<'a>(&'a mut [u8]);

/// A slice that starts at an odd address, which the two-byte alignment of headers forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OddAddress;

impl core::fmt::Display for OddAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a frame must start at an even address")
    }
}

impl<'a> Slice<'a> {
    /// The frame in `bytes`.
    ///
    /// # Errors
    /// [`OddAddress`] if the first byte lies at an odd address.
    #[inline(always)]
    pub fn new(bytes: &'a mut [u8]) -> Result<Self, OddAddress> {
        if bytes.as_ptr().addr() & 1 == 0 {
            Ok(Self(bytes))
        } else {
            Err(OddAddress)
        }
    }
}

impl Frame for Slice<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn get<T: Header>(&self, at: usize) -> Option<&T> {
        T::ref_from_prefix(self.0.get(at..)?)
            .ok()
            .map(|(header, _)| header)
    }

    #[inline(always)]
    fn get_mut<T: Header>(&mut self, at: usize) -> Option<&mut T> {
        T::mut_from_prefix(self.0.get_mut(at..)?)
            .ok()
            .map(|(header, _)| header)
    }
}
