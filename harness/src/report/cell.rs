//! The figures of one datapath in one scenario.

use crate::profile::PARTIAL_DROP;
use crate::record::{
    DatapathInfo, EventRecord, Failure, Fastest, LearningRecord, Purpose, Rate, Record,
    ResultRecord, RoundRecord, Run, TrialRecord,
};
use ranking::MedianInterval;
use std::collections::{BTreeMap, BTreeSet};

use super::figures::place;
use super::latency::{LatencyFigure, failed_unsent, loss_ratio};
use super::units;

/// Bursts of one datapath may cost the underlay more than those of another, a frame, but not so many times as much.
const FAR_MORE: f64 = 4.0;

/// A rate this close to the tester's ceiling may be the tester's, not the datapath's.
const TESTER_BOUND: f64 = 0.95;

/// What lies this much above a bound contradicts it.
pub(super) const HELD_ABOVE: f64 = 1.05;

/// A datapath whose processor was idle for more than the rest of its fastest trial had room left.
pub(super) const BUSY: f64 = 0.90;

/// How a datapath fared in verification.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Check {
    /// Every frame came out as the oracle says.
    Passed(u64),
    /// Frames that passed, and what differed, at most the first ten.
    Failed(u64, Vec<String>),
    /// No frame was checked.
    Absent,
}

/// One datapath in one scenario.
pub(crate) struct Cell<'a> {
    /// Place of the datapath in the run, which gives it the same colour everywhere.
    pub index: usize,
    /// The datapath.
    pub datapath: &'a str,
    /// What it is; `None` if the run does not describe it.
    pub info: Option<&'a DatapathInfo>,
    /// Verification.
    pub check: Check,
    /// Frames that verification left out for declared differences.
    pub excused: u64,
    /// What its trials come to, at each distance of processors.
    pub(super) results: Vec<&'a ResultRecord>,
    /// The one that is shown, with trials at the same distance alone.
    pub result: Option<&'a ResultRecord>,
    /// Packets go by several droplets, joined by an underlay that the tester's ceiling is without.
    pub is_overlay: bool,
    /// The most that any datapath carried in its scenario, on the same ports.
    pub most_of_all: Option<f64>,
    /// It was measured at another distance than the others of its scenario, and its rates are not to be compared with theirs.
    pub is_elsewhere: bool,
    /// What failed.
    pub failures: Vec<&'a Failure>,
    /// Trials of the search and for latency that count, at all distances.
    measured: Vec<&'a TrialRecord>,
    /// Latency by share of PDR, ascending.
    pub latencies: Vec<LatencyFigure>,
    /// Offered load in frames per second and loss ratio of each search trial that counts, by load.
    pub losses: Vec<(f64, f64)>,
    /// Frames refused by reason, over all trials that count.
    pub refused: BTreeMap<&'a str, u64>,
    /// Trials disturbed and repeated, which do not count.
    pub repeated: u64,
    /// Of the trials that count those that are shown, for warnings.
    pub trials: Vec<&'a TrialRecord>,
    /// The trials of rounds that count,
    pub in_rounds: Vec<&'a TrialRecord>,
    /// and at all distances.
    pub in_rounds_anywhere: Vec<&'a TrialRecord>,
    /// What happened to the overlay.
    pub events: Vec<&'a EventRecord>,
    /// How flows found their direct path.
    pub learning: Vec<&'a LearningRecord>,
    /// What it carried in the rounds of a comparison,
    pub rounds: Vec<&'a RoundRecord>,
    /// and at all distances.
    pub rounds_anywhere: Vec<&'a RoundRecord>,
}

