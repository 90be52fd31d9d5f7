//! What is known of a run that was recorded.

use anyhow::ensure;
use harness::record::{Purpose, Record, Run, TrialRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use topologies::provision::Extensions;

/// A datapath and a scenario.
pub type Key = (String, String);

/// What the trials of a search tell of a datapath in a scenario.
#[derive(Debug)]
pub struct Searched {
    /// The most frames a second that arrived.
    pub most: f64,
    /// The least processor time of all droplets for a frame that arrived, in nanoseconds.
    pub frame_ns: f64,
    /// The droplets to which the underlay brought most frames.
    pub crossed: BTreeSet<String>,
}

impl Searched {
    /// Nothing yet.
    pub const NOTHING: Self = Self {
        most: 0.0,
        frame_ns: f64::INFINITY,
        crossed: BTreeSet::new(),
    };

    fn add(&mut self, trial: &TrialRecord) {
        let received = trial.received as f64;
        self.most = self.most.max(received / trial.effective_seconds);
        self.frame_ns = self.frame_ns.min(trial.datapath_cpu_ns as f64 / received);
        let crossed = trial
            .hops
            .iter()
            .filter(|hop| hop.arrived * 2 > trial.received);
        self.crossed.extend(crossed.map(|hop| hop.droplet.clone()));
    }

    /// With what another run shows of the same.
    pub fn and(mut self, other: Self) -> Self {
        self.most = self.most.max(other.most);
        self.frame_ns = self.frame_ns.min(other.frame_ns);
        self.crossed.extend(other.crossed);
        self
    }
}

/// What is known of a run.
pub struct Recorded {
    pub run: Run,
    /// Frames that passed, by datapath and scenario.
    pub verified: BTreeMap<Key, u64>,
    /// What happened to it, by datapath and scenario, and whether droplets had extensions.
    pub events: BTreeSet<(String, String, String, bool)>,
    /// What has a result.
    pub results: Vec<Key>,
    /// Searches in which something arrived. A rate within a bound of loss would be that of the machine's stalls, in so short
    /// a run.
    pub searched: BTreeMap<Key, Searched>,
}

impl Recorded {
    /// Fails if anything of it did.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let run: Run = serde_json::from_str(&std::fs::read_to_string(folder.join("run.json"))?)?;
        let (mut verified, mut results) = (BTreeMap::new(), Vec::new());
        let mut searched = BTreeMap::new();
        let mut events = BTreeSet::new();
        for line in std::fs::read_to_string(folder.join("trials.jsonl"))?.lines() {
            match serde_json::from_str(line)? {
                Record::Verification(it) => {
                    ensure!(it.failures.is_empty(), "{:?}", it.failures);
                    verified.insert((it.datapath, it.scenario), it.passed);
                }
                Record::Result(result) => results.push((result.datapath, result.scenario)),
                Record::Learning(_) | Record::Round(_) => {}
                Record::Event(event) => {
                    let is_extended = event.extensions != Extensions::default();
                    events.insert((
                        event.datapath,
                        event.scenario,
                        event.description,
                        is_extended,
                    ));
                }
                Record::Failure(failure) => anyhow::bail!("{failure:?}"),
                Record::Trial(trial) => {
                    ensure!(
                        trial.corrupted == 0 && trial.foreign == 0,
                        "in a trial of {}: {} corrupted, {} foreign",
                        trial.datapath,
                        trial.corrupted,
                        trial.foreign
                    );
                    if trial.purpose == Purpose::Search && trial.received > 0 {
                        let key = (trial.datapath.clone(), trial.scenario.clone());
                        let of_it = searched.entry(key).or_insert(Searched::NOTHING);
                        of_it.add(&trial);
                    }
                }
            }
        }
        Ok(Self {
            run,
            verified,
            events,
            results,
            searched,
        })
    }
}
