//! The figures of a run, as every form of the report shows them.

use std::collections::BTreeMap;

use crate::profile::PARTIAL_DROP;
use crate::record::{
    DatapathInfo, EventRecord, Failure, Fastest, LearningRecord, PortType, Purpose, Rate, Record,
    ResultRecord, RoundRecord, Run, Scenario, TrialRecord,
};

use ranking::MedianInterval;

use super::RunFolder;
use super::apart::Apart;
use super::latency::{LatencyFigure, failed_unsent, loss_ratio};
use super::lead::Lead;
use super::standing::Standing;
use super::units;

/// A rate this close to the tester's ceiling may be the tester's, not the datapath's.
const TESTER_BOUND: f64 = 0.95;

/// With more than this share of its trials disturbed, a run shows the machine's other work.
const TOO_DISTURBED: f64 = 0.15;

/// What lies this much above a bound contradicts it.
pub(super) const HELD_ABOVE: f64 = 1.05;

/// A datapath whose processor was idle for more than the rest of its fastest trial had room left.
pub(super) const BUSY: f64 = 0.90;

/// Everything the report says about a run.
pub(crate) struct Figures<'a> {
    /// The run.
    pub run: &'a Run,
    /// The port groups, which must not be compared with each other.
    pub groups: Vec<Group<'a>>,
    /// Datapaths that could not run.
    pub skipped: Vec<&'a DatapathInfo>,
    /// What failed.
    pub failures: Vec<&'a Failure>,
    /// How many trials there are.
    pub trials: Trials,
    /// What to bear in mind, the worst first.
    pub warnings: Vec<String>,
}

/// How many trials were made.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Trials {
    /// All.
    pub total: u64,
    /// For the tester's ceiling.
    pub ceiling: u64,
    /// For the rate search.
    pub search: u64,
    /// For latency.
    pub latency: u64,
    /// In rounds of comparisons.
    pub comparison: u64,
    /// Of all, those disturbed and repeated.
    pub repeated: u64,
    /// Of all, those disturbed, repeated or not.
    pub disturbed: u64,
    /// Time spent in all, in seconds.
    pub seconds: f64,
}

/// Datapaths measured on one kind of port.
pub(crate) struct Group<'a> {
    /// The kind.
    pub ports: PortType,
    /// Their names.
    pub datapaths: Vec<&'a str>,
    /// What was measured.
    pub scenarios: Vec<ScenarioFigures<'a>>,
}

/// One scenario within a port group.
pub(crate) struct ScenarioFigures<'a> {
    /// Its identifier.
    pub id: &'a str,
    /// What it is; `None` if the run does not describe it.
    pub info: Option<&'a Scenario>,
    /// One for each datapath of the group.
    pub cells: Vec<Cell<'a>>,
    /// How far apart processors were in the rounds that count.
    pub apart: Option<Apart>,
    /// How they compare with each other, where they were measured so.
    pub standing: Option<Standing<'a>>,
    /// Who carries most.
    pub lead: Lead<'a>,
}

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
    /// What its trials come to.
    pub result: Option<&'a ResultRecord>,
    /// What failed.
    pub failures: Vec<&'a Failure>,
    /// Latency by share of PDR, ascending.
    pub latencies: Vec<LatencyFigure>,
    /// Offered load in frames per second and loss ratio of each search trial that counts, by load.
    pub losses: Vec<(f64, f64)>,
    /// Frames refused by reason, over all trials that count.
    pub refused: BTreeMap<&'a str, u64>,
    /// Trials disturbed and repeated, which do not count.
    pub repeated: u64,
    /// The trials that count, for warnings.
    pub trials: Vec<&'a TrialRecord>,
    /// The trials of rounds that count.
    pub in_rounds: Vec<&'a TrialRecord>,
    /// What happened to the overlay.
    pub events: Vec<&'a EventRecord>,
    /// How flows found their direct path.
    pub learning: Vec<&'a LearningRecord>,
    /// What it carried in the rounds of a comparison.
    pub rounds: Vec<&'a RoundRecord>,
}

