//! The trial that tells most of a datapath: the fastest that kept to PDR's loss, or else the last.

use crate::profile::PARTIAL_DROP;
use crate::record::{Purpose, TrialRecord};

use super::cell::Cell;
use super::latency::loss_ratio;

/// What PDR allows where a result does not say it.
const LOSS: f64 = PARTIAL_DROP;

/// A search trial, and what it says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Telling<'a, T> {
    /// Frames that came back per second.
    pub rate: f64,
    /// Whether the trial kept to PDR's loss.
    pub within_loss: bool,
    /// The trial.
    pub trial: &'a TrialRecord,
    /// What it says.
    pub says: T,
}

/// Of the search trials that say something, the one that tells most.
pub(super) fn of<'a, T: Copy>(
    cell: &Cell<'a>,
    says: impl Fn(&'a TrialRecord) -> Option<T>,
) -> Option<Telling<'a, T>> {
    let allowed = cell.pdr().map_or(LOSS, |pdr| pdr.loss_ratio);
    let searched = cell
        .trials
        .iter()
        .filter(|trial| trial.purpose == Purpose::Search);
    let all: Vec<_> = searched
        .filter_map(|trial| {
            Some(Telling {
                rate: trial.received as f64 / trial.duration_seconds.max(f64::MIN_POSITIVE),
                within_loss: trial.received > 0 && loss_ratio(trial) <= allowed,
                trial,
                says: says(trial)?,
            })
        })
        .collect();
    all.iter()
        .filter(|telling| telling.within_loss)
        .max_by(|one, other| one.rate.total_cmp(&other.rate))
        .or(all.last())
        .copied()
}
