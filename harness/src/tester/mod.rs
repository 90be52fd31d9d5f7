//! The tester: offers a workload to a droplet's ports, open loop, and judges what comes back.
//!
//! The veth tester works in the kernel, the ring tester in this process, the DPDK tester in one of its own; all send the
//! same [`Workload`] and count alike.

mod dpdk;
mod null_forward;
mod ring;
mod veth;
mod workload;

pub use dpdk::{DpdkTester, WaitingDpdkTester};
pub use null_forward::NullForward;
pub use polling_tester::Watch;
pub use ring::RingTester;
pub(crate) use veth::load;
pub use veth::{VethTester, bare_and_generator};
pub use workload::{FrameSize, PortPlan, Workload};

use crate::record::Latency;
use crate::search::Pps;
use ::workload::SinkState;
use netdev::{Cpu, CpuTime};
use polling_tester::{Order, Outcome};
use std::time::Duration;

/// What can go wrong while testing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A device could not be set up.
    #[error(transparent)]
    Device(#[from] netdev::Error),
    /// The tester's programs could not be loaded.
    #[error("the tester's programs: {0}")]
    Bpf(#[from] bpf_load::Error),
    /// The tester's programs were not built.
    #[error(
        "the tester's BPF programs were not built; `cargo xtask bench` installs what is missing"
    )]
    NoPrograms,
    /// The process that tests.
    #[error("the tester: {0}")]
    Process(#[from] datapath_api::Error),
    /// The generator stopped by itself.
    #[error("the generator stopped: {0}")]
    Generator(String),
    /// A workload that the tester cannot offer.
    #[error("{0}")]
    Workload(String),
}

/// Where a tester's parts run.
#[derive(Debug, Clone, Copy)]
pub struct TesterCpus {
    /// The generator.
    pub generator: Cpu,
    /// The sinks.
    pub sinks: Cpu,
}

/// What to offer in a trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// Frames per second.
    pub load: Pps,
    /// For how long.
    pub duration: Duration,
    /// Entry of the workload that comes first; the others follow in order, and from the last on to the first.
    pub first_entry: u32,
    /// What to watch.
    pub watch: Watch,
}

impl Offer {
    /// The same as a tester that polls is told.
    fn order(&self) -> Order {
        Order {
            frames_per_second: self.load.get(),
            nanoseconds: self.duration.as_nanos() as u64,
            first_entry: self.first_entry,
            watch: self.watch,
        }
    }
}

impl From<Outcome> for Report {
    /// What a tester that polls says.
    fn from(outcome: Outcome) -> Self {
        let [latency, odd_latency] = summarise_all(outcome.latency);
        let cpu = CpuTime {
            running: Duration::from_nanos(outcome.running),
            waiting: Duration::from_nanos(outcome.waiting),
        };
        Self {
            intended: outcome.intended,
            offered: outcome.offered,
            arrived: outcome.arrived,
            latency,
            odd_latency,
            direct: outcome.direct,
            began: 0,
            cpu,
            stalled: Some(cpu.waiting),
            effective: Duration::from_nanos(outcome.effective),
        }
    }
}

/// A tester connected to a droplet.
pub trait Tester {
    /// Carries out `offer`, waits for what is still under way, and counts.
    ///
    /// # Errors
    /// Where the tester itself fails; loss is a result, not an error.
    fn offer(&mut self, offer: &Offer) -> Result<Report, Error>;

    /// Offers `load` for `duration`, from the first entry on.
    ///
    /// # Errors
    /// As [`Tester::offer`].
    fn trial(&mut self, load: Pps, duration: Duration, latency: bool) -> Result<Report, Error> {
        self.offer(&Offer {
            load,
            duration,
            first_entry: 0,
            watch: if latency {
                Watch::Latency
            } else {
                Watch::Counts
            },
        })
    }
}