impl<'a> Figures<'a> {
    /// Derives the figures of `folder`.
    pub(crate) fn of(folder: &'a RunFolder) -> Self {
        let run = &folder.run;
        let skipped: Vec<_> = run
            .datapaths
            .iter()
            .filter(|datapath| !datapath.missing.is_empty())
            .collect();
        let failures = folder
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Failure(failure) => Some(failure),
                _ => None,
            })
            .collect();
        let mut figures = Self {
            run,
            groups: groups(folder),
            skipped,
            failures,
            trials: trials(folder),
            warnings: Vec::new(),
        };
        figures.warnings = super::warnings::of(&figures, folder);
        figures
    }

    /// Why nothing can be concluded from the run, if so.
    pub(crate) fn unfit(&self) -> Option<&'static str> {
        unfit(self.run, self.trials)
    }

    /// Whether the run is too short for conclusions.
    pub(crate) fn is_smoke(&self) -> bool {
        is_smoke(self.run)
    }

    /// All cells with their scenario.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&ScenarioFigures<'a>, &Cell<'a>)> {
        self.groups
            .iter()
            .flat_map(|group| &group.scenarios)
            .flat_map(|scenario| scenario.cells.iter().map(move |cell| (scenario, cell)))
    }
}

impl Trials {
    /// Whether so many trials were disturbed that nothing can be concluded from the run.
    pub(crate) fn are_too_disturbed(&self) -> bool {
        self.disturbed as f64 > self.total as f64 * TOO_DISTURBED
    }
}

/// Why nothing can be concluded from a run with such trials, if so.
pub(crate) fn unfit(run: &Run, trials: Trials) -> Option<&'static str> {
    if !run.environment.is_optimised() {
        Some("the program is not optimised")
    } else if is_smoke(run) {
        Some("smoke: too short for conclusions")
    } else if trials.are_too_disturbed() {
        Some("the machine was too busy")
    } else {
        None
    }
}

/// Whether `run` is too short for conclusions.
pub(crate) fn is_smoke(run: &Run) -> bool {
    run.profile.eq_ignore_ascii_case("smoke")
}

impl<'a> Cell<'a> {
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

    /// The same in words.
    pub(crate) fn typical_rate(&self) -> Option<String> {
        let it = self.in_a_typical_round()?;
        let is_floor = self.rounds_are_set_by_tester();
        Some(units::rate(it.median, Some(it.from), Some(it.to), is_floor))
    }

    /// Whether the tester may have set what it carried in a typical round: that is close to the ceiling, left its processor idle,
    /// or was found by trials that failed by frames which were never sent.
    pub(crate) fn rounds_are_set_by_tester(&self) -> bool {
        let typical = |of: &dyn Fn(&RoundRecord) -> Option<f64>| {
            let mut figures: Vec<f64> = self.rounds.iter().filter_map(|it| of(it)).collect();
            ranking::median(&mut figures)
        };
        let rate = typical(&|round| Some(round.throughput));
        let busy = typical(&|round| Some(round.cpu_ns_per_frame? * round.throughput / 1e9));
        let is_near = rate
            .zip(self.ceiling())
            .is_some_and(|(rate, ceiling)| rate >= ceiling * TESTER_BOUND);
        let is_idle = !self.polls_busily() && busy.is_some_and(|busy| busy < BUSY);
        is_near || is_idle || failed_unsent(self.in_rounds.iter().copied(), PARTIAL_DROP)
    }

