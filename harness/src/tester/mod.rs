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

/// A tester connected to a droplet.
pub trait Tester {
    /// Offers `load` for `duration`, waits for what is still under way, and counts.
    ///
    /// # Errors
    /// Where the tester itself fails; loss is a result, not an error.
    fn trial(&mut self, load: Pps, duration: Duration, latency: bool) -> Result<Report, Error>;
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
    /// Latency, if it was taken.
    pub latency: Option<Latency>,
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
