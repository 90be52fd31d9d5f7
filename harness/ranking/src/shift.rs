//! Two lots of figures that were not made in turns: how many times as great those of one are.
//!
//! Hodges and Lehmann 1963, "Estimates of Location Based on Rank Tests": the estimate is the median of the ratios of every figure of
//! one lot to every figure of the other, and the interval is between two of these in their order, so many from either end as the
//! distribution of Mann and Whitney's U allows (1947, "On a Test of Whether one of Two Random Variables is Stochastically Larger
//! than the Other"), whatever the distribution of the figures, if that of one lot is the other's times a constant.

use crate::interval::Interval;
use crate::median::median;

/// How many times as great the figures of `one` are as those of `other`, with an interval that misses it with a probability of `error`
/// at the most; nothing where there are too few for any, or one is no positive number.
#[must_use]
pub fn shift(one: &[f64], other: &[f64], error: f64) -> Option<Interval> {
    let is_figure = |figure: &f64| figure.is_finite() && *figure > 0.0;
    if !one.iter().chain(other).all(is_figure) {
        return None;
    }
    let from_each_end = from_each_end(one.len(), other.len(), error)?;
    let ratios = one
        .iter()
        .flat_map(|it| other.iter().map(move |of| it / of));
    let mut ratios: Vec<f64> = ratios.collect();
    // This sorts them.
    let ratio = median(&mut ratios)?;
    Some(Interval {
        ratio,
        lower: *ratios.get(from_each_end - 1)?,
        upper: *ratios.get(ratios.len() - from_each_end)?,
    })
}

/// The place of the lower end among all ratios, counted from 1: one more than the greatest U that is reached or undercut with half of
/// the error at most.
fn from_each_end(one: usize, other: usize, error: f64) -> Option<usize> {
    let ways = ways(one, other);
    let all: f64 = ways.iter().sum();
    let mut tail = 0.0;
    let within = ways.iter().take_while(|count| {
        tail += **count / all;
        tail <= error / 2.0
    });
    Some(within.count()).filter(|count| *count > 0)
}

/// In how many of all orders of so many figures each value of U comes: those of one lot that end with the greatest of all add the
/// number of the other to it, and those that do not leave the rest of the other.
fn ways(one: usize, other: usize) -> Vec<f64> {
    // `counts[n]` is that of n of the one and as many of the other as the loop has come to.
    let mut counts: Vec<Vec<f64>> = vec![vec![1.0]; one + 1];
    for of_other in 1..=other {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for of_one in 1..=one {
            let mut sum = vec![0.0; of_one * of_other + 1];
            for (value, count) in counts[of_one].iter().enumerate() {
                sum[value] += count;
            }
            for (value, count) in next[of_one - 1].iter().enumerate() {
                sum[value + of_other] += count;
            }
            next.push(sum);
        }
        counts = next;
    }
    counts.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_are_those_of_tables() {
        // Critical values of U, two-sided 5 %: 8 and 8: 13; 5 and 5: 2; 10 and 8: 17; 3 and 3: none.
        let end = |one, other| from_each_end(one, other, 0.05);
        assert_eq!(end(8, 8), Some(14));
        assert_eq!(end(5, 5), Some(3));
        assert_eq!(end(10, 8), Some(18));
        assert_eq!(end(8, 10), Some(18));
        assert_eq!(end(3, 3), None);
        assert_eq!(end(0, 8), None);
    }

    #[test]
    fn all_orders_are_counted() {
        // Of 8 and 8 there are 12,870.
        let sum: f64 = ways(8, 8).iter().sum();
        assert_eq!(sum, 12_870.0);
        assert_eq!(ways(2, 1), [1.0, 1.0, 1.0]);
    }

    proptest! {
        #[test]
        fn it_is_the_inverse_the_other_way_round(
            one in prop::collection::vec(0.1..10.0_f64, 4..20),
            other in prop::collection::vec(0.1..10.0_f64, 4..20),
        ) {
            let there = shift(&one, &other, 0.05).unwrap();
            let back = shift(&other, &one, 0.05).unwrap().inverse();
            prop_assert!(there.lower <= there.ratio && there.ratio <= there.upper);
            prop_assert!((there.lower / back.lower - 1.0).abs() < 1e-9);
            prop_assert!((there.upper / back.upper - 1.0).abs() < 1e-9);
        }

        #[test]
        fn what_is_no_figure_gives_none(place in 0..8_usize, wrong in prop::sample::select(vec![0.0, -1.0, f64::NAN, f64::INFINITY])) {
            let mut figures = [1.0; 8];
            figures[place] = wrong;
            prop_assert_eq!(shift(&figures, &[1.0; 8], 0.05), None);
        }
    }

    /// Two lots of eight with noise of a tenth: how often the interval misses the ratio.
    #[test]
    fn it_misses_as_seldom_as_it_says() {
        use rand::{Rng, SeedableRng};
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        let mut lot = |times: f64| -> Vec<f64> {
            let mut figure =
                || times * (1.0 + 0.1 * (random.random::<f64>() + random.random::<f64>() - 1.0));
            (0..8).map(|_| figure()).collect()
        };
        let all = 4_000;
        let missed = (0..all).filter(|_| {
            let found = shift(&lot(1.3), &lot(1.0), 0.05);
            found.is_none_or(|it| it.lower > 1.3 || it.upper < 1.3)
        });
        let missed = missed.count() as f64 / f64::from(all);
        assert!((0.03..=0.06).contains(&missed), "{missed}");
    }
}
