//! What a reader must bear in mind, each with what to do about it.

mod cell;

pub(super) use cell::unsent_decided;

use std::collections::BTreeMap;

use crate::environment::BUSY;
use crate::lines::Damage;
use crate::record::{DatapathInfo, Environment, PortType, Purpose, Record, Run, SCHEMA};

use super::RunFolder;
use super::figures::{Figures, place};
use super::folder::TRIALS;
use super::{apart, text, units};

/// A clock this slow to read is felt in a latency of microseconds.
const SLOW_CLOCK_NS: f64 = 200.0;

/// All warnings about a run, those that void every figure first.
pub(super) fn of(figures: &Figures<'_>, folder: &RunFolder) -> Vec<String> {
    let mut out = Vec::new();
    of_run(figures, &mut out);
    of_files(folder, &mut out);
    of_schema(figures.run, &mut out);
    of_names(figures, folder, &mut out);
    of_overlays(figures, &mut out);
    of_cells(figures, &mut out);
    of_ceilings(folder, &mut out);
    of_disturbed_ceilings(folder, &mut out);
    of_moved_processors(folder, &mut out);
    of_machine(figures, &mut out);
    out
}

/// What is wrong with a run as a whole or with its files, whichever ports are looked at.
pub(crate) fn of_the_whole(run: &Run, folder: &RunFolder) -> Vec<String> {
    let mut out = Vec::from_iter(busy_machine(&run.environment));
    of_files(folder, &mut out);
    of_schema(run, &mut out);
    out
}

/// What concerns datapaths in scenarios: one line for all that it applies to.
fn of_cells(figures: &Figures<'_>, out: &mut Vec<String>) {
    let mut warnings = Vec::<Warned<'_>>::new();
    let meant = figures.groups.iter().flat_map(|group| {
        let scenarios = group.scenarios.iter();
        scenarios.filter(|it| !it.leaves_out(group.ports))
    });
    let cells = meant.flat_map(|scenario| scenario.cells.iter().map(move |cell| (scenario, cell)));
    for (scenario, cell) in cells {
        for text in cell::of(cell) {
            let known = warnings.iter().position(|warned| warned.text == text);
            let place = known.unwrap_or_else(|| {
                warnings.push(Warned::new(text));
                warnings.len() - 1
            });
            warnings[place].add(cell.datapath, scenario.id);
        }
    }
    let all = figures.run.scenarios.len();
    out.extend(warnings.iter().map(|warned| warned.line(all)));
}

/// Datapaths that have no part in overlays, where the run has some.
fn of_overlays(figures: &Figures<'_>, out: &mut Vec<String>) {
    let run = figures.run;
    let is_left_out =
        |info: &&DatapathInfo| info.ports != PortType::Veth && info.missing.is_empty();
    let left_out: Vec<&str> = run
        .datapaths
        .iter()
        .filter(is_left_out)
        .map(|info| info.name.as_str())
        .collect();
    if run.scenarios.iter().any(|it| it.overlay.is_some()) && !left_out.is_empty() {
        out.push(format!(
            "Overlays were not measured with {}: their droplets are joined by veth pairs alone.",
            text::list(&left_out)
        ));
    }
}

/// A warning, and whom it is about.
struct Warned<'a> {
    text: String,
    /// Datapaths, each with its scenarios.
    about: Vec<(&'a str, Vec<&'a str>)>,
}

impl<'a> Warned<'a> {
    fn new(text: String) -> Self {
        Self {
            text,
            about: Vec::new(),
        }
    }

    fn add(&mut self, datapath: &'a str, scenario: &'a str) {
        let known = self.about.iter_mut().find(|(name, _)| *name == datapath);
        match known {
            Some((_, scenarios)) if scenarios.contains(&scenario) => {}
            Some((_, scenarios)) => scenarios.push(scenario),
            None => self.about.push((datapath, vec![scenario])),
        }
    }

    /// The line of a run that has this many scenarios.
    fn line(&self, all: usize) -> String {
        let subjects = self.about.iter().map(|(datapath, scenarios)| {
            let scenarios = match scenarios.len() {
                count if count > 1 && count == all => "all scenarios".to_owned(),
                _ => text::list(scenarios),
            };
            format!("{datapath} in {scenarios}")
        });
        let subjects: Vec<String> = subjects.collect();
        let about = subjects.join("; ");
        // What is said comes first where the list is long.
        match (self.text.strip_prefix(": "), subjects.len()) {
            (_, 1) => format!("{about}{}", self.text),
            (None, _) => format!("Each of these{} These: {about}.", self.text),
            (Some(text), _) => {
                let mut letters = text.chars();
                let first = letters.next().map(|it| it.to_uppercase().to_string());
                let text = first.unwrap_or_default() + letters.as_str();
                format!("{text} This is said of {about}.")
            }
        }
    }
}

