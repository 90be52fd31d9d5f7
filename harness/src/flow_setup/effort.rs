//! How much time flow setup takes, by profile.

use crate::profile::{self, Profile};
use crate::search::{Goal, GoalError, Pps, SearchConfig};
use std::time::Duration;

/// The loss that a sustained rate may have: PDR's.
pub const LOSS: f64 = profile::PARTIAL_DROP;

/// A profile in numbers, for each datapath, direction and number of installed flows.
#[derive(Debug, Clone)]
pub struct Effort {
    /// What is searched for.
    goal: Goal,
    /// Length of the first trials.
    initial_trial: Duration,
    /// Length of the others.
    pub trial: Duration,
    /// Trial time of a search at the most.
    search: Duration,
    /// Time of a search with all deployments and warm-ups, at the most; the last trial may exceed it.
    pub patience: Duration,
    /// Time of warming up, at the most; the last pass may exceed it.
    pub warm_up: Duration,
    /// Pairs of packets whose latency is taken.
    pub pairs: u32,
    /// Episodes of learning with fine rounds; one with coarse rounds may follow.
    pub episodes: u32,
    /// Rounds of an episode.
    pub rounds: u32,
    /// Installed flows, where none are asked for.
    pub installed: Vec<u32>,
}

impl Effort {
    /// The effort of a profile.
    ///
    /// # Errors
    /// None in practice: the goals are tested.
    pub fn of(profile: Profile) -> Result<Self, GoalError> {
        let milliseconds = Duration::from_millis;
        let goal = |trial, sum, width| profile::goal("flow setup", LOSS, trial, sum, width);
        Ok(match profile {
            Profile::Smoke => Self {
                goal: goal(40, 40, 0.10)?,
                initial_trial: milliseconds(20),
                trial: milliseconds(40),
                search: milliseconds(400),
                patience: milliseconds(2_500),
                warm_up: milliseconds(1_500),
                pairs: 300,
                episodes: 3,
                rounds: 400,
                installed: vec![0, 1_000],
            },
            Profile::Quick => Self {
                goal: goal(100, 200, 0.05)?,
                initial_trial: milliseconds(50),
                trial: milliseconds(100),
                search: milliseconds(2_000),
                patience: milliseconds(6_500),
                warm_up: milliseconds(6_000),
                pairs: 1_000,
                episodes: 5,
                rounds: 1_000,
                installed: INSTALLED.to_vec(),
            },
            Profile::Standard | Profile::Full => Self {
                goal: goal(100, 1_000, 0.03)?,
                initial_trial: milliseconds(50),
                trial: milliseconds(100),
                search: milliseconds(10_000),
                patience: milliseconds(60_000),
                warm_up: milliseconds(90_000),
                pairs: 5_000,
                episodes: 20,
                rounds: 2_000,
                installed: INSTALLED.to_vec(),
            },
        })
    }

    /// The search for a rate up to `most`.
    pub fn search(&self, least: Pps, most: Pps) -> SearchConfig {
        SearchConfig {
            initial_trial_duration: self.initial_trial,
            search_duration_max: self.search,
            preceding_targets: 1,
            ..SearchConfig::new(least, most, vec![self.goal.clone()])
        }
    }

    /// What one datapath takes with one number of installed flows and in one direction, roughly.
    pub fn time(&self) -> Duration {
        self.patience + self.warm_up / 4
    }
}

/// Installed flows that a whole run steps through.
const INSTALLED: [u32; 4] = [0, 1_000, 10_000, 100_000];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_setup::flows::{Layout, Traffic};
    use crate::search::Search;
    use clap::ValueEnum;

    #[test]
    fn every_profile_makes_a_valid_search_and_leaves_room_for_new_flows() {
        let (least, most) = (Pps::new(1_000.0).unwrap(), Pps::new(8e6).unwrap());
        for profile in Profile::value_variants() {
            let effort = Effort::of(*profile).unwrap();
            Search::new(effort.search(least, most)).unwrap();
            let layout = Layout {
                traffic: Traffic::NewSources,
                installed: 100_000,
                pairs: effort.pairs,
                episodes: effort.episodes + 1,
                rounds: effort.rounds,
                fresh: 0,
            };
            assert!(layout.room() > 500_000, "{profile}");
            assert!(effort.rounds <= workload::ROUNDS, "{profile}");
        }
    }
}
