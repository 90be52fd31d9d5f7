//! Figures at one distance of the processors: others are not to be compared with them.

use super::cell::Cell;
use super::{text, units};
use crate::record::Run;
use crate::run::distances::{Distances, alike};
use std::collections::BTreeMap;
use std::time::Duration;

/// The first schema whose results and trials of searches are of one distance.
pub(super) const SCHEMA_OF_DISTANCES: u32 = 6;

/// How far apart processors were in the trials that are shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Apart {
    /// Round trip of a cache line between those of datapath and tester, the middle one.
    pub round_trip_ns: f64,
    /// Figures of rounds that were made at another distance: they say how steady figures are, and nothing of ratios.
    pub elsewhere: usize,
}

impl Apart {
    /// Leaves these cells, which are all of a scenario on one kind of port, with the figures at the distance at which most rounds
    /// are, or most searches where there are none; of two with as many, the one that came first. `None` where nobody measured how
    /// far apart they were.
    pub(crate) fn keep_one(run: &Run, cells: &mut [Cell<'_>]) -> Option<Self> {
        // Their searches are of whatever distances they met, which is said.
        let knows_distances = run.schema >= SCHEMA_OF_DISTANCES;
        let mut counts = BTreeMap::<u32, usize>::new();
        for round in cells.iter().flat_map(|cell| &cell.rounds_anywhere) {
            *counts.entry(round.distance).or_default() += 1;
        }
        let all: usize = counts.values().sum();
        if counts.is_empty() {
            for result in cells.iter().flat_map(|cell| &cell.results) {
                let is_complete = result.rates.iter().all(|rate| rate.throughput.is_some());
                *counts.entry(result.distance).or_default() += usize::from(is_complete);
            }
        }
        let (kept, count) = counts
            .iter()
            .max_by_key(|(distance, count)| (**count, std::cmp::Reverse(**distance)))
            .map_or((0, 0), |(distance, count)| (*distance, *count));
        for cell in &mut *cells {
            cell.show_rounds(kept);
            cell.settle(if knows_distances { kept } else { 0 });
        }
        let of_rounds = cells.iter().flat_map(|cell| &cell.rounds);
        let of_rounds = of_rounds.filter_map(|round| round.round_trip_ns);
        let of_results = cells.iter().filter(|cell| !cell.is_elsewhere);
        let of_results = of_results.filter_map(|cell| cell.result?.round_trip_ns);
        let mut times: Vec<f64> = of_rounds.chain(of_results).map(|it| it as f64).collect();
        Some(Self {
            round_trip_ns: ranking::median(&mut times)?,
            elsewhere: all.saturating_sub(count),
        })
    }

    /// Whether what was searched in two scenarios of one datapath can be compared.
    pub(crate) fn are_alike(cells: [&Cell<'_>; 2]) -> bool {
        let [one, other] = cells.map(|cell| cell.result.and_then(|result| result.round_trip_ns));
        let both = one.zip(other);
        both.is_none_or(|(one, other)| alike(one as f64, other as f64))
    }

    /// Whether figures at these distances can be compared: they are alike, or nobody knows.
    pub(crate) fn can_be_compared(one: Option<Self>, other: Option<Self>) -> bool {
        let both = one.zip(other);
        both.is_none_or(|(one, other)| alike(one.round_trip_ns, other.round_trip_ns))
    }
}

/// That a hypervisor moved the processors, where it did: round trips in nanoseconds, by class. It lacks what follows from it.
pub(super) fn moved(classes: &mut BTreeMap<u32, Vec<f64>>) -> Option<String> {
    if classes.len() < 2 {
        return None;
    }
    let told = classes.values_mut().filter_map(|times| {
        let typical = ranking::median(times)?;
        let (ns, count) = (units::fixed(typical, 0), units::integer(times.len() as u64));
        Some(format!("{ns} ns in {count} trials"))
    });
    let told: Vec<String> = told.collect();
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    Some(format!(
        "The hypervisor moved the processors: a cache line took {} from the datapath's to the tester's and back. Frames that are handed from one to the other cost up to twice as much where they are far apart.",
        text::list(&told)
    ))
}

/// The same for a table whose rows are of whatever distances their trials met.
pub(super) fn of_rows(round_trips: impl Iterator<Item = Option<[u32; 2]>>) -> Vec<String> {
    let (mut distances, mut classes) = (Distances::default(), BTreeMap::new());
    for [before, _] in round_trips.flatten() {
        let class = distances.class(Some(Duration::from_nanos(u64::from(before))));
        let times: &mut Vec<f64> = classes.entry(class.0).or_default();
        times.push(f64::from(before));
    }
    let consequence = "Rows may be of one or of both: differences below a factor of two may come from that alone. Run again, or on hardware of its own.";
    let told = moved(&mut classes).map(|moved| format!("{moved} {consequence}"));
    told.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_two_distances_are_told() {
        let told = |times: &[u32]| of_rows(times.iter().map(|it| Some([*it; 2])));
        assert!(told(&[95, 121, 88]).is_empty() && of_rows([None, None].into_iter()).is_empty());
        let told = told(&[95, 391, 97, 402, 99]);
        assert!(
            told[0].contains("97 ns in 3 trials and 396 ns in 2 trials"),
            "{told:?}"
        );
    }
}
