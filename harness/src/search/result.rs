//! What a search found: the Search Result (section 4.8.5).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::goal::Goal;
use super::rate::Pps;

/// Why a goal has no regular result (section 4.8.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Irregular {
    /// The minimum load is an upper bound: the device fails the goal everywhere.
    NothingLowerAboveMin,
    /// The maximum load is a lower bound: the device carries all that can be offered. The lower bound and the
    /// throughput given are what was shown; the device may be faster.
    NoUpperWithinMax,
    /// The budget was used up before the bounds were close enough.
    TimeOut,
    /// The search has not ended.
    StillSearching,
}

impl fmt::Display for Irregular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingLowerAboveMin => "even the minimum load was too much",
            Self::NoUpperWithinMax => {
                "the maximum load was carried; the figure is a floor, not the device's limit"
            }
            Self::TimeOut => "the budget ran out first; a longer profile has more",
            Self::StillSearching => "the search has not ended",
        })
    }
}

/// Whether a goal result satisfies all requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Both relevant bounds exist, no further apart than the goal's width (section 4.8.4.1).
    Regular,
    /// Something is missing. Figures given must be marked as irregular in a report (section 4.8.4.2).
    Irregular(Irregular),
}

impl Status {
    /// Whether the result is regular.
    pub const fn is_regular(self) -> bool {
        matches!(self, Self::Regular)
    }
}

/// Bounds by a coarser standard than the goal's, for want of better ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// A load that held, in frames a second.
    pub lower: Option<Pps>,
    /// A load that failed, in frames a second.
    pub upper: Option<Pps>,
    /// The duration sum that decided these loads; the goal asks for a longer one.
    pub duration_sum: Duration,
}

/// The result for one goal (section 4.8.4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoalResult {
    /// The goal.
    pub goal: Goal,
    /// Relevant Lower Bound (section 4.8.2) in frames a second; without an upper bound an effective one.
    pub lower: Option<Pps>,
    /// Relevant Upper Bound (section 4.8.1) in frames a second.
    pub upper: Option<Pps>,
    /// Conditional Throughput (section 4.8.3) in frames a second: the figure to report.
    pub conditional_throughput: Option<Pps>,
    /// Whether the above satisfies all requirements, and if not, why.
    pub status: Status,
    /// If a bound is missing for lack of time: what coarser targets say. Never a result, only a hint.
    pub estimate: Option<Estimate>,
}

impl GoalResult {
    /// Distance of the bounds, `(upper - lower) / upper`, if both exist.
    pub fn relative_width(&self) -> Option<f64> {
        Some(relative_width(self.lower?, self.upper?))
    }
}

/// `(upper - lower) / upper`.
pub(super) fn relative_width(lower: Pps, upper: Pps) -> f64 {
    (upper.get() - lower.get()) / upper.get()
}

/// The result for all goals, and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchResult {
    /// One result a goal, in the order of the goals given.
    pub goals: Vec<GoalResult>,
    /// Number of trials.
    pub trials: u64,
    /// Sum of the effective durations of all trials.
    pub trial_time: Duration,
}
