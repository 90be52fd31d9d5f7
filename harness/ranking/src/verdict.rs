//! What an interval says.

use crate::interval::Interval;
use serde::{Deserialize, Serialize};
use std::fmt;

/// By how much figures may differ and still be as good as each other: 0.05 is 5 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Tolerance(f64);

/// A tolerance that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a tolerance of {0} is not between 0 and 1")]
pub struct ToleranceError(f64);

impl Tolerance {
    /// 5 %.
    pub const DEFAULT: Self = Self(0.05);

    /// Checks and wraps a share, above 0 and below 1.
    ///
    /// # Errors
    /// Outside this range.
    pub fn new(share: f64) -> Result<Self, ToleranceError> {
        if share > 0.0 && share < 1.0 {
            Ok(Self(share))
        } else {
            Err(ToleranceError(share))
        }
    }

    /// The share.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Tolerance {
    type Error = ToleranceError;

    fn try_from(share: f64) -> Result<Self, ToleranceError> {
        Self::new(share)
    }
}

impl From<Tolerance> for f64 {
    fn from(tolerance: Tolerance) -> f64 {
        tolerance.0
    }
}

/// How one contestant compares with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is faster, by however little.
    Faster,
    /// It is slower, by however little.
    Slower,
    /// Neither is faster by more than the tolerance.
    Equivalent,
    /// The trials made do not say.
    Undecided,
}

impl Verdict {
    /// What follows from the interval of the ratio of its figures to the other's. Equivalence comes first: who is faster by
    /// one percent for certain is as good as the other.
    #[must_use]
    pub fn of(interval: &Interval, tolerance: Tolerance) -> Self {
        let most = 1.0 + tolerance.get();
        if interval.lower >= 1.0 / most && interval.upper <= most {
            Self::Equivalent
        } else if interval.lower > 1.0 {
            Self::Faster
        } else if interval.upper < 1.0 {
            Self::Slower
        } else {
            Self::Undecided
        }
    }

    /// That of the two the other way round.
    #[must_use]
    pub const fn inverse(self) -> Self {
        match self {
            Self::Faster => Self::Slower,
            Self::Slower => Self::Faster,
            same => same,
        }
    }

    /// Whether it stands where the figures of the one, or of the other, may be less than it can do: who may be faster has not
    /// lost yet, nor is it equivalent; it may have won.
    #[must_use]
    pub const fn stands(self, [one, other]: [bool; 2]) -> bool {
        match self {
            Self::Faster => !other,
            Self::Slower => !one,
            Self::Equivalent => !one && !other,
            Self::Undecided => true,
        }
    }

    /// Whether it says something.
    #[must_use]
    pub const fn is_decided(self) -> bool {
        !matches!(self, Self::Undecided)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Equivalent => "equivalent",
            Self::Undecided => "undecided",
        })
    }
}

/// Every two of so many contestants, each with those after it.
#[must_use]
pub fn pairs(contestants: usize) -> Vec<(usize, usize)> {
    (0..contestants)
        .flat_map(|one| (one + 1..contestants).map(move |other| (one, other)))
        .collect()
}

/// Those of so many contestants that are slower than none, by verdicts of pairs.
#[must_use]
pub fn leaders(contestants: usize, verdicts: &[((usize, usize), Verdict)]) -> Vec<usize> {
    let is_slower = |contestant: usize| {
        verdicts
            .iter()
            .any(|((one, other), verdict)| match verdict {
                Verdict::Faster => *other == contestant,
                Verdict::Slower => *one == contestant,
                Verdict::Equivalent | Verdict::Undecided => false,
            })
    };
    (0..contestants).filter(|it| !is_slower(*it)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_be_faster_may_have_won_but_not_lost() {
        let stands = |verdict: Verdict| {
            [[false, false], [true, false], [false, true]].map(|floors| verdict.stands(floors))
        };
        assert_eq!(stands(Verdict::Faster), [true, true, false]);
        assert_eq!(stands(Verdict::Slower), [true, false, true]);
        assert_eq!(stands(Verdict::Equivalent), [true, false, false]);
        assert_eq!(stands(Verdict::Undecided), [true, true, true]);
    }

    #[test]
    fn leaders_are_slower_than_none() {
        assert_eq!(pairs(3), [(0, 1), (0, 2), (1, 2)]);
        let verdicts = [Verdict::Slower, Verdict::Undecided, Verdict::Faster];
        let verdicts: Vec<_> = pairs(3).into_iter().zip(verdicts).collect();
        assert_eq!(leaders(3, &verdicts), [1]);
        assert_eq!(leaders(2, &[]), [0, 1]);
    }

    #[test]
    fn what_an_interval_says() {
        let verdict = |lower, upper| {
            let interval = Interval {
                ratio: 1.0,
                lower,
                upper,
            };
            let verdict = Verdict::of(&interval, Tolerance::DEFAULT);
            let inverse = Verdict::of(&interval.inverse(), Tolerance::DEFAULT);
            assert_eq!(verdict.inverse(), inverse, "{lower} to {upper}");
            verdict
        };
        assert_eq!(verdict(0.97, 1.04), Verdict::Equivalent);
        assert_eq!(verdict(1.01, 1.04), Verdict::Equivalent);
        assert_eq!(verdict(1.01, 1.20), Verdict::Faster);
        assert_eq!(verdict(0.40, 0.99), Verdict::Slower);
        assert_eq!(verdict(0.94, 1.01), Verdict::Undecided);
        assert_eq!(verdict(0.0, f64::INFINITY), Verdict::Undecided);
    }

    #[test]
    fn a_tolerance_is_a_share() {
        for wrong in [0.0, 1.0, -0.05, 5.0, f64::NAN] {
            assert!(Tolerance::new(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Tolerance::new(0.1).unwrap().get(), 0.1);
    }
}
