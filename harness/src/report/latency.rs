//! Latency at a share of PDR, from the trials made for it.

use std::collections::BTreeMap;

use crate::record::{Latency, TrialRecord};

/// A percentile is uncertain when fewer frames than this lie above it.
const FEWEST_ABOVE: f64 = 10.0;

/// One percentile of a latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percentile {
    /// The value in nanoseconds.
    pub ns: u64,
    /// Fewer than ten frames lie above it, so that another trial may well give another value.
    pub uncertain: bool,
}

/// Latency of one datapath in one scenario at one share of PDR.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LatencyFigure {
    /// Percent of PDR.
    pub percent_of_pdr: u8,
    /// Intended load in frames per second, over all directions.
    pub load: f64,
    /// Trials behind it.
    pub trials: u64,
    /// Frames measured.
    pub count: u64,
    /// Share of frames lost, which have no latency.
    pub loss: f64,
    /// Median.
    pub p50: Percentile,
    /// 90th percentile.
    pub p90: Percentile,
    /// 99th percentile.
    pub p99: Percentile,
    /// 99.9th percentile.
    pub p999: Percentile,
    /// Maximum in nanoseconds.
    pub max_ns: u64,
    /// Lower bound of a bucket in nanoseconds and the count in it, ascending.
    histogram: Vec<(u64, u64)>,
}

impl LatencyFigure {
    /// Puts together `trials` made at one share of PDR. `None` if no frame's latency was taken.
    pub(crate) fn of(percent_of_pdr: u8, trials: &[&TrialRecord]) -> Option<Self> {
        let taken: Vec<(&TrialRecord, &Latency)> = trials
            .iter()
            .filter_map(|trial| Some((*trial, trial.latency.as_ref()?)))
            .filter(|(_, latency)| latency.count > 0)
            .collect();
        let (last_trial, last) = *taken.last()?;
        let mut merged = BTreeMap::<u64, u64>::new();
        for (bound, count) in taken.iter().flat_map(|(_, latency)| &latency.histogram) {
            let sum = merged.entry(*bound).or_default();
            *sum = sum.saturating_add(*count);
        }
        let histogram: Vec<_> = merged.into_iter().filter(|(_, count)| *count > 0).collect();
        // One trial says its percentiles itself. Of several, those of all frames together count.
        let only = taken.len() == 1 || histogram.is_empty();
        let count = if only { last.count } else { total(&histogram) };
        let percentile = |quantile: f64, recorded: u64| Percentile {
            ns: match at(&histogram, quantile) {
                Some(merged) if !only => merged,
                _ => recorded,
            },
            uncertain: uncertain(count, quantile),
        };
        let (bad, all) = taken.iter().fold((0_u128, 0_u128), |(bad, all), (t, _)| {
            let (more_bad, more) = missing(t);
            (bad + more_bad, all + more)
        });
        Some(Self {
            percent_of_pdr,
            load: last_trial.load,
            trials: taken.len() as u64,
            count,
            loss: ratio(bad, all),
            p50: percentile(0.5, last.p50_ns),
            p90: percentile(0.9, last.p90_ns),
            p99: percentile(0.99, last.p99_ns),
            p999: percentile(0.999, last.p999_ns),
            max_ns: taken.iter().map(|(_, l)| l.max_ns).max().unwrap_or(0),
            histogram,
        })
    }

    /// The mean of all frames in nanoseconds, by buckets: too low by half of one's width at the most, on average.
    pub(crate) fn mean_ns(&self) -> Option<f64> {
        let frames = total(&self.histogram);
        let sum: f64 = self
            .histogram
            .iter()
            .map(|(bound, count)| *bound as f64 * *count as f64)
            .sum();
        (frames > 0).then(|| sum / frames as f64)
    }

    /// Percentiles over `-log10(1 - quantile)` from the median on, as long as enough frames lie above: pairs of that
    /// value and nanoseconds.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        /// Points per decade of `1 - quantile`.
        const STEPS: u32 = 40;
        let frames = total(&self.histogram);
        let median = 0.5_f64.log10().abs();
        let last = 4.0;
        let steps = ((last - median) * f64::from(STEPS)).ceil() as u32;
        (0..=steps)
            .map(|step| (median + f64::from(step) / f64::from(STEPS)).min(last))
            .map(|nines| (nines, 1.0 - 10_f64.powf(-nines)))
            .take_while(|(_, quantile)| !uncertain(frames, *quantile))
            .filter_map(|(nines, quantile)| Some((nines, at(&self.histogram, quantile)? as f64)))
            .collect()
    }
}

/// Whether so few of `count` frames lie above `quantile` that it says little.
fn uncertain(count: u64, quantile: f64) -> bool {
    // The small allowance keeps a count that is exactly enough from failing by rounding.
    (1.0 - quantile) * (count as f64) < FEWEST_ABOVE - 1e-6
}

/// All counts of a histogram.
fn total(histogram: &[(u64, u64)]) -> u64 {
    histogram
        .iter()
        .fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
}

/// Lower bound of the bucket that holds `quantile`, by nearest rank. `None` of an empty histogram.
fn at(histogram: &[(u64, u64)], quantile: f64) -> Option<u64> {
    let rank = ((total(histogram) as f64 * quantile - 1e-6).ceil() as u64).max(1);
    let mut below = 0_u64;
    histogram
        .iter()
        .find(|(_, count)| {
            below = below.saturating_add(*count);
            below >= rank
        })
        .or(histogram.last())
        .map(|(bound, _)| *bound)
}

/// Frames missing of a trial and frames there should have been, as the rate search counts them: frames never sent and
/// frames lost, each without sign, of the larger of offered and intended.
pub(crate) fn missing(trial: &TrialRecord) -> (u128, u128) {
    let lost = trial.offered.abs_diff(trial.received);
    let unsent = trial.intended.abs_diff(trial.offered);
    let all = trial.offered.max(trial.intended);
    (u128::from(lost) + u128::from(unsent), u128::from(all))
}

/// Whether those of these trials that lost more than `loss` failed mostly by frames that were never sent.
pub(crate) fn failed_unsent<'t>(trials: impl Iterator<Item = &'t TrialRecord>, loss: f64) -> bool {
    let (mut unsent, mut all) = (0_u128, 0_u128);
    for trial in trials {
        let (bad, frames) = missing(trial);
        if bad as f64 > frames as f64 * loss {
            unsent += u128::from(trial.intended.abs_diff(trial.offered));
            all += bad;
        }
    }
    unsent * 2 > all
}

/// `part` of `whole`, at most 1; 0 of nothing.
pub(crate) fn ratio(part: u128, whole: u128) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 / whole as f64).min(1.0)
}

/// Loss ratio of one trial.
pub(crate) fn loss_ratio(trial: &TrialRecord) -> f64 {
    let (bad, all) = missing(trial);
    ratio(bad, all)
}
