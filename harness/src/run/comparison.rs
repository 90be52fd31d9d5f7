//! Datapaths measured against each other, round by round: see `RANKING.md`.

use super::deploy::Meter;
use super::distances::Distance;
use super::range::Range;
use super::rates::Outcome;
use super::session::{Best, Session};
use super::{Error, MIN_LOAD, Runner};
use crate::profile::{PARTIAL_DROP, Rounds, goal};
use crate::record::{Comparison, Purpose, Record, RoundRecord};
use crate::search::{Irregular, Pps, Search, SearchConfig, Status, Step, Trial};
use crate::tester::Workload;
use datapath_api::PortType;
use rand::Rng;
use rand::seq::IndexedRandom;
use ranking::{Tolerance, Tournament};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The probability that any verdict is wrong.
const ERROR: f64 = 0.05;

/// What the run says of how it compares.
pub fn described(rounds: Rounds) -> Comparison {
    Comparison {
        tolerance: Tolerance::DEFAULT,
        error: ERROR,
        width: rounds.width,
        trial_seconds: rounds.trial.as_secs_f64(),
    }
}

/// Datapaths on one kind of port, which are the only ones that can be compared.
struct Group {
    ports: PortType,
    /// Their places among the sessions.
    members: Vec<usize>,
    tournament: Tournament,
}

impl Group {
    /// Sorts those that have a rate to search around.
    fn of(sessions: &[Session<'_>], how: &Comparison) -> Vec<Self> {
        let mut members = Vec::<(PortType, Vec<usize>)>::new();
        let takes_part = |session: &Session<'_>| !session.failed && session.pdr().is_some();
        for (index, session) in sessions.iter().enumerate() {
            if !takes_part(session) {
                continue;
            }
            let ports = session.datapath.ports();
            match members.iter_mut().find(|(known, _)| *known == ports) {
                Some((_, members)) => members.push(index),
                None => members.push((ports, vec![index])),
            }
        }
        let group = |(ports, members): (_, Vec<usize>)| Self {
            ports,
            tournament: how.tournament(members.len()),
            members,
        };
        members.into_iter().map(group).collect()
    }

    /// Those that the open round at this distance still wants.
    fn due(&self, distance: Distance) -> impl Iterator<Item = usize> {
        let wanted = self.tournament.wanted(distance.0).into_iter();
        wanted.map(|contestant| self.members[contestant])
    }

    /// Takes what a member did in a round; one without a figure failed, and is in no round any more.
    fn take(&mut self, member: usize, round: Round, figure: Option<f64>) -> Result<(), String> {
        let Some(contestant) = self.members.iter().position(|it| *it == member) else {
            return Ok(());
        };
        let Some(figure) = figure else {
            self.tournament.withdraw(contestant);
            return Ok(());
        };
        let (number, stratum) = (round.number, round.distance.0);
        let entered = self.tournament.enter(number, stratum, contestant, figure);
        entered.map_err(|error| format!("comparing on {} ports: {error}", self.ports))
    }
}

/// Numbers of rounds: one for each at each distance, in the order in which they begin.
#[derive(Default)]
struct Numbers(BTreeMap<(Distance, u32), u32>);

impl Numbers {
    fn of(&mut self, distance: Distance, place: u32) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry((distance, place)).or_insert(next)
    }
}

/// A round that somebody is in.
#[derive(Debug, Clone, Copy)]
struct Round {
    number: u32,
    distance: Distance,
}

/// Why there is no figure of a datapath in a round.
enum Ended {
    /// Processors were moved, and a figure of two distances is of none.
    Moved,
    /// It carried nothing that was offered.
    Nothing,
    /// It failed, for this reason.
    Failed(String),
}

/// Those that open rounds at this distance still want.
fn due(groups: &[Group], distance: Distance) -> Vec<usize> {
    let due = groups.iter().flat_map(|group| group.due(distance));
    due.collect()
}

