//! What threads do that poll without end.

use serde::{Deserialize, Serialize};

/// Cycles of the time stamp counter, which go on while a thread waits for its processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycles {
    /// In rounds that found packets.
    pub busy: u64,
    /// In rounds that found none.
    pub idle: u64,
}

impl Cycles {
    /// The sum of two. It takes centuries to fill a counter.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            busy: self.busy.saturating_add(other.busy),
            idle: self.idle.saturating_add(other.idle),
        }
    }

    /// What was counted since `before`; `None` where a counter went back.
    pub fn since(self, before: Self) -> Option<Self> {
        Some(Self {
            busy: self.busy.checked_sub(before.busy)?,
            idle: self.idle.checked_sub(before.idle)?,
        })
    }
}

/// What threads that poll received, and what they did with their time: their processor time alone does not say, since
/// they have all of it whatever there is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polling {
    /// Frames received.
    pub received: u64,
    /// Cycles.
    pub cycles: Cycles,
}

impl Polling {
    /// Cycles of rounds that found frames, for each frame received.
    pub fn cycles_per_frame(self) -> Option<f64> {
        (self.received > 0).then(|| self.cycles.busy as f64 / self.received as f64)
    }

    /// What was counted since `before`; `None` where a counter went back.
    pub fn since(self, before: Self) -> Option<Self> {
        Some(Self {
            received: self.received.checked_sub(before.received)?,
            cycles: self.cycles.since(before.cycles)?,
        })
    }
}
