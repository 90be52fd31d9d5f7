//! What a run leaves behind: the types of `run.json` and of the lines of `trials.jsonl`.
//!
//! `run.json` is written once, before anything is measured. `trials.jsonl` grows by one line as soon as
//! something is known, so that a failure later loses nothing. Tables, statistics and pictures are derived
//! from the two. Rates are in frames per second, times in nanoseconds unless a name says otherwise.

mod machine;

use crate::overlay::Ages;
pub use datapath_api::{Counters, Cycles, Missing, Needs, Polling, PortType, SwitchCounters};
pub use machine::{DropletHome, Environment};
use ranking::{Tolerance, Tournament};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use topologies::provision::Extensions;
pub use topologies::topology::EventKind;
use topologies::topology::{DirectPathState, HealthTiming};

/// Version of the two files' schema; grows with every change that older readers would misread.
pub const SCHEMA: u32 = 6;

/// `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// When the run began: RFC 3339, UTC.
    pub started: String,
    /// The command that made it.
    pub command: Vec<String>,
    /// Seed of everything random in it.
    pub seed: u64,
    /// Name of the profile: smoke, quick, standard, full.
    pub profile: String,
    /// The machine.
    pub environment: Environment,
    /// Datapaths asked for, those that cannot run here included.
    pub datapaths: Vec<DatapathInfo>,
    /// What is measured of each.
    pub scenarios: Vec<Scenario>,
    /// How datapaths are measured against each other, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// How datapaths are measured against each other: see `RANKING.md`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// By how much two may differ and still be equivalent.
    pub tolerance: Tolerance,
    /// Probability that any verdict in a scenario, on ports of one kind, is wrong.
    pub error: f64,
    /// Width of the search in a round, as a share of what it finds.
    pub width: f64,
    /// Length of a trial in seconds.
    pub trial_seconds: f64,
}

impl Comparison {
    /// A tournament of so many datapaths. The run lets it say who is measured in the next round, and the report carries it
    /// out again from what was recorded.
    #[must_use]
    pub fn tournament(&self, contestants: usize) -> Tournament {
        Tournament::new(contestants, self.tolerance, self.error, self.width)
    }
}

/// A datapath of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatapathInfo {
    /// Its name.
    pub name: String,
    /// What it is, in one line.
    pub summary: String,
    /// What it is made of here.
    pub version: String,
    /// The ports it was measured on.
    pub ports: PortType,
    /// The datapath that it is, on ports that it is not made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_of: Option<String>,
    /// Where its packets lawfully differ from Mizar's, each as its name, a colon and a sentence.
    pub declared_differences: Vec<String>,
    /// Whether it spins while idle.
    pub polls_busily: bool,
    /// What it asks of a host; absent from runs of schema 3 and before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// What is missing to run it here; empty if it was measured.
    pub missing: Vec<Missing>,
}

/// A topology under a workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Unique within the run, like `encap/64B/1-flow`.
    pub id: String,
    /// The topology.
    pub topology: String,
    /// What the topology is, in one line.
    pub summary: String,
    /// Endpoints of it.
    pub endpoints: u32,
    /// Distinct flows of the workload.
    pub flows: u32,
    /// Inner frame size as the field counts it, with frame check sequence: bytes, or `IMIX`.
    pub frame: String,
    /// Inner transport: UDP or TCP.
    pub transport: String,
    /// Rules of the longest access list, where networks have some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<u32>,
    /// The overlay, where packets go from endpoint to endpoint by several droplets with a datapath each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<OverlayInfo>,
    /// Whether flows have found their direct path, where the topology is measured with it and without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_path: Option<DirectPathState>,
}

/// The droplets of an overlay, and how packets go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayInfo {
    /// The droplets.
    pub droplets: Vec<OverlayDroplet>,
    /// The ways that flows take, as positions among the droplets; each once.
    pub ways: Vec<Vec<usize>>,
}

/// A droplet of an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayDroplet {
    /// Its name.
    pub name: String,
    /// Its datapath, if it is not the one that is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datapath: Option<String>,
    /// Where it stands on the longest way: 0 hosts the source, 1 is a bouncer of its network, 2 a divider, 3 a bouncer of
    /// the destination's network, and 4 hosts the destination.
    pub stage: u8,
}

