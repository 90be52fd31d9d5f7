//! One datapath in one scenario.

use super::deploy::Deployed;
use crate::record::{Rate, ResultRecord, TrialRecord};
use crate::search::{Pps, Search, Status, Step};
use datapath_api::Datapath;

/// A result this close to the tester's ceiling says nothing of the datapath.
const TESTER_BOUND: f64 = 0.95;

/// The loss within which a trial counts for the cost of a frame: PDR's.
const LOSS: f64 = 0.005;

/// What the tester gets through a null forward.
#[derive(Debug, Clone, Copy)]
pub struct Ceiling {
    /// Frames per second.
    pub rate: f64,
    /// Processor time of the null forward for each.
    pub ns_per_frame: Option<f64>,
}

/// Forwarding rate and processor time per frame of the fastest trial with little loss.
#[derive(Debug, Clone, Copy, Default)]
pub struct Best(Option<(f64, f64)>);

impl Best {
    /// Takes note of a trial.
    pub fn note(&mut self, trial: &TrialRecord) {
        let loss = 1.0 - trial.received as f64 / trial.intended.max(1) as f64;
        let rate = trial.received as f64 / trial.duration_seconds;
        if loss <= LOSS && trial.received > 0 && self.0.is_none_or(|(best, _)| rate > best) {
            self.0 = Some((rate, trial.datapath_cpu_ns as f64 / trial.received as f64));
        }
    }

    /// Frames per second.
    pub fn rate(&self) -> Option<f64> {
        self.0.map(|(rate, _)| rate)
    }

    /// Processor time per frame, in nanoseconds.
    pub fn cost(&self) -> Option<f64> {
        self.0.map(|(_, cost)| cost)
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
    corrupted: u64,
    duplicates: u64,
    foreign: u64,
    disturbed: u64,
}

impl<'a> Session<'a> {
    /// Trials of one datapath before the next has its turn.
    pub const TRIALS_A_TURN: usize = 8;
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
            corrupted: 0,
            duplicates: 0,
            foreign: 0,
            disturbed: 0,
        }
    }

    /// Whether there is something left to measure.
    pub fn is_open(&mut self) -> bool {
        !self.failed && !matches!(self.search.next(), Step::Done)
    }

    /// Takes note of what a trial showed beside its loss.
    pub fn note(&mut self, trial: &TrialRecord) {
        self.corrupted += trial.corrupted;
        self.duplicates += trial.duplicates;
        self.foreign += trial.foreign;
        self.disturbed += u64::from(trial.disturbed.is_some());
        self.best.note(trial);
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

    /// What the trials come to.
    pub fn result(&self, scenario: &str, shared_cpu: bool) -> ResultRecord {
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
        let throughput = rates.last().and_then(|rate| rate.throughput);
        ResultRecord {
            datapath: self.datapath.name().to_owned(),
            scenario: scenario.to_owned(),
            ports: self.datapath.native_ports(),
            unverified: self.unverified,
            ceiling: self.ceiling.map(|ceiling| ceiling.rate),
            rates,
            cpu_ns_per_frame: self.best.cost(),
            null_ns_per_frame: self.ceiling.and_then(|ceiling| ceiling.ns_per_frame),
            warnings: self.warnings(throughput, shared_cpu),
        }
    }

    fn warnings(&self, throughput: Option<f64>, shared_cpu: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if shared_cpu {
            warnings.push(
                "datapath and tester share one processor; give this program two to tell them apart"
                    .to_owned(),
            );
        }
        match (throughput, self.ceiling) {
            (Some(throughput), Some(ceiling)) if throughput >= TESTER_BOUND * ceiling.rate => {
                warnings.push(
                    "tester-bound: within 5 % of the tester's own ceiling, so the datapath may be \
                     faster than the figure"
                        .to_owned(),
                )
            }
            (_, None) => warnings.push(
                "the tester's ceiling could not be found, so the figure may be the tester's"
                    .to_owned(),
            ),
            _ => {}
        }
        for (count, what) in [
            (self.corrupted, "came back changed; they count as lost"),
            (self.duplicates, "came back more than once"),
            (self.foreign, "came back that the tester did not send"),
        ] {
            if count > 0 {
                warnings.push(format!("{count} frames {what}"));
            }
        }
        if self.disturbed > 0 {
            warnings.push(format!(
                "{} trials of the rate search were disturbed each time they were made, and count: \
                 the machine is too busy",
                self.disturbed
            ));
        }
        warnings
    }
}
