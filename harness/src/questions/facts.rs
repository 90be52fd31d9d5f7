//! What a run says of datapaths, in the words of an answer.

use crate::record::{PortType, RoundRecord};
use crate::report::RunFolder;
use crate::report::cell::Cell;
use crate::report::figures::{Figures, ScenarioFigures};
use crate::report::{text, units};
use ranking::{Interval, MedianInterval, Verdict, shift};

/// What stands where there is no figure.
pub(super) const NONE: &str = "–";

/// The figures of a run.
pub(super) struct Facts<'a> {
    figures: Figures<'a>,
}

impl<'a> Facts<'a> {
    pub fn of(folder: &'a RunFolder) -> Self {
        Self {
            figures: Figures::of(folder),
        }
    }

    /// Scenarios on ports of this kind.
    pub fn scenarios(&self, ports: PortType) -> Vec<&ScenarioFigures<'a>> {
        let groups = self.figures.groups.iter();
        let groups = groups.filter(|group| group.ports == ports);
        groups.flat_map(|group| &group.scenarios).collect()
    }

    /// Why nothing follows from the run, if so.
    pub fn unfit(&self) -> Option<&'static str> {
        self.figures.unfit()
    }

    /// What a datapath is made of here.
    pub fn version(&self, datapath: &str) -> Option<&str> {
        let mut datapaths = self.figures.run.datapaths.iter();
        let info = datapaths.find(|info| info.name == datapath && info.missing.is_empty());
        info.map(|info| info.version.as_str())
    }

    /// Those of `names` that were measured.
    pub fn measured<'n>(&self, names: &[&'n str]) -> Vec<&'n str> {
        let is_there = |name: &&&str| {
            let mut cells = self.figures.cells();
            cells.any(|(_, cell)| cell.datapath == **name && cell.result.is_some())
        };
        names.iter().filter(is_there).copied().collect()
    }

    /// The first cell of a datapath in a scenario of this name.
    pub fn cell(&self, scenario: &str, datapath: &str) -> Option<&Cell<'a>> {
        let mut cells = self.figures.cells();
        cells
            .find(|(of, cell)| of.id == scenario && cell.datapath == datapath)
            .map(|(_, cell)| cell)
    }
}

/// A datapath in a scenario.
pub(super) fn of<'s, 'a>(
    scenario: &'s ScenarioFigures<'a>,
    datapath: &str,
) -> Option<&'s Cell<'a>> {
    scenario.cells.iter().find(|cell| cell.datapath == datapath)
}

/// What a datapath carries with PDR's loss in Mpps: in a typical round with its interval, or else in its search with the bounds
/// between which that lies.
pub(super) fn rate(cell: Option<&Cell<'_>>) -> String {
    let Some(cell) = cell else {
        return NONE.to_owned();
    };
    if let Some(mark) = cell.doubt() {
        return mark.to_owned();
    }
    let searched = || {
        let rate = cell.pdr()?;
        let is_floor = cell.is_tester_bound();
        Some(units::rate(
            rate.throughput?,
            rate.lower,
            rate.upper,
            is_floor,
        ))
    };
    let Some(found) = cell.typical_rate().or_else(searched) else {
        return NONE.to_owned();
    };
    let mark = if cell.failed_later() {
        ", failed later"
    } else {
        ""
    };
    found + mark
}

/// The most that the tester gets through on these ports in a scenario, in Mpps.
pub(super) fn ceiling(scenario: &ScenarioFigures<'_>) -> String {
    let mut ceilings = scenario.cells.iter().filter_map(Cell::ceiling);
    units::mpps_or_none(ceilings.next())
}

/// The median of what rounds say of a datapath, with its interval; none with too few of them.
fn of_rounds(
    cell: &Cell<'_>,
    figure: impl Fn(&RoundRecord) -> Option<f64>,
    decimals: usize,
) -> Option<String> {
    let figures = cell.rounds.iter().filter_map(|round| figure(round));
    let it = MedianInterval::of(figures.collect())?;
    let [median, from, to] =
        [it.median, it.from, it.to].map(|figure| units::fixed(figure, decimals));
    Some(format!("{median} [{from}, {to}]"))
}

/// A cell whose figures may be used.
fn sound<'c, 'a>(cell: Option<&'c Cell<'a>>) -> Option<&'c Cell<'a>> {
    cell.filter(|cell| cell.doubt().is_none())
}

/// Processor time of a frame in nanoseconds: of rounds, or else of the fastest trial.
pub(super) fn nanoseconds(cell: Option<&Cell<'_>>) -> String {
    let figure = sound(cell).and_then(|cell| {
        let of_one = || Some(units::fixed(cell.fastest()?.cpu_ns_per_frame, 0));
        of_rounds(cell, |round| round.cpu_ns_per_frame, 0).or_else(of_one)
    });
    figure.unwrap_or_else(|| NONE.to_owned())
}

/// The 99th percentile of latency at half of PDR, in microseconds: of rounds, or else of the trial for it.
pub(super) fn p99(cell: Option<&Cell<'_>>) -> String {
    let figure = sound(cell).and_then(|cell| {
        let of_one = || {
            let mut latencies = cell.latencies.iter();
            let half = latencies.find(|it| it.percent_of_pdr == 50)?;
            let sign = if half.p99.uncertain { "~" } else { "" };
            Some(format!("{sign}{}", units::micros(half.p99.ns)))
        };
        let micros = |round: &RoundRecord| Some(round.p99_ns? as f64 / 1e3);
        of_rounds(cell, micros, 1).or_else(of_one)
    });
    figure.unwrap_or_else(|| NONE.to_owned())
}

