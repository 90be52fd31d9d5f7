//! One datapath in one scenario.

use super::cycles;
use super::deploy::Deployed;
use super::distances::Distance;
use crate::profile::PARTIAL_DROP;
use crate::record::{Fastest, Rate, ResultRecord, TrialRecord};
use crate::search::{GoalResult, Irregular, Pps, RecordError, Search, Status, Step, Trial};
use datapath_api::{Datapath, PortType};
use std::collections::BTreeMap;
use std::time::Duration;

/// The loss within which a trial counts for the cost of a frame: PDR's.
const LOSS: f64 = PARTIAL_DROP;

/// A datapath that reaches this share of the ceiling has the ceiling measured again.
const CLOSE: f64 = 0.9;

/// What the tester gets through a null forward.
#[derive(Debug, Clone, Copy)]
pub struct Ceiling {
    /// Frames per second.
    pub rate: f64,
    /// The fastest trial.
    pub fastest: Option<Fastest>,
}

impl Ceiling {
    /// The most that is worth offering. A datapath may be faster than the ceiling: in frames that it makes shorter, and
    /// where a disturbance lowered the ceiling.
    pub fn most(self) -> f64 {
        self.rate * 2.0
    }
}

/// Keeps the fastest trial with little loss.
#[derive(Debug, Clone, Copy, Default)]
pub struct Best(pub Option<Fastest>);

impl Best {
    /// Takes note of a trial on such ports.
    pub fn note(&mut self, trial: &TrialRecord, ports: PortType) {
        let loss = 1.0 - trial.received as f64 / trial.intended.max(1) as f64;
        let rate = trial.received as f64 / trial.duration_seconds;
        if loss <= LOSS && trial.received > 0 && self.0.is_none_or(|best| rate > best.rate) {
            let polled = trial
                .counters
                .as_ref()
                .and_then(|it| it.polling.as_deref())
                .filter(|_| ports.needs_only_the_poller());
            let cycles_per_frame = polled.and_then(|polled| polled.cycles_per_frame());
            let all = trial.duration_seconds * 1e9;
            let used = polled
                .and_then(|polled| cycles::nanoseconds(polled.cycles.busy))
                .unwrap_or(trial.datapath_cpu_ns as f64)
                // One that polls busily was busy before the trial began and after it ended, too; it has one processor.
                .min(all);
            self.0 = Some(Fastest {
                rate,
                cpu_ns_per_frame: used / trial.received as f64,
                busy: used / all,
                cycles_per_frame,
            });
        }
    }
}

/// What is known of a datapath with processors at one distance: figures of two are not of one thing.
struct Searched {
    search: Search,
    ceiling: Option<Ceiling>,
    best: Best,
    /// Before its first trial.
    round_trip: Option<Duration>,
    /// How long its trials took together.
    measured: Duration,
    has_latency: bool,
}

/// What is to be done next with a datapath at one distance.
#[derive(Debug, Clone, Copy)]
pub enum Next {
    /// A trial of its search.
    Search { load: Pps, duration: Duration },
    /// The tester's ceiling, which a trial came close to.
    Ceiling,
    /// Latency.
    Latency,
    /// Nothing.
    Nothing,
}

/// A datapath whose rates are being searched.
pub struct Session<'a> {
    pub datapath: &'a dyn Datapath,
    pub deployed: Option<Deployed>,
    pub failed: bool,
    unverified: bool,
    idle: Option<f64>,
    at: BTreeMap<Distance, Searched>,
    /// What rounds found, at which distance of the processors.
    found: Vec<(Distance, f64)>,
}

impl<'a> Session<'a> {
    /// Trials of one datapath before the next has its turn,
    pub const TRIALS_A_TURN: u32 = 8;
    /// and how long they last together at the least: to start some datapaths takes longer than a second.
    pub const TURN: Duration = Duration::from_secs(3);
    /// How often a disturbed trial is made at the most.
    pub const ATTEMPTS: u32 = 3;

    pub fn new(datapath: &'a dyn Datapath, unverified: bool) -> Self {
        Self {
            datapath,
            deployed: None,
            failed: false,
            unverified,
            idle: None,
            at: BTreeMap::new(),
            found: Vec::new(),
        }
    }

    /// Whether a search at this distance has begun.
    pub fn has_begun(&self, distance: Distance) -> bool {
        self.at.contains_key(&distance)
    }

    /// Where searches have begun.
    pub fn distances(&self) -> impl Iterator<Item = Distance> {
        self.at.keys().copied()
    }

