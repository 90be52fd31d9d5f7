//! What flow setup leaves behind: the lines of `flow-setup.jsonl`.
//!
//! The first line is the header; the others follow as soon as something is known, so that a failure later loses
//! nothing. Tables, warnings and the picture are derived from them. Rates are in frames per second, which are flows
//! per second where every frame belongs to a new flow.

use super::flows::Traffic;
use super::learning::Learning;
use crate::lines::headed;
use crate::record::{DatapathInfo, Environment, Failure, Latency, PortType, Rate, Verification};
use datapath_api::SwitchCounters;
use serde::{Deserialize, Serialize};

/// Version of the file's schema; grows with every change that older readers would misread.
pub const SCHEMA: u32 = 1;
/// Name of the file in a run's folder.
pub const FILE: &str = "flow-setup.jsonl";

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// The first line.
    Header(Box<Header>),
    /// A datapath was checked against the oracle, before it was measured.
    Verification(Verification),
    /// One trial.
    Trial(TrialRecord),
    /// What the tester gets through a null forward where every frame is another flow's.
    Ceiling(Ceiling),
    /// What the trials of a datapath with so many flows installed come to.
    Cell(Box<Cell>),
    /// Something failed; the run went on.
    Failure(Failure),
}

/// What was asked for, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// When the run began: RFC 3339, UTC.
    pub started: String,
    /// The command that made it.
    pub command: Vec<String>,
    /// Seed of everything random in it.
    pub seed: u64,
    /// Name of the profile.
    pub profile: String,
    /// The machine.
    pub environment: Environment,
    /// Datapaths asked for, those that cannot run here included.
    pub datapaths: Vec<DatapathInfo>,
    /// Numbers of installed flows asked for.
    pub installed: Vec<u32>,
}

/// Why a trial was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The tester's ceiling.
    Ceiling,
    /// A pass over all flows that are to be installed.
    WarmUp,
    /// Whether flows installed first are held still.
    Held,
    /// Latency of first and second packets.
    Pairs,
    /// An episode of learning.
    Learning,
    /// A step of the rate search.
    Search,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Seconds since the run began.
    pub at_seconds: f64,
    /// The datapath; of a ceiling, the one whose ports it is the ceiling of.
    pub datapath: String,
    /// The direction in which flows are new.
    pub traffic: Traffic,
    /// Flows installed before.
    pub installed: u32,
    /// Why it was made.
    pub purpose: Purpose,
    /// Intended load.
    pub load: f64,
    /// Intended duration in seconds.
    pub duration_seconds: f64,
    /// Frames that should have been sent.
    pub intended: u64,
    /// Frames that were sent.
    pub offered: u64,
    /// Distinct frames that came back intact.
    pub received: u64,
    /// Frames that came back changed where they must not be.
    pub corrupted: u64,
    /// Frames that nobody of the tester sent.
    pub foreign: u64,
    /// Latency, where it was taken: of all frames, or of first packets.
    pub latency: Option<Latency>,
    /// Latency of second packets, where it was taken.
    pub second_latency: Option<Latency>,
    /// Processor time of the datapath in nanoseconds.
    pub datapath_cpu_ns: u64,
    /// Time the hypervisor took from the processors of the trial, in nanoseconds.
    pub steal_ns: u64,
    /// Round trip of a cache line between the processors of datapath and tester, before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ns: Option<[u32; 2]>,
    /// What disturbed the trial.
    pub disturbed: Option<String>,
    /// What a switch counted inside, where one forwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<Box<SwitchCounters>>,
}

impl TrialRecord {
    /// Share of the intended frames that did not come back.
    pub fn loss(&self) -> f64 {
        1.0 - self.received as f64 / self.intended.max(1) as f64
    }
}

/// What the tester gets through a null forward.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// On these ports.
    pub ports: PortType,
    /// The direction in which flows are new.
    pub traffic: Traffic,
    /// Frames per second, each of another flow.
    pub rate: f64,
}

/// How flows were installed beforehand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    /// Frames per second of a pass.
    pub load: f64,
    /// Passes over all flows.
    pub passes: u32,
    /// Loss of the last pass.
    pub loss: f64,
    /// Direct paths that the datapath has afterwards, where each flow has one.
    pub direct_paths: Option<u64>,
    /// Latency of the flows that were installed first, at the load at which first packets are measured.
    pub held: Option<Latency>,
}

/// What the trials of a datapath with so many flows installed come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The datapath.
    pub datapath: String,
    /// The ports it was measured on.
    pub ports: PortType,
    /// The direction in which flows are new.
    pub traffic: Traffic,
    /// Flows installed before.
    pub installed: u32,
    /// Why this step could not be measured; then there are no figures.
    pub unavailable: Option<String>,
    /// How flows were installed; `None` where there are none.
    pub warm_up: Option<WarmUp>,
    /// New flows per second with little loss.
    pub rate: Option<Rate>,
    /// Trials of the search.
    pub trials: u32,
    /// Those of them that were disturbed.
    pub disturbed: u32,
    /// What a switch counted inside during the search, all its trials together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<Box<SwitchCounters>>,
    /// Latency of the first packets of flows.
    pub first: Option<Latency>,
    /// Latency of the second packets of the same flows.
    pub second: Option<Latency>,
    /// First and second packets that did not come back.
    pub pairs_lost: u64,
    /// Whether the trial of pairs was disturbed.
    pub pairs_disturbed: bool,
    /// When direct paths were learned, where that was watched.
    pub learning: Option<Learning>,
}

/// Appends to `flow-setup.jsonl`.
pub type Log = headed::Log<Record>;
/// What a run left behind.
pub type Recorded = headed::Recorded<Header, Record>;

impl headed::Headed for Record {
    type Header = Header;
    const SCHEMA: u32 = SCHEMA;
    const FILE: &'static str = FILE;
    const COMMAND: &'static str = "bench flow-setup";

    fn into_header(self) -> Option<(u32, Header)> {
        match self {
            Self::Header(header) => Some((header.schema, *header)),
            _ => None,
        }
    }
}
