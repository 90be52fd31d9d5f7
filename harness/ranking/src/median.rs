//! The median, and where it lies.

/// The value in the middle, or what lies halfway between the two that are; nothing of nothing. `values` are sorted in place,
/// and none is NaN.
#[must_use]
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((values.get(half.checked_sub(1)?)? + upper) / 2.0)
}

/// A median with the interval that holds it with a probability of at least 95 percent.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct MedianInterval {
    /// The median of the figures.
    pub median: f64,
    /// Where that of all figures there could be lies, from here
    pub from: f64,
    /// to here.
    pub to: f64,
}

impl MedianInterval {
    /// Of figures that do not depend on each other, one a round. The interval is between two of them in their order, so many
    /// from either end that the median lies beyond one with a probability of 2.5 percent at the most, whatever their
    /// distribution: by how many of them are below the median, which is binomial (the sign test). `None` of fewer than six.
    #[must_use]
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.retain(|figure| figure.is_finite());
        let median = median(&mut figures)?;
        let count = figures.len();
        let mut tail = 0.0;
        // The probability that none is below.
        let mut each = 0.5_f64.powi(count as i32);
        let mut below = 0;
        while tail + each <= 0.025 {
            tail += each;
            each *= (count - below) as f64 / (below + 1) as f64;
            below += 1;
        }
        let from = *figures.get(below.checked_sub(1)?)?;
        let to = *figures.get(count - below)?;
        Some(Self { median, from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_interval_is_that_of_the_sign_test() {
        let figures = |count: i32| (1..=count).map(f64::from).collect::<Vec<_>>();
        assert_eq!(MedianInterval::of(figures(5)), None);
        let of = |count| MedianInterval::of(figures(count)).map(|it| (it.from, it.median, it.to));
        // Tables of the sign test: 6 of 1 and 6, 15 of 4 and 12, 21 of 6 and 16.
        assert_eq!(of(6), Some((1.0, 3.5, 6.0)));
        assert_eq!(of(15), Some((4.0, 8.0, 12.0)));
        assert_eq!(of(21), Some((6.0, 11.0, 16.0)));
    }

    proptest! {
        #[test]
        fn the_median_lies_in_its_interval(figures in prop::collection::vec(-1e6..1e6_f64, 6..60)) {
            let interval = MedianInterval::of(figures).unwrap();
            prop_assert!(interval.from <= interval.median && interval.median <= interval.to);
        }
    }

    #[test]
    fn of_an_even_number_it_lies_halfway() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut [7.0]), Some(7.0));
        assert_eq!(median(&mut []), None);
    }
}