/// What concerns the program, the profile and the ports.
fn of_run(figures: &Figures<'_>, out: &mut Vec<String>) {
    let environment = &figures.run.environment;
    if !environment.is_optimised() {
        out.push(format!(
            "The program was built as \"{}\", not optimised: every figure is worthless. Run it with cargo's --release or the repository's default profile.",
            environment.build
        ));
    }
    out.extend(busy_machine(environment));
    let trials = figures.trials;
    if trials.are_too_disturbed() {
        out.push(format!(
            "The machine was too busy for conclusions: {} of {} trials were disturbed. Do not use the figures; end what else runs on it and repeat the run.",
            trials.disturbed, trials.total
        ));
    }
    if figures.is_smoke() {
        out.push(
            "smoke: too short for conclusions. It shows that everything works; for figures run again with --profile quick, standard or full."
                .to_owned(),
        );
    }
    if figures.groups.len() > 1 {
        out.push(format!(
            "The datapaths were measured on different ports ({}). Compare only within one kind of port: the ports cost more than the difference between datapaths.",
            text::list(&ports(figures))
        ));
    }
    if environment.datapath_cpu == environment.tester_cpu {
        out.push(format!(
            "Datapath and tester shared processor {}: each slowed the other. Run again with at least two processors.",
            environment.tester_cpu
        ));
    }
}

/// Above this share of its processors' time, in percent, something else ran on a machine.
const BUSY_MACHINE: u64 = 10;

/// Says if the machine had other work when the run began.
pub(super) fn busy_machine(environment: &Environment) -> Option<String> {
    let percent = environment.notes.iter().find_map(|note| {
        let percent = note.strip_prefix(BUSY)?.strip_suffix(" %")?;
        percent.parse::<u64>().ok()
    })?;
    (percent > BUSY_MACHINE).then(|| {
        format!(
            "The machine was busy before the run began ({percent} % of its processors' time): rates are too low and latencies too long by an amount that nobody knows, and where several threads work, as on veth ports, no single trial shows it. Repeat the run on an idle machine."
        )
    })
}

/// What concerns the machine, and so every figure alike.
fn of_machine(figures: &Figures<'_>, out: &mut Vec<String>) {
    let environment = &figures.run.environment;
    if environment.clock_cost_ns >= SLOW_CLOCK_NS {
        out.push(format!(
            "Reading the clock ({}) costs {} ns, which lowers rates and adds to latencies. Use the clock source tsc if the machine has it.",
            environment.clock_source,
            units::nanos(environment.clock_cost_ns)
        ));
    }
    if let Some(hypervisor) = &environment.hypervisor {
        out.push(format!(
            "The machine is virtual ({hypervisor}): its host can disturb any trial. Repeat the run on the hardware you will use before you decide."
        ));
    }
}

/// The kinds of port, as words.
pub(super) fn ports(figures: &Figures<'_>) -> Vec<String> {
    let kinds = figures.groups.iter();
    kinds.map(|group| group.ports.to_string()).collect()
}

/// What concerns the run's files.
fn of_files(folder: &RunFolder, out: &mut Vec<String>) {
    let damage = &folder.damage;
    if damage.absent {
        out.push("trials.jsonl is absent: the run ended before anything was measured, or the folder is incomplete.".to_owned());
    } else if folder.records.is_empty() {
        out.push("trials.jsonl has no readable line: nothing was measured.".to_owned());
    }
    out.extend(of_damage(TRIALS, damage));
}

/// What a run of an older program lacks.
fn of_schema(run: &Run, out: &mut Vec<String>) {
    if run.schema < SCHEMA {
        let distances = if run.schema < apart::SCHEMA_OF_DISTANCES {
            " On a virtual machine NDR, PDR, ceiling and latency may be of processors near each other and far apart, mixed."
        } else {
            ""
        };
        out.push(format!(
            "The run has schema {}, of an older program than this one, whose schema is {SCHEMA}: what that did not record is missing here.{distances} Make it anew before you compare it with others.",
            run.schema
        ));
    }
}

