//! One trial: what was asked, how long it took, and what was counted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rate::{LossRatio, Pps};

/// A trial's outcome cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    /// The intended duration is zero.
    #[error("a trial needs an intended duration above zero")]
    NoDuration,
    /// The effective duration is zero (section 4.5.8: any positive time).
    #[error("a trial needs an effective duration above zero")]
    NoEffectiveDuration,
}

/// Frames counted over one trial, all directions and flows added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Frames that load and duration ask for.
    pub intended: u64,
    /// Frames really sent. Fewer than intended when the sender could not keep up.
    pub offered: u64,
    /// Frames that came back. More than offered when something duplicated frames.
    pub received: u64,
}

impl Counters {
    /// Frames sent that did not come back; negative when more came back than were sent.
    pub fn lost(&self) -> i128 {
        i128::from(self.offered) - i128::from(self.received)
    }

    /// Frames intended that were never sent; negative when more were sent than intended.
    pub fn unsent(&self) -> i128 {
        i128::from(self.intended) - i128::from(self.offered)
    }

    /// Trial Loss Ratio (section 4.5.6): `(|lost| + |unsent|) / max(offered, intended)`.
    ///
    /// Both amounts count without their sign: duplicated frames and a sender that runs ahead make a trial worse, never
    /// better, and steer the search towards loads where neither happens. The ratio never exceeds 1 (the draft keeps the
    /// forwarding ratio in 0 to 1), and a trial of no frames at all has ratio 0, so a search cannot get stuck at a load
    /// too low for a single frame.
    pub fn loss_ratio(&self) -> LossRatio {
        let bad = self.lost().unsigned_abs() + self.unsent().unsigned_abs();
        LossRatio::of(bad, self.offered.max(self.intended))
    }
}

/// A Trial Result (section 4.5.10): the input (load, duration) and the output (effective duration, counters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawTrial", into = "RawTrial")]
pub struct Trial {
    load: Pps,
    duration: Duration,
    effective_duration: Duration,
    counters: Counters,
}

impl Trial {
    /// A trial at `load` for `duration` (both as intended), which took `effective_duration` and counted `counters`.
    ///
    /// The effective duration (section 4.5.8) is what the trial costs the search: use `duration` again, or the time
    /// with all pauses, but always the same way in one search.
    pub fn new(
        load: Pps,
        duration: Duration,
        effective_duration: Duration,
        counters: Counters,
    ) -> Result<Self, TrialError> {
        if duration.is_zero() {
            return Err(TrialError::NoDuration);
        }
        if effective_duration.is_zero() {
            return Err(TrialError::NoEffectiveDuration);
        }
        Ok(Self {
            load,
            duration,
            effective_duration,
            counters,
        })
    }

    /// Intended load, in frames a second.
    pub const fn load(&self) -> Pps {
        self.load
    }

    /// Intended duration.
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    /// Effective duration, the one that is added up.
    pub const fn effective_duration(&self) -> Duration {
        self.effective_duration
    }

    /// What was counted.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Trial Loss Ratio, see [`Counters::loss_ratio`].
    pub fn loss_ratio(&self) -> LossRatio {
        self.counters.loss_ratio()
    }

    /// Trial Forwarding Rate (section 4.5.7) in frames a second: load times (1 - loss ratio); 0 if nothing came back.
    pub fn forwarding_rate(&self) -> f64 {
        self.load.get() * (1.0 - self.loss_ratio().get())
    }
}

/// The stored form of a [`Trial`], not yet checked.
#[derive(Serialize, Deserialize)]
struct RawTrial {
    load: Pps,
    duration: Duration,
    effective_duration: Duration,
    counters: Counters,
}

impl TryFrom<RawTrial> for Trial {
    type Error = TrialError;

    fn try_from(raw: RawTrial) -> Result<Self, TrialError> {
        Self::new(raw.load, raw.duration, raw.effective_duration, raw.counters)
    }
}

impl From<Trial> for RawTrial {
    fn from(trial: Trial) -> Self {
        Self {
            load: trial.load,
            duration: trial.duration,
            effective_duration: trial.effective_duration,
            counters: trial.counters,
        }
    }
}
