//! Whether a cache is worth looking into.

/// Lookups after which is judged.
const LOOKUPS: u32 = 4096;
/// Of those, how many may miss. Where it stops being worth it was not measured.
const MISSES: u32 = LOOKUPS / 4;
/// Questions during which a cache that is not worth it is left alone.
const REST: u32 = 64 * LOOKUPS;

/// Judges a cache by how often it has what it is asked for, and leaves one that seldom does alone for a while.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Worth {
    lookups: u32,
    misses: u32,
    rest: u32,
}

impl Worth {
    /// Whether to look into it now.
    #[inline(always)]
    pub fn is_given(&mut self) -> bool {
        if self.rest == 0 {
            return true;
        }
        self.rest -= 1;
        false
    }

    /// It was looked into.
    #[inline(always)]
    pub fn looked(&mut self, found: bool) {
        self.lookups += 1;
        self.misses += u32::from(!found);
        if self.lookups == LOOKUPS {
            *self = Self {
                rest: if self.misses > MISSES { REST } else { 0 },
                ..Self::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_seldom_helps_is_left_alone_for_a_while_and_then_tried_again() {
        let mut worth = Worth::default();
        for _ in 0..10 * LOOKUPS {
            worth.looked(true);
            assert!(worth.is_given());
        }
        for _ in 0..LOOKUPS {
            assert!(worth.is_given());
            worth.looked(false);
        }
        for _ in 0..REST {
            assert!(!worth.is_given());
        }
        assert!(worth.is_given());
    }
}
