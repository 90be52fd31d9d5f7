//! Load classification, relevant bounds and conditional throughput: the draft's normative part.
//!
//! Durations are added up in whole nanoseconds, so ten trials of 0.1 s are exactly one second. Thresholds are products
//! with a ratio and need not be whole, therefore each comparison allows half a nanosecond: less than any duration can
//! express, and more than rounding can shift.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::goal::Goal;
use super::rate::{LossRatio, Pps};
use super::trial::Trial;

/// What the comparisons allow, in nanoseconds.
const HALF_NANOSECOND: f64 = 0.5;

/// What a load is for a goal, given all trials at that load (section 4.7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Classification {
    /// The load is certain to satisfy the goal (section 4.7.2.2).
    LowerBound,
    /// The load is certain to fail the goal (section 4.7.2.1).
    UpperBound,
    /// More trials are needed (section 4.7.2.3).
    Undecided,
}

/// The two loads a goal is decided by, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelevantBounds {
    /// Relevant Lower Bound (section 4.8.2): the largest lower bound below the relevant upper bound. Without any upper
    /// bound it is the largest lower bound, which the draft calls an effective one (section 4.8.4.2).
    pub lower: Option<Pps>,
    /// Relevant Upper Bound (section 4.8.1): the smallest upper bound.
    pub upper: Option<Pps>,
}

/// The thresholds that classify a load: of a goal, or of a coarser target on the way to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Criterion {
    /// Trials at least this long are full-length, others short.
    pub trial_duration: Duration,
    /// Trial time that always decides a load.
    pub duration_sum: Duration,
    /// Trials above this are high-loss, others low-loss.
    pub loss_ratio: LossRatio,
    /// The share of trial time that may be high-loss at a lower bound.
    pub exceed_ratio: f64,
}

/// Effective durations at one load, in nanoseconds, by the four kinds of trial of section 4.7.1.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    full_length_low_loss: u128,
    full_length_high_loss: u128,
    short_low_loss: u128,
    short_high_loss: u128,
}

impl Tally {
    /// Adds a trial.
    pub(super) fn add(&mut self, criterion: &Criterion, trial: &Trial) {
        let full_length = trial.duration() >= criterion.trial_duration;
        let high_loss = trial.loss_ratio() > criterion.loss_ratio;
        let sum = match (full_length, high_loss) {
            (true, false) => &mut self.full_length_low_loss,
            (true, true) => &mut self.full_length_high_loss,
            (false, false) => &mut self.short_low_loss,
            (false, true) => &mut self.short_high_loss,
        };
        *sum += trial.effective_duration().as_nanos();
    }

    /// Classifies the load (appendix A).
    pub(super) fn classify(&self, criterion: &Criterion) -> Classification {
        let exceed = criterion.exceed_ratio;
        let good_long = self.full_length_low_loss as f64;
        let balancing = self.short_low_loss as f64 * (exceed / (1.0 - exceed));
        let excess = (self.short_high_loss as f64 - balancing).max(0.0);
        let bad = self.full_length_high_loss as f64 + excess;
        let whole = (good_long + bad).max(criterion.duration_sum.as_nanos() as f64);
        let allowed = whole * exceed + HALF_NANOSECOND;
        if bad > allowed {
            // Even if all time still missing were low-loss.
            Classification::UpperBound
        } else if whole - good_long <= allowed {
            // Even if all time still missing were high-loss.
            Classification::LowerBound
        } else {
            Classification::Undecided
        }
    }
}

/// Classifies a load for `goal` from all trials measured at that load (appendix A).
pub fn classify<'a>(goal: &Goal, trials: impl IntoIterator<Item = &'a Trial>) -> Classification {
    let criterion = goal.criterion();
    let mut tally = Tally::default();
    for trial in trials {
        tally.add(&criterion, trial);
    }
    tally.classify(&criterion)
}

/// Finds the relevant bounds (sections 4.8.1 and 4.8.2) from trials at any loads, in any order.
pub fn relevant_bounds<'a>(
    goal: &Goal,
    trials: impl IntoIterator<Item = &'a Trial>,
) -> RelevantBounds {
    let criterion = goal.criterion();
    let mut loads = BTreeMap::<Pps, Tally>::new();
    for trial in trials {
        loads
            .entry(trial.load())
            .or_default()
            .add(&criterion, trial);
    }
    let (lower, upper) = relevant(
        loads
            .into_iter()
            .map(|(load, tally)| (load, tally.classify(&criterion))),
    );
    RelevantBounds { lower, upper }
}

/// The relevant lower and upper bound among classified loads in ascending order.
pub(super) fn relevant<L>(
    ascending: impl Iterator<Item = (L, Classification)>,
) -> (Option<L>, Option<L>) {
    let mut lower = None;
    for (load, classification) in ascending {
        match classification {
            Classification::UpperBound => return (lower, Some(load)),
            Classification::LowerBound => lower = Some(load),
            Classification::Undecided => {}
        }
    }
    (lower, None)
}

/// Conditional Throughput (section 4.8.3, appendix B) of a load from all trials measured at that load.
///
/// The full-length trials are taken from the least to the most lossy until they fill the share `1 - exceed ratio` of the
/// duration sum; the last one taken says what is forwarded. If they do not fill it, everything counts as lost.
/// `None` without any trial, or when nothing would be forwarded. Only the value at the relevant lower bound is the
/// goal's figure.
pub fn conditional_throughput<'a>(
    goal: &Goal,
    load: Pps,
    trials: impl IntoIterator<Item = &'a Trial>,
) -> Option<Pps> {
    let mut full_length: Vec<_> = trials
        .into_iter()
        .filter(|trial| trial.duration() >= goal.final_trial_duration())
        .map(|trial| (trial.loss_ratio(), trial.effective_duration().as_nanos()))
        .collect();
    full_length.sort_unstable();
    let measured: u128 = full_length.iter().map(|(_, duration)| duration).sum();
    let whole = measured.max(goal.duration_sum().as_nanos()) as f64;
    // Twice the allowance of `classify`, so that a lower bound never falls through to a high-loss trial.
    let needed = whole * (1.0 - goal.exceed_ratio()) - 2.0 * HALF_NANOSECOND;
    let mut taken = 0_u128;
    let quantile = full_length.into_iter().find_map(|(loss_ratio, duration)| {
        taken += duration;
        (taken as f64 >= needed).then_some(loss_ratio)
    });
    let forwarding_ratio = 1.0 - quantile?.get();
    Pps::new(load.get() * forwarding_ratio).ok()
}
