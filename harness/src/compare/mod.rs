//! Two runs, or two lots of runs, against each other: what became slower, what faster.
//!
//! Rounds of a run are paired with those of the run it is compared with, in their order. If the runs of the two sides were
//! made in turns, on one machine, that is a comparison like that of two datapaths within a run ([`ranking`]). With one run on
//! each side the intervals have the noise within runs and nothing of what differs from one run to the next, which is said.

mod sides;
mod text;
mod trend;

#[cfg(test)]
mod tests;

pub use sides::{Error, Found, find};
pub use text::words;
pub use trend::{Trend, trend, words as trend_words};

use crate::record::{Record, RoundRecord};
use crate::report::RunFolder;
use crate::report::figures::Figures;
use ranking::{Interval, Resampling, Rounds, STAGES, Tolerance, Verdict, intervals};
use serde::Serialize;
use sides::differences;
use std::collections::BTreeMap;

/// The probability that any verdict is wrong.
const ERROR: f64 = 0.05;

/// A figure that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Frames a second.
    Throughput,
    /// Processor time of a frame.
    ProcessorTime,
    /// 99th percentile of latency.
    Latency,
}

impl Figure {
    const ALL: [Self; 3] = [Self::Throughput, Self::ProcessorTime, Self::Latency];

    /// Of a round; more is better.
    fn of(self, round: &RoundRecord) -> Option<f64> {
        let figure = match self {
            Self::Throughput => round.throughput,
            Self::ProcessorTime => 1.0 / round.cpu_ns_per_frame?,
            Self::Latency => 1.0 / round.p99_ns? as f64,
        };
        (figure.is_finite() && figure > 0.0).then_some(figure)
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::ProcessorTime => "time of a frame",
            Self::Latency => "p99 of latency",
        }
    }
}

/// What became of a figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The scenario.
    pub scenario: String,
    /// The datapath.
    pub datapath: String,
    /// The figure.
    pub figure: Figure,
    /// How many times better it became; none where there are too few rounds.
    pub times_better: Option<Interval>,
    /// What follows: `faster` is an improvement, `slower` a regression.
    pub verdict: Verdict,
    /// Pairs of rounds.
    pub rounds: usize,
}

/// All changes, and what to bear in mind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// When the runs of each side began.
    pub began: [Vec<String>; 2],
    /// What is not the same about the two sides; each may be why figures differ.
    pub differences: Vec<String>,
    /// What else to bear in mind.
    pub cautions: Vec<String>,
    /// Changes, regressions first.
    pub changes: Vec<Change>,
    /// Datapaths in scenarios that only one side has.
    pub only: [Vec<String>; 2],
}

impl Comparison {
    /// Whether something became slower for certain.
    pub fn has_regressions(&self) -> bool {
        self.changes.iter().any(|it| it.verdict == Verdict::Slower)
    }
}

/// A datapath in a scenario.
type Place = (String, String);

/// Compares `run` with `base`.
pub fn compare(base: &[Found], run: &[Found], tolerance: Tolerance) -> Comparison {
    let lots = [base, run];
    let mut paired = BTreeMap::<Place, Vec<(RoundRecord, RoundRecord)>>::new();
    for (one, other) in base.iter().zip(run) {
        let (one, other) = (rounds(&one.folder), rounds(&other.folder));
        for (place, before) in one {
            if let Some(after) = other.get(&place) {
                let pairs = before.into_iter().zip(after.iter().cloned());
                paired.entry(place).or_default().extend(pairs);
            }
        }
    }
    let comparisons = paired.len() * Figure::ALL.len();
    let error = ERROR / comparisons.max(1) as f64;
    let settings = base
        .iter()
        .chain(run)
        .find_map(|it| it.folder.run.comparison);
    let how = Resampling {
        // Enough for the share of the error that one of so many comparisons has.
        resamples: (8.0 / error) as u32,
        seed: run.first().map_or(0, |it| it.folder.run.seed),
        resolution: settings.map_or(0.0, |it| it.width),
    };
    let mut changes: Vec<Change> = paired
        .iter()
        .flat_map(|(place, pairs)| {
            Figure::ALL.map(|figure| change(place, figure, pairs, error, how, tolerance))
        })
        .flatten()
        .collect();
    let rank = |verdict: Verdict| match verdict {
        Verdict::Slower => 0,
        Verdict::Faster => 1,
        Verdict::Undecided => 2,
        Verdict::Equivalent => 3,
    };
    changes.sort_by(|one, other| {
        let key = |it: &Change| {
            (
                rank(it.verdict),
                it.scenario.clone(),
                it.datapath.clone(),
                it.figure,
            )
        };
        key(one).cmp(&key(other))
    });
    let places = lots.map(|lot| {
        let mut places: Vec<Place> = lot
            .iter()
            .flat_map(|it| rounds(&it.folder).into_keys())
            .collect();
        places.sort();
        places.dedup();
        places
    });
    let lacking = |here: &[Place], there: &[Place]| {
        let only = here.iter().filter(|place| !there.contains(place));
        only.map(|(datapath, scenario)| format!("{datapath} in {scenario}"))
            .collect()
    };
    Comparison {
        began: lots.map(|lot| lot.iter().map(|it| it.folder.run.started.clone()).collect()),
        differences: match (base.last(), run.last()) {
            (Some(base), Some(run)) => differences(&base.folder, &run.folder),
            _ => Vec::new(),
        },
        cautions: cautions(lots),
        changes,
        only: [
            lacking(&places[0], &places[1]),
            lacking(&places[1], &places[0]),
        ],
    }
}