/// Lines of a file of records that are left out.
pub(crate) fn of_damage(file: &str, damage: &Damage) -> Vec<String> {
    let mut out = Vec::new();
    if damage.cut_off {
        out.push(format!(
            "The last line of {file} is cut off: the run was interrupted while it wrote. That record is left out; results may be missing."
        ));
    }
    if !damage.unreadable.is_empty() {
        let shown: Vec<_> = damage
            .unreadable
            .iter()
            .take(5)
            .map(u64::to_string)
            .collect();
        let more = if damage.unreadable.len() > shown.len() {
            ", the first in"
        } else {
            ", in"
        };
        out.push(format!(
            "{} of {file} could not be read and {} left out{more} line {}. Figures may lack what they held; restore the file or run again.",
            text::count(damage.unreadable.len() as u64, "line", "lines"),
            if damage.unreadable.len() == 1 { "is" } else { "are" },
            text::list(&shown)
        ));
    }
    out
}

/// Records and descriptions that do not fit together.
fn of_names(figures: &Figures<'_>, folder: &RunFolder, out: &mut Vec<String>) {
    let run = figures.run;
    let mut results = BTreeMap::<(&str, &str), BTreeMap<u32, u64>>::new();
    for record in &folder.records {
        if let Record::Result(result) = record {
            let at_distances = results.entry(place(record)).or_default();
            *at_distances.entry(result.distance).or_default() += 1;
            let info = run
                .datapaths
                .iter()
                .find(|info| info.name == result.datapath);
            if info.is_some_and(|info| info.ports != result.ports) {
                out.push(format!(
                    "{} was announced on other ports than the {} ports it was measured on in {}; it is listed under the latter.",
                    result.datapath, result.ports, result.scenario
                ));
            }
        }
    }
    for ((datapath, scenario), at_distances) in results {
        let count = at_distances.values().copied().max().unwrap_or(0);
        if count > 1 {
            out.push(format!(
                "{datapath} in {scenario} has {count} results; the last one is shown, but the trials of all are mixed in the pictures. Use one folder for each run."
            ));
        }
    }
    for (index, info) in run.datapaths.iter().enumerate() {
        if run.datapaths[..index]
            .iter()
            .any(|other| other.name == info.name)
        {
            out.push(format!(
                "Two datapaths are named {}: their figures cannot be told apart.",
                info.name
            ));
        }
    }
}

/// A tester that damages frames by itself.
fn of_ceilings(folder: &RunFolder, out: &mut Vec<String>) {
    let damaged = folder.records.iter().filter(|record| match record {
        Record::Trial(trial) => {
            trial.purpose == Purpose::Ceiling
                && !trial.repeated
                && (trial.corrupted > 0 || trial.duplicates > 0 || trial.foreign > 0)
        }
        _ => false,
    });
    let damaged = damaged.count() as u64;
    if damaged > 0 {
        out.push(format!(
            "In {} of the tester's ceiling frames came back changed, twice or from elsewhere without any datapath: the tester or its ports are at fault. Do not use the figures.",
            text::count(damaged, "trial", "trials")
        ));
    }
}

/// Ceilings that trials count for although something disturbed them.
fn of_disturbed_ceilings(folder: &RunFolder, out: &mut Vec<String>) {
    let mut scenarios = Vec::new();
    for record in &folder.records {
        if let Record::Trial(trial) = record
            && trial.purpose == Purpose::Ceiling
            && trial.disturbed.is_some()
            && !trial.repeated
            && !scenarios.contains(&trial.scenario.as_str())
        {
            scenarios.push(&trial.scenario);
        }
    }
    if !scenarios.is_empty() {
        out.push(format!(
            "The tester's ceiling in {} rests on trials that were disturbed each time they were made: it may be too low. Repeat the run on an idle machine.",
            text::list(&scenarios)
        ));
    }
}

/// Trials whose processors were at another distance than in most.
fn of_moved_processors(folder: &RunFolder, out: &mut Vec<String>) {
    let mut at = BTreeMap::<u32, Vec<f64>>::new();
    for record in &folder.records {
        if let Record::Trial(trial) = record
            && let Some([before, _]) = trial.round_trip_ns.filter(|_| !trial.repeated)
        {
            at.entry(trial.distance)
                .or_default()
                .push(f64::from(before));
        }
    }
    if let Some(moved) = apart::moved(&mut at) {
        let consequence = "What a scenario shows is all of one distance, unless it is marked; trials at others are left out, and those that saw processors move as well.";
        out.push(format!("{moved} {consequence}"));
    }
}
