//! The strategies that pick a load for one target, each with its own reason.
//!
//! A strategy sees the relevant bounds of its target and two starting loads, which the stage before settled on. Bounds
//! move when trials for another goal happen to decide a load; starting loads stay, so progress can be reasoned about.

use super::grid::{GridLoad, GridWidth};
use super::ledger::Bounds;
use super::limits::{Limits, middle};

/// The two loads a stage starts from: the bounds of the stage before, or the last two initial trials.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// The lower load; `None` if even the minimum load was too much.
    pub lower: Option<GridLoad>,
    /// The higher load; `None` if even the maximum load was carried.
    pub upper: Option<GridLoad>,
}

/// How far the next step outwards goes while a bound is missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stride {
    next: GridWidth,
    /// The target's width: no stride is shorter.
    target: GridWidth,
    expansion: u32,
}

impl Stride {
    /// The stride for a new stage.
    pub(super) fn new(target: GridWidth, start: Start, expansion: u32) -> Self {
        let mut stride = Self {
            next: target,
            target,
            expansion,
        };
        let between = match (start.lower, start.upper) {
            (Some(lower), Some(upper)) => upper - lower,
            _ => target,
        };
        stride.limit(between);
        stride
    }

    /// Starts again from an interval just narrowed to `width`.
    fn limit(&mut self, width: GridWidth) {
        self.next = width.max(self.target).times(self.expansion);
    }

    /// Grows after a step that did not find its bound, and says how far the next one goes.
    pub(super) fn expand(&mut self) -> GridWidth {
        self.next = self.next.times(self.expansion);
        self.next
    }
}

/// When a stride grows: if the trial it picked only moved the bound that was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grow {
    /// Never; the trial was not a step outwards.
    Never,
    /// If the load became the relevant lower bound.
    IfLower,
    /// If the load became the relevant upper bound.
    IfUpper,
}

/// A load a strategy asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick {
    /// The load.
    pub load: GridLoad,
    /// The width all goals go by after this trial.
    pub width: GridWidth,
    /// What a trial there does to the stride.
    pub grow: Grow,
}

/// All a strategy looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// The target's width.
    pub width: GridWidth,
    /// The target's relevant bounds now.
    pub bounds: Bounds,
    /// The stage's starting loads.
    pub start: Start,
    /// The width of the trial before, of whatever goal: strides of several goals do not undercut each other.
    pub current_width: GridWidth,
    /// The limits of the search.
    pub limits: &'a Limits,
}

impl View<'_> {
    /// The load the target wants measured next; `None` if it is reached.
    pub(super) fn pick(&self, stride: &mut Stride) -> Option<Pick> {
        self.halve(stride)
            .or_else(|| self.refine(self.start.lower, stride))
            .or_else(|| self.refine(self.start.upper, stride))
            .or_else(|| self.extend_down(stride))
            .or_else(|| self.extend_up(stride))
            .or_else(|| self.bisect(stride))
    }

    /// Whether a trial at `load` could bring a bound or move one.
    fn useful(&self, load: GridLoad) -> bool {
        let Bounds { lower, upper } = self.bounds;
        if lower.is_some_and(|lower| load <= lower) || upper.is_some_and(|upper| load >= upper) {
            return false;
        }
        match (lower, upper) {
            (Some(lower), Some(upper)) => upper - lower > self.width,
            _ => true,
        }
    }

    /// How far a step outwards goes.
    fn stride(&self, stride: &Stride) -> GridWidth {
        stride.next.max(self.current_width)
    }

    /// Splits the starting interval if one split makes it narrow enough. Whatever the outcome, one of the two starting
    /// loads then needs no trials at this stage.
    fn halve(&self, stride: &mut Stride) -> Option<Pick> {
        let (lower, upper) = (self.start.lower?, self.start.upper?);
        if upper - lower > self.width.times(2) {
            return None;
        }
        let load = middle(lower, upper, self.width)?;
        self.settle(load, stride)
    }

    /// Measures a starting load, so that this stage gets its own opinion of it.
    fn refine(&self, start: Option<GridLoad>, stride: &mut Stride) -> Option<Pick> {
        self.settle(start?, stride)
    }

    /// Asks for `load`, if it is useful, as a step no wider than the target.
    fn settle(&self, load: GridLoad, stride: &mut Stride) -> Option<Pick> {
        if !self.useful(load) {
            return None;
        }
        stride.limit(self.width);
        Some(Pick {
            load,
            width: self.width,
            grow: Grow::Never,
        })
    }

    /// Steps down in search of a lower bound.
    fn extend_down(&self, stride: &Stride) -> Option<Pick> {
        let (None, Some(upper)) = (self.bounds.lower, self.bounds.upper) else {
            return None;
        };
        let width = self.stride(stride);
        let load = self
            .limits
            .fit(upper - width, self.width, None, Some(upper))?;
        Some(Pick {
            load,
            width,
            grow: Grow::IfUpper,
        })
    }

    /// Steps up in search of an upper bound.
    fn extend_up(&self, stride: &Stride) -> Option<Pick> {
        let (Some(lower), None) = (self.bounds.lower, self.bounds.upper) else {
            return None;
        };
        let width = self.stride(stride);
        let load = self
            .limits
            .fit(lower + width, self.width, Some(lower), None)?;
        Some(Pick {
            load,
            width,
            grow: Grow::IfLower,
        })
    }

    /// Splits the interval between the bounds.
    ///
    /// A bound may owe its place to another goal and lie far off, while a starting load is the better guess. So if the
    /// split falls on the far side of a starting load, a step from the near bound is taken instead when that is shorter.
    fn bisect(&self, stride: &mut Stride) -> Option<Pick> {
        let (lower, upper) = (self.bounds.lower?, self.bounds.upper?);
        let split = middle(lower, upper, self.width)?;
        let step = self.stride(stride);
        let fit = |load| self.limits.fit(load, self.width, Some(lower), Some(upper));
        if let Some(start) = self.start.upper
            && split < start
            && let Some(load) = fit(upper - step)
            && split < load
            && load < start
        {
            return Some(Pick {
                load,
                width: step,
                grow: Grow::IfUpper,
            });
        }
        if let Some(start) = self.start.lower
            && start < split
            && let Some(load) = fit(lower + step)
            && start < load
            && load < split
        {
            return Some(Pick {
                load,
                width: step,
                grow: Grow::IfLower,
            });
        }
        let width = (split - lower).min(upper - split);
        stride.limit(width);
        Some(Pick {
            load: split,
            width,
            grow: Grow::Never,
        })
    }
}