/// What a tester counted in one trial.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Frames that should have been sent.
    pub intended: u64,
    /// Frames that were sent.
    pub offered: u64,
    /// What came back, over all ports.
    pub arrived: SinkState,
    /// Latency, if it was taken: of all frames, or of even ones.
    pub latency: Option<Latency>,
    /// Latency of odd frames, if it was taken apart.
    pub odd_latency: Option<Latency>,
    /// Frames that took the direct path, or all that arrived, by round, if that was watched.
    pub direct: Vec<u64>,
    /// When the first frame was due, in nanoseconds of CLOCK_MONOTONIC; zero if the tester does not say.
    pub began: u64,
    /// Processor time of the tester, generator and sinks together.
    pub cpu: CpuTime,
    /// Time that the tester was ready to run and waited for other work of the machine. Only known where it is one
    /// thread: several wait for each other.
    pub stalled: Option<Duration>,
    /// How long the trial took.
    pub effective: Duration,
}

/// Sums what two ports counted.
fn add(total: &mut SinkState, port: &SinkState) {
    total.received += port.received;
    total.bytes += port.bytes;
    total.duplicates += port.duplicates;
    total.reordered += port.reordered;
    total.corrupted += port.corrupted;
    total.foreign += port.foreign;
}

/// Percentiles of a histogram: the smallest value of a bucket, and the count in it, ascending.
pub(crate) fn summarise(histogram: Vec<(u64, u64)>) -> Latency {
    let count: u64 = histogram.iter().map(|(_, count)| count).sum();
    // The smallest value that at least this share of the frames does not exceed.
    let percentile = |share: f64| {
        let rank = ((count as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        histogram
            .iter()
            .find(|(_, in_bucket)| {
                below += in_bucket;
                below >= rank
            })
            .map_or(0, |(value, _)| *value)
    };
    Latency {
        count,
        p50_ns: percentile(0.50),
        p90_ns: percentile(0.90),
        p99_ns: percentile(0.99),
        p999_ns: percentile(0.999),
        max_ns: histogram.last().map_or(0, |(value, _)| *value),
        histogram,
    }
}

/// Percentiles of as many histograms as were taken.
fn summarise_all(histograms: impl IntoIterator<Item = Vec<(u64, u64)>>) -> [Option<Latency>; 2] {
    let mut summaries = histograms.into_iter().map(summarise);
    [summaries.next(), summaries.next()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::workload::histogram::{self, BUCKETS};
    use polling_tester::occupied;

    #[test]
    fn even_and_odd_frames_are_summarised_apart() {
        let mut counts = vec![0; 2 * BUCKETS];
        for number in 0..10u32 {
            let nanoseconds = if number % 2 == 0 { 900 } else { 100 };
            counts[histogram::place(number, 2, nanoseconds) as usize] += 1;
        }
        let summaries = |counts: &[u64]| summarise_all(counts.chunks(BUCKETS).map(occupied));
        let [even, odd] = summaries(&counts).map(Option::unwrap);
        assert_eq!((even.count, even.p50_ns, even.max_ns), (5, 900, 900));
        assert_eq!((odd.count, odd.p50_ns, odd.max_ns), (5, 100, 100));
        let [all, none] = summaries(&counts[..BUCKETS]);
        assert!(all.is_some() && none.is_none());
        assert_eq!(summaries(&[]), [None, None]);
    }

    #[test]
    fn percentiles_are_the_smallest_value_that_covers_their_share() {
        let mut counts = vec![0; BUCKETS];
        for value in 1..=1000 {
            counts[histogram::bucket(value) as usize] += 1;
        }
        let latency = summarise(occupied(&counts));
        assert_eq!(latency.count, 1000);
        assert_eq!(
            (
                latency.p50_ns,
                latency.p90_ns,
                latency.p99_ns,
                latency.p999_ns,
                latency.max_ns
            ),
            (500, 900, 990, 999, 1000)
        );
        assert_eq!(summarise(Vec::new()).max_ns, 0);
    }
}