/// What is to be borne in mind of such runs.
fn cautions(lots: [&[Found]; 2]) -> Vec<String> {
    let mut cautions = Vec::new();
    if lots.iter().all(|lot| lot.len() == 1) {
        cautions.push("One run on each side: what differs from one run of the same program to the next is not in the intervals. Make runs in turns, a folder of them for each side, before you blame a change.".to_owned());
    }
    if lots[0].len() != lots[1].len() {
        cautions.push(format!(
            "{} runs against {}: they are paired in their order, and those left over are left out.",
            lots[0].len(),
            lots[1].len()
        ));
    }
    for found in lots.into_iter().flatten() {
        let figures = Figures::of(&found.folder);
        let path = found.path.display();
        if !crate::report::figures::is_optimised(&found.folder.run) {
            cautions.push(format!(
                "{path} was made by a program that was not optimised: its figures are worthless."
            ));
        }
        if figures.is_smoke() {
            cautions.push(format!(
                "{path} has the profile smoke, which compares nothing."
            ));
        }
        if figures.trials.are_too_disturbed() {
            cautions.push(format!("{path}: the machine was too busy for conclusions."));
        }
        if !figures.failures.is_empty() {
            let count = figures.failures.len();
            cautions.push(format!(
                "{path} has failures ({count}): `bench report` lists them."
            ));
        }
        let damage = &found.folder.damage;
        if damage.cut_off || damage.absent || !damage.unreadable.is_empty() {
            cautions.push(format!(
                "{path} is incomplete: it is read as far as it goes."
            ));
        }
    }
    cautions
}

/// The rounds of a run by place, in their order; none of a datapath that failed verification there.
fn rounds(folder: &RunFolder) -> BTreeMap<Place, Vec<RoundRecord>> {
    let figures = Figures::of(folder);
    let doubted: Vec<(&str, &str)> = figures
        .cells()
        .filter(|(_, cell)| cell.doubt().is_some())
        .map(|(scenario, cell)| (cell.datapath, scenario.id))
        .collect();
    let mut rounds = BTreeMap::<Place, Vec<RoundRecord>>::new();
    for record in &folder.records {
        if let Record::Round(round) = record
            && !doubted.contains(&(round.datapath.as_str(), round.scenario.as_str()))
        {
            let place = (round.datapath.clone(), round.scenario.clone());
            rounds.entry(place).or_default().push(round.clone());
        }
    }
    for rounds in rounds.values_mut() {
        rounds.sort_by_key(|round| round.round);
    }
    rounds
}

/// What became of one figure; nothing where it was not taken.
fn change(
    (datapath, scenario): &Place,
    figure: Figure,
    pairs: &[(RoundRecord, RoundRecord)],
    error: f64,
    how: Resampling,
    tolerance: Tolerance,
) -> Option<Change> {
    let mut rounds = Rounds::new(2);
    for (before, after) in pairs {
        if let (Some(before), Some(after)) = (figure.of(before), figure.of(after)) {
            // Both are positive.
            let _ = rounds.push(&[after, before]);
        }
    }
    if rounds.is_empty() {
        return None;
    }
    let enough = rounds.len() >= STAGES[0];
    let found = enough.then(|| intervals(&rounds, &[(0, 1)], error, how));
    let times_better = found.and_then(|found| found.first().copied());
    Some(Change {
        scenario: scenario.clone(),
        datapath: datapath.clone(),
        figure,
        verdict: times_better.map_or(Verdict::Undecided, |it| Verdict::of(&it, tolerance)),
        times_better,
        rounds: rounds.len(),
    })
}
