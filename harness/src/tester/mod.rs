//! The tester: offers a workload to a droplet's ports, open loop, and judges what comes back.
//!
//! The veth tester works in the kernel, the ring tester in this process; both send the same
//! [`Workload`] and count alike.

mod null_forward;
mod ring;
mod veth;
mod workload;

pub use null_forward::NullForward;
pub use ring::RingTester;
pub use veth::{VethTester, bare_and_generator};
pub use workload::{FrameSize, PortPlan, Workload};

use crate::record::Latency;
use crate::search::Pps;
use ::workload::{SinkState, histogram};
use mizar_wire::Ipv4;
use netdev::{Cpu, CpuTime};
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

/// What a sink watches beside counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Nothing.
    Counts,
    /// Latency of all frames.
    Latency,
    /// Latency of even and of odd frames, counted from zero, apart.
    PairLatency,
    /// Which frames leave by the uplink straight to `host`, counted by rounds of as many frames each. Rounds from
    /// [`::workload::ROUNDS`] on are not counted.
    DirectPath {
        /// Frames of a round, on all ports together; at least one.
        round: u32,
        /// Outer destination of the direct path.
        host: Ipv4,
    },
}

impl Watch {
    /// How many histograms of latency it takes.
    fn histograms(self) -> u32 {
        match self {
            Self::Counts | Self::DirectPath { .. } => 0,
            Self::Latency => 1,
            Self::PairLatency => histogram::HISTOGRAMS,
        }
    }

    /// What a sink is told of it: outer destination and frames of a round.
    fn direct_path(self) -> (u32, u32) {
        match self {
            Self::DirectPath { round, host } => (host.raw(), round.max(1)),
            _ => (0, 0),
        }
    }
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
    /// Frames that took the direct path, by round, if that was watched.
    pub direct: Vec<u64>,
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

/// Percentiles of a histogram with a count a bucket.
fn summarise(counts: &[u64]) -> Latency {
    let histogram: Vec<(u64, u64)> = (0u32..)
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(bucket, count)| (histogram::lower_bound(bucket), *count))
        .collect();
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

/// Percentiles of histograms that lie one behind the other.
fn summarise_all(counts: &[u64]) -> [Option<Latency>; 2] {
    let mut summaries = counts.chunks(histogram::BUCKETS).map(summarise);
    [summaries.next(), summaries.next()]
}

/// Nanoseconds of the monotonic clock.
#[inline(always)]
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid place for the result; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_and_odd_frames_are_summarised_apart() {
        let mut counts = vec![0; 2 * histogram::BUCKETS];
        for number in 0..10u32 {
            let nanoseconds = if number % 2 == 0 { 900 } else { 100 };
            counts[histogram::place(number, 2, nanoseconds) as usize] += 1;
        }
        let [even, odd] = summarise_all(&counts).map(Option::unwrap);
        assert_eq!((even.count, even.p50_ns, even.max_ns), (5, 900, 900));
        assert_eq!((odd.count, odd.p50_ns, odd.max_ns), (5, 100, 100));
        let [all, none] = summarise_all(&counts[..histogram::BUCKETS]);
        assert!(all.is_some() && none.is_none());
        assert_eq!(summarise_all(&[]), [None, None]);
    }

    #[test]
    fn percentiles_are_the_smallest_value_that_covers_their_share() {
        let mut counts = vec![0; histogram::BUCKETS];
        for value in 1..=1000 {
            counts[histogram::bucket(value) as usize] += 1;
        }
        let latency = summarise(&counts);
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
        assert_eq!(summarise(&[0; 8]).max_ns, 0);
    }
}
