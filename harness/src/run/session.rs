//! One datapath in one scenario.

use super::deploy::Deployed;
use crate::record::{Rate, ResultRecord, TrialRecord};
use crate::search::{Pps, Search, Status, Step};
use datapath_api::Datapath;

/// A result this close to the tester's ceiling says nothing of the datapath.
const TESTER_BOUND: f64 = 0.95;

/// A datapath whose rates are being searched.
pub struct Session<'a> {
    pub datapath: &'a dyn Datapath,
    pub search: Search,
    pub deployed: Option<Deployed>,
    pub failed: bool,
    ceiling: Option<f64>,
    unverified: bool,
    /// Forwarding rate and processor time per frame of the best trial within PDR's loss.
    best: Option<(f64, f64)>,
    corrupted: u64,
    duplicates: u64,
    foreign: u64,
}

impl<'a> Session<'a> {
    /// Trials of one datapath before the next has its turn.
    pub const TRIALS_A_TURN: usize = 8;
    /// How often a disturbed trial is made at the most.
    pub const ATTEMPTS: u32 = 3;

    pub fn new(
        datapath: &'a dyn Datapath,
        search: Search,
        ceiling: Option<f64>,
        unverified: bool,
    ) -> Self {
        Self {
            datapath,
            search,
            deployed: None,
            failed: false,
            ceiling,
            unverified,
            best: None,
            corrupted: 0,
            duplicates: 0,
            foreign: 0,
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
        let loss = 1.0 - trial.received as f64 / trial.intended.max(1) as f64;
        let rate = trial.received as f64 / trial.duration_seconds;
        if loss <= 0.005 && trial.received > 0 && self.best.is_none_or(|(best, _)| rate > best) {
            self.best = Some((rate, trial.datapath_cpu_ns as f64 / trial.received as f64));
        }
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
            ceiling: self.ceiling,
            rates,
            cpu_ns_per_frame: self.best.map(|(_, cost)| cost),
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
            (Some(throughput), Some(ceiling)) if throughput >= TESTER_BOUND * ceiling => warnings
                .push(
                    "tester-bound: within 5 % of the tester's own ceiling, so the datapath may be \
                     faster than the figure"
                        .to_owned(),
                ),
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
        warnings
    }
}