impl Runner<'_> {
    /// Measures datapaths against each other until all pairs are decided, or the time for it is over.
    ///
    /// A round has all its figures at one distance between processors: where a hypervisor moves them, the round is gone on with
    /// when they are back, and another one meanwhile.
    pub(super) fn compare(
        &mut self,
        sessions: &mut [Session<'_>],
        workload: &Workload,
    ) -> Result<(), Error> {
        let Some(rounds) = self.effort.comparison else {
            return Ok(());
        };
        let how = described(rounds);
        let mut groups = Group::of(sessions, &how);
        let contestants = groups.iter().filter(|group| group.members.len() > 1);
        let contestants: usize = contestants.map(|group| group.members.len()).sum();
        let time = rounds.time * contestants as u32;
        let mut spent = Duration::ZERO;
        let mut numbers = Numbers::default();
        // How often each has been in a round, at each distance.
        let mut visits = BTreeMap::<(usize, Distance), u32>::new();
        // In whose last round no rate was found.
        let mut vain = BTreeSet::<usize>::new();
        loop {
            let distance = self.distance();
            // With fewer rounds than the first stage has, all would have been for nothing; but on a machine whose processors move
            // all the time there may never be as many.
            let is_enough = groups.iter().all(|group| {
                let tournament = &group.tournament;
                tournament.is_judged() && tournament.is_between(distance.0)
            });
            if spent >= time && (is_enough || spent >= time * 2) {
                break;
            }
            let wanted = due(&groups, distance);
            let Some(index) = self.next(&wanted, &visits, distance) else {
                break;
            };
            let session = &mut sessions[index];
            let name = session.datapath.name();
            let deployed = self.deploy(session, workload);
            // To start it takes time, in which processors may have moved.
            let distance = self.distance();
            if deployed.is_ok() && !due(&groups, distance).contains(&index) {
                if self.is_interrupted() {
                    break;
                }
                // However often they move, this ends.
                spent += rounds.trial;
                // A datapath that spins would take the processor from the next one.
                if session.datapath.polls_busily() {
                    session.deployed = None;
                }
                continue;
            }
            let place = visits.get(&(index, distance)).copied().unwrap_or(0);
            self.phase(name, &format!("comparison, round {}", place + 1));
            let round = Round {
                number: numbers.of(distance, place),
                distance,
            };
            let visited = match deployed {
                Ok(()) => self.replicate(session, rounds, round, &mut spent)?,
                Err(reason) => Err(Ended::Failed(reason)),
            };
            // A datapath that spins would take the processor from the next one.
            if session.datapath.polls_busily() {
                session.deployed = None;
            }
            let figure = match visited {
                Ok(record) => Some(record),
                Err(_) if self.is_interrupted() => break,
                Err(Ended::Moved) => continue,
                Err(Ended::Nothing) if vain.insert(index) => continue,
                Err(ended) => {
                    let reason = match ended {
                        Ended::Failed(reason) => reason,
                        _ => "two rounds after each other found no rate that it carries with PDR's loss".to_owned(),
                    };
                    session.failed = true;
                    session.deployed = None;
                    self.fail(name, &reason)?;
                    None
                }
            };
            if let Some(record) = &figure {
                session.found(distance, record.throughput);
                vain.remove(&index);
                *visits.entry((index, distance)).or_default() += 1;
                self.log.append(&Record::Round(record.clone()))?;
            }
            for group in &mut groups {
                let figure = figure.as_ref().map(|record| record.throughput);
                if let Err(reason) = group.take(index, round, figure) {
                    tracing::error!(scenario = self.task.scenario.id, "{reason}");
                }
            }
        }
        self.progress.skip(time.saturating_sub(spent).as_secs_f64());
        for session in sessions {
            session.deployed = None;
        }
        Ok(())
    }

    /// Any of those that have been in the fewest rounds at this distance.
    fn next(
        &mut self,
        due: &[usize],
        visits: &BTreeMap<(usize, Distance), u32>,
        distance: Distance,
    ) -> Option<usize> {
        let of = |index: usize| visits.get(&(index, distance)).copied().unwrap_or(0);
        let fewest = due.iter().map(|index| of(*index)).min()?;
        let next = due.iter().copied().filter(|index| of(*index) == fewest);
        next.collect::<Vec<_>>().choose(self.random).copied()
    }

    /// One short search around what was found before, and a trial for latency. The search begins at a random load, so that
    /// what it finds lies on no grid.
    fn replicate(
        &mut self,
        session: &mut Session<'_>,
        rounds: Rounds,
        round: Round,
        spent: &mut Duration,
    ) -> Result<Result<RoundRecord, Ended>, Error> {
        let known = session.typical(round.distance);
        let Some(typical) = known.or_else(|| session.pdr()) else {
            let reason = "no rate to search around".to_owned();
            return Ok(Err(Ended::Failed(reason)));
        };
        let dither = 1.0 + rounds.width * self.random.random::<f64>();
        let mut range = Some(Range::around(typical, dither));
        let mut best = Best::default();
        let mut throughput = None;
        while let Some(here) = range {
            range = match self.short_search(session, rounds, round, here, &mut best, spent)? {
                Ok(Found::Within(rate)) => {
                    throughput = Some(rate);
                    break;
                }
                Ok(Found::Above) => here.above(),
                Ok(Found::Below) => here.below(),
                Err(ended) => return Ok(Err(ended)),
            };
        }
        let Some(throughput) = throughput else {
            return Ok(Err(Ended::Nothing));
        };
        let half = Pps::new((known.unwrap_or(throughput) / 2.0).max(MIN_LOAD))?;
        let latency = meter(session, rounds, round.number, half, true);
        if let Err(ended) = self.step(session, &latency, round.distance, spent)? {
            return Ok(Err(ended));
        }
        let last = session.deployed.as_ref().map(|deployed| &deployed.last);
        let latency = last.and_then(|last| last.latency.as_ref());
        let round_trip = last.and_then(|last| last.round_trip_ns);
        Ok(Ok(RoundRecord {
            datapath: session.datapath.name().to_owned(),
            scenario: self.task.scenario.id.clone(),
            round: round.number,
            distance: round.distance.0,
            round_trip_ns: round_trip.map(|[before, _]| u64::from(before)),
            throughput,
            cpu_ns_per_frame: best.0.map(|fastest| fastest.cpu_ns_per_frame),
            p99_ns: latency.map(|latency| latency.p99_ns),
        }))
    }

    /// One search of a round, within a range of loads.
    fn short_search(
        &mut self,
        session: &mut Session<'_>,
        rounds: Rounds,
        round: Round,
        range: Range,
        best: &mut Best,
        spent: &mut Duration,
    ) -> Result<Result<Found, Ended>, Error> {
        let mut search = Search::new(config(rounds, range)?)?;
        while let Step::Measure { load, .. } = search.next() {
            let meter = meter(session, rounds, round.number, load, false);
            let trial = match self.step(session, &meter, round.distance, spent)? {
                Ok(trial) => trial,
                Err(ended) => return Ok(Err(ended)),
            };
            if let Some(deployed) = &session.deployed {
                best.note(&deployed.last, session.datapath.ports());
            }
            if let Err(error) = search.record(trial) {
                return Ok(Err(Ended::Failed(error.to_string())));
            }
        }
        let result = search.result();
        let goal = result.goals.first();
        let rate = goal.and_then(|goal| goal.conditional_throughput.or(goal.lower));
        Ok(Ok(match (goal.map(|goal| goal.status), rate) {
            (Some(Status::Irregular(Irregular::NoUpperWithinMax)), _) => Found::Above,
            (_, Some(rate)) => Found::Within(rate.get()),
            (_, None) => Found::Below,
        }))
    }

    /// One trial of a round, whose time is added to what was spent.
    fn step(
        &mut self,
        session: &mut Session<'_>,
        meter: &Meter,
        distance: Distance,
        spent: &mut Duration,
    ) -> Result<Result<Trial, Ended>, Error> {
        let failed = |reason: &str| Ok(Err(Ended::Failed(reason.to_owned())));
        if self.is_interrupted() {
            return failed("interrupted");
        }
        let Some(deployed) = &mut session.deployed else {
            return failed("it is not deployed");
        };
        *spent += meter.duration;
        match self.trial(deployed, session.datapath.name(), meter, distance)? {
            Outcome::Trial(trial) => Ok(Ok(trial)),
            Outcome::Moved => Ok(Err(Ended::Moved)),
            Outcome::Failed => failed(&deployed.last_error),
        }
    }
}

