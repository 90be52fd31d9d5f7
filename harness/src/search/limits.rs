//! Keeping loads inside the limits of a search and away from loads already known.

use super::grid::{GridLoad, GridWidth};

/// The lowest and the highest load of a search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Minimum load.
    pub min: GridLoad,
    /// Maximum load.
    pub max: GridLoad,
}

/// One end of the interval a load has to fit into.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The limit of the search: not known yet, so measuring right there is useful.
    Limit(GridLoad),
    /// A bound found before: measuring there, or closer than one width, tells nothing.
    Bound(GridLoad),
}

impl End {
    const fn load(self) -> GridLoad {
        match self {
            Self::Limit(load) | Self::Bound(load) => load,
        }
    }
}

impl Limits {
    /// The load to measure instead of `load`, given what is known: `lower` and `upper` are bounds (or loads to be
    /// treated as such).
    ///
    /// A load less than `width` from a bound moves away to `width`; less than `width` from a limit of the search it
    /// moves onto that limit. `None` if the bounds leave nothing worth measuring.
    pub(super) fn fit(
        &self,
        load: GridLoad,
        width: GridWidth,
        lower: Option<GridLoad>,
        upper: Option<GridLoad>,
    ) -> Option<GridLoad> {
        let load = load.clamp(self.min, self.max);
        let below = lower.map_or(End::Limit(self.min), End::Bound);
        let above = upper.map_or(End::Limit(self.max), End::Bound);
        if lower.is_some_and(|lower| load <= lower) || upper.is_some_and(|upper| load >= upper) {
            return None;
        }
        let (low, high) = (below.load(), above.load());
        if high - low <= width {
            return match (below, above) {
                (End::Limit(limit), _) | (_, End::Limit(limit)) => Some(limit),
                (End::Bound(_), End::Bound(_)) => None,
            };
        }
        let (mut nearest, mut farthest) = (low + width, high - width);
        if nearest > farthest {
            nearest = middle(low, high, width)?;
            farthest = nearest;
        }
        Some(match (below, above) {
            (End::Bound(_), _) if load < nearest => nearest,
            (End::Limit(limit), _) if load < nearest => limit,
            (_, End::Bound(_)) if load > farthest => farthest,
            (_, End::Limit(limit)) if load > farthest => limit,
            _ => load,
        })
    }
}

/// Where to split the interval `low..high` when loads `width` apart are close enough.
///
/// One of the two parts gets `width` times a power of two, so later splits come out even; of the two powers in question
/// the one that splits more evenly. The smaller part lies below: a lower load loses less and is the safer one to learn
/// about. An interval between one and two widths is split at half a width if that is whole, else in the middle.
/// `None` if the interval is no wider than `width`.
pub(super) fn middle(low: GridLoad, high: GridLoad, width: GridWidth) -> Option<GridLoad> {
    let total = (high - low).0;
    let unit = width.0;
    if unit < 1 || total <= unit {
        return None;
    }
    if total < unit.saturating_mul(2) {
        return if unit % 2 == 0 {
            middle(low, high, GridWidth(unit / 2))
        } else {
            Some(low + GridWidth(total / 2))
        };
    }
    // The last power below half of the total, and the next one.
    let mut small = unit;
    while small.saturating_mul(4) < total {
        small = small.saturating_mul(2);
    }
    let large = small.saturating_mul(2);
    let lower_part = if total == small * 2 || total < small + large {
        small
    } else {
        total - large
    };
    Some(low + GridWidth(lower_part))
}
