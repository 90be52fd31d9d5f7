//! Search goals: what a load must show to count as carried.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::classify::Criterion;
use super::rate::LossRatio;

/// The shortest trial a goal or a search may ask for.
pub(super) const SHORTEST_TRIAL: Duration = Duration::from_millis(1);

/// The longest time a goal or a search may add up: a hundred days, within which sums of nanoseconds stay exact as `f64`.
pub(super) const LONGEST_SUM: Duration = Duration::from_secs(100 * 86_400);

/// A goal has an attribute outside its range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum GoalError {
    /// The goal has no name.
    #[error("a goal needs a name")]
    NoName,
    /// The final trial duration is below one millisecond.
    #[error("final trial duration {0:?} is below 1 ms")]
    FinalTrialTooShort(Duration),
    /// The duration sum is below the final trial duration (section 4.6.2 advises against it).
    #[error("duration sum {sum:?} is below the final trial duration {trial:?}")]
    SumBelowTrial {
        /// The duration sum given.
        sum: Duration,
        /// The final trial duration given.
        trial: Duration,
    },
    /// The duration sum is above a hundred days.
    #[error("duration sum {0:?} is above a hundred days")]
    SumTooLong(Duration),
    /// The loss ratio is not in `0..1` (section 4.6.3).
    #[error("goal loss ratio {0} is not at least 0 and below 1")]
    LossRatio(f64),
    /// The exceed ratio is not in `0..1` (section 4.6.4).
    #[error("goal exceed ratio {0} is not at least 0 and below 1")]
    ExceedRatio(f64),
    /// The relative width is not in `0.000001..=0.9`.
    #[error("goal relative width {0} is not between 0.000001 and 0.9")]
    RelativeWidth(f64),
}

/// A Search Goal (section 4.6.7). Make one with [`Goal::builder`] or a ready constructor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawGoal", into = "RawGoal")]
pub struct Goal {
    name: String,
    final_trial_duration: Duration,
    duration_sum: Duration,
    loss_ratio: LossRatio,
    exceed_ratio: f64,
    relative_width: f64,
}

impl Goal {
    /// Starts a goal with CSIT's values: trials of 1 s, sum 21 s, loss 0, exceed ratio 0.5, width 0.5 %.
    pub fn builder(name: impl Into<String>) -> GoalBuilder {
        GoalBuilder(RawGoal {
            name: name.into(),
            final_trial_duration: Duration::from_secs(1),
            duration_sum: Duration::from_secs(21),
            loss_ratio: 0.0,
            exceed_ratio: 0.5,
            relative_width: 0.005,
        })
    }

    /// CSIT's no-drop rate: trials of 1 s, sum 21 s, loss 0, exceed ratio 0.5, width 0.5 %.
    pub fn ndr_csit() -> Self {
        Self::preset("ndr", (1_000, 21_000), 0.0, 0.5)
    }

    /// CSIT's partial-drop rate: as [`Goal::ndr_csit`] with loss up to 0.5 %.
    pub fn pdr_csit() -> Self {
        Self::preset("pdr", (1_000, 21_000), 0.005, 0.5)
    }

    /// Throughput as in RFC 2544 section 24 (section 4.10.2 of the draft): one trial of 60 s without any loss.
    pub fn rfc2544() -> Self {
        Self::preset("rfc2544", (60_000, 60_000), 0.0, 0.0)
    }

    /// Binary search with loss verification, `max(r) = 2`, of ETSI GS NFV-TST 009 section 12.3.3 (section 4.10.3 of the
    /// draft): of two trials of 60 s one must be without loss.
    pub fn tst009() -> Self {
        Self::preset("tst009", (60_000, 120_000), 0.0, 0.5)
    }

    /// A no-drop rate for a budget of seconds: trials of 0.1 s, sum 1 s, otherwise as [`Goal::ndr_csit`] with width 2 %.
    ///
    /// Good for a smoke run. Trials this short hide stalls, so the figures are no substitute for the longer goals.
    pub fn ndr_short() -> Self {
        Self {
            relative_width: 0.02,
            ..Self::preset("ndr-short", (100, 1_000), 0.0, 0.5)
        }
    }

    /// A partial-drop rate for a budget of seconds: as [`Goal::ndr_short`] with loss up to 0.5 %.
    pub fn pdr_short() -> Self {
        Self {
            relative_width: 0.02,
            ..Self::preset("pdr-short", (100, 1_000), 0.005, 0.5)
        }
    }

    /// A goal from known good values, durations in milliseconds; all presets pass the builder's checks (tested).
    fn preset(name: &str, (trial, sum): (u64, u64), loss_ratio: f64, exceed_ratio: f64) -> Self {
        Self {
            name: name.to_owned(),
            final_trial_duration: Duration::from_millis(trial),
            duration_sum: Duration::from_millis(sum),
            loss_ratio: LossRatio::new(loss_ratio).unwrap_or(LossRatio::ZERO),
            exceed_ratio,
            relative_width: 0.005,
        }
    }

