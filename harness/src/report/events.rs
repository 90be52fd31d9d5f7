//! What packets suffered while something happened to an overlay.

use crate::record::{EventKind, EventRecord, EventStep, StepKind};

use super::cell::Cell;
use topologies::provision::Extensions;

/// Rounds at the end of a trial that must all be whole for the overlay to count as healed.
const TAIL: usize = 100;

/// Rounds at the very end that say nothing: frames due there may be on their way yet when the trial ends.
const LAST: usize = 20;

/// One event that was made to happen to one datapath, once or several times.
pub(super) struct EventFigure<'a> {
    /// In words.
    pub description: &'a str,
    /// What sort it is.
    pub kind: EventKind,
    /// What droplets did that Mizar designed and has not built.
    pub extensions: Extensions,
    /// Each time.
    pub records: Vec<&'a EventRecord>,
}

/// A figure of several trials: the middle one, the least and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// The one in the middle, or the lower of the two.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

/// The events of a cell, in the order in which they happened first.
pub(super) fn of<'a>(cell: &Cell<'a>) -> Vec<EventFigure<'a>> {
    let mut figures: Vec<EventFigure<'a>> = Vec::new();
    for record in &cell.events {
        let is_same = |known: &&mut EventFigure<'_>| {
            known.description == record.description
                && known.kind == record.event
                && known.extensions == record.extensions
        };
        match figures.iter_mut().find(is_same) {
            Some(figure) => figure.records.push(record),
            None => figures.push(EventFigure {
                description: &record.description,
                kind: record.event,
                extensions: record.extensions,
                records: vec![record],
            }),
        }
    }
    figures
}

impl EventRecord {
    /// The round in which `at_ms` lies.
    fn round(&self, at_ms: f64) -> usize {
        if self.round_ms > 0.0 {
            (at_ms / self.round_ms).max(0.0) as usize
        } else {
            0
        }
    }

    /// Frames of a round that did not arrive.
    pub(super) fn lost_in(&self, received: u32) -> u64 {
        u64::from(self.frames_a_round.saturating_sub(received))
    }

    fn lost(&self, rounds: &[u32]) -> u64 {
        rounds.iter().map(|received| self.lost_in(*received)).sum()
    }

    /// Frames that arrived, by the round in which they were due, for all rounds that say something.
    pub(super) fn watched(&self) -> &[u32] {
        let end = self.received.len().saturating_sub(LAST);
        self.received.get(..end).unwrap_or_default()
    }

    fn from(&self, at_ms: f64) -> &[u32] {
        let watched = self.watched();
        let first = self.round(at_ms).min(watched.len());
        watched.get(first..).unwrap_or_default()
    }

    /// Frames lost before it began: the machine's doing, not the event's.
    pub(crate) fn lost_before(&self) -> u64 {
        let first = self.round(self.at_ms).min(self.received.len());
        self.lost(self.received.get(..first).unwrap_or_default())
    }

    /// Frames lost from then on.
    pub fn lost_after(&self) -> u64 {
        self.lost(self.from(self.at_ms))
    }

    /// Whether all frames of the end arrived.
    pub(super) fn is_healed(&self) -> bool {
        let watched = self.watched();
        let from = watched.len().saturating_sub(TAIL);
        !watched.is_empty() && self.lost(&watched[from..]) == 0
    }

    /// Milliseconds from the beginning of the event until no frame was lost any more; `None` if that did not come.
    pub(super) fn healed_after_ms(&self) -> Option<f64> {
        if !self.is_healed() {
            return None;
        }
        let rounds = self.from(self.at_ms);
        let last = rounds
            .iter()
            .rposition(|received| self.lost_in(*received) > 0);
        Some(last.map_or(0.0, |last| {
            let end = (self.round(self.at_ms) + last + 1) as f64 * self.round_ms;
            (end - self.at_ms).max(0.0)
        }))
    }

    /// After how many milliseconds the last of the droplets that found out by themselves kept away from the host that died;
    /// `None` if none did.
    pub(super) fn found_dead_after_ms(&self) -> Option<f64> {
        let found = self.steps.iter().filter(|step| self.is_true_alarm(step));
        let after = found.map(|step| step.at_ms + step.took_ms - self.at_ms);
        after.max_by(f64::total_cmp)
    }

    /// How often a host was found dead that was not.
    pub(super) fn false_alarms(&self) -> usize {
        let alarms = self.steps.iter();
        let alarms = alarms.filter(|step| step.kind == StepKind::FoundDead);
        alarms.filter(|step| !self.is_true_alarm(step)).count()
    }

    /// Whether a droplet found a host dead after it died.
    fn is_true_alarm(&self, step: &EventStep) -> bool {
        let mut died = self.steps.iter();
        let died = died.find(|step| step.kind == StepKind::Died);
        step.kind == StepKind::FoundDead
            && died.is_some_and(|died| died.about == step.about && died.at_ms <= step.at_ms)
    }

    /// Milliseconds that were watched from the beginning of the event on.
    pub(super) fn watched_ms(&self) -> f64 {
        (self.watched().len() as f64 * self.round_ms - self.at_ms).max(0.0)
    }

    /// Frames that arrived though they were due when all was over.
    pub(super) fn arrived_late(&self) -> u64 {
        let next = self.done_ms + self.round_ms;
        self.from(next)
            .iter()
            .map(|received| u64::from(*received))
            .sum()
    }

    /// Packets on the underlay for each frame that was due, before the event and from then on.
    pub(super) fn packets_a_frame(&self) -> [f64; 2] {
        let first = self.round(self.at_ms).min(self.received.len());
        let due = |rounds: usize| (rounds as f64 * f64::from(self.frames_a_round)).max(1.0);
        [
            self.crossed_before as f64 / due(first),
            self.crossed_after as f64 / due(self.received.len() - first),
        ]
    }
}

impl EventFigure<'_> {
    /// What droplets did, in a word or two.
    pub(super) fn droplets(&self) -> &'static str {
        let Extensions {
            invalidation,
            health_check,
            ..
        } = self.extensions;
        match (
            invalidation,
            health_check,
            self.extensions.has_short_header(),
        ) {
            (false, false, _) => "as Mizar",
            (true, true, true) => "extended",
            (true, true, false) => "invalidation, health check",
            (true, false, true) => "invalidation, short header",
            (true, false, false) => "invalidation",
            (false, true, _) => "health check",
        }
    }

    /// Whether droplets did more than Mizar does.
    pub(super) fn is_extended(&self) -> bool {
        self.extensions != Extensions::default()
    }

    /// A figure of all its trials; `None` if one has none.
    pub(super) fn spread(&self, figure: impl Fn(&EventRecord) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.records.iter().map(|record| figure(record)))
    }
}

impl Spread {
    /// Of these figures; `None` if one is missing, or there is none.
    pub(super) fn of(figures: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let figures: Option<Vec<f64>> = figures.collect();
        let mut figures = figures?;
        figures.sort_by(f64::total_cmp);
        Some(Self {
            median: *figures.get((figures.len().checked_sub(1)?) / 2)?,
            least: *figures.first()?,
            most: *figures.last()?,
        })
    }
}
