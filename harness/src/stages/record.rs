//! What a run of `bench stages` leaves behind: the lines of `stages.jsonl`.

use crate::lines::headed;
use crate::record::{DatapathInfo, Environment};
use datapath_api::{Decision, Stage};
use serde::{Deserialize, Serialize};
use topologies::provision::Port;

/// Version of the file's schema; grows with every change that older readers would misread.
pub const SCHEMA: u32 = 1;
/// Name of the file in a run's folder.
pub const FILE: &str = "stages.jsonl";

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// The first line.
    Header(Box<Header>),
    /// Frames went as far as a stage.
    Sample(Sample),
    /// Frames went through a device, live.
    Live(Live),
    /// A datapath failed; the run went on without it.
    Failed {
        /// Its name.
        datapath: String,
        /// What failed, and what to do about it.
        reason: String,
    },
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
    /// The machine.
    pub environment: Environment,
    /// Datapaths that were measured.
    pub datapaths: Vec<DatapathInfo>,
    /// The topology.
    pub topology: String,
    /// Bytes of the inner frame, without frame check sequence.
    pub frame_bytes: usize,
    /// How often everything is measured.
    pub rounds: u32,
    /// Cycles of the time stamp counter in a nanosecond, if it has one.
    pub cycles_per_ns: Option<f64>,
    /// Frames a second of live trials.
    pub live_load: f64,
}

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// From an endpoint to the uplink.
    Leaving,
    /// From the uplink to an endpoint.
    Arriving,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Leaving, Self::Arriving];

    /// Of what comes by `port`.
    pub fn of(port: Port) -> Self {
        match port {
            Port::Endpoint(_) => Self::Leaving,
            Port::Uplink => Self::Arriving,
        }
    }
}

/// Frames went as far as a stage, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The round, counted from one.
    pub round: u32,
    /// The datapath.
    pub datapath: String,
    /// Which way they went.
    pub way: Way,
    /// How it was found out where.
    pub decision: Decision,
    /// How far they got.
    pub stage: Stage,
    /// How many.
    pub frames: u32,
    /// How long all of them took, in nanoseconds.
    pub ns: u64,
}

/// Frames went through a device at a constant load, from a tester and back to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// The round, counted from one.
    pub round: u32,
    /// The datapath; `None` for a null forward, which redirects frames and does nothing else.
    pub datapath: Option<String>,
    /// Frames that were to be sent.
    pub intended: u64,
    /// Frames that came back.
    pub frames: u64,
    /// What disturbed it.
    pub disturbed: Option<String>,
    /// Processor time of the receiving threads, in nanoseconds.
    pub cpu_ns: u64,
    /// Round trip of a cache line between the processors of datapath and tester before it and after it, in nanoseconds.
    #[serde(default)]
    pub round_trip_ns: Option<[u32; 2]>,
}

/// Appends to `stages.jsonl`.
pub type Log = headed::Log<Record>;
/// What a run left behind.
pub type Recorded = headed::Recorded<Header, Record>;

impl headed::Headed for Record {
    type Header = Header;
    const SCHEMA: u32 = SCHEMA;
    const FILE: &'static str = FILE;
    const COMMAND: &'static str = "bench stages";

    fn into_header(self) -> Option<(u32, Header)> {
        match self {
            Self::Header(header) => Some((header.schema, *header)),
            _ => None,
        }
    }
}
