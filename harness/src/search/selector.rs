//! One goal's view of a search: the stage it is at and the trial it wants next.

use std::cmp::{Ordering, Reverse};
use std::time::Duration;

use super::config::Precedence;
use super::grid::GridWidth;
use super::ledger::{Ledger, TargetId};
use super::limits::Limits;
use super::rate::LossRatio;
use super::strategy::{Grow, Pick, Start, Stride, View};

/// The trial a goal wants next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nomination {
    /// Load and what follows from it.
    pub pick: Pick,
    /// Trial duration.
    pub duration: Duration,
    /// What its goal may lose.
    loss_ratio: LossRatio,
}

impl Nomination {
    /// Which of two nominations goes first: by `precedence`, then the lower load, then the longer trial, then the wider step.
    pub(super) fn compare(&self, other: &Self, precedence: Precedence) -> Ordering {
        let key = |nomination: &Self| {
            (
                nomination.pick.load,
                Reverse(nomination.duration),
                Reverse(nomination.pick.width),
            )
        };
        let by_load = key(self).cmp(&key(other));
        match precedence {
            Precedence::LowestLoad => by_load,
            Precedence::LargestLoss => other.loss_ratio.cmp(&self.loss_ratio).then(by_load),
        }
    }
}

/// Follows one goal along its chain of targets.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    /// The stage now.
    current: TargetId,
    /// The last stage: the goal.
    last: TargetId,
    start: Start,
    stride: Stride,
    expansion: u32,
}

impl Selector {
    /// A selector at the `first` of the consecutive targets up to `last`.
    pub(super) fn new(
        first: TargetId,
        last: TargetId,
        start: Start,
        ledger: &Ledger,
        expansion: u32,
    ) -> Self {
        Self {
            current: first,
            last,
            start,
            stride: Stride::new(ledger.target(first).width, start, expansion),
            expansion,
        }
    }

    /// The trial this goal wants next, moving on along the chain as targets are reached; `None` at the end of it.
    pub(super) fn nominate(
        &mut self,
        ledger: &Ledger,
        limits: &Limits,
        current_width: GridWidth,
    ) -> Option<Nomination> {
        loop {
            let target = ledger.target(self.current);
            let bounds = ledger.bounds(self.current);
            let view = View {
                width: target.width,
                bounds,
                start: self.start,
                current_width,
                limits,
            };
            if let Some(pick) = view.pick(&mut self.stride) {
                return Some(Nomination {
                    pick,
                    duration: target.criterion.trial_duration,
                    loss_ratio: target.criterion.loss_ratio,
                });
            }
            if self.current == self.last {
                return None;
            }
            self.current = TargetId(self.current.0 + 1);
            self.start = Start {
                lower: bounds.lower,
                upper: bounds.upper,
            };
            self.stride = Stride::new(
                ledger.target(self.current).width,
                self.start,
                self.expansion,
            );
        }
    }

    /// Takes note that this goal's nomination was measured; a new width for all goals if a step did not find its bound.
    pub(super) fn measured(&mut self, pick: &Pick, ledger: &Ledger) -> Option<GridWidth> {
        let bounds = ledger.bounds(self.current);
        let moved = match pick.grow {
            Grow::Never => None,
            Grow::IfLower => bounds.lower,
            Grow::IfUpper => bounds.upper,
        };
        (moved == Some(pick.load)).then(|| self.stride.expand())
    }
}
