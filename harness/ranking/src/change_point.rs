//! Where a series of figures steps up or down for good.
//!
//! Figures of successive runs wander, and now and then one is far off. Comparing each with the one before cries wolf. As
//! CSIT's trending has it, the series is cut into stretches within which nothing changed, and as many of them as explain it
//! best for what they cost: here the optimal partition (Jackson et al. 2005, "An algorithm for optimal partitioning of data on
//! an interval") under the sum of absolute deviations from a stretch's median, which a run that is far off moves little
//! (Fearnhead and Rigaill 2019, "Changepoint Detection in the Presence of Outliers"). What a further stretch costs is set so
//! that of series in which nothing changed few have one: `tests/series.rs` counts them.

use crate::median::median;

/// The fewest runs of a stretch: so many must agree before a step is believed.
pub const FEWEST_RUNS: usize = 4;

/// What a further stretch costs, in units of the noise: a constant, and parts that grow with the logarithm of the number of
/// runs and of series, since there are as many places where noise may look like a step.
const COST: (f64, f64, f64) = (6.0, 2.5, 2.0);

/// So many times the noise, and a run is as far off as one can be: that two or three in a row were disturbed is no step, once the series is long.
const FAR: f64 = 5.0;

/// A series steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The first run behind it.
    pub at: usize,
    /// The typical figure of the stretch before,
    pub before: f64,
    /// and of the one that begins there.
    pub after: f64,
}

impl Step {
    /// The figure after it over the one before.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.after / self.before
    }
}

/// The steps of a series of positive figures, the oldest first. Figures within `resolution` of each other, as a share, are
/// as good as equal, however quiet the series is. It is one of `series` that are looked at together: the more there are, the
/// clearer each step has to be, so that no more of them cry wolf.
#[must_use]
pub fn steps(figures: &[f64], resolution: f64, series: usize) -> Vec<Step> {
    let logarithms: Vec<f64> = figures.iter().map(|figure| figure.ln()).collect();
    let count = logarithms.len();
    if count < 2 * FEWEST_RUNS || logarithms.iter().any(|it| !it.is_finite()) {
        return Vec::new();
    }
    let noise = noise(&logarithms)
        .max(resolution / 2.0)
        .max(f64::MIN_POSITIVE);
    let price = COST.0 + COST.1 * (count as f64).ln() + COST.2 * (series.max(1) as f64).ln();
    // The best that can be done with the first so many, and where the last stretch begins then.
    let mut best = vec![(f64::INFINITY, 0); count + 1];
    best[0] = (-price, 0);
    for end in FEWEST_RUNS..=count {
        for begin in 0..=end - FEWEST_RUNS {
            let before = best[begin].0;
            if before.is_finite() {
                let total = before + price + deviation(&logarithms[begin..end], noise);
                if total < best[end].0 {
                    best[end] = (total, begin);
                }
            }
        }
    }
    let mut begins = Vec::new();
    let mut end = count;
    while end > 0 {
        let begin = best[end].1;
        begins.push((begin, end));
        end = begin;
    }
    begins.reverse();
    let level = |(begin, end): (usize, usize)| middle(&logarithms[begin..end]).exp();
    begins
        .windows(2)
        .map(|pair| Step {
            at: pair[1].0,
            before: level(pair[0]),
            after: level(pair[1]),
        })
        .collect()
}

/// How much successive figures differ, as the mean absolute deviation of one: from the median of differences, which steps
/// move little. Two deviates make a difference, so its spread is a root of two larger; the median of the absolute of a normal
/// deviate is 0.6745 of its standard deviation, and the mean is 0.7979 of it.
fn noise(values: &[f64]) -> f64 {
    let differences: Vec<f64> = values.windows(2).map(|it| (it[1] - it[0]).abs()).collect();
    middle(&differences) / std::f64::consts::SQRT_2 / 0.6745 * 0.7979
}

/// The median of a stretch, which is never empty.
fn middle(values: &[f64]) -> f64 {
    median(&mut values.to_vec()).unwrap_or_default()
}

/// The sum of absolute deviations from the median, in units of the noise; what is far off counts as [`FAR`].
fn deviation(values: &[f64], noise: f64) -> f64 {
    let level = middle(values);
    let of = |value: &f64| ((value - level).abs() / noise).min(FAR);
    values.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_where_it_is_and_as_large_as_it_is() {
        let mut figures = vec![1.00, 1.01, 0.99, 1.00, 1.01, 0.99, 1.00, 1.01];
        figures.extend([0.90, 0.91, 0.89, 0.90, 0.91, 0.90]);
        let found = steps(&figures, 0.01, 1);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].at, 8);
        assert!((found[0].ratio() - 0.9).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn one_run_that_is_far_off_is_no_step() {
        let figures = [1.00, 1.01, 0.99, 0.50, 1.00, 1.01, 0.99, 1.00, 1.01];
        assert_eq!(steps(&figures, 0.01, 1), []);
    }

    #[test]
    fn too_short_a_series_and_one_without_noise_say_nothing() {
        assert_eq!(steps(&[1.0, 1.0, 2.0, 2.0, 2.0], 0.01, 1), []);
        assert_eq!(steps(&[], 0.01, 1), []);
        assert_eq!(steps(&[1.0; 40], 0.01, 1), []);
        assert_eq!(steps(&[1.0, 0.0, 1.0, 1.0, 1.0, 1.0], 0.01, 1), []);
    }
}