    /// Begins to search at a distance.
    pub fn begin(&mut self, distance: Distance, search: Search, ceiling: Option<Ceiling>) {
        let begun = Searched {
            search,
            ceiling,
            best: Best::default(),
            round_trip: None,
            measured: Duration::ZERO,
            has_latency: false,
        };
        self.at.insert(distance, begun);
    }

    /// Takes a ceiling that was measured again, if it is higher. Who carried all that the old one let be offered is to be
    /// searched again, by what `search` makes of the new one.
    pub fn raise_ceiling<E>(
        &mut self,
        distance: Distance,
        again: Ceiling,
        search: impl FnOnce(Ceiling) -> Result<Search, E>,
    ) -> Result<(), E> {
        let Some(at) = self.at.get_mut(&distance) else {
            return Ok(());
        };
        if at.ceiling.is_none_or(|ceiling| again.rate > ceiling.rate) {
            at.ceiling = Some(again);
            if at.carried_all() {
                at.search = search(again)?;
                at.has_latency = false;
            }
        }
        Ok(())
    }

    /// Looks once what the datapath takes while there is nothing to do.
    pub fn watch_idle(&mut self) {
        if let (None, Some(deployed)) = (self.idle, &self.deployed) {
            self.idle = Some(deployed.idle());
        }
    }

    /// What is to be done next at a distance where a search has begun. A ceiling is measured again where `doubts` are minded.
    pub fn next(&mut self, distance: Distance, doubts: bool) -> Next {
        let Some(at) = self.at.get_mut(&distance) else {
            return Next::Nothing;
        };
        match at.search.next() {
            Step::Measure { load, duration } => Next::Search { load, duration },
            Step::Done if at.has_latency => Next::Nothing,
            Step::Done if doubts && at.doubts_ceiling() => Next::Ceiling,
            Step::Done => Next::Latency,
        }
    }

    /// Whether there is something left to measure at a distance.
    pub fn is_open(&mut self, distance: Distance) -> bool {
        let is_done =
            self.has_begun(distance) && matches!(self.next(distance, false), Next::Nothing);
        !self.failed && !is_done
    }

    /// Takes a trial of the search at a distance, with what it showed beside its loss.
    pub fn record(
        &mut self,
        distance: Distance,
        trial: Trial,
        seen: &TrialRecord,
    ) -> Result<(), RecordError> {
        let ports = self.datapath.ports();
        let Some(at) = self.at.get_mut(&distance) else {
            return Ok(());
        };
        at.best.note(seen, ports);
        at.measured += Duration::from_secs_f64(seen.duration_seconds);
        let before = seen.round_trip_ns.map(|[before, _]| before);
        let before = before.map(|it| Duration::from_nanos(u64::from(it)));
        at.round_trip = at.round_trip.or(before);
        at.search.record(trial)
    }

    /// Takes note that latency was taken at a distance, or cannot be.
    pub fn has_latency(&mut self, distance: Distance) {
        if let Some(at) = self.at.get_mut(&distance) {
            at.has_latency = true;
        }
    }

    /// Whether latency was taken at any distance.
    pub fn has_any_latency(&self) -> bool {
        self.at.values().any(|at| at.has_latency)
    }

    /// PDR's throughput at a distance, or the best guess at it.
    pub fn pdr_at(&self, distance: Distance) -> Option<f64> {
        self.at.get(&distance)?.pdr()
    }

    /// The same at the distance at which most was measured.
    pub fn pdr(&self) -> Option<f64> {
        let found = self.at.values().filter(|at| at.pdr().is_some());
        found.max_by_key(|at| at.measured)?.pdr()
    }

    /// Around what a round searches: the middle of PDR and what rounds at this distance found, so that one that was disturbed
    /// does not lead the next ones astray.
    pub fn typical(&self, distance: Distance) -> Option<f64> {
        let found = self.found.iter().filter(|(at, _)| *at == distance);
        let found = found.map(|(_, rate)| *rate);
        let mut rates: Vec<f64> = found.chain(self.pdr_at(distance)).collect();
        ranking::median(&mut rates)
    }

    /// Takes note of what a round found.
    pub fn found(&mut self, distance: Distance, rate: f64) {
        self.found.push((distance, rate));
    }

