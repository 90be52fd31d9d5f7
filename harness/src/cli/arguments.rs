//! What can be said on the command line.

use crate::profile::Profile;
use crate::sockets::mtu::Mtu;
use crate::tester::FrameSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;
use topologies::catalogue;
use topologies::topology::{DirectPathState, Transport};

/// Compares datapaths of the Mizar overlay: proves that they forward alike, then measures them.
///
/// Exit codes: 0 all well, 1 something failed, 2 wrong usage or input, 3 a required datapath cannot run
/// here, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "bench", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// Log more: -v progress, -vv details, -vvv everything. The variable RUST_LOG overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How to print results.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How to print results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure datapaths and write a report.
    PerDatapath(Measure),
    /// Measure what datapaths do with flows that they have not seen before.
    FlowSetup(FlowSetup),
    /// Measure what sockets at the endpoints of an overlay get: TCP streams, requests and responses, connections.
    Sockets(Sockets),
    /// Measure what a frame costs in each stage of a datapath that carries the core, natively and as XDP programs.
    Stages(Stages),
    /// Check that datapaths forward as they must, without measuring.
    Verify(Verify),
    /// Send frames of a topology through a datapath, and print the flows that it has then, as ovs-dpctl does.
    DumpFlows(DumpFlows),
    /// Print a compose file that runs the droplets of a topology in containers, to be put beside docker/compose.yaml.
    Compose {
        /// The topology, by name or file: one from endpoint to endpoint.
        topology: String,
        #[command(flatten)]
        groups: Groups,
    },
    /// Be a droplet of an overlay, for a tester with --droplets; as a container of a topology runs.
    Droplet(Droplet),
    /// List datapaths and topologies.
    List,
    /// Say what this machine offers and lacks.
    Doctor,
    /// Write the report of a run again, from what it recorded.
    Report {
        /// The run's folder.
        run: PathBuf,
    },
    /// Say what became slower and what faster from one run to another. Exit code 1 if something became slower.
    Compare(Compare),
    /// Say where figures stepped up or down over a series of runs. Exit code 1 if the last step of one is down.
    Trend {
        /// A folder of runs' folders, such as results.
        runs: PathBuf,
        /// Only runs that began on this day or at this time (UTC, such as 2026-11-01 or 2026-11-01T12:00:00Z), or later: behind a
        /// step that is known.
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<String>,
    },
    /// Choose a datapath: which one keeps to what is asked, and is best by what counts, as a run shows.
    Decide(Decide),
    /// Answer the questions that people ask about these datapaths, with the figures of a gallery of runs, in Markdown.
    Questions {
        /// The gallery's folder, such as results.
        gallery: PathBuf,
    },
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub struct Measure {
    /// Measure this datapath; may be given several times. All that are measured by default if not given.
    #[arg(long = "datapath", value_name = "NAME")]
    pub datapaths: Vec<String>,
    #[command(flatten)]
    pub topologies: Topologies,
    /// How thoroughly to measure.
    #[arg(long, value_enum, default_value_t = Profile::Quick)]
    pub profile: Profile,
    /// Sizes of inner frames: 64 to 1518 bytes, frame check sequence included, or imix.
    #[arg(long = "frame-size", value_name = "BYTES", value_delimiter = ',')]
    pub frame_sizes: Vec<FrameSize>,
    /// Numbers of distinct flows, 1 to 1,000,000.
    #[arg(long, value_name = "COUNT", value_delimiter = ',')]
    pub flows: Vec<u32>,
    /// Numbers of endpoints of the topology, 1 to 65,537; one if not given, or what the topology says is usual.
    #[arg(long, value_name = "COUNT", value_delimiter = ',')]
    pub endpoints: Vec<u32>,
    /// Numbers of rules of each access list that no packet meets, where the topology leaves that open, as guarded does: 1 to 996.
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        default_value = "100"
    )]
    pub rules: Vec<u32>,
    #[command(flatten)]
    pub groups: Groups,
    /// Transport of inner packets, if not what the topology says.
    #[arg(long, value_enum)]
    pub transport: Option<TransportName>,
    /// Measure overlays only with flows that have found their direct path, or only with those that have not.
    #[arg(long, value_enum)]
    pub direct_path: Option<DirectPathName>,
    /// Leave out what may happen to an overlay (migration, deletion, failure of a host), and how flows find their direct path.
    #[arg(long)]
    pub no_events: bool,
    /// Seed of everything random; a random one if not given, and recorded.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Folder of the run; results/<time> if not given.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Fail if this datapath cannot run here; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub require: Vec<String>,
    /// Measure what failed verification too, and mark every figure of it.
    #[arg(long)]
    pub measure_anyway: bool,
    /// Have the droplets of overlays run elsewhere, as in containers: by the `bench droplet` that come to this folder.
    #[arg(long, value_name = "DIR")]
    pub droplets: Option<PathBuf>,
}