impl<'a> Cell<'a> {
    /// The figures of one datapath in one scenario from its records, at no distance yet: see [`Cell::settle`].
    pub(super) fn of(
        run: &'a Run,
        index: usize,
        datapath: &'a str,
        records: &[&'a Record],
    ) -> Self {
        let mut cell = Self {
            index,
            datapath,
            info: run.datapaths.iter().find(|info| info.name == datapath),
            check: Check::Absent,
            results: Vec::new(),
            result: None,
            is_overlay: run.scenarios.iter().any(|scenario| {
                let place = records.first().map(|record| place(record).1);
                scenario.overlay.is_some() && Some(scenario.id.as_str()) == place
            }),
            most_of_all: None,
            is_elsewhere: false,
            measured: Vec::new(),
            excused: 0,
            failures: Vec::new(),
            latencies: Vec::new(),
            losses: Vec::new(),
            refused: BTreeMap::new(),
            repeated: 0,
            trials: Vec::new(),
            in_rounds: Vec::new(),
            in_rounds_anywhere: Vec::new(),
            events: Vec::new(),
            learning: Vec::new(),
            rounds: Vec::new(),
            rounds_anywhere: Vec::new(),
        };
        let (mut passed, mut differing, mut is_whole) = (0_u64, Vec::new(), true);
        for record in records {
            match record {
                Record::Verification(it) => {
                    passed = passed.saturating_add(it.passed);
                    differing.extend(it.failures.iter().cloned());
                    is_whole &= it.broken.is_none();
                    let excused = it.excused.values().copied().fold(0, u64::saturating_add);
                    cell.excused = cell.excused.saturating_add(excused);
                }
                Record::Failure(failure) => cell.failures.push(failure),
                Record::Event(event) if event.repeated => cell.repeated += 1,
                Record::Event(event) => cell.events.push(event),
                Record::Learning(learning) => cell.learning.push(learning),
                Record::Result(result) => cell.results.push(result),
                Record::Round(round) => cell.rounds_anywhere.push(round),
                Record::Trial(trial) if trial.repeated => cell.repeated += 1,
                Record::Trial(trial) => match trial.purpose {
                    Purpose::Ceiling => {}
                    Purpose::Comparison { .. } => cell.in_rounds_anywhere.push(trial),
                    Purpose::Search | Purpose::Latency { .. } => cell.measured.push(trial),
                },
            }
        }
        cell.check = match (passed, differing.is_empty()) {
            (0, true) => Check::Absent,
            // The failure beside it says why.
            (_, true) if !is_whole => Check::Absent,
            (passed, true) => Check::Passed(passed),
            (passed, false) => Check::Failed(passed, differing),
        };
        cell
    }

    /// Shows the rounds at this distance of processors alone.
    pub(super) fn show_rounds(&mut self, distance: u32) {
        let rounds = self.rounds_at(distance);
        self.in_rounds = self.trials_of(&rounds);
        self.rounds = rounds;
    }

    fn rounds_at(&self, distance: u32) -> Vec<&'a RoundRecord> {
        let rounds = self.rounds_anywhere.iter().copied();
        rounds.filter(|round| round.distance == distance).collect()
    }

