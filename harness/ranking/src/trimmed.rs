//! The trimmed mean and its standard error.
//!
//! A trial that something disturbed may be off by a lot. The mean follows it, and its variance hides what the others say;
//! the median of few figures is coarse. The mean without the extremes has the good of both. Its standard error follows from
//! the variance of what is left with the extremes drawn in (winsorised): Tukey and McLaughlin 1963, "Less vulnerable
//! confidence and significance procedures for location based on a single sample: trimming/Winsorization 1"; Yuen 1974,
//! "The two-sample trimmed t for unequal population variances".

use crate::rounds::Stratum;
use std::collections::BTreeMap;

/// Share that is left out at each end.
const TRIM: f64 = 0.2;

/// A trimmed mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trimmed {
    /// The mean without the extremes.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
    /// Degrees of freedom of that: one less than are kept (Tukey and McLaughlin 1963).
    pub freedom: f64,
}

impl Trimmed {
    /// That of one stratum, where how far values are off is told by all strata together: their variances, weighed by their degrees
    /// of freedom (pooled, as in an analysis of variance). One of two values or fewer tells nothing. The stratum's own variance
    /// counts where it is larger: it may be the least steady one.
    pub fn of_stratum(values: &[f64], strata: &[Stratum], shown: Stratum) -> Self {
        let mut by_stratum = BTreeMap::<Stratum, Vec<f64>>::new();
        for (value, stratum) in values.iter().zip(strata) {
            by_stratum.entry(*stratum).or_default().push(*value);
        }
        let own = by_stratum.get(&shown).map_or(0, Vec::len) as f64;
        let (mut mean, mut of_own) = (f64::NAN, 0.0);
        let (mut squares, mut freedom) = (0.0, 0.0);
        for (stratum, mut values) in by_stratum {
            let found = Self::of(&mut values);
            if stratum == shown {
                mean = found.mean;
            }
            if found.error.is_finite() {
                // Of one value, as the mean of so many has it.
                let variance = found.error.powi(2) * values.len() as f64;
                squares += found.freedom * variance;
                freedom += found.freedom;
                of_own = if stratum == shown { variance } else { of_own };
            }
        }
        let error = ((squares / freedom).max(of_own) / own).sqrt();
        Self {
            mean,
            error: if freedom > 0.0 { error } else { f64::INFINITY },
            freedom,
        }
    }

    /// Of `values`, which are sorted in place; none are NaN. At least three, for there to be an error.
    pub fn of(values: &mut [f64]) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let count = values.len();
        let cut = (count as f64 * TRIM) as usize;
        let Some(kept) = values.get(cut..count - cut).filter(|it| !it.is_empty()) else {
            return Self {
                mean: f64::NAN,
                error: f64::INFINITY,
                freedom: 0.0,
            };
        };
        let sum = |of: &dyn Fn(f64) -> f64| kept.iter().map(|value| of(*value)).sum::<f64>();
        let mean = sum(&|value| value) / kept.len() as f64;
        let (lowest, highest) = (kept[0], kept[kept.len() - 1]);
        let drawn_in = |of: &dyn Fn(f64) -> f64| sum(of) + cut as f64 * (of(lowest) + of(highest));
        let winsorised_mean = drawn_in(&|value| value) / count as f64;
        let squares = drawn_in(&|value| (value - winsorised_mean).powi(2));
        let variance = squares / (count as f64 - 1.0);
        let share = kept.len() as f64 / count as f64;
        Self {
            mean,
            freedom: kept.len() as f64 - 1.0,
            error: if count < 3 {
                f64::INFINITY
            } else {
                variance.sqrt() / (share * (count as f64).sqrt())
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_change_nothing() {
        let mut calm = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0];
        let mut wild = [-1e9, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1e9];
        assert_eq!(Trimmed::of(&mut calm), Trimmed::of(&mut wild));
    }

    #[test]
    fn an_example_by_hand() {
        // 3 to 8 are kept; drawn in: 3, 3, 3, 4, 5, 6, 7, 8, 8, 8 around 5.5, with squares 6.25 (six times), 2.25 (twice) and
        // 0.25 (twice), so 42.5 over 9.
        let mut values = [10.0, 1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0, 5.0];
        let trimmed = Trimmed::of(&mut values);
        assert_eq!(trimmed.mean, 5.5);
        let expected = (42.5_f64 / 9.0).sqrt() / (0.6 * 10.0_f64.sqrt());
        assert!((trimmed.error - expected).abs() < 1e-12);
    }

    /// The variances of both are the same, and there are as many degrees of freedom as the two have together.
    #[test]
    fn strata_tell_together_how_far_values_are_off() {
        let one = [0.1, 0.3, 0.2, 0.25, 0.15, 0.2, 0.22, 0.18];
        let alone = Trimmed::of(&mut one.clone());
        let values: Vec<f64> = one.iter().chain(&one.map(|it| it + 7.0)).copied().collect();
        let strata = [[3; 8], [5; 8]].concat();
        let found = Trimmed::of_stratum(&values, &strata, 5);
        assert!((found.mean - alone.mean - 7.0).abs() < 1e-12);
        assert!((found.error - alone.error).abs() < 1e-12);
        assert_eq!(found.freedom, 2.0 * alone.freedom);
        // Two of another stratum say nothing, and one stratum alone is as without strata.
        let few: Vec<f64> = one.iter().chain(&[50.0, 90.0]).copied().collect();
        let strata = [vec![0; 8], vec![1; 2]].concat();
        assert_eq!(Trimmed::of_stratum(&few, &strata, 0), alone);
        assert_eq!(Trimmed::of_stratum(&one, &[0; 8], 0), alone);
    }

    #[test]
    fn two_values_say_nothing_of_their_error() {
        assert_eq!(Trimmed::of(&mut [1.0, 2.0]).error, f64::INFINITY);
        assert!(Trimmed::of(&mut []).mean.is_nan());
    }
}
