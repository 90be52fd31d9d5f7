//! Two lots of runs against each other: what became slower, what faster.
//!
//! Runs are paired in their order, each with the next one whose processors were as far apart, and a pair has one figure: the
//! typical ratio of the rounds of its two runs. So what differs from one run to the next, which all rounds of a run have in
//! common, is in the intervals ([`ranking`]). With fewer than [`FEWEST`] pairs nothing is decided.

mod agreement;
mod sides;
mod text;
mod trend;

#[cfg(test)]
mod tests;

pub use agreement::{Agreement, Odds, Said};
pub use sides::{Error, Found, find};
pub use text::words;
pub use trend::{Trend, trend, words as trend_words};

use crate::figure::Figure;
use crate::record::{Record, RoundRecord};
use crate::report::apart::Apart;
use crate::report::figures::Figures;
use crate::report::text::list;
use crate::report::warnings::of_the_whole;
use agreement::Match;
use ranking::{Interval, STAGES, Tolerance, Verdict, intervals, median};
use serde::Serialize;
pub(crate) use sides::between_machines;
use sides::differences;
use std::collections::{BTreeMap, BTreeSet};

/// The probability that any verdict is wrong.
const ERROR: f64 = 0.05;

/// The fewest pairs of runs that decide anything.
pub const FEWEST: usize = STAGES[0];

/// What became of a figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The scenario.
    pub scenario: String,
    /// The datapath.
    pub datapath: String,
    /// The figure.
    pub figure: Figure,
    /// How many times better it became in the middle one of all pairs of runs.
    pub about: f64,
    /// Between what that lies; none where there are too few pairs.
    pub times_better: Option<Interval>,
    /// What follows: `faster` is an improvement, `slower` a regression.
    pub verdict: Verdict,
    /// Pairs of runs.
    pub runs: usize,
    /// Whether the tester may have set the rate in one of them, so that nothing follows.
    pub set_by_tester: bool,
}

/// All changes, and what to bear in mind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// When the runs of each side began.
    pub began: [Vec<String>; 2],
    /// Commits that `bench` was built from for the runs of each side, where known.
    pub commits: [Vec<String>; 2],
    /// What is not the same about the two sides; each may be why figures differ.
    pub differences: Vec<String>,
    /// What else to bear in mind.
    pub cautions: Vec<String>,
    /// Changes, regressions first.
    pub changes: Vec<Change>,
    /// How far runs agree with their counterparts about which datapath is faster than which.
    pub agreement: Agreement,
    /// Datapaths in scenarios that only one side has.
    pub only: [Vec<String>; 2],
}

impl Comparison {
    /// Whether something became worse for certain, or is not measured any more.
    pub fn has_regressions(&self) -> bool {
        let is_gone = !self.only[0].is_empty();
        is_gone || self.changes.iter().any(|it| it.verdict == Verdict::Slower)
    }
}

/// A datapath in a scenario.
type Place = (String, String);

/// Compares `run` with `base`.
pub fn compare(base: &[Found], run: &[Found], tolerance: Tolerance) -> Comparison {
    let lots = [base, run];
    let measured = lots.map(|lot| lot.iter().map(Measured::of).collect::<Vec<_>>());
    let [before, after] = &measured;
    let places = measured.each_ref().map(|lot| {
        let places = lot.iter().flat_map(|it| &it.places);
        places.collect::<BTreeSet<&Place>>()
    });
    let mut paired = BTreeMap::<Place, Vec<Pair>>::new();
    // Scenarios in which a hypervisor had the processors elsewhere in runs that have no counterpart therefore.
    let mut moved = BTreeSet::<String>::new();
    for place in places[0].intersection(&places[1]) {
        let (pairs, are_left) = pairs(before, after, place);
        if are_left {
            moved.insert(place.1.clone());
        }
        paired.insert((*place).clone(), pairs);
    }
    let unfit: Vec<String> = measured
        .iter()
        .flatten()
        .filter_map(|it| it.unfit.clone())
        .collect();
    let comparisons = paired.len() * Figure::ALL.len();
    let error = ERROR / comparisons.max(1) as f64;
    let widths = lots
        .into_iter()
        .flatten()
        .filter_map(|it| it.folder.run.comparison);
    let judge = Judge {
        error,
        resolution: widths.map(|it| it.width).fold(0.0, f64::max),
        tolerance,
    };
    let mut changes: Vec<Change> = paired
        .iter()
        .flat_map(|(place, pairs)| Figure::ALL.map(|figure| judge.change(place, figure, pairs)))
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
            let place = (it.scenario.clone(), it.datapath.clone());
            (rank(it.verdict), place, it.figure)
        };
        key(one).cmp(&key(other))
    });
    let lacking = |here: &BTreeSet<&Place>, there: &BTreeSet<&Place>| {
        let only = here.difference(there);
        only.map(|(datapath, scenario)| format!("{datapath} in {scenario}"))
            .collect()
    };
    let mut differ: Vec<String> = Vec::new();
    for (before, after) in base.iter().zip(run) {
        for difference in differences(&before.folder, &after.folder) {
            if !differ.contains(&difference) {
                differ.push(difference);
            }
        }
    }
    let mut cautions = unfit;
    cautions.extend(moved.iter().map(|scenario| format!("In {scenario} processors were farther apart in some of the runs than in their counterparts, so that those count for nothing: a hypervisor moves virtual processors.")));
    let commits = lots.map(commits);
    cautions.extend(of_lots(lots));
    cautions.extend(mixed(&commits));
    cautions.extend(lots.into_iter().flatten().flat_map(of_run));
    Comparison {
        began: lots.map(|lot| {
            let began = lot.iter().map(|it| it.folder.run.started.clone());
            began.collect()
        }),
        commits,
        differences: differ,
        cautions,
        changes,
        agreement: Agreement::of(before, after),
        only: [
            lacking(&places[0], &places[1]),
            lacking(&places[1], &places[0]),
        ],
    }
}

