//! Intervals of ratios that hold together.
//!
//! The estimate of a pair is the trimmed mean of the differences that it has in each round. What its standard error is can be
//! told in two ways. One looks at the differences of the pair alone, which are few, so that it is too small by chance now and
//! then. The other puts it together from how far either is off from what all contestants have in a round in common, as for
//! a block design whose treatments are not equally steady (Games and Howell 1976, "Pairwise multiple comparison procedures
//! with unequal N's and/or variances"), which has twice the degrees of freedom (Welch 1947). The larger one counts: noise that
//! some contestants have in common and others have not is seen by the first alone. The interval is as many of
//! it wide as Student's distribution says for a trimmed mean (Tukey and McLaughlin 1963), where each pair has an equal share
//! of the error that is allowed (Bonferroni). So with that confidence none of them is wrong.
//!
//! Of several strata the ratio is that of the one with the most rounds; its standard error and degrees of freedom are of what all
//! strata say together of how far rounds of one stratum are off from each other.

use crate::rounds::Rounds;
use crate::trimmed::Trimmed;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

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

/// Half the width that an interval has at least, of that many rounds and pairs. A figure lies anywhere within the
/// resolution (variance of a uniform distribution: a twelfth), and two make a ratio; a mean of such is further off than
/// `t` times its standard error with a probability of at most `2 exp(-t^2 / 2)` (Hoeffding 1963), which all pairs share.
fn least_half(resolution: f64, rounds: usize, pairs: usize, error: f64) -> f64 {
    let standard_error = resolution * (2.0 / 12.0 / rounds as f64).sqrt();
    let multiple = (2.0 * (2.0 * pairs.max(1) as f64 / error).ln()).sqrt();
    standard_error * multiple
}

/// How far off a contestant is in a typical round from what all have in common: the square of the standard error, and its
/// degrees of freedom.
struct Steadiness {
    variance: f64,
    freedom: f64,
}

impl Steadiness {
    /// Of each contestant.
    fn of(rounds: &Rounds) -> Vec<Self> {
        let contestants = rounds.contestants() as f64;
        let (shown, _) = rounds.most();
        let of = |residuals: Vec<f64>| {
            let found = Trimmed::of_stratum(&residuals, rounds.strata(), shown);
            Self {
                // The common part is the mean, which has a share of each contestant in it.
                variance: found.error.powi(2) * contestants / (contestants - 1.0),
                freedom: found.freedom * (contestants - 1.0) / contestants,
            }
        };
        rounds.residuals().into_iter().map(of).collect()
    }

    /// Degrees of freedom of a sum of two (Welch 1947).
    fn freedom_with(&self, other: &Self) -> f64 {
        let of = |it: &Self| it.variance.powi(2) / it.freedom;
        (self.variance + other.variance).powi(2) / (of(self) + of(other))
    }
}

/// Intervals of the ratios of `pairs` (one over other), which all hold together but with the probability `error`. Figures of
/// one thing may differ by `resolution`, as a share, by how they are found: the width of a search. Where they lie on a
/// grid and agree by chance, their error would be none.
#[must_use]
pub fn intervals(
    rounds: &Rounds,
    pairs: &[(usize, usize)],
    error: f64,
    resolution: f64,
) -> Vec<Interval> {
    intervals_over(&[rounds], pairs, error, resolution)
}

/// The same of ratios in several experiments, of which each counts as much as each other: their mean, as logarithms.
#[must_use]
pub fn intervals_over(
    experiments: &[&Rounds],
    pairs: &[(usize, usize)],
    error: f64,
    resolution: f64,
) -> Vec<Interval> {
    let steadiness: Vec<_> = experiments.iter().map(|it| Steadiness::of(it)).collect();
    let least = experiments
        .iter()
        .map(|it| least_half(resolution, it.most().1, pairs.len(), error).powi(2));
    let least = least.sum::<f64>().sqrt() / experiments.len() as f64;
    let share = error / pairs.len().max(1) as f64;
    let interval = |pair: &(usize, usize)| {
        let of_each = experiments.iter().zip(&steadiness);
        let found: Option<Vec<Estimate>> = of_each
            .map(|(rounds, steadiness)| Estimate::of(rounds, steadiness, *pair))
            .collect();
        let Some(found) = found.filter(|found| !found.is_empty()) else {
            return Interval::UNKNOWN;
        };
        let Estimate {
            mean,
            variance,
            freedom,
        } = Estimate::mean(&found);
        let half = multiple(share, freedom) * variance.sqrt();
        // Without any noise there are no degrees of freedom either.
        let half = if half.is_nan() {
            least
        } else {
            half.max(least)
        };
        Interval {
            ratio: mean.exp(),
            lower: (mean - half).exp(),
            upper: (mean + half).exp(),
        }
    };
    pairs.iter().map(interval).collect()
}

/// The logarithm of a ratio, the square of its standard error, and the degrees of freedom of that.
struct Estimate {
    mean: f64,
    variance: f64,
    freedom: f64,
}

