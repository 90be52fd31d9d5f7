//! Figures that a round of a comparison has of a datapath.

use crate::record::RoundRecord;
use serde::Serialize;

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Frames a second.
    Throughput,
    /// Processor time of a frame.
    ProcessorTime,
    /// 99th percentile of latency.
    Latency,
}

impl Figure {
    /// All.
    pub const ALL: [Self; 3] = [Self::Throughput, Self::ProcessorTime, Self::Latency];

    /// Of a round, in units of its own: more is better.
    #[must_use]
    pub fn of(self, round: &RoundRecord) -> Option<f64> {
        let figure = match self {
            Self::Throughput => round.throughput,
            Self::ProcessorTime => 1.0 / round.cpu_ns_per_frame?,
            Self::Latency => 1.0 / round.p99_ns? as f64,
        };
        (figure.is_finite() && figure > 0.0).then_some(figure)
    }

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::ProcessorTime => "processor time of a frame",
            Self::Latency => "99th percentile of latency",
        }
    }
}
