//! The trimmed mean and its standard error.
//!
//! A trial that something disturbed may be off by a lot. The mean follows it, and its variance hides what the others say;
//! the median of few figures is coarse. The mean without the extremes has the good of both. Its standard error follows from
//! the variance of what is left with the extremes drawn in (winsorised): Tukey and McLaughlin 1963, "Less vulnerable
//! confidence and significance procedures for location based on a single sample: trimming/Winsorization 1"; Yuen 1974,
//! "The two-sample trimmed t for unequal population variances".

/// Share that is left out at each end.
const TRIM: f64 = 0.2;

/// A trimmed mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trimmed {
    /// The mean without the extremes.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
}

impl Trimmed {
    /// Degrees of freedom of the error of so many values (Tukey and McLaughlin 1963): one less than are kept.
    pub fn freedom(count: usize) -> f64 {
        let cut = (count as f64 * TRIM) as usize;
        (count - 2 * cut) as f64 - 1.0
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

    #[test]
    fn two_values_say_nothing_of_their_error() {
        assert_eq!(Trimmed::of(&mut [1.0, 2.0]).error, f64::INFINITY);
        assert!(Trimmed::of(&mut []).mean.is_nan());
    }
}