/// Share of a processor that is taken while there is nothing to do.
pub(super) fn idle(cell: Option<&Cell<'_>>) -> String {
    let idle = sound(cell).and_then(|cell| cell.result?.idle);
    idle.map_or_else(|| NONE.to_owned(), |idle| format!("{:.0} %", idle * 100.0))
}

/// How many times as much one carries as another.
pub(super) fn ratio(scenario: &ScenarioFigures<'_>, one: &str, other: &str) -> String {
    let standing = scenario.standing.as_ref();
    let Some(pair) = standing.and_then(|standing| standing.pair(one, other)) else {
        return NONE.to_owned();
    };
    let interval = pair.interval.map_or_else(String::new, |it| {
        format!("{:.2} [{:.2}, {:.2}]", it.ratio, it.lower, it.upper)
    });
    match (pair.verdict, pair.doubt) {
        (_, Some(doubt)) => format!("not decided: {}", doubt.words()),
        (Verdict::Undecided, _) if interval.is_empty() => "not decided".to_owned(),
        (Verdict::Undecided, _) => format!("{interval}, not decided"),
        (Verdict::Equivalent, _) => format!("{interval}, equivalent"),
        (Verdict::Faster | Verdict::Slower, _) => interval,
    }
}

/// How many times as much a datapath carries in one scenario as in another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Told {
    /// So many times.
    Times(Interval),
    /// So many times or more, since the tester may have set the greater rate.
    AtLeast(Interval),
    /// So many times or less, for the same reason.
    AtMost(Interval),
    /// That does not follow.
    Not,
}

impl Told {
    /// The figure, where it says which way it is greater.
    pub fn ratio(self) -> Option<f64> {
        let (Self::Times(it) | Self::AtLeast(it) | Self::AtMost(it)) = self else {
            return None;
        };
        (it.lower > 1.0 || it.upper < 1.0).then_some(it.ratio)
    }

    /// For a table.
    pub fn words(self) -> String {
        let interval = |it: Interval| format!("{:.2} [{:.2}, {:.2}]", it.ratio, it.lower, it.upper);
        match self {
            Self::Times(it) => interval(it),
            Self::AtLeast(it) => format!("≥ {}", interval(it)),
            Self::AtMost(it) => format!("≤ {}", interval(it)),
            Self::Not => "not told".to_owned(),
        }
    }
}

/// How many times as much the first cell carries as the second, by their rounds: not told where the tester may have set the lesser
/// one, or one of both where it is not told which is the lesser.
pub(super) fn told(one: Option<&Cell<'_>>, other: Option<&Cell<'_>>) -> Told {
    let rounds = |cell| {
        let cell: &Cell<'_> = sound(cell)?;
        let rates = cell.rounds.iter().map(|round| round.throughput);
        Some((rates.collect::<Vec<f64>>(), cell.rounds_are_set_by_tester()))
    };
    let (Some((one, one_may_be_more)), Some((other, other_may_be_more))) =
        (rounds(one), rounds(other))
    else {
        return Told::Not;
    };
    let Some(interval) = shift(&one, &other, ERROR) else {
        return Told::Not;
    };
    match (one_may_be_more, other_may_be_more) {
        (false, false) => Told::Times(interval),
        (true, false) if interval.lower > 1.0 => Told::AtLeast(interval),
        (false, true) if interval.upper < 1.0 => Told::AtMost(interval),
        _ => Told::Not,
    }
}

/// The probability with which an interval of [`told`] misses, each for itself.
const ERROR: f64 = 0.05;

/// In how many scenarios one carries more than another, the two are equivalent, and so on: a sentence.
pub(super) fn verdicts(scenarios: &[&ScenarioFigures<'_>], one: &str, other: &str) -> String {
    let standings = scenarios
        .iter()
        .filter_map(|scenario| scenario.standing.as_ref());
    let pairs: Vec<_> = standings
        .filter_map(|standing| standing.pair(one, other))
        .collect();
    if pairs.is_empty() {
        return format!("{one} and {other} were not measured against each other.");
    }
    let all = pairs.len();
    let mut parts = Vec::new();
    for (verdict, words) in [
        (Verdict::Faster, "carries more than"),
        (Verdict::Slower, "carries less than"),
        (Verdict::Equivalent, "is equivalent to"),
        (Verdict::Undecided, "is not told from"),
    ] {
        let such = pairs.iter().filter(|pair| pair.verdict == verdict);
        let count = such.clone().count();
        if count > 0 {
            let ratios = such.filter_map(|pair| Some(pair.interval?.ratio));
            parts.push(format!(
                "{words} {other} in {count} of {all} scenarios{}",
                how_much(verdict, ratios.collect())
            ));
        }
    }
    format!("{one} {}.", text::list(&parts))
}

/// By how much, where that is decided.
fn how_much(verdict: Verdict, mut ratios: Vec<f64>) -> String {
    ratios.sort_by(f64::total_cmp);
    match (verdict, ratios.as_slice()) {
        (Verdict::Equivalent | Verdict::Undecided, _) | (_, []) => String::new(),
        (_, [only]) => format!(" ({only:.2} times as much)"),
        (_, [least, .., most]) => format!(" ({least:.2} to {most:.2} times as much)"),
    }
}

/// A table in Markdown; the first column holds words, the others figures.
pub(super) fn table(titles: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut out = line(titles);
    out.push_str("|---|");
    out.push_str(&"---:|".repeat(titles.len().saturating_sub(1)));
    out.push('\n');
    for row in rows {
        out.push_str(&line(row));
    }
    out.push('\n');
    out
}
