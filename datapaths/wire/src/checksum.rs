//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//!
//! Sums are taken over words as they lie in memory; RFC 1071 section 2(B) shows that the result is the
//! same in either byte order.

/// Folds a sum of words into 16 bits and complements it: the value a checksum field carries.
#[inline(always)]
pub const fn fold(mut sum: u64) -> u16 {
    // 64 bits need four steps: 64 -> 49 -> 34 -> 19 -> 17 -> 16 bits at the most.
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

/// A change of words under a checksum: collects what went out and what came in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change(u64);

impl Change {
    /// No change yet.
    #[inline(always)]
    pub const fn new() -> Self {
        Self(0)
    }

    /// A 32-bit word, as it lies in memory, was replaced.
    #[inline(always)]
    pub const fn word(self, old: u32, new: u32) -> Self {
        if old == new {
            self
        } else {
            Self(self.0 + !old as u64 + new as u64)
        }
    }

    /// A 16-bit word, as it lies in memory, was replaced.
    #[inline(always)]
    pub const fn half(self, old: u16, new: u16) -> Self {
        if old == new {
            self
        } else {
            Self(self.0 + !old as u64 + new as u64)
        }
    }

    /// The checksum after the change, by equation 3 of RFC 1624: `HC' = ~(~HC + ~m + m')`.
    #[inline(always)]
    pub const fn apply(self, checksum: u16) -> u16 {
        if self.0 == 0 {
            checksum
        } else {
            fold(!checksum as u64 + self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(words: &[u16]) -> u16 {
        fold(words.iter().map(|w| *w as u64).sum())
    }

    proptest! {
        #[test]
        fn incremental_update_agrees_with_recomputing(
            mut words in proptest::collection::vec(any::<u16>(), 10),
            at in 0usize..8,
            new in any::<u32>(),
        ) {
            // A header that is zero throughout has two valid checksums; real ones are not.
            words[9] |= 1;
            let before = sum(&words);
            let old = words[at] as u32 | (words[at + 1] as u32) << 16;
            words[at] = new as u16;
            words[at + 1] = (new >> 16) as u16;
            prop_assert_eq!(Change::new().word(old, new).apply(before), sum(&words));
        }

        #[test]
        fn fold_is_the_ones_complement_sum(words in proptest::collection::vec(any::<u16>(), 0..1000)) {
            let mut expected = 0u32;
            for word in &words {
                expected += *word as u32;
                expected = (expected & 0xffff) + (expected >> 16);
            }
            prop_assert_eq!(sum(&words), !(expected as u16));
        }
    }
}
