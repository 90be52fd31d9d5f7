//! Which frame belongs to which flow.

use crate::tester::{self, FrameSize, Workload};
use serde::{Deserialize, Serialize};
use topologies::provision::Host;
use topologies::topology::{EndpointRange, Parameters, Topology, TopologyError};
use topologies::traffic::{Direction, FlowSpace};

const TOPOLOGY: &str = include_str!("topology.toml");
const GUARDED: &str = include_str!("guarded.toml");

/// Frames of one deployment at the most: as many as the tester takes.
pub const MOST_FRAMES: u32 = Parameters::MAX_FLOWS;
/// Peers whose direct path is learned side by side.
pub const LEARNED_TOGETHER: u32 = 2;

/// The direction in which flows are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Traffic {
    /// An endpoint sends, each flow to a destination of its own; the droplet encapsulates.
    NewDestinations,
    /// Encapsulated frames arrive, each flow from a source of its own; the droplet delivers, and learns each
    /// source's direct path.
    NewSources,
    /// The same from another network, past an access list: so many rules that are not met come before the one that allows it.
    NewSourcesPastRules(u32),
}

impl Traffic {
    /// Both directions without access lists.
    pub const OPEN: [Self; 2] = [Self::NewDestinations, Self::NewSources];

    /// In a few words.
    pub fn words(self) -> String {
        match self {
            Self::NewDestinations => "new destinations".to_owned(),
            Self::NewSources => "new sources".to_owned(),
            Self::NewSourcesPastRules(1) => "new sources past 1 rule".to_owned(),
            Self::NewSourcesPastRules(rules) => format!("new sources past {rules} rules"),
        }
    }

    /// Rules of the access list that judges it, where there is one.
    pub fn rules(self) -> Option<u32> {
        match self {
            Self::NewSourcesPastRules(rules) => Some(rules),
            Self::NewDestinations | Self::NewSources => None,
        }
    }
}

/// The frames of one deployment, in the order in which the tester has them: flows to install beforehand; pairs of
/// frames of one flow each; episodes of learning; and frames of flows that are new.
///
/// No two of these share a flow. An episode has [`LEARNED_TOGETHER`] peers and goes in rounds of a frame for each:
/// one out to the peer, one in from it with the return-to-sender option, and then out again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The direction in which flows are new, in all but the episodes.
    pub traffic: Traffic,
    /// Flows to install.
    pub installed: u32,
    /// Pairs of frames.
    pub pairs: u32,
    /// Episodes of learning.
    pub episodes: u32,
    /// Rounds of an episode.
    pub rounds: u32,
    /// Frames of new flows.
    pub fresh: u32,
}

impl Layout {
    /// Place of the first frame of the first pair.
    pub fn first_pair(&self) -> u32 {
        self.installed
    }

    /// Place of the first frame of an episode.
    pub fn episode(&self, number: u32) -> u32 {
        self.installed + 2 * self.pairs + number * self.rounds * LEARNED_TOGETHER
    }

    /// Place of the first frame of a new flow.
    pub fn first_fresh(&self) -> u32 {
        self.episode(self.episodes)
    }

    /// How many frames of new flows there is room for beside the others.
    pub fn room(&self) -> u32 {
        MOST_FRAMES.saturating_sub(self.first_fresh())
    }

    /// Frames in all.
    pub fn frames(&self) -> u32 {
        self.first_fresh() + self.fresh
    }

    /// Direction and flow of each frame.
    pub fn flows(&self) -> impl Iterator<Item = (Traffic, u32)> {
        let layout = *self;
        let first_of_pairs = layout.installed;
        let first_learned = first_of_pairs + layout.pairs;
        let first_fresh = first_learned + layout.episodes * LEARNED_TOGETHER;
        let known = (0..layout.installed).map(move |flow| (layout.traffic, flow));
        let pairs =
            (0..2 * layout.pairs).map(move |frame| (layout.traffic, first_of_pairs + frame / 2));
        let learned = (0..layout.episodes).flat_map(move |episode| {
            (0..layout.rounds).flat_map(move |round| {
                (0..LEARNED_TOGETHER).map(move |peer| {
                    let traffic = if round == 1 {
                        Traffic::NewSources
                    } else {
                        Traffic::NewDestinations
                    };
                    (traffic, first_learned + episode * LEARNED_TOGETHER + peer)
                })
            })
        });
        let fresh = (0..layout.fresh).map(move |frame| (layout.traffic, first_fresh + frame));
        known.chain(pairs).chain(learned).chain(fresh)
    }
}