/// A line of `trials.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// A datapath was checked against the oracle, before it was measured.
    Verification(Verification),
    /// One trial.
    Trial(TrialRecord),
    /// What the trials of one datapath in one round of a comparison come to.
    Round(RoundRecord),
    /// What the trials of one datapath in one scenario come to.
    Result(ResultRecord),
    /// What packets suffered while something happened to an overlay.
    Event(EventRecord),
    /// How flows found their direct path.
    Learning(LearningRecord),
    /// Something failed; the run went on.
    Failure(Failure),
}

/// Outcome of the conformance check of one datapath in one scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The datapath.
    pub datapath: String,
    /// The scenario.
    pub scenario: String,
    /// Frames that came out as the oracle says.
    pub passed: u64,
    /// Frames that did not, described; at most the first ten.
    pub failures: Vec<String>,
    /// Why not all could be checked: the datapath could not be set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// Frames that a declared difference puts outside the contract: how many, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub excused: BTreeMap<String, u64>,
}

/// Why a trial was made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "purpose", rename_all = "kebab-case")]
pub enum Purpose {
    /// The tester's own ceiling: the same ports with a null forward between them.
    Ceiling,
    /// A step of the rate search.
    Search,
    /// Latency at a share of PDR.
    Latency {
        /// Percent of PDR.
        percent_of_pdr: u8,
    },
    /// A step of the short search in a round of a comparison.
    Comparison {
        /// The round, counted from zero.
        round: u32,
    },
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Counted from zero through the run.
    pub number: u64,
    /// Seconds since the run began.
    pub at_seconds: f64,
    /// The datapath; for a ceiling, the one whose ports it is the ceiling of.
    pub datapath: String,
    /// The scenario.
    pub scenario: String,
    /// Why it was made.
    #[serde(flatten)]
    pub purpose: Purpose,
    /// Intended load over all directions.
    pub load: f64,
    /// Intended duration in seconds.
    pub duration_seconds: f64,
    /// How long it really took, in seconds.
    pub effective_seconds: f64,
    /// Frames that should have been sent.
    pub intended: u64,
    /// Frames that were sent.
    pub offered: u64,
    /// Distinct frames that came back intact.
    pub received: u64,
    /// Frames that came more than once.
    pub duplicates: u64,
    /// Frames that came after a later one.
    pub reordered: u64,
    /// Frames that came back changed where they must not be.
    pub corrupted: u64,
    /// Frames that nobody of the tester sent.
    pub foreign: u64,
    /// Latency from the intended send time, if it was taken.
    pub latency: Option<Latency>,
    /// Processor time of the datapath, over the trial and what it takes to start and end it: one that polls busily
    /// has more of it than the trial lasts.
    pub datapath_cpu_ns: u64,
    /// Time the datapath was ready to run and waited.
    pub datapath_wait_ns: u64,
    /// Processor time of the tester.
    pub tester_cpu_ns: u64,
    /// Time the hypervisor took from the two processors.
    pub steal_ns: u64,
    /// Round trip of a cache line between the processors of datapath and tester, before the trial and after it. A hypervisor
    /// moves virtual processors, and frames that are handed from one to the other cost up to twice as much then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ns: Option<[u32; 2]>,
    /// The class of that distance: trials of a run with one number are alike in it. A trial in which it changed does not count.
    #[serde(default)]
    pub distance: u32,
    /// What the datapath counted during the trial.
    pub counters: Option<Counters>,
    /// What disturbed the trial.
    pub disturbed: Option<String>,
    /// It was disturbed and made again, so that it does not count. One that is disturbed each time counts.
    #[serde(default)]
    pub repeated: bool,
    /// Each droplet's part, where packets go from endpoint to endpoint by several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop>,
}

/// A droplet's part in a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The droplet.
    pub droplet: String,
    /// Packets that the underlay brought it.
    pub arrived: u64,
    /// Processor time of its threads.
    pub cpu_ns: u64,
    /// How old frames were when the underlay brought them, in a trial for latency.
    #[serde(default)]
    pub ages: Ages,
}

