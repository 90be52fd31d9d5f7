//! All trials of a search, kept by load and added up for each target.

use std::collections::BTreeMap;

use super::classify::{Classification, Tally, relevant};
use super::grid::GridLoad;
use super::target::Target;
use super::trial::Trial;

/// Which target of a search: its place in the ledger's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TargetId(pub usize);

/// The relevant bounds for one target, on the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Relevant lower bound.
    pub lower: Option<GridLoad>,
    /// Relevant upper bound.
    pub upper: Option<GridLoad>,
}

/// What is known about one load.
#[derive(Debug, Clone)]
struct Entry {
    trials: Vec<Trial>,
    /// One for each target.
    tallies: Vec<Tally>,
}

/// The trials so far.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    targets: Vec<Target>,
    loads: BTreeMap<GridLoad, Entry>,
}

impl Ledger {
    /// An empty ledger that adds up for `targets`.
    pub(super) const fn new(targets: Vec<Target>) -> Self {
        Self {
            targets,
            loads: BTreeMap::new(),
        }
    }

    /// Enters a trial measured at `load`.
    pub(super) fn add(&mut self, load: GridLoad, trial: Trial) {
        let targets = &self.targets;
        let entry = self.loads.entry(load).or_insert_with(|| Entry {
            trials: Vec::new(),
            tallies: vec![Tally::default(); targets.len()],
        });
        entry.trials.push(trial);
        for (tally, target) in entry.tallies.iter_mut().zip(targets) {
            tally.add(&target.criterion, &trial);
        }
    }

    /// A target. Ids come from the same list, so every id has one.
    pub(super) fn target(&self, id: TargetId) -> &Target {
        &self.targets[id.0]
    }

    /// The trials at one load, in the order they were measured.
    pub(super) fn trials_at(&self, load: GridLoad) -> &[Trial] {
        self.loads.get(&load).map_or(&[], |entry| &entry.trials)
    }

    /// The relevant bounds for a target.
    pub(super) fn bounds(&self, id: TargetId) -> Bounds {
        let (lower, upper) = relevant(self.classified(id));
        Bounds { lower, upper }
    }

    /// Every load with its classification for a target, ascending.
    fn classified(&self, id: TargetId) -> impl Iterator<Item = (GridLoad, Classification)> {
        let criterion = self.target(id).criterion;
        self.loads
            .iter()
            .map(move |(load, entry)| (*load, entry.tallies[id.0].classify(&criterion)))
    }
}
