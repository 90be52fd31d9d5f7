//! What each droplet of an overlay did in the trial that tells most.

use crate::record::{Hop, Purpose, TrialRecord};

use super::cell::Cell;
use super::telling::{self, Telling};

/// The trial, and its droplets; `None` where packets do not go by several.
pub(super) fn of<'a>(cell: &Cell<'a>) -> Option<Telling<'a, &'a [Hop]>> {
    telling::of(cell, |trial| {
        (!trial.hops.is_empty() && trial.received > 0).then_some(trial.hops.as_slice())
    })
}

/// The share of PDR at which it is told where frames spend their time.
pub(super) const PERCENT: u8 = 50;

/// The last trial for latency at [`PERCENT`] of PDR that counts; `None` where packets do not go by several droplets.
pub(super) fn ages<'a>(cell: &Cell<'a>) -> Option<&'a TrialRecord> {
    let at = Purpose::Latency {
        percent_of_pdr: PERCENT,
    };
    let mut trials = cell.trials.iter().rev();
    let trial = trials.find(|trial| trial.purpose == at && !trial.repeated)?;
    let known = trial.hops.iter().any(|hop| hop.ages.frames > 0);
    known.then_some(trial)
}

impl Telling<'_, &[Hop]> {
    /// Packets that the underlay brought a droplet, for each frame that was delivered.
    pub(super) fn arrived(&self, hop: &Hop) -> f64 {
        hop.arrived as f64 / self.trial.received as f64
    }

    /// Processor time of a droplet in nanoseconds, for each frame that was delivered.
    pub(super) fn nanoseconds(&self, hop: &Hop) -> f64 {
        hop.cpu_ns as f64 / self.trial.received as f64
    }
}
