//! Where a round of a comparison searches, and where next if what a datapath carries is not there.

use super::MIN_LOAD;

/// A round searches between this share of what was found before,
const LEAST: f64 = 0.4;
/// and this.
const MOST: f64 = 1.3;
/// The range is moved by this factor first, then each time by the square of the last one: what was found before may be far off,
/// where stalls of the machine have set it.
const FACTOR: f64 = 2.0;
/// The last one.
const LAST_FACTOR: f64 = 256.0;
/// Of a range and the next one.
const OVERLAP: f64 = 0.05;

/// Loads in frames per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub least: f64,
    pub most: f64,
    /// Of the next move.
    factor: f64,
}

impl Range {
    /// Around what was found before. `dither` is near 1, and lets what is found lie on no grid.
    pub fn around(typical: f64, dither: f64) -> Self {
        Self {
            least: (typical * LEAST * dither).max(MIN_LOAD),
            most: (typical * MOST * dither).max(2.0 * MIN_LOAD),
            factor: FACTOR,
        }
    }

    /// The one above; none where it was moved often enough.
    pub fn above(self) -> Option<Self> {
        self.moved(self.most * (1.0 - OVERLAP), self.most * self.factor)
    }

    /// The one below; none where it was moved often enough, or nothing is below.
    pub fn below(self) -> Option<Self> {
        if self.least <= MIN_LOAD {
            return None;
        }
        let least = (self.least / self.factor).max(MIN_LOAD);
        self.moved(least, self.least * (1.0 + OVERLAP))
    }

    fn moved(self, least: f64, most: f64) -> Option<Self> {
        (self.factor <= LAST_FACTOR).then_some(Self {
            least,
            most,
            factor: self.factor * self.factor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What all ranges span, from this one on.
    fn span(range: Range, next: fn(Range) -> Option<Range>) -> (f64, f64) {
        let ranges = std::iter::successors(Some(range), |it| next(*it));
        ranges.fold((range.least, range.most), |(least, most), it| {
            assert!(it.least < it.most, "{it:?}");
            assert!(it.least <= most && it.most >= least, "a gap before {it:?}");
            (least.min(it.least), most.max(it.most))
        })
    }

    #[test]
    fn what_was_found_before_may_be_off_by_far() {
        let (least, most) = span(Range::around(70_995.0, 1.01), Range::above);
        assert!(least < 30_000.0);
        assert!(most > 1e9);
        let (least, most) = span(Range::around(1e7, 1.01), Range::below);
        assert!(least <= MIN_LOAD);
        assert!(most > 1.2e7);
    }

    #[test]
    fn below_the_least_load_nothing_is_searched() {
        let range = Range::around(MIN_LOAD, 1.0);
        assert!(range.least >= MIN_LOAD && range.most > range.least);
        assert_eq!(range.below(), None);
    }
}