    fn trials_of(&self, rounds: &[&RoundRecord]) -> Vec<&'a TrialRecord> {
        let numbers: BTreeSet<u32> = rounds.iter().map(|round| round.round).collect();
        let is_of = |trial: &&TrialRecord| match trial.purpose {
            Purpose::Comparison { round } => numbers.contains(&round),
            _ => false,
        };
        let trials = self.in_rounds_anywhere.iter().copied();
        trials.filter(is_of).collect()
    }

    /// Shows what was found at this distance of processors, where anything was, and leaves out trials at others.
    pub(super) fn settle(&mut self, distance: u32) {
        let here = self.results.iter().rev().find(|it| it.distance == distance);
        self.result = here.or(self.results.last()).copied();
        self.is_elsewhere = here.is_none() && self.result.is_some();
        let shown = self.result.map_or(distance, |result| result.distance);
        let is_shown = |trial: &&TrialRecord| trial.distance == shown;
        self.trials = self.measured.iter().copied().filter(is_shown).collect();
        let mut by_share = BTreeMap::<u8, Vec<&TrialRecord>>::new();
        for trial in &self.trials {
            match trial.purpose {
                Purpose::Search => self.losses.push((trial.load, loss_ratio(trial))),
                Purpose::Latency { percent_of_pdr } => {
                    by_share.entry(percent_of_pdr).or_default().push(trial);
                }
                Purpose::Ceiling | Purpose::Comparison { .. } => {}
            }
        }
        self.losses.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.latencies = by_share
            .into_iter()
            .filter_map(|(share, trials)| LatencyFigure::of(share, &trials))
            .collect();
        let counters = self.trials.iter().filter_map(|it| it.counters.as_ref());
        for (reason, count) in counters.flat_map(|counters| &counters.refused) {
            let sum = self.refused.entry(reason).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// The result for the goal that is called `name` or begins with it, like `pdr-short`.
    fn rate(&self, name: &str) -> Option<&'a Rate> {
        let rates = &self.result?.rates;
        let called = |rate: &&Rate| rate.goal.trim().eq_ignore_ascii_case(name);
        let begins = |rate: &&Rate| {
            let start = rate.goal.trim().get(..name.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        rates
            .iter()
            .find(called)
            .or_else(|| rates.iter().find(begins))
    }

    /// The no-drop rate.
    pub(crate) fn ndr(&self) -> Option<&'a Rate> {
        self.rate("ndr")
    }

    /// The partial-drop rate.
    pub(crate) fn pdr(&self) -> Option<&'a Rate> {
        self.rate("pdr")
    }

    /// The tester's ceiling in frames per second.
    pub(crate) fn ceiling(&self) -> Option<f64> {
        self.result?.ceiling.filter(|ceiling| *ceiling > 0.0)
    }

    /// The fastest trial that kept to PDR's loss.
    pub(crate) fn fastest(&self) -> Option<&'a Fastest> {
        self.result?.fastest.as_ref()
    }

    /// The same of a null forward.
    pub(crate) fn null_forward(&self) -> Option<&'a Fastest> {
        self.result?.null_forward.as_ref()
    }

    /// PDR as a share of the tester's ceiling.
    pub(crate) fn share_of_ceiling(&self) -> Option<f64> {
        Some(self.pdr()?.throughput? / self.ceiling()?)
    }

    /// Whether the tester may have set the figure: PDR is within 5 % of its ceiling.
    pub(crate) fn is_tester_bound(&self) -> bool {
        self.share_of_ceiling()
            .is_some_and(|share| share >= TESTER_BOUND)
    }

    /// What it carried in a typical round, in frames per second.
    pub(crate) fn in_a_typical_round(&self) -> Option<MedianInterval> {
        MedianInterval::of(self.rounds.iter().map(|round| round.throughput).collect())
    }

    /// The same in words: the figure in Mpps, and its interval.
    pub(crate) fn typical(&self) -> Option<(String, String)> {
        let it = self.in_a_typical_round()?;
        let floor = match self.rounds_are_set_by_tester() {
            true => "≥ ",
            false => "",
        };
        let figure = format!("{floor}{}", units::mpps(it.median));
        Some((figure, units::interval(Some(it.from), Some(it.to))))
    }

    /// Both together.
    pub(crate) fn typical_rate(&self) -> Option<String> {
        let (figure, interval) = self.typical()?;
        Some(format!("{figure} {interval}"))
    }

    /// Whether the tester may have set what it carried in a typical round: that is close to the ceiling, left its processor idle,
    /// or was found by trials that failed by frames which were never sent, in most rounds.
    pub(crate) fn rounds_are_set_by_tester(&self) -> bool {
        // A ceiling at another distance may be twice as high as at that of the rounds.
        let ceiling = self.ceiling().map(|ceiling| match self.is_elsewhere {
            true => ceiling / 2.0,
            false => ceiling,
        });
        self.are_set_by_tester(&self.rounds, ceiling)
    }

    /// The same of the rounds at a distance, whether it is the one that is shown or not.
    pub(crate) fn rounds_at_are_set_by_tester(&self, distance: u32) -> bool {
        if self.rounds.iter().any(|round| round.distance == distance) {
            return self.rounds_are_set_by_tester();
        }
        let here = self.results.iter().rev().find(|it| it.distance == distance);
        let ceiling = match here {
            Some(result) => result.ceiling,
            None => self.ceiling().map(|ceiling| ceiling / 2.0),
        };
        self.are_set_by_tester(&self.rounds_at(distance), ceiling)
    }

    /// The same of the rounds at any distance.
    pub(crate) fn any_rounds_are_set_by_tester(&self) -> bool {
        let distances = self.rounds_anywhere.iter().map(|round| round.distance);
        let distances: BTreeSet<u32> = distances.collect();
        let mut distances = distances.into_iter();
        distances.any(|distance| self.rounds_at_are_set_by_tester(distance))
    }

    fn are_set_by_tester(&self, rounds: &[&RoundRecord], ceiling: Option<f64>) -> bool {
        let typical = |of: &dyn Fn(&RoundRecord) -> Option<f64>| {
            let mut figures: Vec<f64> = rounds.iter().filter_map(|it| of(it)).collect();
            ranking::median(&mut figures)
        };
        let rate = typical(&|round| Some(round.throughput));
        let busy = typical(&|round| Some(round.cpu_ns_per_frame? * round.throughput / 1e9));
        let is_near = rate
            .zip(ceiling)
            .is_some_and(|(rate, ceiling)| rate >= ceiling * TESTER_BOUND);
        // Of one that polls nothing says how busy it is, and in an overlay the underlay may be what is full.
        let is_idle = match self.polls_busily() {
            true => self.may_fill_the_underlay(rate),
            false => busy.is_some_and(|busy| busy < BUSY),
        };
        let unsent = rounds
            .iter()
            .filter(|round| self.ended_unsent(round))
            .count();
        is_near || is_idle || unsent * 2 > rounds.len()
    }

    /// Whether the underlay of an overlay may be what is full at this rate, where nothing says so: no other datapath's frames show
    /// that it carries far more.
    fn may_fill_the_underlay(&self, rate: Option<f64>) -> bool {
        let shown = rate.zip(self.most_of_all);
        self.is_overlay && !shown.is_some_and(|(rate, most)| rate * FAR_MORE < most)
    }

    /// Whether a round has its figure by frames that were never sent. It does so by the slowest trial above it that failed: one
    /// far beyond what a datapath carries may be beyond what the tester sends, too, and says nothing.
    fn ended_unsent(&self, round: &RoundRecord) -> bool {
        let trials = self.trials_of(&[round]).into_iter();
        let failed =
            trials.filter(|it| it.load >= round.throughput && loss_ratio(it) > PARTIAL_DROP);
        let slowest = failed.min_by(|one, other| one.load.total_cmp(&other.load));
        failed_unsent(slowest.into_iter(), PARTIAL_DROP)
    }

    /// Whether its processor was idle for a good part of its fastest trial, so that something else set the figure; or, in an
    /// overlay, may have been, since it polls.
    pub(crate) fn has_idle_processor(&self) -> bool {
        match self.polls_busily() {
            true => self
                .fastest()
                .is_some_and(|fastest| self.may_fill_the_underlay(Some(fastest.rate))),
            false => self.fastest().is_some_and(|fastest| fastest.busy < BUSY),
        }
    }

    /// Whether one trial carried clearly more within PDR's loss than PDR's upper bound, so that PDR is too low.
    pub(crate) fn is_contradicted(&self) -> bool {
        let upper = self.pdr().and_then(|pdr| pdr.upper);
        let fastest = self.fastest().map(|fastest| fastest.rate);
        upper
            .zip(fastest)
            .is_some_and(|(upper, fastest)| fastest > upper * HELD_ABOVE)
    }

    /// The rate that its fastest trial comes to with a full processor, where that one was nearly full and its time
    /// tells (a thread that spins is always busy): more it does not carry, whatever PDR says.
    pub(crate) fn most_by_processor(&self) -> Option<f64> {
        let fastest = self
            .fastest()
            .filter(|fastest| !self.polls_busily() && fastest.busy >= BUSY)?;
        Some(fastest.rate / fastest.busy.min(1.0) * HELD_ABOVE)
    }

    /// Why no figure of it can be trusted; the word that marks each.
    pub(crate) fn doubt(&self) -> Option<&'static str> {
        let unverified = self.result.is_some_and(|result| result.unverified);
        match self.check {
            _ if unverified => Some("unverified"),
            Check::Failed(..) => Some("unverified"),
            Check::Absent => Some("not checked"),
            Check::Passed(_) => None,
        }
    }

    /// Whether it failed after its figures were found: in a comparison, or while something happened to it.
    pub(crate) fn failed_later(&self) -> bool {
        self.result.is_some() && !self.failures.is_empty()
    }

    /// Whether it spins while idle.
    pub(crate) fn polls_busily(&self) -> bool {
        self.info.is_some_and(|info| info.polls_busily)
    }

    /// Whether the run left nothing about it.
    pub(crate) fn is_empty(&self) -> bool {
        self.result.is_none()
            && self.failures.is_empty()
            && self.check == Check::Absent
            && self.trials.is_empty()
    }

    /// Why there is no result, in a few words; `None` if there is one.
    pub(crate) fn absence(&self) -> Option<&'static str> {
        match (self.result, self.failures.is_empty(), &self.check) {
            (Some(_), ..) => None,
            (None, false, _) => Some("failed"),
            (None, true, Check::Failed(..)) => Some("not measured: failed verification"),
            (None, true, _) => Some("not measured"),
        }
    }
}