impl Hop {
    /// What it did since `earlier`.
    #[must_use]
    pub fn since(self, earlier: &Self) -> Self {
        Self {
            arrived: self.arrived.saturating_sub(earlier.arrived),
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            ages: self.ages.since(earlier.ages),
            ..self
        }
    }
}

/// A trial through which something happened to an overlay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// The datapath.
    pub datapath: String,
    /// The scenario.
    pub scenario: String,
    /// What happened,
    pub event: EventKind,
    /// and to whom.
    pub description: String,
    /// What droplets did that Mizar designed and has not built.
    #[serde(default)]
    pub extensions: Extensions,
    /// When hosts asked each other whether they are alive, if they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthTiming>,
    /// Frames per second.
    pub load: f64,
    /// Frames that were due in a round.
    pub frames_a_round: u32,
    /// Milliseconds of a round.
    pub round_ms: f64,
    /// When it began, in milliseconds since the first frame was due.
    pub at_ms: f64,
    /// When the control plane had done all it does.
    pub done_ms: f64,
    /// What was done.
    pub steps: Vec<EventStep>,
    /// Frames that arrived, by the round in which they were due.
    pub received: Vec<u32>,
    /// Frames that came more than once.
    pub duplicates: u64,
    /// Frames that came back changed where they must not be.
    pub corrupted: u64,
    /// Frames that nobody of the tester sent.
    pub foreign: u64,
    /// Time the hypervisor took from the processors meanwhile.
    #[serde(default)]
    pub steal_ns: u64,
    /// Round trip of a cache line between the processors of datapath and tester, before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ns: Option<[u32; 2]>,
    /// Frames were lost before it began, so that it was watched again and does not count. One before which some are lost each
    /// time counts.
    #[serde(default)]
    pub repeated: bool,
    /// Packets that crossed the underlay until it began,
    pub crossed_before: u64,
    /// and from then to the end.
    pub crossed_after: u64,
}

/// A trial in which flows that go both ways find their direct path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningRecord {
    /// The datapath.
    pub datapath: String,
    /// The scenario.
    pub scenario: String,
    /// Frames per second, both ways together.
    pub load: f64,
    /// Frames sent.
    pub offered: u64,
    /// Frames that arrived.
    pub received: u64,
    /// Frames that left their host by another way than the direct one.
    pub by_detour: u64,
    /// Milliseconds from when the first frame was due until the last packet went by a way that is not the direct one.
    pub until_ms: f64,
    /// Milliseconds that were watched.
    pub watched_ms: f64,
}

/// Something that is done in an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventStep {
    /// What sort of step.
    #[serde(default)]
    pub kind: StepKind,
    /// The droplet that it is about.
    #[serde(default)]
    pub about: String,
    /// What.
    pub what: String,
    /// When it began, in milliseconds since the first frame was due.
    pub at_ms: f64,
    /// How long it took.
    pub took_ms: f64,
}

/// A sort of step of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// The control plane gave a droplet new tables.
    #[default]
    Told,
    /// A host died.
    Died,
    /// A droplet found out that a host is dead, and keeps away from it,
    FoundDead,
    /// or that it is alive again.
    FoundAlive,
}

/// Latency of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Frames measured.
    pub count: u64,
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// Maximum.
    pub max_ns: u64,
    /// The whole histogram: lower bound of a bucket and the count in it, ascending, empty buckets left
    /// out. A bucket is at most 1/1024 of its lower bound wide, and 1/64 in trials of rounds.
    pub histogram: Vec<(u64, u64)>,
}

impl Latency {
    /// With those buckets as one that lie within 1/64 of the first of them. The percentiles are as they were.
    #[must_use]
    pub fn in_wide_buckets(self) -> Self {
        let mut histogram: Vec<(u64, u64)> = Vec::new();
        for (bound, count) in self.histogram {
            match histogram.last_mut() {
                Some((first, sum)) if bound.saturating_sub(*first) <= *first / 64 => *sum += count,
                _ => histogram.push((bound, count)),
            }
        }
        Self { histogram, ..self }
    }
}

