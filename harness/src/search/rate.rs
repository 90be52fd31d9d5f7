//! Checked numbers: a rate in frames a second, and a share of frames lost.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A number is outside the range its type allows.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum RateError {
    /// A rate must be finite and above zero.
    #[error("rate {0} is not a finite number above zero")]
    Rate(f64),
    /// A loss ratio must lie between 0 and 1.
    #[error("loss ratio {0} is not between 0 and 1")]
    LossRatio(f64),
}

/// A load or a forwarding rate, in frames a second: finite and above zero.
///
/// The draft calls it Load (section 4.5.2). Whether it counts one direction or all of them is the caller's choice; it
/// only has to be the same choice throughout a search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Pps(f64);

impl Pps {
    /// Checks and wraps a rate in frames a second.
    pub fn new(rate: f64) -> Result<Self, RateError> {
        if rate.is_finite() && rate > 0.0 {
            Ok(Self(rate))
        } else {
            Err(RateError::Rate(rate))
        }
    }

    /// The rate in frames a second.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The nearest rate in `low..=high`; anything that is not a number becomes `low`.
    pub(super) fn within(rate: f64, low: Self, high: Self) -> Self {
        Self(rate.max(low.0).min(high.0))
    }
}

// A rate is never NaN, so the total order of floats agrees with `PartialEq`.
impl Eq for Pps {}

impl Ord for Pps {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Pps {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<f64> for Pps {
    type Error = RateError;

    fn try_from(rate: f64) -> Result<Self, RateError> {
        Self::new(rate)
    }
}

impl From<Pps> for f64 {
    fn from(rate: Pps) -> f64 {
        rate.0
    }
}

impl fmt::Display for Pps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A share of frames, 0 (none) to 1 (all): of a trial (section 4.5.6) or the most a goal allows (section 4.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct LossRatio(f64);

impl LossRatio {
    /// No loss at all.
    pub const ZERO: Self = Self(0.0);
    /// Everything lost.
    pub const ONE: Self = Self(1.0);

    /// Checks and wraps a ratio in `0..=1`.
    pub fn new(ratio: f64) -> Result<Self, RateError> {
        if (0.0..=1.0).contains(&ratio) {
            // Adding zero turns a negative zero into the plain one.
            Ok(Self(ratio + 0.0))
        } else {
            Err(RateError::LossRatio(ratio))
        }
    }

    /// The ratio, 0 to 1.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// `part` of `whole`, at most 1; nothing of nothing is 0.
    pub(super) fn of(part: u128, whole: u64) -> Self {
        if part == 0 {
            Self::ZERO
        } else if part >= u128::from(whole) {
            Self::ONE
        } else {
            Self(part as f64 / whole as f64)
        }
    }
}

impl Eq for LossRatio {}

impl Ord for LossRatio {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for LossRatio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<f64> for LossRatio {
    type Error = RateError;

    fn try_from(ratio: f64) -> Result<Self, RateError> {
        Self::new(ratio)
    }
}

impl From<LossRatio> for f64 {
    fn from(ratio: LossRatio) -> f64 {
        ratio.0
    }
}

impl fmt::Display for LossRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
