//! Intervals of ratios that hold together.
//!
//! A round is drawn as a whole, so that what its figures have in common stays together. In each resample the trimmed mean of
//! each pair is off by some multiple of the standard error that it has there (the bootstrap-t of Efron and Tibshirani 1993,
//! "An Introduction to the Bootstrap", section 12.5); the largest multiple among all pairs is noted, and all intervals are
//! made as wide as that is in all but a share of the resamples (single-step max-T: Westfall and Young 1993,
//! "Resampling-Based Multiple Testing", section 2.3). So with that confidence none of them is wrong.

use crate::rounds::Rounds;
use crate::trimmed::Trimmed;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// What a resample's standard error is at least, as a share of that of all rounds.
const LEAST_ERROR: f64 = 0.1;

/// Between what the ratio of two contestants' figures lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The ratio in a typical round.
    pub ratio: f64,
    /// It is not below this,
    pub lower: f64,
    /// nor above this; infinite where too few rounds say so.
    pub upper: f64,
}

impl Interval {
    /// What is not known at all.
    pub const UNKNOWN: Self = Self {
        ratio: 1.0,
        lower: 0.0,
        upper: f64::INFINITY,
    };

    /// That of the two the other way round.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self {
            ratio: 1.0 / self.ratio,
            lower: 1.0 / self.upper,
            upper: 1.0 / self.lower,
        }
    }
}

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// How often.
    pub resamples: u32,
    /// Seed of the draws.
    pub seed: u64,
    /// How far apart, as a share of itself, two figures may be that were measured of the same: the width of a search. Where
    /// figures lie on a grid and agree by chance, their error would be none.
    pub resolution: f64,
}

impl Resampling {
    /// Half the width that an interval has at least, of that many rounds and pairs. A figure lies anywhere within the
    /// resolution (variance of a uniform distribution: a twelfth), and two make a ratio; a mean of such is further off than
    /// `t` times its standard error with a probability of at most `2 exp(-t^2 / 2)` (Hoeffding 1963), which all pairs share.
    fn least_half(&self, rounds: usize, pairs: usize, error: f64) -> f64 {
        let standard_error = self.resolution * (2.0 / 12.0 / rounds as f64).sqrt();
        let multiple = (2.0 * (2.0 * pairs.max(1) as f64 / error).ln()).sqrt();
        standard_error * multiple
    }
}

/// Intervals of the ratios of `pairs` (one over other), which all hold together but with the probability `error`.
#[must_use]
pub fn intervals(
    rounds: &Rounds,
    pairs: &[(usize, usize)],
    error: f64,
    how: Resampling,
) -> Vec<Interval> {
    let count = rounds.len();
    let differences: Vec<Vec<f64>> = pairs.iter().map(|it| rounds.differences(*it)).collect();
    let found: Vec<Trimmed> = differences
        .iter()
        .map(|it| Trimmed::of(&mut it.clone()))
        .collect();
    if count < 3 {
        return vec![Interval::UNKNOWN; pairs.len()];
    }
    let mut random = StdRng::seed_from_u64(how.seed);
    let mut drawn = vec![0; count];
    let mut values = vec![0.0; count];
    let mut largest: Vec<f64> = (0..how.resamples)
        .map(|_| {
            drawn.fill_with(|| random.random_range(0..count));
            let multiple = |(differences, found): (&Vec<f64>, &Trimmed)| {
                for (value, index) in values.iter_mut().zip(&drawn) {
                    *value = differences[*index];
                }
                let again = Trimmed::of(&mut values);
                // A draw of figures that agree by chance would say that it is off by any multiple.
                let error = again.error.max(found.error * LEAST_ERROR);
                (again.mean - found.mean).abs() / error.max(f64::MIN_POSITIVE)
            };
            let multiples = differences.iter().zip(&found).map(multiple);
            multiples.fold(0.0, f64::max)
        })
        .collect();
    largest.sort_unstable_by(f64::total_cmp);
    // The order statistic that is exceeded with at most that probability (Davison and Hinkley 1997, section 2.3).
    let rank = ((1.0 - error) * (f64::from(how.resamples) + 1.0)).ceil() as usize;
    let multiple = match rank.checked_sub(1).and_then(|index| largest.get(index)) {
        Some(multiple) => *multiple,
        None => f64::INFINITY,
    };
    let least = how.least_half(count, pairs.len(), error);
    let interval = |found: &Trimmed| {
        let half = (multiple * found.error).max(least);
        Interval {
            ratio: found.mean.exp(),
            lower: (found.mean - half).exp(),
            upper: (found.mean + half).exp(),
        }
    };
    found.iter().map(interval).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_agree_by_chance_are_no_closer_than_their_resolution() {
        let mut rounds = Rounds::new(2);
        for _ in 0..8 {
            rounds.push(&[1.06e6, 1e6]).unwrap();
        }
        let how = Resampling {
            resamples: 999,
            seed: 1,
            resolution: 0.03,
        };
        let [found] = intervals(&rounds, &[(0, 1)], 0.0125, how)[..] else {
            unreachable!()
        };
        assert!((found.ratio - 1.06).abs() < 1e-9);
        // 0.03 (1/48)^(1/2) (2 ln 160)^(1/2) = 0.0138.
        assert!(
            (found.upper / found.ratio - 1.0139).abs() < 1e-3,
            "{found:?}"
        );
    }
}
