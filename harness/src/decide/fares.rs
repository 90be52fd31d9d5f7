//! How candidates fare in figures: what they carry, and what limits keep a host from.

use super::limits::{ATTACHES, Outcome};
use super::{Candidate, Selected};
use crate::record::RoundRecord;
use crate::report::cell::Cell;
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

/// A datapath in the scenarios that count, by the medians of its rounds in each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fares {
    /// In how many of them it has rounds.
    pub scenarios: usize,
    /// Frames a second.
    pub throughput: Span,
    /// The tester may have set that in one of them.
    pub may_be_more: bool,
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
        Some(Self {
            scenarios: sound().count(),
            throughput: span(&|round| Some(round.throughput))?,
            may_be_more: sound().any(Cell::rounds_are_set_by_tester),
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
    /// How many times as much it carries as the choice.
    pub times: Span,
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
            let times = times(selected, name, choice)?;
            (times.least > 1.0).then(|| Self {
                datapath: name.to_owned(),
                by: unmet.iter().map(|it| it.requirement).collect(),
                times,
            })
        });
        withheld.max_by(|one, other| one.times.least.total_cmp(&other.times.least))
    }
}

/// How many times as much one carries as another in each scenario; none where one of them has no rounds in one.
fn times(selected: &Selected<'_, '_>, one: &str, other: &str) -> Option<Span> {
    let rate = |cell: &Cell<'_>| typical(cell, &|round| Some(round.throughput));
    let ones: Option<Vec<f64>> = selected.cells_of(one).map(|(_, cell)| rate(cell)).collect();
    let others: Option<Vec<f64>> = selected
        .cells_of(other)
        .map(|(_, cell)| rate(cell))
        .collect();
    let ratios = ones?.into_iter().zip(others?);
    Span::of(ratios.map(|(one, other)| one / other))
}
