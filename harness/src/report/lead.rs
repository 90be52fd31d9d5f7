//! Which datapath carries most in a scenario, and whether that can be said at all.

use crate::record::{Rate, Run};

use super::figures::{Cell, Trials, is_optimised, is_smoke};
use super::text;
use super::warnings::unsent_decided;

/// The verdict on one scenario within a port group.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Lead<'a> {
    /// One datapath has the highest PDR, and its interval lies above those of all others.
    Datapath {
        /// Its name.
        name: &'a str,
        /// Its throughput over that of the next.
        times_next: f64,
        /// The tester may have set its figure, so that it may be better still.
        at_least: bool,
    },
    /// It cannot be said, for this reason.
    Undecided(String),
}

impl<'a> Lead<'a> {
    /// Compares `cells`, which must be of one scenario and on one kind of port.
    pub(super) fn of(run: &Run, trials: Trials, cells: &[Cell<'a>]) -> Self {
        let undecided = |reason: &str| Self::Undecided(reason.to_owned());
        if !is_optimised(run) {
            return undecided("the program is not optimised");
        }
        if is_smoke(run) {
            return undecided("smoke: too short for conclusions");
        }
        if trials.are_too_disturbed() {
            return undecided("the machine was too busy");
        }
        let mut rated: Vec<_> = cells
            .iter()
            .filter(|cell| cell.doubt().is_none() && !cell.is_contradicted())
            .filter_map(|cell| {
                let rate = cell.pdr()?;
                Some((cell, rate, rate.throughput?))
            })
            .collect();
        rated.sort_by(|a, b| b.2.total_cmp(&a.2));
        let Some((best, others)) = rated.split_first() else {
            return undecided("no trustworthy PDR");
        };
        let (cell, rate, throughput) = best;
        let Some((_, _, next)) = others.first() else {
            return Self::Undecided(format!("only {} has a trustworthy PDR", cell.datapath));
        };
        let bound: Vec<_> = others
            .iter()
            .filter(|(other, rate, _)| set_by_tester(other, rate))
            .map(|(other, ..)| other.datapath)
            .collect();
        if !bound.is_empty() {
            return Self::Undecided(format!("{} tester-bound", text::list(&bound)));
        }
        let open: Vec<_> = others
            .iter()
            .filter(|(_, other, _)| other.upper.is_none())
            .map(|(other, ..)| other.datapath)
            .collect();
        if !open.is_empty() {
            return Self::Undecided(format!("no upper bound for {}", text::list(&open)));
        }
        let Some(lower) = rate.lower else {
            return Self::Undecided(format!("no lower bound for {}", cell.datapath));
        };
        let close: Vec<_> = others
            .iter()
            .filter(|(_, other, _)| other.upper.is_none_or(|upper| upper >= lower))
            .map(|(other, ..)| other.datapath)
            .collect();
        if !close.is_empty() {
            let mut names = vec![cell.datapath];
            names.extend(close);
            return Self::Undecided(format!("intervals of {} overlap", text::list(&names)));
        }
        Self::Datapath {
            name: cell.datapath,
            times_next: throughput / next,
            at_least: set_by_tester(cell, rate),
        }
    }

    /// The verdict in a few words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Datapath {
                name,
                times_next,
                at_least,
            } => {
                let at_least = if *at_least { "at least " } else { "" };
                format!("{name}, {at_least}{times_next:.2} × the next")
            }
            Self::Undecided(reason) => format!("not decided: {reason}"),
        }
    }
}

/// Whether the tester, not the datapath, may have set this PDR: it is close to the tester's ceiling, the
/// datapath's processor was idle, or the upper bound comes from frames that were never sent.
fn set_by_tester(cell: &Cell<'_>, rate: &Rate) -> bool {
    cell.is_tester_bound() || cell.has_idle_processor() || unsent_decided(cell, rate)
}
