//! What a run of `bench sockets` leaves behind: the lines of `sockets.jsonl`.
//!
//! The first line is the header; the others follow as soon as something is known, so that a failure later loses nothing.
//! Tables, ratios, warnings and the picture are derived from them.

use super::mtu::{Mtu, Mtus};
use crate::lines::headed;
use crate::record::{DatapathInfo, Environment, Hop, Latency};
use serde::{Deserialize, Serialize};
use topologies::topology::DirectPathState;

/// Version of the file's schema; grows with every change that older readers would misread.
pub const SCHEMA: u32 = 1;
/// Name of the file in a run's folder.
pub const FILE: &str = "sockets.jsonl";

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// The first line.
    Header(Box<Header>),
    /// What was looked at before a visit was measured.
    Checked {
        /// Where and when.
        #[serde(flatten)]
        visit: Visit,
        /// What was found.
        #[serde(flatten)]
        checked: Checked,
    },
    /// A job was measured.
    Sample(Box<Sample>),
    /// A job was measured by another program.
    CrossCheck(CrossCheck),
    /// A visit failed; the run went on without this datapath in this state.
    Failed(Failed),
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
    /// Name of the profile.
    pub profile: String,
    /// The machine.
    pub environment: Environment,
    /// Datapaths asked for, those that cannot run here or have no veth ports included.
    pub datapaths: Vec<DatapathInfo>,
    /// The topology.
    pub topology: String,
    /// What the topology is, in one line.
    pub summary: String,
    /// The states of the direct path in which it is measured.
    pub states: Vec<DirectPathState>,
    /// Whether client and server are in one network, so that one finds the other by ARP.
    pub one_network: bool,
    /// The longest packets, at endpoints and on the underlay.
    pub mtus: Mtus,
    /// Streams that are measured together, beside one alone.
    pub streams: u16,
    /// How often everything is measured.
    pub rounds: u32,
    /// Programs of the cross-check.
    pub programs: Vec<ProgramInfo>,
    /// Seconds for which each job is measured.
    pub window_seconds: f64,
}

/// A program that measures the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramInfo {
    /// What it is called.
    pub name: String,
    /// What provides it, if it is not here.
    pub remedy: Option<String>,
}

/// One deployment, in which every job is measured once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The round, counted from one.
    pub round: u32,
    /// What is between client and server; `None` for a veth pair without an overlay.
    pub datapath: Option<String>,
    /// Whether flows have found their direct path; of an overlay.
    pub direct_path: Option<DirectPathState>,
}

/// What was found before a visit was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Bytes of the longest IP packet that came back.
    pub full_size: Mtu,
    /// Bytes that arrived as they were sent.
    pub bytes: u64,
    /// The fewest TCP segments that carry them.
    pub segments: u64,
    /// Packets that went from droplet to droplet meanwhile, where they must: the fewest of a step.
    pub on_the_way: Option<u64>,
    /// Packets that went from droplet to droplet elsewhere.
    pub elsewhere: Option<u64>,
}

/// A job that another program measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossCheck {
    /// Where and when.
    #[serde(flatten)]
    pub visit: Visit,
    /// What.
    #[serde(flatten)]
    pub job: Job,
    /// Its name.
    pub program: String,
    /// Bits, requests or connections a second.
    pub rate: Option<f64>,
    /// Why there is no such figure.
    pub failed: Option<String>,
}

/// A visit that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Where and when.
    #[serde(flatten)]
    pub visit: Visit,
    /// What was done, in a few words.
    pub doing: String,
    /// What failed, and what to do about it.
    pub reason: String,
}

/// What client and server do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "kebab-case")]
pub enum Job {
    /// TCP streams from client to server, as fast as they go.
    Streams {
        /// How many.
        streams: u16,
    },
    /// A request of a byte, and its response of a byte, one after the other on one connection.
    RequestResponse,
    /// The same, each on a connection of its own, one after the other.
    Connections,
}

impl Job {
    /// Threads of the client.
    pub fn clients(self) -> u32 {
        match self {
            Self::Streams { streams } => streams.into(),
            Self::RequestResponse | Self::Connections => 1,
        }
    }

    /// What it is, for people.
    pub fn words(self) -> String {
        match self {
            Self::Streams { streams: 1 } => "1 stream".to_owned(),
            Self::Streams { streams } => format!("{streams} streams"),
            Self::RequestResponse => "request and response".to_owned(),
            Self::Connections => "connections".to_owned(),
        }
    }

    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Streams { .. } => "waiting for data",
            Self::RequestResponse => "waiting for a response",
            Self::Connections => "connecting again and again",
        }
    }
}

/// A job that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the run began.
    pub at_seconds: f64,
    /// Where and when.
    #[serde(flatten)]
    pub visit: Visit,
    /// What.
    #[serde(flatten)]
    pub job: Job,
    /// Seconds for which it was measured.
    pub seconds: f64,
    /// Bytes that arrived, requests that were answered, or connections that came to their end.
    pub count: u64,
    /// From a request to its response, or from connecting to the end.
    pub latency: Option<Latency>,
    /// Segments that streams sent again, from their beginning to their end.
    pub retransmitted: Option<u64>,
    /// Processor time of client and server in nanoseconds, with what the kernel does on their behalf and to receive for
    /// them.
    pub endpoints_cpu_ns: u64,
    /// Each droplet's part; none without an overlay.
    pub hops: Vec<Hop>,
    /// Time the hypervisor took from the processors, in nanoseconds.
    pub steal_ns: u64,
    /// Round trip of a cache line between the processors of datapath and tester, before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ns: Option<[u32; 2]>,
    /// What disturbed it.
    pub disturbed: Option<String>,
}

impl Sample {
    /// Bits, requests or connections a second.
    pub fn rate(&self) -> f64 {
        let unit = match self.job {
            Job::Streams { .. } => 8.0,
            Job::RequestResponse | Job::Connections => 1.0,
        };
        unit * self.count as f64 / self.seconds
    }

    /// Processor time of all droplets together, in nanoseconds.
    pub fn datapath_cpu_ns(&self) -> u64 {
        self.hops.iter().map(|hop| hop.cpu_ns).sum()
    }
}

/// Appends to `sockets.jsonl`.
pub type Log = headed::Log<Record>;
/// What a run left behind.
pub type Recorded = headed::Recorded<Header, Record>;

impl headed::Headed for Record {
    type Header = Header;
    const SCHEMA: u32 = SCHEMA;
    const FILE: &'static str = FILE;
    const COMMAND: &'static str = "bench sockets";

    fn into_header(self) -> Option<(u32, Header)> {
        match self {
            Self::Header(header) => Some((header.schema, *header)),
            _ => None,
        }
    }
}