    /// What the trials at each distance come to. Of a datapath that failed those count where the search had ended before.
    pub fn results(&mut self, scenario: &str) -> Vec<ResultRecord> {
        let failed = self.failed;
        let counts = |at: &mut Searched| {
            let has_ended = matches!(at.search.next(), Step::Done);
            !at.measured.is_zero() && (has_ended || !failed)
        };
        let measured: Vec<(&Distance, &Searched)> = self
            .at
            .iter_mut()
            .filter_map(|(distance, at)| counts(at).then_some((distance, &*at)))
            .collect();
        let result = |(distance, at): (&Distance, &Searched)| ResultRecord {
            datapath: self.datapath.name().to_owned(),
            scenario: scenario.to_owned(),
            ports: self.datapath.ports(),
            unverified: self.unverified,
            distance: distance.0,
            round_trip_ns: at.round_trip.map(|it| it.as_nanos() as u64),
            ceiling: at.ceiling.map(|ceiling| ceiling.rate),
            rates: at.rates(),
            fastest: at.best.0,
            null_forward: at.ceiling.and_then(|ceiling| ceiling.fastest),
            idle: self.idle,
        };
        measured.into_iter().map(result).collect()
    }
}

impl Searched {
    /// Whether a trial came close to the ceiling or went beyond it: a disturbance may have lowered it when it was measured.
    fn doubts_ceiling(&self) -> bool {
        let rate = self.best.0.map(|best| best.rate);
        let ceiling = self.ceiling.map(|ceiling| ceiling.rate);
        ceiling
            .zip(rate)
            .is_some_and(|(ceiling, rate)| rate > ceiling * CLOSE)
    }

    /// Whether it carried all that was offered, so that more must be offered to find what it carries.
    fn carried_all(&self) -> bool {
        let result = self.search.result();
        let is_floor = |status| status == Status::Irregular(Irregular::NoUpperWithinMax);
        result.goals.iter().any(|goal| is_floor(goal.status))
    }

    fn pdr(&self) -> Option<f64> {
        let result = self.search.result();
        let pdr = result.goals.last()?;
        let guess = pdr.estimate.and_then(|estimate| estimate.lower);
        // A search that ran out of time on its way down has nothing else to say.
        let fastest = self.best.0.map(|best| best.rate);
        pdr.conditional_throughput
            .or(pdr.lower)
            .or(guess)
            .map(Pps::get)
            .or(fastest)
    }

    fn rates(&self) -> Vec<Rate> {
        let result = self.search.result();
        let rate = |goal: &GoalResult| Rate {
            goal: goal.goal.name().to_owned(),
            loss_ratio: goal.goal.loss_ratio().get(),
            lower: goal.lower.map(Pps::get),
            upper: goal.upper.map(Pps::get),
            throughput: goal.conditional_throughput.map(Pps::get),
            irregular: match goal.status {
                Status::Regular => None,
                Status::Irregular(reason) => Some(reason.to_string()),
            },
        };
        result.goals.iter().map(rate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Counters, Cycles, Polling};
    use crate::search::SearchConfig;

    /// A trial of a second at which a polling thread found frames in a tenth of its rounds' cycles.
    fn trial() -> TrialRecord {
        TrialRecord {
            duration_seconds: 1.0,
            intended: 1_000_000,
            received: 1_000_000,
            // It polled a while before and after.
            datapath_cpu_ns: 1_400_000_000,
            counters: Some(Counters {
                polling: Some(Box::new(Polling {
                    received: 1_000_000,
                    cycles: Cycles {
                        busy: 100_000_000,
                        idle: 900_000_000,
                    },
                })),
                ..Counters::default()
            }),
            ..super::super::deploy::empty()
        }
    }

    #[test]
    fn a_search_that_found_no_rate_leaves_its_fastest_trial_to_go_on_with() {
        let config = SearchConfig::short(Pps::new(1e3).unwrap(), Pps::new(1e7).unwrap());
        let mut searched = Searched {
            search: Search::new(config).unwrap(),
            ceiling: None,
            best: Best::default(),
            round_trip: None,
            measured: Duration::ZERO,
            has_latency: false,
        };
        assert_eq!(searched.pdr(), None);
        searched.best.note(&trial(), PortType::Veth);
        assert_eq!(searched.pdr(), Some(1e6));
    }

    #[test]
    fn a_poller_that_does_all_of_the_work_is_charged_for_rounds_with_frames() {
        let mut best = Best::default();
        best.note(&trial(), PortType::VhostUser);
        let fastest = best.0.unwrap();
        assert_eq!(fastest.cycles_per_frame, Some(100.0));
        let charged = cycles::nanoseconds(100_000_000).unwrap_or(1e9);
        assert_eq!(fastest.cpu_ns_per_frame, charged / 1e6);
        assert_eq!(fastest.busy, charged / 1e9);
    }

    #[test]
    fn a_poller_that_the_kernel_works_for_is_charged_for_everything() {
        let mut best = Best::default();
        best.note(&trial(), PortType::Veth);
        let fastest = best.0.unwrap();
        assert_eq!(fastest.cycles_per_frame, None);
        assert_eq!((fastest.cpu_ns_per_frame, fastest.busy), (1_000.0, 1.0));
    }
}
