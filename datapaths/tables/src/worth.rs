//! Whether a cache is worth looking into.

use mizar_core::established::ENTRIES;

/// Lookups after which is judged.
const LOOKUPS: u32 = 4096;
/// Of those, how many may miss: with 4,096 flows, of which about an eighth do, frames cost as much with the cache of
/// established flows as without; with half as many they cost up to a third less, with twice as many up to a sixth more.
const MISSES: u32 = LOOKUPS / 8;
/// Judgements that a cache is spared after a rest: it has nothing yet.
const FILLING: u32 = ENTRIES / LOOKUPS;
/// Questions during which a cache that is not worth it is left alone.
const REST: u32 = 64 * LOOKUPS;

/// Judges a cache by how often it has what it is asked for, and leaves one that seldom does alone for a while.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Worth {
    lookups: u32,
    misses: u32,
    judgements: u32,
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
            self.judge();
        }
    }

    fn judge(&mut self) {
        *self = if self.misses > MISSES && self.judgements >= FILLING {
            Self {
                rest: REST,
                ..Self::default()
            }
        } else {
            Self {
                judgements: self.judgements.saturating_add(1),
                ..Self::default()
            }
        };
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

    #[test]
    fn a_cache_that_is_empty_is_given_time_to_fill() {
        let mut worth = Worth::default();
        for filled in [false, true, false, true] {
            for _ in 0..LOOKUPS {
                assert!(worth.is_given());
                worth.looked(filled);
            }
        }
        assert!(worth.is_given());
    }
}
