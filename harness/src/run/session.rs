//! One datapath in one scenario.

use super::cycles;
use super::deploy::Deployed;
use super::distances::Distance;
use crate::profile::PARTIAL_DROP;
use crate::record::{Fastest, Rate, ResultRecord, TrialRecord};
use crate::search::{Irregular, Pps, Search, Status, Step};
use datapath_api::{Datapath, PortType};
use std::time::Duration;

/// The loss within which a trial counts for the cost of a frame: PDR's.
const LOSS: f64 = PARTIAL_DROP;

/// A datapath that reaches this share of the ceiling has the ceiling measured again.
const CLOSE: f64 = 0.9;

/// What the tester gets through a null forward.
#[derive(Debug, Clone, Copy)]
pub struct Ceiling {
    /// Frames per second.
    pub rate: f64,
    /// The fastest trial.
    pub fastest: Option<Fastest>,
}

/// Keeps the fastest trial with little loss.
#[derive(Debug, Clone, Copy, Default)]
pub struct Best(pub Option<Fastest>);

impl Best {
    /// Takes note of a trial on such ports.
    pub fn note(&mut self, trial: &TrialRecord, ports: PortType) {
        let loss = 1.0 - trial.received as f64 / trial.intended.max(1) as f64;
        let rate = trial.received as f64 / trial.duration_seconds;
        if loss <= LOSS && trial.received > 0 && self.0.is_none_or(|best| rate > best.rate) {
            let polled = trial
                .counters
                .as_ref()
                .and_then(|it| it.polling.as_deref())
                .filter(|_| ports.needs_only_the_poller());
            let cycles_per_frame = polled.and_then(|polled| polled.cycles_per_frame());
            let all = trial.duration_seconds * 1e9;
            let used = polled
                .and_then(|polled| cycles::nanoseconds(polled.cycles.busy))
                .unwrap_or(trial.datapath_cpu_ns as f64)
                // One that polls busily was busy before the trial began and after it ended, too; it has one processor.
                .min(all);
            self.0 = Some(Fastest {
                rate,
                cpu_ns_per_frame: used / trial.received as f64,
                busy: used / all,
                cycles_per_frame,
            });
        }
    }
}

/// A datapath whose rates are being searched.
pub struct Session<'a> {
    pub datapath: &'a dyn Datapath,
    pub search: Search,
    pub deployed: Option<Deployed>,
    pub failed: bool,
    ceiling: Option<Ceiling>,
    unverified: bool,
    best: Best,
    idle: Option<f64>,
    /// What rounds found, at which distance of the processors.
    found: Vec<(Distance, f64)>,
}

impl<'a> Session<'a> {
    /// Trials of one datapath before the next has its turn,
    pub const TRIALS_A_TURN: u32 = 8;
    /// and how long they last together at the least: to start some datapaths takes longer than a second.
    pub const TURN: Duration = Duration::from_secs(3);
    /// How often a disturbed trial is made at the most.
    pub const ATTEMPTS: u32 = 3;

    pub fn new(
        datapath: &'a dyn Datapath,
        search: Search,
        ceiling: Option<Ceiling>,
        unverified: bool,
    ) -> Self {
        Self {
            datapath,
            search,
            deployed: None,
            failed: false,
            ceiling,
            unverified,
            best: Best::default(),
            idle: None,
            found: Vec::new(),
        }
    }

    /// Whether a trial came close to the ceiling or went beyond it: a disturbance may have lowered it when it was measured.
    pub fn doubts_ceiling(&self) -> bool {
        let rate = self.best.0.map(|best| best.rate);
        let ceiling = self.ceiling.map(|ceiling| ceiling.rate);
        ceiling
            .zip(rate)
            .is_some_and(|(ceiling, rate)| rate > ceiling * CLOSE)
    }

    /// Takes a ceiling that was measured again, if it is higher; whether it is.
    pub fn raise_ceiling(&mut self, again: Ceiling) -> bool {
        let is_higher = self.ceiling.is_none_or(|ceiling| again.rate > ceiling.rate);
        if is_higher {
            self.ceiling = Some(again);
        }
        is_higher
    }

    /// The most that is worth offering. A datapath may be faster than the ceiling: in frames that it makes shorter, and
    /// where a disturbance lowered the ceiling.
    pub fn most(&self) -> Option<f64> {
        self.ceiling.map(|ceiling| ceiling.rate * 2.0)
    }