/// How many droplets of a kind there are, where the topology leaves that open.
#[derive(Debug, Clone, Copy, Args)]
pub struct Groups {
    /// Hosts of each network, where the topology leaves that open, as fan does: 1 to 128.
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub hosts: u32,
    /// Bouncers of each network, where the topology leaves that open: 1 to 128.
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub bouncers: u32,
    /// Dividers, where the topology leaves that open: 1 to 128.
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub dividers: u32,
}

#[derive(Debug, Args)]
pub struct Droplet {
    /// The droplet's name in the topology.
    #[arg(long)]
    pub name: String,
    /// The folder where the tester is met, which is its --droplets.
    #[arg(long, value_name = "DIR")]
    pub meeting: PathBuf,
}

#[derive(Debug, Args)]
pub struct Compare {
    /// The run before, or a folder of such runs.
    pub base: PathBuf,
    /// The run after, or a folder of such runs, made in turns with those before.
    pub run: PathBuf,
    /// By how much a figure may differ and be the same: 0.05 is 5 %.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub tolerance: f64,
}

#[derive(Debug, Args)]
pub struct Decide {
    /// What is asked: a file, or one of container-cluster, container-openflow, public-vpc, private-iaas and
    /// large-private-cloud.
    pub requirements: PathBuf,
    /// The run's folder, of `bench per-datapath`.
    pub run: PathBuf,
    /// Folder of a run of `bench flow-setup`, for what is asked of new flows.
    #[arg(long, value_name = "DIR")]
    pub flow_setup: Option<PathBuf>,
}

/// Which topologies.
#[derive(Debug, Args)]
pub struct Topologies {
    /// Only in this topology, by name or file; may be given several times. If not given: the profile's where it has some,
    /// else all of the catalogue with one droplet under test.
    #[arg(long = "topology", value_name = "NAME|FILE")]
    names: Vec<String>,
}

impl Topologies {
    /// Whether some are named.
    pub fn are_named(&self) -> bool {
        !self.names.is_empty()
    }

