//! Simulated devices, each repeatable from its settings alone.

use std::time::Duration;

use super::super::*;

/// Counts are scaled up so that whole frames never blur a device's capacity.
const FRAMES_PER_UNIT: f64 = 1e7;

/// How a device treats what is offered.
#[derive(Debug, Clone)]
pub(super) enum Behaviour {
    /// Forwards all up to a capacity, and the capacity above it.
    Steady { capacity: f64 },
    /// As steady, with a capacity that varies from trial to trial, down to `1 - jitter` of it.
    Jittery { capacity: f64, jitter: f64 },
    /// As steady, but between two loads below its capacity it drops a share.
    Inverted {
        capacity: f64,
        from: f64,
        to: f64,
        drops: f64,
    },
    /// As steady, on a machine that stalls: this share of trials loses what comes meanwhile, for so long at the least.
    Stalling {
        capacity: f64,
        share: f64,
        stall: Duration,
    },
    /// Any loss at all, without regard to the load.
    Random,
    /// Forwards nothing.
    Dead,
    /// Forwards everything.
    Perfect,
    /// The sender cannot exceed a rate; all that is sent comes back.
    SlowSender { rate: f64 },
    /// Everything comes back twice above a load.
    Doubling { from: f64 },
}

/// A device and its noise.
#[derive(Debug, Clone)]
pub(super) struct Device {
    behaviour: Behaviour,
    /// What each trial takes on top of its duration.
    pub overhead: Duration,
    state: u64,
}

impl Device {
    pub(super) fn new(behaviour: Behaviour, seed: u64) -> Self {
        Self {
            behaviour,
            overhead: Duration::ZERO,
            state: seed,
        }
    }

    pub(super) fn steady(capacity: f64) -> Self {
        Self::new(Behaviour::Steady { capacity }, 0)
    }

    /// The next number in `0.0..1.0` (splitmix64).
    fn noise(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One trial.
    pub(super) fn measure(&mut self, load: Pps, duration: Duration) -> Trial {
        let noise = self.noise();
        let rate = load.get();
        let frames = |rate: f64| (rate * duration.as_secs_f64() * FRAMES_PER_UNIT).round() as u64;
        let (offered, received) = match self.behaviour {
            Behaviour::Steady { capacity } => (rate, rate.min(capacity)),
            Behaviour::Jittery { capacity, jitter } => {
                (rate, rate.min(capacity * (1.0 - jitter * noise)))
            }
            Behaviour::Inverted {
                from, to, drops, ..
            } if from < rate && rate < to => (rate, rate * (1.0 - drops)),
            Behaviour::Inverted { capacity, .. } => (rate, rate.min(capacity)),
            Behaviour::Stalling {
                capacity,
                share,
                stall,
            } => {
                // Twice as long is half as frequent.
                let stall = stall.as_secs_f64() * share / noise;
                let lost = rate * stall / duration.as_secs_f64();
                let carried = rate.min(capacity);
                let stalled = (carried - lost).max(0.0);
                (rate, if noise < share { stalled } else { carried })
            }
            Behaviour::Random => (rate, rate * noise),
            Behaviour::Dead => (rate, 0.0),
            Behaviour::Perfect => (rate, rate),
            Behaviour::SlowSender { rate: most } => (rate.min(most), rate.min(most)),
            Behaviour::Doubling { from } => (rate, if rate > from { 2.0 * rate } else { rate }),
        };
        let counters = Counters {
            intended: frames(rate),
            offered: frames(offered),
            received: frames(received),
        };
        Trial::new(load, duration, duration + self.overhead, counters).unwrap()
    }
}

/// Runs a search to its end and returns it with all trials; `each` sees the search before every trial.
pub(super) fn run(
    config: SearchConfig,
    device: &mut Device,
    mut each: impl FnMut(&Search, Pps, Duration),
) -> (Search, Vec<Trial>) {
    let mut search = Search::new(config).unwrap();
    let mut trials = Vec::new();
    while let Step::Measure { load, duration } = search.next() {
        each(&search, load, duration);
        let trial = device.measure(load, duration);
        search.record(trial).unwrap();
        trials.push(trial);
    }
    (search, trials)
}

pub(super) fn pps(rate: f64) -> Pps {
    Pps::new(rate).unwrap()
}
