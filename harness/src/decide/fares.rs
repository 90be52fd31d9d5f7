//! How candidates fare in figures: what they carry, and what limits keep a host from.

use super::limits::{ATTACHES, Outcome};
use super::{Candidate, Selected};
use crate::record::RoundRecord;
use crate::report::cell::Cell;
use crate::report::figures::ScenarioFigures;
use ranking::median;
use serde::Serialize;

/// The least and the most of what was found in several scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Span {
    fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let widened = |span: Option<Self>, figure: f64| {
            let span = span.unwrap_or(Self {
                least: figure,
                most: figure,
            });
            Some(Self {
                least: span.least.min(figure),
                most: span.most.max(figure),
            })
        };
        figures.fold(None, widened)
    }
}

/// Rates of several scenarios, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// In frames a second, or as ratios of such.
    pub span: Span,
    /// Whether the tester may have set the least, and the most: they may be more then.
    pub may_be_more: [bool; 2],
}

impl Rates {
    /// Of rates, each with whether it may be more.
    fn of(rates: &[(f64, bool)]) -> Option<Self> {
        let by_rate = |one: &&(f64, bool), other: &&(f64, bool)| one.0.total_cmp(&other.0);
        let (least, most) = (rates.iter().min_by(by_rate)?, rates.iter().max_by(by_rate)?);
        Some(Self {
            span: Span {
                least: least.0,
                most: most.0,
            },
            may_be_more: [least.1, most.1],
        })
    }

    /// In words, each rate as `one` has it.
    pub fn words(&self, one: impl Fn(f64) -> String) -> String {
        let floor = |may_be_more: bool| if may_be_more { "≥ " } else { "" };
        let [least, most] = [self.span.least, self.span.most].map(one);
        match self.may_be_more {
            [at_least, _] if least == most => format!("{}{least}", floor(at_least)),
            [first, last] => format!("{}{least} to {}{most}", floor(first), floor(last)),
        }
    }
}

/// A datapath in the scenarios that count, by the medians of its rounds in each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fares {
    /// In how many of them it has rounds.
    pub scenarios: usize,
    /// Frames a second.
    pub throughput: Rates,
    /// Processor time of a frame in nanoseconds.
    pub processor_ns: Option<Span>,
    /// 99th percentile of latency in nanoseconds, at half of its own PDR.
    pub p99_ns: Option<Span>,
}

impl Fares {
    /// None where no figure of it counts.
    pub fn of(selected: &Selected<'_, '_>, datapath: &str) -> Option<Self> {
        let sound = || {
            let cells = selected.cells_of(datapath).map(|(_, cell)| cell);
            cells.filter(|cell| cell.doubt().is_none() && !cell.rounds.is_empty())
        };
        let span = |of: &dyn Fn(&RoundRecord) -> Option<f64>| {
            Span::of(sound().filter_map(|cell| typical(cell, of)))
        };
        let rate = |cell: &Cell<'_>| {
            let rate = typical(cell, &|round| Some(round.throughput))?;
            Some((rate, cell.rounds_are_set_by_tester()))
        };
        let rates: Vec<(f64, bool)> = sound().filter_map(rate).collect();
        Some(Self {
            scenarios: rates.len(),
            throughput: Rates::of(&rates)?,
            processor_ns: span(&|round| round.cpu_ns_per_frame),
            p99_ns: span(&|round| Some(round.p99_ns? as f64)),
        })
    }
}

fn typical(cell: &Cell<'_>, of: &dyn Fn(&RoundRecord) -> Option<f64>) -> Option<f64> {
    let mut figures: Vec<f64> = cell.rounds.iter().filter_map(|round| of(round)).collect();
    median(&mut figures)
}

/// What hosts could have that were otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Withheld {
    /// The datapath.
    pub datapath: String,
    /// What keeps it out: limits of the host alone.
    pub by: Vec<&'static str>,
    /// How many times as much it carries as the choice, in each scenario by the rounds of both.
    pub times: Rates,
}

impl Withheld {
    /// The datapath that carries most more than the choice in every scenario that counts, and is out by what the host is alone.
    pub fn most(
        selected: &Selected<'_, '_>,
        candidates: &[Candidate],
        choice: &str,
    ) -> Option<Self> {
        let withheld = candidates.iter().filter_map(|candidate| {
            let unmet = candidate.findings.iter();
            let unmet: Vec<_> = unmet.filter(|it| it.outcome != Outcome::Met).collect();
            let is_of_the_host = |it: &str| it.starts_with("host.") && it != ATTACHES;
            if unmet.is_empty() || !unmet.iter().all(|it| is_of_the_host(it.requirement)) {
                return None;
            }
            let name = candidate.datapath.as_str();
            let times = selected.times(name, choice)?;
            (times.span.least > 1.0).then(|| Self {
                datapath: name.to_owned(),
                by: unmet.iter().map(|it| it.requirement).collect(),
                times,
            })
        });
        withheld.max_by(|one, other| one.times.span.least.total_cmp(&other.times.span.least))
    }
}

impl Selected<'_, '_> {
    /// How many times as much one carries as another; none where that is not decided in one of the scenarios.
    fn times(&self, one: &str, other: &str) -> Option<Rates> {
        let ratio = |scenario: &&ScenarioFigures<'_>| {
            let pair = scenario.standing.as_ref()?.pair(one, other)?;
            let cell = scenario.cells.iter().find(|cell| cell.datapath == one)?;
            let is_decided = pair.verdict.is_decided();
            let interval = pair.interval.filter(|_| is_decided)?;
            Some((interval.ratio, cell.rounds_are_set_by_tester()))
        };
        let ratios: Option<Vec<(f64, bool)>> = self.0.iter().map(ratio).collect();
        Rates::of(&ratios?)
    }
}
