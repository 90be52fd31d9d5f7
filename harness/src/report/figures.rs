//! The figures of a run, as every form of the report shows them.

use super::RunFolder;
use super::apart::Apart;
use super::cell::Cell;
use super::lead::Lead;
use super::standing::Standing;
use crate::record::{DatapathInfo, Failure, PortType, Purpose, Record, Run, Scenario};
use std::collections::BTreeMap;

/// With more than this share of its trials disturbed, a run shows the machine's other work.
const TOO_DISTURBED: f64 = 0.15;

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
    /// When the last of them ended, in seconds since the run began.
    pub end: f64,
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
    /// How far apart processors were in the trials that are shown.
    pub apart: Option<Apart>,
    /// How they compare with each other, where they were measured so.
    pub standing: Option<Standing<'a>>,
    /// Who carries most.
    pub lead: Lead<'a>,
}

impl ScenarioFigures<'_> {
    /// Whether nothing was to be measured on such ports: droplets of an overlay are joined by veth pairs.
    pub(crate) fn leaves_out(&self, ports: PortType) -> bool {
        let is_overlay = self.info.is_some_and(|info| info.overlay.is_some());
        is_overlay && ports != PortType::Veth && self.cells.iter().all(Cell::is_empty)
    }
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

/// Counts the trials.
fn trials(folder: &RunFolder) -> Trials {
    let mut trials = Trials::default();
    for record in &folder.records {
        let Record::Trial(trial) = record else {
            continue;
        };
        trials.total += 1;
        let seconds = trial.effective_seconds.max(0.0);
        trials.seconds += seconds;
        trials.end = trials.end.max(trial.at_seconds + seconds);
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
                let mut cell = Cell::of(run, index.unwrap_or(0), datapath, records);
                if cell.results.is_empty() {
                    cell.failures.extend(names.failures_of(folder, datapath));
                }
                cells.push(cell);
            }
            let apart = Apart::keep_one(run, &mut cells);
            let carried = |cell: &Cell<'_>| match cell.in_a_typical_round() {
                Some(it) => Some(it.median),
                None => cell.pdr()?.throughput,
            };
            let most = cells.iter().filter(|cell| cell.doubt().is_none());
            let most = most.filter_map(carried).max_by(f64::total_cmp);
            cells.iter_mut().for_each(|cell| cell.most_of_all = most);
            let standing = Standing::of(folder, id, &cells);
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
    // Ports on which nothing was to be measured.
    groups.retain(|group| {
        let mut scenarios = group.scenarios.iter();
        !scenarios.all(|scenario| scenario.leaves_out(group.ports))
    });
    groups
}