/// What cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum FlowsError {
    /// The built-in topology is wrong.
    #[error("the topology of flow setup: {0}")]
    Topology(#[from] TopologyError),
    /// Its size is wrong.
    #[error("the topology of flow setup: {0}")]
    Parameters(#[from] topologies::topology::ParameterError),
    /// The topology lacks one of the two directions.
    #[error("the topology of flow setup has no flows in and out of the droplet under test")]
    Directions,
    /// The tester cannot offer the frames.
    #[error(transparent)]
    Tester(#[from] tester::Error),
}

/// The overlay of flow setup and its flows.
#[derive(Debug, Clone)]
pub struct Flows {
    topology: Topology,
    directions: [Direction; 2],
    peers: Host,
}

impl Flows {
    /// The flows, in an order that `seed` determines.
    ///
    /// The droplet under test knows none of the peers, so there may be more of them than any table holds.
    ///
    /// # Errors
    /// None in practice: the topology is built in and tested.
    pub fn new(seed: u64) -> Result<Self, FlowsError> {
        Self::past(seed, None)
    }

    /// The same, where an access list of so many rules judges what arrives.
    ///
    /// # Errors
    /// Where there are more than an access list has.
    pub fn past(seed: u64, rules: Option<u32>) -> Result<Self, FlowsError> {
        let topology = topology(1, rules)?;
        let peers = topology
            .droplet("right")
            .ok_or(FlowsError::Directions)?
            .host;
        let many = |range: EndpointRange| EndpointRange {
            count: MOST_FRAMES,
            ..range
        };
        let [out, into] =
            <[Direction; 2]>::try_from(topology.traffic()).map_err(|_| FlowsError::Directions)?;
        if !out.encapsulated_out || !into.encapsulated_in {
            return Err(FlowsError::Directions);
        }
        let spread = |direction: Direction, source, destination| Direction {
            flows: FlowSpace::new(source, destination, direction.flows.transport, MOST_FRAMES)
                .shuffled(seed),
            ..direction
        };
        let (from, to) = (out.flows.source, many(out.flows.destination));
        let out = spread(out, from, to);
        let (from, to) = (many(into.flows.source), into.flows.destination);
        let into = spread(into, from, to);
        Ok(Self {
            topology,
            directions: [out, into],
            peers,
        })
    }

    /// The overlay, with one peer.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The host of all peers, to which their direct path leads.
    pub fn peers_host(&self) -> Host {
        self.peers
    }

    /// The frames of `layout`, of the shortest length.
    ///
    /// # Errors
    /// Where the tester cannot offer them.
    pub fn workload(&self, layout: &Layout) -> Result<Workload, FlowsError> {
        let frames = layout.flows().map(|(traffic, flow)| match traffic {
            Traffic::NewDestinations => (0, flow),
            Traffic::NewSources | Traffic::NewSourcesPastRules(_) => (1, flow),
        });
        Ok(Workload::of_flows(
            &self.directions,
            FrameSize::Bytes(64),
            frames,
        )?)
    }
}

/// The overlay with as many peers as a verification looks at, behind an access list of so many rules if it is to have one.
///
/// # Errors
/// Where there are more rules than an access list has.
pub fn topology(peers: u32, rules: Option<u32>) -> Result<Topology, FlowsError> {
    let parameters = Parameters::new(peers, peers)?;
    Ok(match rules {
        None => Topology::parse("flow-setup.toml", TOPOLOGY, parameters)?,
        Some(rules) => {
            let parameters = parameters.with_rules(rules)?;
            Topology::parse("flow-setup-guarded.toml", GUARDED, parameters)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    fn any_layout() -> impl Strategy<Value = Layout> {
        let traffic = prop_oneof![Just(Traffic::NewDestinations), Just(Traffic::NewSources)];
        (traffic, 0u32..50, 0u32..20, 0u32..3, 3u32..6, 0u32..50).prop_map(
            |(traffic, installed, pairs, episodes, rounds, fresh)| Layout {
                traffic,
                installed,
                pairs,
                episodes,
                rounds,
                fresh,
            },
        )
    }

    proptest! {
        #[test]
        fn places_agree_with_the_list_and_only_pairs_and_episodes_repeat_a_flow(
            layout in any_layout(),
        ) {
            let flows: Vec<_> = layout.flows().collect();
            prop_assert_eq!(flows.len(), layout.frames() as usize);
            let mut frames_of: HashMap<u32, u32> = HashMap::new();
            for (_, flow) in &flows {
                *frames_of.entry(*flow).or_default() += 1;
            }
            let frames = |place: u32| frames_of[&flows[place as usize].1];
            for place in 0..layout.installed {
                prop_assert_eq!(frames(place), 1);
            }
            for pair in 0..layout.pairs {
                let place = layout.first_pair() + 2 * pair;
                prop_assert_eq!(flows[place as usize], flows[place as usize + 1]);
                prop_assert_eq!(frames(place), 2);
            }
            for episode in 0..layout.episodes {
                let place = layout.episode(episode);
                prop_assert_eq!(frames(place), layout.rounds);
                let asks = flows[(place + LEARNED_TOGETHER) as usize];
                prop_assert_eq!(asks, (Traffic::NewSources, flows[place as usize].1));
            }
            for place in layout.first_fresh()..layout.frames() {
                prop_assert_eq!(frames(place), 1);
                prop_assert_eq!(flows[place as usize].0, layout.traffic);
            }
        }
    }

    #[test]
    fn every_new_flow_has_an_address_of_its_own() {
        let past = Traffic::NewSourcesPastRules(996);
        for traffic in [Traffic::NewDestinations, Traffic::NewSources, past] {
            let flows = Flows::past(3, traffic.rules()).unwrap();
            let layout = Layout {
                traffic,
                installed: 1_000,
                pairs: 0,
                episodes: 0,
                rounds: 0,
                fresh: 20_000,
            };
            let workload = flows.workload(&layout).unwrap();
            assert_eq!(workload.entries.len(), 21_000);
            let inner_at = usize::from(workload.entries[0].inner_at);
            // Source and destination of the inner IPv4 header.
            let at = inner_at + 14 + 12;
            let addresses: HashSet<Vec<u8>> = workload
                .entries
                .iter()
                .map(|entry| zerocopy::IntoBytes::as_bytes(&entry.head)[at..at + 8].to_vec())
                .collect();
            assert_eq!(addresses.len(), 21_000, "{traffic:?}");
        }
    }
}