/// The commits that `bench` was built from for these runs, each once.
fn commits(lot: &[Found]) -> Vec<String> {
    let all = lot.iter();
    let all = all.filter_map(|it| it.folder.run.environment.commit.clone());
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Sides whose runs are of several commits.
fn mixed([base, run]: &[Vec<String>; 2]) -> impl Iterator<Item = String> {
    let sides = [("base", base), ("run", run)].into_iter();
    let several = sides.filter(|(_, commits)| commits.len() > 1);
    several.map(|(which, commits)| {
        format!(
            "The runs of {which} are of different commits: {}.",
            list(commits)
        )
    })
}

/// What is to be borne in mind of such lots.
fn of_lots([base, run]: [&[Found]; 2]) -> Vec<String> {
    let mut cautions = Vec::new();
    let pairs = base.len().min(run.len());
    if pairs < FEWEST {
        let runs = if pairs == 1 { "run" } else { "runs" };
        cautions.push(format!("{pairs} {runs} on each side: what differs from one run of the same program to the next may be all there is, so nothing is decided. Give two folders of {FEWEST} runs or more, made in turns."));
    }
    if base.len() != run.len() {
        cautions.push(format!(
            "{} runs against {}: they are paired in their order, and those left over are left out.",
            base.len(),
            run.len()
        ));
    }
    let began = |found: &Found| found.folder.run.started.clone();
    let apart = |one: &[Found], other: &[Found]| {
        one.iter().map(began).max() < other.iter().map(began).min()
    };
    if pairs > 1 && (apart(base, run) || apart(run, base)) {
        cautions.push("The runs were not made in turns: what changed on the machine meanwhile is taken for the datapaths'.".to_owned());
    }
    cautions
}

/// What else is to be borne in mind of a run.
fn of_run(found: &Found) -> Vec<String> {
    let (path, folder) = (found.path.display(), &found.folder);
    let wrong = of_the_whole(&folder.run, folder).into_iter();
    let mut cautions: Vec<String> = wrong.map(|it| format!("{path}: {it}")).collect();
    let failures = |record: &&Record| matches!(record, Record::Failure(_));
    let failed = folder.records.iter().filter(failures).count();
    if failed > 0 {
        cautions.push(format!(
            "{path} has failures ({failed}): `bench report` lists them."
        ));
    }
    cautions
}

/// What a run has of a datapath in a scenario.
struct Rounds {
    /// In their order.
    rounds: Vec<RoundRecord>,
    /// Whether the tester may have set its rate.
    by_tester: bool,
    /// How far apart processors were.
    apart: Option<Apart>,
}

/// What is taken from a run. Its figures are derived once, which takes time: its tournaments are carried out again.
struct Measured {
    /// Why nothing can be concluded from it.
    unfit: Option<String>,
    /// Rounds by place; none of a datapath that failed verification there, and none at all of a run that nothing can be concluded
    /// from.
    rounds: BTreeMap<Place, Rounds>,
    /// What it says of every two datapaths.
    verdicts: BTreeMap<Match, Said>,
    /// Everything that was measured, whether anything can be concluded from it or not.
    places: BTreeSet<Place>,
}

impl Measured {
    fn of(found: &Found) -> Self {
        let figures = Figures::of(&found.folder);
        let path = found.path.display();
        let mut by_place = BTreeMap::new();
        let reason = figures.unfit();
        for (scenario, cell) in figures.cells().filter(|_| reason.is_none()) {
            if cell.doubt().is_some() || cell.rounds.is_empty() {
                continue;
            }
            let mut rounds: Vec<RoundRecord> = cell.rounds.iter().map(|it| (*it).clone()).collect();
            rounds.sort_by_key(|round| round.round);
            let by_tester = cell.rounds_are_set_by_tester();
            let place = (cell.datapath.to_owned(), scenario.id.to_owned());
            let apart = scenario.apart;
            let of_place = Rounds {
                rounds,
                by_tester,
                apart,
            };
            by_place.insert(place, of_place);
        }
        Self {
            unfit: reason.map(|reason| format!("{path}: {reason}, so it counts for nothing.")),
            rounds: by_place,
            verdicts: agreement::verdicts(&figures),
            places: found.folder.records.iter().filter_map(measured).collect(),
        }
    }
}

/// What a result is of.
fn measured(record: &Record) -> Option<Place> {
    match record {
        Record::Result(result) => Some((result.datapath.clone(), result.scenario.clone())),
        _ => None,
    }
}

/// Each run with the next of the other side whose processors were as far apart, beginning with the one made in the same turn; and
/// whether some are left for want of such.
fn pairs(base: &[Measured], run: &[Measured], place: &Place) -> (Vec<Pair>, bool) {
    let mut left: Vec<Option<&Rounds>> = run.iter().map(|it| it.rounds.get(place)).collect();
    let mut pairs = Vec::new();
    let mut are_left = false;
    for (turn, before) in base.iter().enumerate() {
        let Some(before) = before.rounds.get(place) else {
            continue;
        };
        let is_alike = |after: &Option<&Rounds>| {
            after.is_some_and(|after| Apart::can_be_compared(before.apart, after.apart))
        };
        let same_turn = left.get(turn).filter(|it| is_alike(it)).map(|_| turn);
        match same_turn.or_else(|| left.iter().position(is_alike)) {
            Some(place) => {
                pairs.extend(left[place].take().map(|after| Pair::of(before, after)));
            }
            None => are_left |= left.iter().any(Option::is_some),
        }
    }
    (pairs, are_left)
}

/// A datapath in a scenario, in two runs.
struct Pair {
    /// How many times better the second is, by figure: the typical ratio of their rounds.
    times_better: [Option<f64>; 3],
    /// Whether the tester may have set the rate in either.
    by_tester: bool,
}

impl Pair {
    fn of(before: &Rounds, after: &Rounds) -> Self {
        let ratio = |figure: Figure| {
            let pairs = before.rounds.iter().zip(&after.rounds);
            let ratios =
                pairs.filter_map(|(before, after)| Some(figure.of(after)? / figure.of(before)?));
            typical(ratios)
        };
        Self {
            times_better: Figure::ALL.map(ratio),
            by_tester: before.by_tester || after.by_tester,
        }
    }
}

/// The middle one of positive figures; of an even number, as far above the one of the two in the middle as below the other.
fn typical(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut logarithms: Vec<f64> = figures.map(f64::ln).collect();
    median(&mut logarithms).map(f64::exp)
}

/// How figures are judged.
struct Judge {
    error: f64,
    resolution: f64,
    tolerance: Tolerance,
}

impl Judge {
    /// What became of one figure; nothing where it was not taken.
    fn change(
        &self,
        (datapath, scenario): &Place,
        figure: Figure,
        pairs: &[Pair],
    ) -> Option<Change> {
        let mut ratios = ranking::Rounds::new(2);
        let place = Figure::ALL.iter().position(|it| *it == figure)?;
        for times in pairs.iter().filter_map(|pair| pair.times_better[place]) {
            // A ratio of two positive figures.
            let _ = ratios.push(&[times, 1.0]);
        }
        if ratios.is_empty() {
            return None;
        }
        let enough = ratios.len() >= FEWEST;
        let found = enough.then(|| intervals(&ratios, &[(0, 1)], self.error, self.resolution));
        let times_better = found.and_then(|found| found.first().copied());
        let verdict =
            times_better.map_or(Verdict::Undecided, |it| Verdict::of(&it, self.tolerance));
        let by_tester = figure == Figure::Throughput && pairs.iter().any(|pair| pair.by_tester);
        Some(Change {
            scenario: scenario.clone(),
            datapath: datapath.clone(),
            figure,
            verdict: if by_tester {
                Verdict::Undecided
            } else {
                verdict
            },
            about: typical(pairs.iter().filter_map(|pair| pair.times_better[place]))?,
            times_better,
            runs: ratios.len(),
            set_by_tester: by_tester,
        })
    }
}
