//! What a search is given: the Controller Input (section 4.6.8).

use std::time::Duration;

use super::goal::{Goal, LONGEST_SUM, SHORTEST_TRIAL};
use super::rate::Pps;

/// The most targets that may precede a goal.
const MOST_PRECEDING: u8 = 16;

/// The least ratio between maximum and minimum load.
const LEAST_RANGE: f64 = 1.001;

/// A search cannot be set up this way.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// There is nothing to search for.
    #[error("a search needs at least one goal")]
    NoGoals,
    /// Two goals could not be told apart in the result.
    #[error("two goals are named {0:?}")]
    DuplicateGoal(String),
    /// The limits leave no room for a search.
    #[error("maximum load {max} is not at least 1.001 times the minimum load {min}")]
    NoRange {
        /// The minimum load given.
        min: Pps,
        /// The maximum load given.
        max: Pps,
    },
    /// The initial trial duration is below one millisecond.
    #[error("initial trial duration {0:?} is below 1 ms")]
    InitialTrialTooShort(Duration),
    /// The budget is zero or above a hundred days.
    #[error("search duration {0:?} is zero or above a hundred days")]
    SearchDuration(Duration),
    /// The expansion coefficient does not expand.
    #[error("expansion coefficient {0} is below 2")]
    Expansion(u32),
    /// There are too many preceding targets.
    #[error("{0} preceding targets are more than 16")]
    PrecedingTargets(u8),
    /// No grid of loads suits all widths of the goals.
    #[error(
        "no grid of loads from {min} to {max} suits the widths of all goals; use wider or equal widths"
    )]
    NoGrid {
        /// The minimum load given.
        min: Pps,
        /// The maximum load given.
        max: Pps,
    },
}

/// Which goal has the next trial where several want one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precedence {
    /// The one that wants the lowest load: an upper bound found there may make trials at higher loads needless. So does CSIT.
    #[default]
    LowestLoad,
    /// The one that may lose most, until it is reached: its upper bounds are also those of all that may lose less. Where the
    /// budget is short and the machine stalls now and then, a search for zero loss would use it up at loads far below what
    /// is carried, and the others would have nothing.
    LargestLoss,
}

/// The Controller Input (section 4.6.8). [`super::Search::new`] checks it.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchConfig {
    /// Min Load (section 4.6.8.2), in frames a second. Should give at least one frame in the shortest trial.
    pub min_load: Pps,
    /// Max Load (section 4.6.8.1), in frames a second; at least 1.001 times the minimum load. The first trial is here.
    pub max_load: Pps,
    /// What to search for, all at once. With equal wishes for the next trial the earlier goal comes first.
    pub goals: Vec<Goal>,
    /// Goal Initial Trial Duration (section 4.6.6), for all goals: the length of the first trials, 1 ms or more. A goal
    /// whose final trials are shorter uses those.
    pub initial_trial_duration: Duration,
    /// Budget for the sum of trial durations, above zero. No trial starts once it is used up; the last may exceed it.
    pub search_duration_max: Duration,
    /// How many coarser targets precede each goal, 0 to 16.
    pub preceding_targets: u8,
    /// By how much a step grows while a bound is still missing, 2 or more.
    pub expansion: u32,
    /// Whose trial comes next.
    pub precedence: Precedence,
}

impl SearchConfig {
    /// A search for `goals` with CSIT's settings: initial trials of 1 s, 2 preceding targets, expansion 2, 1200 s,
    /// the lowest load first.
    pub const fn new(min_load: Pps, max_load: Pps, goals: Vec<Goal>) -> Self {
        Self {
            min_load,
            max_load,
            goals,
            initial_trial_duration: Duration::from_secs(1),
            search_duration_max: Duration::from_secs(1_200),
            preceding_targets: 2,
            expansion: 2,
            precedence: Precedence::LowestLoad,
        }
    }

    /// CSIT's search: [`Goal::ndr_csit`] and [`Goal::pdr_csit`]. CSIT's own minimum load is 9001 frames a second.
    pub fn csit(min_load: Pps, max_load: Pps) -> Self {
        Self::new(min_load, max_load, vec![Goal::ndr_csit(), Goal::pdr_csit()])
    }

    /// A search of seconds: [`Goal::ndr_short`] and [`Goal::pdr_short`], initial trials of 50 ms, budget 6 s.
    pub fn short(min_load: Pps, max_load: Pps) -> Self {
        Self {
            initial_trial_duration: Duration::from_millis(50),
            search_duration_max: Duration::from_secs(6),
            ..Self::new(
                min_load,
                max_load,
                vec![Goal::ndr_short(), Goal::pdr_short()],
            )
        }
    }

    /// Checks all that can be checked without a grid.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.goals.is_empty() {
            return Err(ConfigError::NoGoals);
        }
        for (index, goal) in self.goals.iter().enumerate() {
            if self.goals[..index]
                .iter()
                .any(|other| other.name() == goal.name())
            {
                return Err(ConfigError::DuplicateGoal(goal.name().to_owned()));
            }
        }
        let (min, max) = (self.min_load, self.max_load);
        if max.get() / min.get() < LEAST_RANGE {
            return Err(ConfigError::NoRange { min, max });
        }
        if self.initial_trial_duration < SHORTEST_TRIAL {
            return Err(ConfigError::InitialTrialTooShort(
                self.initial_trial_duration,
            ));
        }
        if self.search_duration_max.is_zero() || self.search_duration_max > LONGEST_SUM {
            return Err(ConfigError::SearchDuration(self.search_duration_max));
        }
        if self.expansion < 2 {
            return Err(ConfigError::Expansion(self.expansion));
        }
        if self.preceding_targets > MOST_PRECEDING {
            return Err(ConfigError::PrecedingTargets(self.preceding_targets));
        }
        Ok(())
    }
}