impl Estimate {
    /// Of a pair in one experiment; nothing with too few rounds.
    fn of(rounds: &Rounds, steadiness: &[Steadiness], pair: (usize, usize)) -> Option<Self> {
        let (shown, count) = rounds.most();
        let (first, second) = (steadiness.get(pair.0)?, steadiness.get(pair.1)?);
        let found = Trimmed::of_stratum(&rounds.differences(pair), rounds.strata(), shown);
        (count >= 3).then(|| Self {
            mean: found.mean,
            variance: (first.variance + second.variance).max(found.error.powi(2)),
            freedom: first.freedom_with(second),
        })
    }

    /// The mean of independent ones; degrees of freedom by Welch (1947).
    fn mean(of: &[Self]) -> Self {
        let count = of.len() as f64;
        let sum = |term: &dyn Fn(&Self) -> f64| of.iter().map(term).sum::<f64>();
        let variance = sum(&|it| it.variance);
        Self {
            mean: sum(&|it| it.mean) / count,
            variance: variance / count.powi(2),
            freedom: variance.powi(2) / sum(&|it| it.variance.powi(2) / it.freedom),
        }
    }
}

/// How many standard errors an estimate is off, to either side, with the probability `error` at the most.
fn multiple(error: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |it| -it.inverse_cdf(error / 2.0))
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
        let [found] = intervals(&rounds, &[(0, 1)], 0.0125, 0.03)[..] else {
            unreachable!()
        };
        assert!((found.ratio - 1.06).abs() < 1e-9);
        // 0.03 (1/48)^(1/2) (2 ln 160)^(1/2) = 0.0138.
        assert!(
            (found.upper / found.ratio - 1.0139).abs() < 1e-3,
            "{found:?}"
        );
    }

    #[test]
    fn multiples_are_those_of_the_tables() {
        for (error, freedom, expected) in [
            (0.05, 5.0, 2.571),
            (0.01, 10.0, 3.169),
            (0.001, 5.0, 6.869),
            (0.001, 30.0, 3.646),
        ] {
            let found = multiple(error, freedom);
            assert!(
                (found - expected).abs() < 1e-3,
                "{error} {freedom}: {found}"
            );
        }
    }

    /// What another stratum shifts by a factor of three says how steady figures are, and nothing of the ratio.
    #[test]
    fn the_ratio_is_that_of_the_stratum_with_most_rounds() {
        let differences: [f64; 8] = [0.1, 0.3, 0.2, 0.25, 0.15, 0.2, 0.22, 0.18];
        let mut rounds = Rounds::new(2);
        for difference in differences {
            rounds.push_in(4, &[1e6 * difference.exp(), 1e6]).unwrap();
        }
        let [alone] = intervals(&rounds, &[(0, 1)], 0.0125, 0.0)[..] else {
            unreachable!()
        };
        for difference in &differences[..6] {
            rounds.push_in(2, &[3e6 * difference.exp(), 1e6]).unwrap();
        }
        let [found] = intervals(&rounds, &[(0, 1)], 0.0125, 0.0)[..] else {
            unreachable!()
        };
        assert_eq!(found.ratio, alone.ratio);
        let width = |it: &Interval| (it.upper / it.lower).ln();
        assert!(width(&found) < width(&alone), "{found:?} {alone:?}");
    }

    /// By hand, with one cut at either end.
    #[test]
    fn two_alone_have_the_interval_of_their_differences() {
        let differences: [f64; 8] = [0.1, 0.3, 0.2, 0.25, 0.15, 0.2, 0.22, 0.18];
        let mut rounds = Rounds::new(2);
        for difference in differences {
            rounds.push(&[1e6 * difference.exp(), 1e6]).unwrap();
        }
        let [found] = intervals(&rounds, &[(0, 1)], 0.05, 0.0)[..] else {
            unreachable!()
        };
        let trimmed = Trimmed::of(&mut differences.clone());
        assert!((found.ratio.ln() - trimmed.mean).abs() < 1e-9);
        let half = 2.5706 * trimmed.error;
        assert!((found.upper.ln() - trimmed.mean - half).abs() < 1e-4);
        assert!((trimmed.mean - half - found.lower.ln()).abs() < 1e-4);
    }

    #[test]
    fn the_unsteady_one_makes_its_own_intervals_the_widest() {
        let mut rounds = Rounds::new(3);
        let wild = [0.5, -0.4, 0.3, -0.6, 0.1, 0.6, -0.2, 0.05];
        for (round, off) in wild.into_iter().enumerate() {
            let calm = 0.01 * (round % 3) as f64;
            rounds
                .push(&[1e6, 2e6 * f64::exp(calm), 3e6 * f64::exp(off)])
                .unwrap();
        }
        let found = intervals(&rounds, &[(0, 1), (0, 2)], 0.0125, 0.02);
        let width = |it: &Interval| (it.upper / it.lower).ln();
        assert!(width(&found[1]) > 1.5, "{found:?}");
        assert!(width(&found[0]) < width(&found[1]) * 0.6, "{found:?}");
    }
}
