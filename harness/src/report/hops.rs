//! What each droplet of an overlay did in the trial that tells most.

use crate::record::Hop;

use super::figures::Cell;
use super::telling::{self, Telling};

/// The trial, and its droplets; `None` where packets do not go by several.
pub(super) fn of<'a>(cell: &Cell<'a>) -> Option<Telling<'a, &'a [Hop]>> {
    telling::of(cell, |trial| {
        (!trial.hops.is_empty() && trial.received > 0).then_some(trial.hops.as_slice())
    })
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
