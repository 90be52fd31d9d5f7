//! A series of runs: where a figure stepped up or down, and stayed there.

use super::{Found, Measured, Place, differences, typical};
use crate::figure::Figure;
use crate::report::apart::Apart;
use crate::report::terminal::Output;
use ranking::steps;
use serde::Serialize;
use std::collections::BTreeMap;

/// A figure that stepped.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrendStep {
    /// The scenario.
    pub scenario: String,
    /// The datapath.
    pub datapath: String,
    /// The figure.
    pub figure: Figure,
    /// When the first run behind it began.
    pub since: String,
    /// Commits that `bench` was built from in the last run before it, and in that run, where known.
    pub commits: [Option<String>; 2],
    /// How many times better it is since.
    pub times_better: f64,
}

/// What became of figures over a series of runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trend {
    /// When the runs began.
    pub began: Vec<String>,
    /// Series that were looked at, of a figure of a datapath in a scenario each,
    pub series: usize,
    /// and how many of them are long enough for a step to show.
    pub long_enough: usize,
    /// Runs from which nothing can be concluded.
    pub left_out: Vec<String>,
    /// Runs after which the environment was another.
    pub differences: Vec<String>,
    /// Steps, the latest last.
    pub steps: Vec<TrendStep>,
}

impl Trend {
    /// Whether the last step of a series is one down.
    pub fn has_regressions(&self) -> bool {
        let mut last = BTreeMap::new();
        for step in &self.steps {
            last.insert(
                (&step.scenario, &step.datapath, step.figure),
                step.times_better,
            );
        }
        last.values().any(|ratio| *ratio < 1.0)
    }
}

/// Looks for steps in a series of runs, the oldest first.
pub fn trend(runs: &[Found]) -> Trend {
    let mut left_out = Vec::new();
    let mut fit: Vec<&Found> = Vec::new();
    let mut series = BTreeMap::<(Place, Figure), Vec<Point>>::new();
    for run in runs {
        let measured = Measured::of(run);
        if let Some(reason) = measured.unfit {
            left_out.push(reason);
            continue;
        }
        for (place, rounds) in measured.rounds {
            // A step of what the tester set is the tester's.
            let is_told = |figure: &Figure| !(rounds.by_tester && *figure == Figure::Throughput);
            for figure in Figure::ALL.into_iter().filter(is_told) {
                let figures = rounds.rounds.iter().filter_map(|round| figure.of(round));
                if let Some(typical) = typical(figures) {
                    let key = (place.clone(), figure);
                    series.entry(key).or_default().push(Point {
                        run: fit.len(),
                        figure: typical,
                        apart: rounds.apart,
                    });
                }
            }
        }
        fit.push(run);
    }
    let runs = fit;
    let width = runs.iter().find_map(|it| it.folder.run.comparison);
    let width = width.map_or(0.0, |it| it.width);
    let mut found = Vec::new();
    let mut long_enough = 0;
    for (((datapath, scenario), figure), points) in &series {
        let points = of_one_distance(points);
        // As many before a step as after it.
        long_enough += usize::from(points.len() >= 2 * ranking::FEWEST_RUNS);
        let figures: Vec<f64> = points.iter().map(|point| point.figure).collect();
        for step in steps(&figures, width, series.len()) {
            let run = |at: usize| &runs[points[at].run].folder.run;
            // A step is never at the first.
            let around = [step.at.saturating_sub(1), step.at];
            found.push(TrendStep {
                scenario: scenario.clone(),
                datapath: datapath.clone(),
                figure: *figure,
                since: run(step.at).started.clone(),
                commits: around.map(|at| run(at).environment.commit.clone()),
                times_better: step.ratio(),
            });
        }
    }
    found.sort_by(|one, other| one.since.cmp(&other.since));
    let changed = runs.windows(2).flat_map(|pair| {
        let since = pair[1].folder.run.started.clone();
        let differ = differences(&pair[0].folder, &pair[1].folder);
        differ.into_iter().map(move |it| format!("{since}: {it}"))
    });
    Trend {
        began: runs
            .iter()
            .map(|it| it.folder.run.started.clone())
            .collect(),
        series: series.len(),
        long_enough,
        left_out,
        differences: changed.collect(),
        steps: found,
    }
}

/// A figure of a run.
#[derive(Debug, Clone, Copy)]
struct Point {
    /// Its place in the series of runs.
    run: usize,
    figure: f64,
    /// How far apart processors were.
    apart: Option<Apart>,
}

/// The points whose processors were as far apart as those of most: that a hypervisor moved them is no step of a program.
fn of_one_distance(points: &[Point]) -> Vec<Point> {
    let like = |one: &Point| {
        let alike = move |it: &&Point| Apart::can_be_compared(one.apart, it.apart);
        points.iter().filter(alike).copied().collect::<Vec<_>>()
    };
    let all = points.iter().map(like);
    // Of as many the first, so that the answer is always the same.
    all.rev().max_by_key(Vec::len).unwrap_or_default()
}

/// A trend in words.
pub fn words(trend: &Trend) -> String {
    let mut out = Output::default();
    let (runs, series) = (trend.began.len(), trend.series);
    out.line(&format!("{runs} runs, {series} series of figures."));
    for run in &trend.left_out {
        out.wrapped("! left out: ", run);
    }
    for difference in &trend.differences {
        out.wrapped("! ", &format!("the environment changed at {difference}"));
    }
    let (few, least) = (trend.series - trend.long_enough, 2 * ranking::FEWEST_RUNS);
    if series == 0 {
        out.wrapped(
            "! ",
            "Nothing to look at: a series takes rounds, which a run of two datapaths or more on one kind of ports has, with the profile quick or a longer one.",
        );
    }
    if few > 0 {
        out.wrapped(
            "! ",
            &format!("{few} of {series} series have too few runs for a step to show; it takes {least} of the same scenario and datapath."),
        );
    }
    if trend.steps.is_empty() && trend.long_enough > 0 {
        out.line("No figure stepped up or down for good.");
    }
    for step in &trend.steps {
        let direction = if step.times_better < 1.0 {
            "worse"
        } else {
            "better"
        };
        let commits = match &step.commits {
            [Some(before), Some(since)] if before == since => {
                format!(" (commit {since} before it too)")
            }
            [Some(before), Some(since)] => format!(" (commit {since}, and {before} before it)"),
            [_, Some(since)] => format!(" (commit {since})"),
            [_, None] => String::new(),
        };
        out.wrapped(
            "  ",
            &format!(
                "since {}{commits}: {} {}: {} {direction}, {:.3} times as good as before",
                step.since,
                step.scenario,
                step.datapath,
                step.figure.words(),
                step.times_better
            ),
        );
    }
    out.0
}