    /// The name results are listed under; no meaning to the search.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Goal Final Trial Duration (section 4.6.1): trials at least this long are full-length; 1 ms or more.
    pub const fn final_trial_duration(&self) -> Duration {
        self.final_trial_duration
    }

    /// Goal Duration Sum (section 4.6.2): trial time after which a load is always decided.
    pub const fn duration_sum(&self) -> Duration {
        self.duration_sum
    }

    /// Goal Loss Ratio (section 4.6.3): a trial that loses more is a high-loss trial; `0..1`.
    pub const fn loss_ratio(&self) -> LossRatio {
        self.loss_ratio
    }

    /// Goal Exceed Ratio (section 4.6.4): the share of trial time that may be high-loss at a lower bound; `0..1`.
    pub const fn exceed_ratio(&self) -> f64 {
        self.exceed_ratio
    }

    /// Goal Width (section 4.6.5): done when `(upper - lower) / upper` is at most this; `0.000001..=0.9`.
    pub const fn relative_width(&self) -> f64 {
        self.relative_width
    }

    /// The part of the goal that classifies loads.
    pub(super) const fn criterion(&self) -> Criterion {
        Criterion {
            trial_duration: self.final_trial_duration,
            duration_sum: self.duration_sum,
            loss_ratio: self.loss_ratio,
            exceed_ratio: self.exceed_ratio,
        }
    }
}

/// Collects the attributes of a [`Goal`]; [`GoalBuilder::build`] checks them all.
#[derive(Debug, Clone)]
pub struct GoalBuilder(RawGoal);

impl GoalBuilder {
    /// Sets the final trial duration; 1 ms or more.
    pub const fn final_trial_duration(mut self, duration: Duration) -> Self {
        self.0.final_trial_duration = duration;
        self
    }

    /// Sets the duration sum; at least the final trial duration.
    pub const fn duration_sum(mut self, duration: Duration) -> Self {
        self.0.duration_sum = duration;
        self
    }

    /// Sets the loss ratio; `0..1`.
    pub const fn loss_ratio(mut self, ratio: f64) -> Self {
        self.0.loss_ratio = ratio;
        self
    }

    /// Sets the exceed ratio; `0..1`.
    pub const fn exceed_ratio(mut self, ratio: f64) -> Self {
        self.0.exceed_ratio = ratio;
        self
    }

    /// Sets the relative width; `0.000001..=0.9`.
    pub const fn relative_width(mut self, width: f64) -> Self {
        self.0.relative_width = width;
        self
    }

    /// Checks everything and makes the goal.
    pub fn build(self) -> Result<Goal, GoalError> {
        self.0.try_into()
    }
}

/// The stored form of a [`Goal`], not yet checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct RawGoal {
    name: String,
    final_trial_duration: Duration,
    duration_sum: Duration,
    loss_ratio: f64,
    exceed_ratio: f64,
    relative_width: f64,
}

impl TryFrom<RawGoal> for Goal {
    type Error = GoalError;

    fn try_from(raw: RawGoal) -> Result<Self, GoalError> {
        if raw.name.is_empty() {
            return Err(GoalError::NoName);
        }
        if raw.final_trial_duration < SHORTEST_TRIAL {
            return Err(GoalError::FinalTrialTooShort(raw.final_trial_duration));
        }
        if raw.duration_sum < raw.final_trial_duration {
            return Err(GoalError::SumBelowTrial {
                sum: raw.duration_sum,
                trial: raw.final_trial_duration,
            });
        }
        if raw.duration_sum > LONGEST_SUM {
            return Err(GoalError::SumTooLong(raw.duration_sum));
        }
        let loss_ratio = LossRatio::new(raw.loss_ratio)
            .ok()
            .filter(|ratio| *ratio < LossRatio::ONE)
            .ok_or(GoalError::LossRatio(raw.loss_ratio))?;
        if !(0.0..1.0).contains(&raw.exceed_ratio) {
            return Err(GoalError::ExceedRatio(raw.exceed_ratio));
        }
        if !(1e-6..=0.9).contains(&raw.relative_width) {
            return Err(GoalError::RelativeWidth(raw.relative_width));
        }
        Ok(Self {
            name: raw.name,
            final_trial_duration: raw.final_trial_duration,
            duration_sum: raw.duration_sum,
            loss_ratio,
            exceed_ratio: raw.exceed_ratio,
            relative_width: raw.relative_width,
        })
    }
}

impl From<Goal> for RawGoal {
    fn from(goal: Goal) -> Self {
        Self {
            name: goal.name,
            final_trial_duration: goal.final_trial_duration,
            duration_sum: goal.duration_sum,
            loss_ratio: goal.loss_ratio.get(),
            exceed_ratio: goal.exceed_ratio,
            relative_width: goal.relative_width,
        }
    }
}
