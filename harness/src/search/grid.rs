//! The loads a search may use: whole numbers, spaced evenly in the logarithm.
//!
//! Intervals are halved and widened again and again. On whole numbers that is exact and can be undone, and equal steps
//! are equal relative widths at every load.

use std::ops::{Add, Sub};

use super::rate::Pps;

/// The best share of a goal's width that whole steps may make up; below 1, so that rounding never exceeds the width.
const TIGHTEST_FIT: f64 = 0.999_999;

/// The worst share of a goal's width that whole steps may make up.
const LOOSEST_FIT: f64 = 0.99;

/// The smallest step, as a logarithm: well above the spacing of floats, so neighbouring loads always differ.
const FINEST_STEP: f64 = 1e-12;

/// How many grids are tried before giving up.
const TRIES: u32 = 1_000_000;

/// A load as its place on the grid; 0 is the minimum load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GridLoad(pub i64);

/// A distance between two loads on the grid, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GridWidth(pub i64);

impl Add<GridWidth> for GridLoad {
    type Output = Self;

    fn add(self, width: GridWidth) -> Self {
        Self(self.0.saturating_add(width.0))
    }
}

impl Sub<GridWidth> for GridLoad {
    type Output = Self;

    fn sub(self, width: GridWidth) -> Self {
        Self(self.0.saturating_sub(width.0))
    }
}

impl Sub for GridLoad {
    type Output = GridWidth;

    fn sub(self, other: Self) -> GridWidth {
        GridWidth(self.0.saturating_sub(other.0))
    }
}

impl GridWidth {
    /// This width `factor` times.
    pub(super) const fn times(self, factor: u32) -> Self {
        Self(self.0.saturating_mul(factor as i64))
    }
}

/// Maps places on the grid to rates and back.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    min: Pps,
    max: Pps,
    /// Natural logarithm of `max / min`.
    span: f64,
    /// Number of steps from `min` to `max`.
    steps: i64,
}

impl Grid {
    /// The coarsest grid on which each of `widths` (relative, as in a goal) is 99 % to 99.9999 % of a whole number of
    /// steps. `None` if there is none of a usable size.
    pub(super) fn new(min: Pps, max: Pps, widths: &[f64]) -> Option<Self> {
        let span = max.get().ln() - min.get().ln();
        if !(span > 0.0 && span.is_finite()) {
            return None;
        }
        let mut steps = 1_i64;
        for _ in 0..TRIES {
            let mut next = None;
            for width in widths {
                let exact = Self::steps_in(*width, span, steps);
                let fit = exact.floor() / exact;
                if !(LOOSEST_FIT..=TIGHTEST_FIT).contains(&fit) {
                    // The size at which one more whole step fits into this width.
                    let target = (exact.floor() + 1.0) / TIGHTEST_FIT;
                    let candidate = (target / exact * steps as f64).ceil() as i64;
                    next = next.max(Some(candidate.max(steps + 1)));
                }
            }
            match next {
                None => {
                    return Some(Self {
                        min,
                        max,
                        span,
                        steps,
                    });
                }
                Some(larger) if span / (larger as f64) < FINEST_STEP => return None,
                Some(larger) => steps = larger,
            }
        }
        None
    }

    /// How many steps a relative width is, not rounded, on a grid of `steps` steps.
    fn steps_in(relative_width: f64, span: f64, steps: i64) -> f64 {
        -(-relative_width).ln_1p() / (span / steps as f64)
    }

    /// The place of the minimum load.
    pub(super) const fn bottom(&self) -> GridLoad {
        GridLoad(0)
    }

    /// The place of the maximum load.
    pub(super) const fn top(&self) -> GridLoad {
        GridLoad(self.steps)
    }

    /// The rate at a place; places outside the grid give the nearer limit.
    pub(super) fn rate(&self, load: GridLoad) -> Pps {
        if load <= self.bottom() {
            self.min
        } else if load >= self.top() {
            self.max
        } else {
            let share = load.0 as f64 / self.steps as f64;
            Pps::within(
                self.min.get() * (self.span * share).exp(),
                self.min,
                self.max,
            )
        }
    }

    /// The highest place whose rate is at most `rate`; rates outside the grid give the nearer limit.
    pub(super) fn floor(&self, rate: f64) -> GridLoad {
        let share = (rate / self.min.get()).ln() / self.span;
        // A float that does not fit, or is no number, saturates; the clamp then picks a limit.
        let guess = (share * self.steps as f64) as i64;
        let mut place = GridLoad(guess.clamp(0, self.steps));
        // Logarithm and exponential do not invert exactly; the guess may be off by one.
        while place > self.bottom() && self.rate(place).get() > rate {
            place = GridLoad(place.0 - 1);
        }
        while place < self.top() && self.rate(GridLoad(place.0 + 1)).get() <= rate {
            place = GridLoad(place.0 + 1);
        }
        place
    }

    /// The most steps, at least one, that are no wider than a goal's relative width.
    pub(super) fn width(&self, relative_width: f64) -> GridWidth {
        let steps = Self::steps_in(relative_width, self.span, self.steps).floor() as i64;
        GridWidth(steps.clamp(1, self.steps))
    }
}
