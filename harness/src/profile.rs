//! Profiles: how much time a figure may take.

use crate::search::{Goal, GoalError, Pps, SearchConfig};
use crate::tester::FrameSize;
use std::time::Duration;

/// How thoroughly to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Some seconds a datapath: shows that everything works. No figure of it is worth quoting.
    Smoke,
    /// Half a minute a datapath and topology.
    Quick,
    /// Minutes a datapath and topology.
    Standard,
    /// CSIT's goals, all frame sizes and numbers of flows: many hours.
    Full,
}

/// A profile in numbers.
#[derive(Debug, Clone)]
pub struct Effort {
    /// NDR and PDR.
    pub goals: Vec<Goal>,
    /// Length of the first trials of a search.
    pub initial_trial: Duration,
    /// Trial time of a search at the most.
    pub search: Duration,
    /// Trial time of the search for the tester's ceiling at the most.
    pub ceiling: Duration,
    /// How datapaths are measured against each other, if they are.
    pub comparison: Option<Rounds>,
    /// Length of a latency trial.
    pub latency: Duration,
    /// How often each event of an overlay is made to happen,
    pub events: u32,
    /// and how long each is watched.
    pub event: Duration,
    /// Frame sizes, where none are asked for.
    pub frame_sizes: Vec<FrameSize>,
    /// Numbers of flows, where none are asked for.
    pub flows: Vec<u32>,
}

/// Rounds in which datapaths are measured against each other.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Length of a trial.
    pub trial: Duration,
    /// Width of the search in a round.
    pub width: f64,
    /// Trial time of all rounds, for each datapath. What one does not need, others have; and as many rounds as a tournament's
    /// first stage has are made in any case.
    pub time: Duration,
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Full => "full",
        })
    }
}

/// The loss that PDR may have.
pub(crate) const PARTIAL_DROP: f64 = 0.005;

/// A goal in numbers: final trials of that many milliseconds, and their sum.
pub(crate) fn goal(
    name: &str,
    loss_ratio: f64,
    trial_ms: u64,
    sum_ms: u64,
    width: f64,
) -> Result<Goal, GoalError> {
    Goal::builder(name)
        .final_trial_duration(Duration::from_millis(trial_ms))
        .duration_sum(Duration::from_millis(sum_ms))
        .loss_ratio(loss_ratio)
        .relative_width(width)
        .build()
}

fn goals(trial_ms: u64, sum_ms: u64, width: f64) -> Result<Vec<Goal>, GoalError> {
    [("NDR", 0.0), ("PDR", PARTIAL_DROP)]
        .into_iter()
        .map(|(name, loss_ratio)| goal(name, loss_ratio, trial_ms, sum_ms, width))
        .collect()
}

impl Profile {
    /// The profile in numbers.
    ///
    /// # Errors
    /// None in practice: the goals are tested.
    pub fn effort(self) -> Result<Effort, GoalError> {
        let small = vec![FrameSize::Bytes(64)];
        let (milliseconds, seconds) = (Duration::from_millis, Duration::from_secs);
        Ok(match self {
            Self::Smoke => Effort {
                goals: goals(50, 150, 0.05)?,
                initial_trial: milliseconds(50),
                search: milliseconds(1_500),
                ceiling: milliseconds(400),
                comparison: None,
                latency: milliseconds(100),
                events: 1,
                event: milliseconds(1_000),
                frame_sizes: small,
                flows: vec![1],
            },
            Self::Quick => Effort {
                goals: goals(200, 1_000, 0.02)?,
                initial_trial: milliseconds(100),
                search: seconds(10),
                ceiling: seconds(3),
                comparison: Some(Rounds {
                    trial: milliseconds(100),
                    width: 0.03,
                    time: seconds(8),
                }),
                latency: seconds(1),
                events: 1,
                event: seconds(2),
                frame_sizes: small,
                flows: vec![1],
            },
            Self::Standard => Effort {
                goals: goals(1_000, 5_000, 0.01)?,
                initial_trial: milliseconds(500),
                search: seconds(60),
                ceiling: seconds(8),
                comparison: Some(Rounds {
                    trial: milliseconds(200),
                    width: 0.02,
                    time: seconds(24),
                }),
                latency: seconds(3),
                events: 3,
                event: seconds(4),
                frame_sizes: vec![
                    FrameSize::Bytes(64),
                    FrameSize::Bytes(1518),
                    FrameSize::Imix,
                ],
                flows: vec![1, 10_000],
            },
            Self::Full => Effort {
                goals: goals(1_000, 21_000, 0.005)?,
                initial_trial: seconds(1),
                search: seconds(1_200),
                ceiling: seconds(30),
                comparison: Some(Rounds {
                    trial: seconds(1),
                    width: 0.01,
                    time: seconds(240),
                }),
                latency: seconds(10),
                events: 10,
                event: seconds(4),
                frame_sizes: FrameSize::ALL.to_vec(),
                flows: vec![1, 1_000, 100_000, 1_000_000],
            },
        })
    }
}

impl Effort {
    /// The search for a datapath's rates.
    pub fn search(&self, min_load: Pps, max_load: Pps) -> SearchConfig {
        SearchConfig {
            initial_trial_duration: self.initial_trial,
            search_duration_max: self.search,
            ..SearchConfig::new(min_load, max_load, self.goals.clone())
        }
    }

    /// The search for the tester's ceiling: PDR alone, coarser.
    pub fn ceiling_search(&self, min_load: Pps, max_load: Pps) -> SearchConfig {
        let goal = self.goals.last().cloned().into_iter().collect();
        SearchConfig {
            initial_trial_duration: self.initial_trial,
            search_duration_max: self.ceiling,
            ..SearchConfig::new(min_load, max_load, goal)
        }
    }

    /// Trial time of one datapath in one scenario at the most.
    pub fn time(&self) -> Duration {
        let rounds = self.comparison.map_or(Duration::ZERO, |it| it.time);
        self.search + rounds + 3 * self.latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Search;
    use clap::ValueEnum;

    #[test]
    fn every_profile_makes_a_valid_search() {
        let (min, max) = (Pps::new(1_000.0).unwrap(), Pps::new(20e6).unwrap());
        for profile in Profile::value_variants() {
            let effort = profile.effort().unwrap();
            Search::new(effort.search(min, max)).unwrap();
            Search::new(effort.ceiling_search(min, max)).unwrap();
        }
    }
}