    /// Whether its processor was idle for a good part of its fastest trial, so that something else set the figure.
    pub(crate) fn has_idle_processor(&self) -> bool {
        !self.polls_busily() && self.fastest().is_some_and(|fastest| fastest.busy < BUSY)
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

/// Counts the trials.
fn trials(folder: &RunFolder) -> Trials {
    let mut trials = Trials::default();
    for record in &folder.records {
        let Record::Trial(trial) = record else {
            continue;
        };
        trials.total += 1;
        trials.seconds += trial.effective_seconds.max(0.0);
        trials.repeated += u64::from(trial.repeated);
        trials.disturbed += u64::from(trial.disturbed.is_some());
        match trial.purpose {
            Purpose::Ceiling => trials.ceiling += 1,
            Purpose::Search => trials.search += 1,
            Purpose::Latency { .. } => trials.latency += 1,
            Purpose::Comparison { .. } => trials.comparison += 1,
        }
    }
    trials
}

/// Names in the order of the run's description, then those only records know.
struct Names<'a> {
    datapaths: Vec<&'a str>,
    scenarios: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn of(folder: &'a RunFolder) -> Self {
        let run = &folder.run;
        let mut datapaths = Vec::new();
        let mut scenarios = Vec::new();
        let add = |names: &mut Vec<&'a str>, name: &'a str| {
            if !names.contains(&name) {
                names.push(name);
            }
        };
        for datapath in &run.datapaths {
            add(&mut datapaths, &datapath.name);
        }
        for scenario in &run.scenarios {
            add(&mut scenarios, &scenario.id);
        }
        for record in &folder.records {
            let (datapath, scenario) = place(record);
            add(&mut datapaths, datapath);
            // A failure may be of the datapath as a whole.
            if !matches!(record, Record::Failure(_)) {
                add(&mut scenarios, scenario);
            }
        }
        Self {
            datapaths,
            scenarios,
        }
    }

    /// Failures of `datapath` that belong to no scenario of the run.
    fn failures_of(&self, folder: &'a RunFolder, datapath: &str) -> Vec<&'a Failure> {
        let failures = folder.records.iter().filter_map(|record| match record {
            Record::Failure(failure) => Some(failure),
            _ => None,
        });
        failures
            .filter(|failure| failure.datapath == datapath)
            .filter(|failure| !self.scenarios.contains(&failure.scenario.as_str()))
            .collect()
    }
}

/// Datapath and scenario a record is about.
pub(crate) fn place(record: &Record) -> (&str, &str) {
    match record {
        Record::Verification(it) => (&it.datapath, &it.scenario),
        Record::Trial(it) => (&it.datapath, &it.scenario),
        Record::Result(it) => (&it.datapath, &it.scenario),
        Record::Failure(it) => (&it.datapath, &it.scenario),
        Record::Event(it) => (&it.datapath, &it.scenario),
        Record::Learning(it) => (&it.datapath, &it.scenario),
        Record::Round(it) => (&it.datapath, &it.scenario),
    }
}

/// Sorts everything by kind of port, then scenario, then datapath.
fn groups(folder: &RunFolder) -> Vec<Group<'_>> {
    let names = Names::of(folder);
    let run = &folder.run;
    let mut by_place = BTreeMap::<(&str, &str), Vec<&Record>>::new();
    for record in &folder.records {
        by_place.entry(place(record)).or_default().push(record);
    }
    let ports = |name: &str| {
        let measured = folder.records.iter().rev().find_map(|record| match record {
            Record::Result(result) if result.datapath == name => Some(result.ports),
            _ => None,
        });
        let announced = || run.datapaths.iter().find(|info| info.name == name);
        measured.or_else(|| announced().map(|info| info.ports))
    };
    let runs = |name: &str| {
        let info = run.datapaths.iter().find(|info| info.name == name);
        info.is_none_or(|info| info.missing.is_empty())
            || folder.records.iter().any(|record| place(record).0 == name)
    };
    let mut groups = Vec::<Group<'_>>::new();
    for &name in names.datapaths.iter().filter(|name| runs(name)) {
        // A name that only failures know has no ports; there is nothing to group it by.
        let Some(ports) = ports(name) else { continue };
        match groups.iter_mut().find(|group| group.ports == ports) {
            Some(group) => group.datapaths.push(name),
            None => groups.push(Group {
                ports,
                datapaths: vec![name],
                scenarios: Vec::new(),
            }),
        }
    }
    let trials = trials(folder);
    for group in &mut groups {
        for &id in &names.scenarios {
            let mut cells = Vec::new();
            for &datapath in &group.datapaths {
                let index = names.datapaths.iter().position(|name| *name == datapath);
                let records = by_place.get(&(datapath, id));
                let records = records.map_or(&[][..], Vec::as_slice);
                let mut cell = cell(run, index.unwrap_or(0), datapath, records);
                if cell.result.is_none() {
                    cell.failures.extend(names.failures_of(folder, datapath));
                }
                cells.push(cell);
            }
            let apart = Apart::keep_one(&mut cells);
            let standing = Standing::of(run, &cells);
            group.scenarios.push(ScenarioFigures {
                id,
                apart,
                info: run.scenarios.iter().find(|scenario| scenario.id == id),
                lead: Lead::of(run, trials, &cells, standing.as_ref()),
                standing,
                cells,
            });
        }
    }
    groups
}

/// The figures of one datapath in one scenario from its records.
fn cell<'a>(run: &'a Run, index: usize, datapath: &'a str, records: &[&'a Record]) -> Cell<'a> {
    let mut cell = Cell {
        index,
        datapath,
        info: run.datapaths.iter().find(|info| info.name == datapath),
        check: Check::Absent,
        result: None,
        excused: 0,
        failures: Vec::new(),
        latencies: Vec::new(),
        losses: Vec::new(),
        refused: BTreeMap::new(),
        repeated: 0,
        trials: Vec::new(),
        in_rounds: Vec::new(),
        events: Vec::new(),
        learning: Vec::new(),
        rounds: Vec::new(),
    };
    let (mut passed, mut differing) = (0_u64, Vec::new());
    let mut by_share = BTreeMap::<u8, Vec<&TrialRecord>>::new();
    for record in records {
        match record {
            Record::Verification(it) => {
                passed = passed.saturating_add(it.passed);
                differing.extend(it.failures.iter().cloned());
                let excused = it.excused.values().copied().fold(0, u64::saturating_add);
                cell.excused = cell.excused.saturating_add(excused);
            }
            Record::Failure(failure) => cell.failures.push(failure),
            Record::Event(event) => cell.events.push(event),
            Record::Learning(learning) => cell.learning.push(learning),
            Record::Result(result) => cell.result = Some(result),
            Record::Round(round) => cell.rounds.push(round),
            Record::Trial(trial) if trial.repeated => cell.repeated += 1,
            Record::Trial(trial) => match trial.purpose {
                Purpose::Ceiling => {}
                Purpose::Comparison { .. } => cell.in_rounds.push(trial),
                Purpose::Search => {
                    cell.losses.push((trial.load, loss_ratio(trial)));
                    cell.trials.push(trial);
                }
                Purpose::Latency { percent_of_pdr } => {
                    by_share.entry(percent_of_pdr).or_default().push(trial);
                    cell.trials.push(trial);
                }
            },
        }
    }
    cell.check = match (passed, differing.is_empty()) {
        (0, true) => Check::Absent,
        (passed, true) => Check::Passed(passed),
        (passed, false) => Check::Failed(passed, differing),
    };
    cell.losses.sort_by(|a, b| a.0.total_cmp(&b.0));
    cell.latencies = by_share
        .into_iter()
        .filter_map(|(share, trials)| LatencyFigure::of(share, &trials))
        .collect();
    for (reason, count) in cell
        .trials
        .iter()
        .filter_map(|trial| trial.counters.as_ref())
        .flat_map(|counters| &counters.refused)
    {
        let sum = cell.refused.entry(reason).or_default();
        *sum = sum.saturating_add(*count);
    }
    cell
}
