//! What a switch counted inside, next to the figures that it explains.

use crate::record::{Counters, Purpose, SwitchCounters, TrialRecord};

use super::cell::Cell;
use super::telling::{self, Telling};

/// With more misses than this share of its lookups a switch was busy with its slow path.
const MANY_MISSES: f64 = 0.01;

/// Misses in the trials at the bounds of PDR.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Misses {
    /// Lookups.
    pub lookups: u64,
    /// Of these, misses.
    pub misses: u64,
    /// Of these, the ones without an answer or a flow.
    pub failed: u64,
    /// Packets lost on the way to a controller.
    pub packet_ins_lost: u64,
}

impl Misses {
    /// Share of lookups that were misses, if it is worth a warning.
    pub(super) fn many(self) -> Option<f64> {
        let share = self.misses as f64 / self.lookups.max(1) as f64;
        (share > MANY_MISSES).then_some(share)
    }
}

/// What the switch counted in the fastest trial within PDR's loss, or in the last search trial if none kept to it.
pub(super) fn of<'a>(cell: &Cell<'a>) -> Option<Telling<'a, &'a SwitchCounters>> {
    telling::of(cell, counted)
}

/// The most flows that the switch had in a trial of the search.
pub(crate) fn flows(cell: &Cell<'_>) -> Option<u64> {
    searched(cell)
        .filter_map(|(_, counted)| counted.flows)
        .max()
}

fn counted(trial: &TrialRecord) -> Option<&SwitchCounters> {
    let counters: &Counters = trial.counters.as_ref()?;
    counters.switch.as_deref()
}

/// Misses in the trials that decided PDR: those at its bounds.
pub(super) fn misses(cell: &Cell<'_>) -> Misses {
    let bounds = cell.pdr().map(|pdr| [pdr.lower, pdr.upper]);
    let decided = |trial: &TrialRecord| {
        bounds
            .iter()
            .flatten()
            .flatten()
            .any(|bound| (trial.load - bound).abs() <= bound * 1e-6)
    };
    searched(cell).filter(|(trial, _)| decided(trial)).fold(
        Misses::default(),
        |sum, (_, counted)| Misses {
            lookups: sum.lookups.saturating_add(counted.lookups()),
            misses: sum.misses.saturating_add(counted.misses()),
            failed: sum.failed.saturating_add(counted.upcalls_failed),
            packet_ins_lost: sum
                .packet_ins_lost
                .saturating_add(counted.packet_ins_lost.unwrap_or_default()),
        },
    )
}

/// Search trials of which there are such counters.
fn searched<'a>(cell: &Cell<'a>) -> impl Iterator<Item = (&'a TrialRecord, &'a SwitchCounters)> {
    cell.trials
        .iter()
        .filter(|trial| trial.purpose == Purpose::Search)
        .filter_map(|trial| Some((*trial, counted(trial)?)))
}
