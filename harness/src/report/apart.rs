//! Rounds at one distance of the processors: the others are not to be compared with them.

use super::figures::Cell;
use crate::record::Purpose;
use crate::run::distances::alike;
use std::collections::{BTreeMap, BTreeSet};

/// How far apart processors were in the rounds that count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Apart {
    /// Round trip of a cache line between those of datapath and tester, the middle one.
    pub round_trip_ns: f64,
    /// Figures of rounds that were made at another distance, and are left out.
    pub left_out: usize,
}

impl Apart {
    /// Leaves these cells, which are all of a scenario on one kind of port, with the rounds of the distance that most have; of
    /// two with as many, the one that came first. `None` where nobody measured how far apart they were.
    pub(crate) fn keep_one(cells: &mut [Cell<'_>]) -> Option<Self> {
        let mut counts = BTreeMap::<u32, usize>::new();
        for round in cells.iter().flat_map(|cell| &cell.rounds) {
            *counts.entry(round.distance).or_default() += 1;
        }
        let (kept, count) = counts
            .iter()
            .max_by_key(|(distance, count)| (**count, std::cmp::Reverse(**distance)))
            .map(|(distance, count)| (*distance, *count))?;
        let all: usize = counts.values().sum();
        for cell in &mut *cells {
            cell.rounds.retain(|round| round.distance == kept);
            let numbers: BTreeSet<u32> = cell.rounds.iter().map(|round| round.round).collect();
            cell.in_rounds.retain(|trial| match trial.purpose {
                Purpose::Comparison { round } => numbers.contains(&round),
                _ => false,
            });
        }
        let rounds = cells.iter().flat_map(|cell| &cell.rounds);
        let mut times: Vec<f64> = rounds
            .filter_map(|round| round.round_trip_ns)
            .map(|it| it as f64)
            .collect();
        Some(Self {
            round_trip_ns: ranking::median(&mut times)?,
            left_out: all - count,
        })
    }

    /// Whether figures at these distances can be compared: they are alike, or nobody knows.
    pub(crate) fn can_be_compared(one: Option<Self>, other: Option<Self>) -> bool {
        let both = one.zip(other);
        both.is_none_or(|(one, other)| alike(one.round_trip_ns, other.round_trip_ns))
    }
}