/// What a rate search came to for one goal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// NDR or PDR.
    pub goal: String,
    /// Loss ratio the goal allows.
    pub loss_ratio: f64,
    /// Relevant lower bound.
    pub lower: Option<f64>,
    /// Relevant upper bound.
    pub upper: Option<f64>,
    /// Conditional throughput: the figure to report.
    pub throughput: Option<f64>,
    /// Why the result is not regular, in words.
    pub irregular: Option<String>,
}

/// What the trials of one datapath in one scenario come to, with processors at one distance. There is one for each distance that
/// its search met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultRecord {
    /// The datapath.
    pub datapath: String,
    /// The scenario.
    pub scenario: String,
    /// The ports it was measured on.
    pub ports: PortType,
    /// Measured although it failed verification: no figure of it can be trusted.
    pub unverified: bool,
    /// How far apart the processors of datapath and tester were: see [`TrialRecord::distance`].
    #[serde(default)]
    pub distance: u32,
    /// Round trip of a cache line between them before the first trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ns: Option<u64>,
    /// The tester's ceiling on these ports.
    pub ceiling: Option<f64>,
    /// The rates found, strictest goal first.
    pub rates: Vec<Rate>,
    /// The fastest trial that kept to PDR's loss.
    pub fastest: Option<Fastest>,
    /// The same of a null forward on these ports: what the ports cost without any datapath.
    pub null_forward: Option<Fastest>,
    /// Share of a processor that its threads took while there was no frame to forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<f64>,
}

/// One trial, the fastest that kept to PDR's loss. A rate search asks for more than one trial at a load, so that
/// what it finds may lie below.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fastest {
    /// Frames that came back per second.
    pub rate: f64,
    /// Processor time of the datapath for each. Of one that polls without end, says when it found frames, and needs no
    /// other thread (on vhost-user ports), only the time of rounds that found some.
    pub cpu_ns_per_frame: f64,
    /// Share of its processor that the datapath took: 1 is all of it. Of one that polls, as above.
    pub busy: f64,
    /// The same as `cpu_ns_per_frame` in cycles of the time stamp counter, where it is of such rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles_per_frame: Option<f64>,
}

/// What a datapath carried in one round of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundRecord {
    /// The datapath.
    pub datapath: String,
    /// The scenario.
    pub scenario: String,
    /// The round, counted from zero.
    pub round: u32,
    /// How far apart the processors of datapath and tester were: see [`TrialRecord::distance`]. Rounds are compared with those of
    /// the same number alone. Where it cannot be told, all are of one.
    #[serde(default)]
    pub distance: u32,
    /// Round trip of a cache line between them before the first trial of the round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ns: Option<u64>,
    /// Conditional throughput at PDR's loss, where each trial decides alone.
    pub throughput: f64,
    /// Processor time of the datapath for each frame, in the fastest of these trials within PDR's loss; see [`Fastest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns_per_frame: Option<f64>,
    /// 99th percentile of latency, from the intended send time, in a trial at half the rate that was found before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<u64>,
}

/// Something that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The datapath.
    pub datapath: String,
    /// The scenario.
    pub scenario: String,
    /// What failed, and what to do about it.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_buckets_keep_count_order_and_percentiles() {
        let narrow = Latency {
            count: 10,
            p50_ns: 6_450,
            p90_ns: 6_600,
            p99_ns: 90_000,
            p999_ns: 90_000,
            max_ns: 90_000,
            histogram: vec![
                (0, 1),
                (1, 1),
                (6_400, 2),
                (6_450, 2),
                (6_500, 1),
                (6_501, 2),
                (90_000, 1),
            ],
        };
        let wide = narrow.clone().in_wide_buckets();
        assert_eq!(
            wide.histogram,
            [(0, 1), (1, 1), (6_400, 5), (6_501, 2), (90_000, 1)]
        );
        let histogram = narrow.histogram.clone();
        assert_eq!(Latency { histogram, ..wide }, narrow);
    }
}