/// Where what a datapath carries lies.
enum Found {
    /// Within the range that was searched, at this rate.
    Within(f64),
    /// Above it.
    Above,
    /// Below it.
    Below,
}

fn meter(session: &Session<'_>, rounds: Rounds, round: u32, load: Pps, latency: bool) -> Meter {
    Meter {
        load,
        duration: rounds.trial,
        latency,
        // Of the others nothing that they count is in a figure of a round. They are asked once in each all the same: a switch
        // closes an OpenFlow connection on which it hears nothing for two minutes.
        asks_datapath: session.datapath.ports().needs_only_the_poller() || latency,
        purpose: Purpose::Comparison { round },
    }
}

/// A search for PDR in which each trial decides alone.
fn config(rounds: Rounds, range: Range) -> Result<SearchConfig, Error> {
    let trial = rounds.trial.as_millis() as u64;
    let goals = vec![goal("PDR", PARTIAL_DROP, trial, trial, rounds.width)?];
    Ok(SearchConfig {
        initial_trial_duration: rounds.trial,
        search_duration_max: rounds.trial * 16,
        preceding_targets: 0,
        ..SearchConfig::new(Pps::new(range.least)?, Pps::new(range.most)?, goals)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: Comparison = Comparison {
        tolerance: Tolerance::DEFAULT,
        error: ERROR,
        width: 0.02,
        trial_seconds: 0.1,
    };
    const NEAR: Distance = Distance(0);
    const FAR: Distance = Distance(1);

    /// Three datapaths, which are the sessions 4, 5 and 6.
    fn groups() -> [Group; 1] {
        [Group {
            ports: PortType::Veth,
            members: vec![4, 5, 6],
            tournament: HOW.tournament(3),
        }]
    }

    #[test]
    fn a_round_waits_for_its_distance_to_come_back() {
        let mut groups = groups();
        let round = |number, distance| Round { number, distance };
        groups[0].take(5, round(0, NEAR), Some(1e6)).unwrap();
        assert_eq!(due(&groups, NEAR), [4, 6]);
        // Processors are moved, and another round begins.
        assert_eq!(due(&groups, FAR), [4, 5, 6]);
        for member in [4, 5, 6] {
            let round = round(1, FAR);
            groups[0].take(member, round, Some(5e5)).unwrap();
        }
        assert_eq!(groups[0].tournament.rounds(), 1);
        for member in [6, 4] {
            groups[0].take(member, round(0, NEAR), Some(1e6)).unwrap();
        }
        assert_eq!(groups[0].tournament.rounds(), 2);
        assert_eq!(due(&groups, NEAR), [4, 5, 6]);
    }

    #[test]
    fn who_failed_is_waited_for_nowhere() {
        let mut groups = groups();
        for (number, distance) in [(0, NEAR), (1, FAR)] {
            let round = Round { number, distance };
            groups[0].take(4, round, Some(1e6)).unwrap();
            groups[0].take(5, round, Some(1e6)).unwrap();
        }
        let (number, distance) = (1, FAR);
        groups[0].take(6, Round { number, distance }, None).unwrap();
        assert_eq!(groups[0].tournament.rounds(), 2);
        for distance in [NEAR, FAR, Distance(2)] {
            assert_eq!(due(&groups, distance), [4, 5]);
        }
    }

    #[test]
    fn numbers_of_rounds_are_never_given_twice() {
        let mut numbers = Numbers::default();
        let given = [(NEAR, 0), (FAR, 0), (NEAR, 1), (NEAR, 0), (FAR, 1)];
        let given = given.map(|(distance, place)| numbers.of(distance, place));
        assert_eq!(given, [0, 1, 2, 0, 3]);
    }
}
