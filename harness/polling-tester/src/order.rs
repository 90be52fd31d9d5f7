//! What to offer and watch, and what came of it.

use mizar_wire::Ipv4;
use serde::{Deserialize, Serialize};
use workload::{ANYWHERE, ROUNDS, SinkState, histogram};

/// What a sink watches beside counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watch {
    /// Nothing.
    Counts,
    /// Latency of all frames.
    Latency,
    /// Latency of even and of odd frames, counted from zero, apart.
    PairLatency,
    /// Which frames leave by the uplink straight to `host`, counted by rounds of as many frames each. Rounds from
    /// [`ROUNDS`] on are not counted.
    DirectPath {
        /// Frames of a round, on all ports together; at least one.
        round: u32,
        /// Outer destination of the direct path.
        host: Ipv4,
    },
    /// How many frames of each round arrive, of as many frames each. Rounds from [`ROUNDS`] on are not counted.
    Series {
        /// Frames of a round; at least one.
        round: u32,
    },
}

impl Watch {
    /// How many histograms of latency it takes.
    pub const fn histograms(self) -> u32 {
        match self {
            Self::Counts | Self::DirectPath { .. } | Self::Series { .. } => 0,
            Self::Latency => 1,
            Self::PairLatency => histogram::HISTOGRAMS,
        }
    }

    /// How many rounds are counted.
    pub const fn rounds(self) -> u32 {
        match self {
            Self::DirectPath { .. } | Self::Series { .. } => ROUNDS,
            _ => 0,
        }
    }

    /// What a sink is told of it: outer destination and frames of a round.
    pub fn direct_path(self) -> (u32, u32) {
        match self {
            Self::DirectPath { round, host } => (host.raw(), round.max(1)),
            Self::Series { round } => (ANYWHERE, round.max(1)),
            _ => (0, 0),
        }
    }
}

/// What to offer in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Frames per second, over all ports; more than zero.
    pub frames_per_second: f64,
    /// From when the first frame is due until none is sent any more.
    pub nanoseconds: u64,
    /// Entry of the workload that comes first; the others follow in order, and from the last on to the first.
    pub first_entry: u32,
    /// What to watch.
    pub watch: Watch,
}

/// What was counted in a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Frames that should have been sent.
    pub intended: u64,
    /// Frames that were sent, or lost at a port that was full.
    pub offered: u64,
    /// What came back, over all ports.
    pub arrived: SinkState,
    /// As many histograms of latency as were asked for; see [`occupied`].
    pub latency: Vec<Vec<(u64, u64)>>,
    /// Frames that took the direct path, by round, if that was watched.
    pub direct: Vec<u64>,
    /// Nanoseconds that the thread ran.
    pub running: u64,
    /// Nanoseconds that it was ready to run and waited for other work of the machine.
    pub waiting: u64,
    /// Nanoseconds from when the first frame was due until nothing can be under way any more.
    pub effective: u64,
}

/// The buckets of a [`histogram`] that hold anything, ascending: the smallest nanoseconds of each, and its count.
pub fn occupied(counts: &[u64]) -> Vec<(u64, u64)> {
    (0u32..)
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(bucket, count)| (histogram::lower_bound(bucket), *count))
        .collect()
}
