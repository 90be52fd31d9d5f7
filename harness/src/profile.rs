//! Profiles: how much time a figure may take.

use crate::search::{Goal, GoalError, Pps, Precedence, SearchConfig};
use crate::tester::FrameSize;
use std::time::Duration;
use topologies::catalogue;

/// How thoroughly to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Some seconds a datapath: shows that everything works. No figure of it is worth quoting.
    Smoke,
    /// Half a minute a datapath and topology; a datapath's host alone, where no topology is asked for.
    Quick,
    /// The least that a decision can rest on: frame sizes, numbers of flows, a host and a bouncer.
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
    /// Frame sizes and numbers of flows, where none are asked for.
    pub mixes: Vec<Mix>,
    /// Topologies, where none is asked for, each with so many of the mixes.
    pub topologies: Vec<(&'static str, usize)>,
}

/// What frames there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Size of inner frames.
    pub size: FrameSize,
    /// Number of distinct flows, of each direction.
    pub flows: u32,
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
        let small = vec![Mix {
            size: FrameSize::Bytes(64),
            flows: 1,
        }];
        let all = |mixes: usize| {
            let names = catalogue::ENTRIES.iter().map(|entry| entry.name);
            names.map(|name| (name, mixes)).collect()
        };
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
                mixes: small,
                topologies: all(1),
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
                mixes: small,
                topologies: vec![("vtep", 1)],
            },
            Self::Standard => Effort {
                goals: goals(200, 1_000, 0.02)?,
                initial_trial: milliseconds(100),
                search: seconds(6),
                ceiling: seconds(3),
                comparison: Some(Rounds {
                    trial: milliseconds(100),
                    width: 0.02,
                    time: seconds(8),
                }),
                latency: milliseconds(500),
                events: 3,
                event: seconds(4),
                mixes: vec![
                    Mix {
                        size: FrameSize::Bytes(64),
                        flows: 1,
                    },
                    Mix {
                        size: FrameSize::Bytes(64),
                        flows: 10_000,
                    },
                    Mix {
                        size: FrameSize::Imix,
                        flows: 10_000,
                    },
                    Mix {
                        size: FrameSize::Bytes(1518),
                        flows: 1,
                    },
                ],
                topologies: vec![("vtep", 4), ("hop", 1)],
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
                mixes: [1, 1_000, 100_000, 1_000_000]
                    .into_iter()
                    .flat_map(|flows| FrameSize::ALL.map(|size| Mix { size, flows }))
                    .collect(),
                topologies: all(usize::MAX),
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
            precedence: Precedence::LargestLoss,
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

    /// Topologies with the frames that they are measured with: those that are asked for, or else those of the profile. Where
    /// nothing is said of sizes or flows, the profile's are taken.
    pub fn scenarios<'a>(
        &self,
        topologies: &[&'a str],
        sizes: &[FrameSize],
        flows: &[u32],
    ) -> Vec<(&'a str, Vec<Mix>)> {
        let mixes = self.mixes(sizes, flows);
        if topologies.is_empty() {
            let are_given = !sizes.is_empty() || !flows.is_empty();
            let own = self.topologies.iter();
            own.map(|(name, count)| {
                let count = if are_given { usize::MAX } else { *count };
                (*name, mixes.iter().copied().take(count).collect())
            })
            .collect()
        } else {
            let named = topologies.iter();
            named.map(|name| (*name, mixes.clone())).collect()
        }
    }

    fn mixes(&self, sizes: &[FrameSize], flows: &[u32]) -> Vec<Mix> {
        let mut mixes = Vec::new();
        for own in &self.mixes {
            let (own_size, own_flows) = ([own.size], [own.flows]);
            let sizes = if sizes.is_empty() { &own_size } else { sizes };
            let flows = if flows.is_empty() { &own_flows } else { flows };
            for (flows, size) in flows
                .iter()
                .flat_map(|it| sizes.iter().map(move |size| (it, size)))
            {
                let mix = Mix {
                    size: *size,
                    flows: *flows,
                };
                if !mixes.contains(&mix) {
                    mixes.push(mix);
                }
            }
        }
        mixes
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

    fn ids(
        effort: &Effort,
        topologies: &[&str],
        sizes: &[FrameSize],
        flows: &[u32],
    ) -> Vec<String> {
        let scenarios = effort.scenarios(topologies, sizes, flows);
        let one = |(name, mixes): (&str, Vec<Mix>)| {
            let ids = mixes
                .iter()
                .map(|mix| format!("{name}/{}/{}", mix.size, mix.flows));
            ids.collect::<Vec<_>>()
        };
        scenarios.into_iter().flat_map(one).collect()
    }

    #[test]
    fn what_is_not_asked_for_is_the_profiles() {
        let effort = Profile::Standard.effort().unwrap();
        let own = [
            "vtep/64/1",
            "vtep/64/10000",
            "vtep/IMIX/10000",
            "vtep/1518/1",
            "hop/64/1",
        ];
        assert_eq!(ids(&effort, &[], &[], &[]), own);
        let of_encap = ids(&effort, &["encap"], &[], &[]);
        assert_eq!(
            of_encap,
            own[..4]
                .iter()
                .map(|it| it.replace("vtep", "encap"))
                .collect::<Vec<_>>()
        );
        let large = [FrameSize::Bytes(512)];
        assert_eq!(
            ids(&effort, &["hop"], &large, &[]),
            ["hop/512/1", "hop/512/10000"]
        );
        assert_eq!(
            ids(&effort, &["hop"], &large, &[7, 9]),
            ["hop/512/7", "hop/512/9"]
        );
        assert_eq!(ids(&effort, &[], &large, &[7]), ["vtep/512/7", "hop/512/7"]);
    }

    #[test]
    fn profiles_name_topologies_that_there_are() {
        for profile in Profile::value_variants() {
            for (name, mixes) in profile.effort().unwrap().topologies {
                assert!(
                    catalogue::ENTRIES.iter().any(|it| it.name == name),
                    "{name}"
                );
                assert!(mixes > 0);
            }
        }
    }

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