    /// Whether it carried all that was offered, so that more must be offered to find what it carries.
    pub fn carried_all(&self) -> bool {
        let result = self.search.result();
        let is_floor = |status| status == Status::Irregular(Irregular::NoUpperWithinMax);
        result.goals.iter().any(|goal| is_floor(goal.status))
    }

    /// Looks once what the datapath takes while there is nothing to do.
    pub fn watch_idle(&mut self) {
        if let (None, Some(deployed)) = (self.idle, &self.deployed) {
            self.idle = Some(deployed.idle());
        }
    }

    /// Whether there is something left to measure.
    pub fn is_open(&mut self) -> bool {
        !self.failed && !matches!(self.search.next(), Step::Done)
    }

    /// Takes note of what a trial showed beside its loss.
    pub fn note(&mut self, trial: &TrialRecord) {
        self.best.note(trial, self.datapath.ports());
    }

    /// PDR's throughput, or the best guess at it.
    pub fn pdr(&self) -> Option<f64> {
        let result = self.search.result();
        let pdr = result.goals.last()?;
        let guess = pdr.estimate.and_then(|estimate| estimate.lower);
        pdr.conditional_throughput
            .or(pdr.lower)
            .or(guess)
            .map(Pps::get)
    }

    /// Around what a round searches: the middle of PDR and what rounds at this distance found, so that one that was disturbed
    /// does not lead the next ones astray.
    pub fn typical(&self, distance: Distance) -> Option<f64> {
        let found = self.found.iter().filter(|(at, _)| *at == distance);
        let mut rates: Vec<f64> = found.map(|(_, rate)| *rate).chain(self.pdr()).collect();
        ranking::median(&mut rates)
    }

    /// Takes note of what a round found.
    pub fn found(&mut self, distance: Distance, rate: f64) {
        self.found.push((distance, rate));
    }

    /// What the trials come to.
    pub fn result(&self, scenario: &str) -> ResultRecord {
        let rates: Vec<Rate> = self
            .search
            .result()
            .goals
            .iter()
            .map(|goal| Rate {
                goal: goal.goal.name().to_owned(),
                loss_ratio: goal.goal.loss_ratio().get(),
                lower: goal.lower.map(Pps::get),
                upper: goal.upper.map(Pps::get),
                throughput: goal.conditional_throughput.map(Pps::get),
                irregular: match goal.status {
                    Status::Regular => None,
                    Status::Irregular(reason) => Some(reason.to_string()),
                },
            })
            .collect();
        ResultRecord {
            datapath: self.datapath.name().to_owned(),
            scenario: scenario.to_owned(),
            ports: self.datapath.ports(),
            unverified: self.unverified,
            ceiling: self.ceiling.map(|ceiling| ceiling.rate),
            rates,
            fastest: self.best.0,
            null_forward: self.ceiling.and_then(|ceiling| ceiling.fastest),
            idle: self.idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Counters, Cycles, Polling};

    /// A trial of a second at which a polling thread found frames in a tenth of its rounds' cycles.
    fn trial() -> TrialRecord {
        TrialRecord {
            duration_seconds: 1.0,
            intended: 1_000_000,
            received: 1_000_000,
            // It polled a while before and after.
            datapath_cpu_ns: 1_400_000_000,
            counters: Some(Counters {
                polling: Some(Box::new(Polling {
                    received: 1_000_000,
                    cycles: Cycles {
                        busy: 100_000_000,
                        idle: 900_000_000,
                    },
                })),
                ..Counters::default()
            }),
            ..super::super::deploy::empty()
        }
    }

    #[test]
    fn a_poller_that_does_all_of_the_work_is_charged_for_rounds_with_frames() {
        let mut best = Best::default();
        best.note(&trial(), PortType::VhostUser);
        let fastest = best.0.unwrap();
        assert_eq!(fastest.cycles_per_frame, Some(100.0));
        let charged = cycles::nanoseconds(100_000_000).unwrap_or(1e9);
        assert_eq!(fastest.cpu_ns_per_frame, charged / 1e6);
        assert_eq!(fastest.busy, charged / 1e9);
    }

    #[test]
    fn a_poller_that_the_kernel_works_for_is_charged_for_everything() {
        let mut best = Best::default();
        best.note(&trial(), PortType::Veth);
        let fastest = best.0.unwrap();
        assert_eq!(fastest.cycles_per_frame, None);
        assert_eq!((fastest.cpu_ns_per_frame, fastest.busy), (1_000.0, 1.0));
    }
}