    /// Names or files of those that are.
    pub fn named(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// Names or files of those to take, for [`catalogue::find`].
    pub fn to_find(&self) -> Vec<&str> {
        if self.are_named() {
            self.named()
        } else {
            catalogue::ENTRIES.iter().map(|entry| entry.name).collect()
        }
    }
}

#[derive(Debug, Args)]
pub struct FlowSetup {
    /// Measure this datapath; may be given several times. All that are measured by default if not given.
    #[arg(long = "datapath", value_name = "NAME")]
    pub datapaths: Vec<String>,
    /// Numbers of flows that are installed before, 0 to 400,000; 0, 1,000, 10,000 and 100,000 if not given, or the
    /// first two with the profile smoke.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(0..=400_000))]
    pub installed: Vec<u32>,
    /// Instead of flows without access lists: flows from another network past access lists with so many rules that they do not
    /// meet, 1 to 996; several numbers show what rules cost.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=996))]
    pub rules: Vec<u32>,
    /// How thoroughly to measure; full is as standard.
    #[arg(long, value_enum, default_value_t = Profile::Quick)]
    pub profile: Profile,
    /// Seed of everything random; a random one if not given, and recorded.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Folder of the run; results/<time> if not given.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Fail if this datapath cannot run here; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub require: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Sockets {
    /// Measure this datapath; may be given several times. All that are measured by default if not given.
    #[arg(long = "datapath", value_name = "NAME")]
    pub datapaths: Vec<String>,
    /// Between the endpoints of this topology, by name or file: one without a droplet under test, such as direct, bounce
    /// or inter-network.
    #[arg(long, value_name = "NAME|FILE", default_value = "direct")]
    pub topology: String,
    /// How thoroughly to measure.
    #[arg(long, value_enum, default_value_t = Profile::Quick)]
    pub profile: Profile,
    /// Measure overlays only with flows that have found their direct path, or only with those that have not.
    #[arg(long, value_enum)]
    pub direct_path: Option<DirectPathName>,
    /// Streams that are measured together, beside one alone: 1 to 64.
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub streams: u16,
    /// The longest IP packet of an endpoint.
    #[arg(long, value_name = "BYTES", default_value_t = Mtu::ETHERNET)]
    pub endpoint_mtu: Mtu,
    /// The longest IP packet of the underlay: at least 114 bytes more.
    #[arg(long, value_name = "BYTES", default_value_t = Mtu::UNDERLAY)]
    pub underlay_mtu: Mtu,
    /// Folder of the run; results/<time> if not given.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Fail if this datapath cannot run here; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub require: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Stages {
    /// Measure this datapath; may be given several times. All that carry the core by themselves if not given.
    #[arg(long = "datapath", value_name = "NAME")]
    pub datapaths: Vec<String>,
    /// The droplet of this topology, by name or file.
    #[arg(long, value_name = "NAME|FILE", default_value = "vtep")]
    pub topology: String,
    /// How often everything is measured: 6 to 1,000, since fewer leave no interval.
    #[arg(long, value_name = "COUNT", default_value_t = 21, value_parser = clap::value_parser!(u32).range(6..=1_000))]
    pub rounds: u32,
    /// Folder of the run; results/<time> if not given.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DumpFlows {
    /// The datapath, by name.
    pub datapath: String,
    /// The topology, by name or file.
    pub topology: String,
    /// Number of distinct flows of its traffic, 1 to 1,000,000.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub flows: u32,
}

/// Transport of inner packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TransportName {
    Udp,
    Tcp,
}

impl From<TransportName> for Transport {
    fn from(name: TransportName) -> Self {
        match name {
            TransportName::Udp => Self::Udp,
            TransportName::Tcp => Self::Tcp,
        }
    }
}

/// Whether flows have found their direct path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DirectPathName {
    Off,
    On,
}

impl From<DirectPathName> for DirectPathState {
    fn from(name: DirectPathName) -> Self {
        match name {
            DirectPathName::Off => Self::Cold,
            DirectPathName::On => Self::Warm,
        }
    }
}

#[derive(Debug, Args)]
pub struct Verify {
    /// Verify this datapath; may be given several times. All that are measured by default if not given.
    #[arg(long = "datapath", value_name = "NAME")]
    pub datapaths: Vec<String>,
    #[command(flatten)]
    pub topologies: Topologies,
    /// Replay the golden vectors of this file, and nothing else unless a topology is given. Without either: those
    /// built in, and the oracle's corpus for every topology.
    #[arg(long, value_name = "FILE")]
    pub vectors: Option<PathBuf>,
    /// Fail if this datapath cannot run here; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub require: Vec<String>,
}

/// A day or a time in UTC, as RFC 3339 writes them.
fn time(text: &str) -> Result<String, String> {
    let like = |form: &str| {
        let alike = |(given, asked): (char, char)| match asked {
            '0' => given.is_ascii_digit(),
            other => given == other,
        };
        text.len() == form.len() && text.chars().zip(form.chars()).all(alike)
    };
    if like("0000-00-00") || like("0000-00-00T00:00:00Z") {
        Ok(text.to_owned())
    } else {
        Err("expected a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z".to_owned())
    }
}
