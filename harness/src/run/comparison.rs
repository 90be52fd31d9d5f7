//! Datapaths measured against each other, round by round: see `RANKING.md`.

use super::deploy::Meter;
use super::session::{Best, Session};
use super::{Error, MIN_LOAD, Runner};
use crate::profile::{PARTIAL_DROP, Rounds, goal};
use crate::record::{Comparison, Purpose, Record, RoundRecord};
use crate::search::{Irregular, Pps, Search, SearchConfig, Status, Step, Trial};
use crate::tester::Workload;
use datapath_api::PortType;
use rand::Rng;
use rand::seq::SliceRandom;
use ranking::{STAGES, Tolerance, Tournament};
use std::collections::BTreeMap;
use std::time::Duration;

/// The probability that any verdict is wrong.
const ERROR: f64 = 0.05;
/// A round searches between this share of what was found before,
const LEAST: f64 = 0.4;
/// and this.
const MOST: f64 = 1.3;

/// Where it finds nothing there, the range is moved by this factor,
const WIDER: f64 = 2.0;
/// at most so many times.
const WIDENINGS: u32 = 4;

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
        let takes_part = |session: &Session<'_>| !session.failed && session.typical().is_some();
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
        let group = |(ports, members): (PortType, Vec<usize>)| Self {
            ports,
            tournament: how.tournament(members.len()),
            members,
        };
        members.into_iter().map(group).collect()
    }

    /// Those of the next round.
    fn due(&self) -> impl Iterator<Item = usize> {
        self.tournament.due().iter().map(|it| self.members[*it])
    }

    /// Takes what a round found; who has no figure failed.
    fn take(&mut self, figures: &BTreeMap<usize, f64>) -> Result<(), String> {
        for (contestant, member) in self.members.iter().enumerate() {
            if self.tournament.due().contains(&contestant) && !figures.contains_key(member) {
                self.tournament.withdraw(contestant);
            }
        }
        let figures: Vec<f64> = self
            .due()
            .filter_map(|it| figures.get(&it).copied())
            .collect();
        let ports = self.ports;
        let recorded = self.tournament.record(&figures);
        recorded.map_err(|error| format!("comparing on {ports} ports: {error}"))
    }
}

impl Runner<'_> {
    /// Measures datapaths against each other until all pairs are decided, or the time for it is over.
    pub(super) fn compare(
        &mut self,
        sessions: &mut [Session<'_>],
        workload: &Workload,
    ) -> Result<(), Error> {
        let Some(rounds) = self.effort.comparison else {
            return Ok(());
        };
        let mut groups = Group::of(sessions, &described(rounds));
        let contestants: usize = groups.iter().map(|group| group.due().count()).sum();
        let mut left = rounds.time * contestants as u32;
        for round in 0.. {
            let mut due: Vec<usize> = groups.iter().flat_map(Group::due).collect();
            // With fewer rounds than the first stage has, all would have been for nothing.
            let is_over = left.is_zero() && round as usize >= STAGES[0];
            if due.is_empty() || is_over {
                break;
            }
            due.shuffle(self.random);
            let mut figures = BTreeMap::new();
            for index in due {
                let session = &mut sessions[index];
                let name = session.datapath.name();
                self.phase(name, &format!("comparison, round {}", round + 1));
                match self.replicate(session, workload, rounds, round, &mut left)? {
                    Ok(rate) => {
                        figures.insert(index, rate);
                    }
                    Err(_) if self.is_interrupted() => break,
                    Err(reason) => {
                        session.failed = true;
                        session.deployed = None;
                        self.fail(name, &reason)?;
                    }
                }
            }
            // A round that is not complete compares nothing.
            if self.is_interrupted() {
                break;
            }
            for group in &mut groups {
                if let Err(reason) = group.take(&figures) {
                    tracing::error!(scenario = self.task.scenario.id, "{reason}");
                }
            }
        }
        self.progress.skip(left.as_secs_f64());
        for session in sessions {
            session.deployed = None;
        }
        Ok(())
    }

    /// One short search around what was found before, and a trial for latency. The search begins at a random load, so that
    /// what it finds lies on no grid.
    fn replicate(
        &mut self,
        session: &mut Session<'_>,
        workload: &Workload,
        rounds: Rounds,
        round: u32,
        left: &mut Duration,
    ) -> Result<Result<f64, String>, Error> {
        let Some(typical) = session.typical() else {
            return Ok(Err("no rate to search around".to_owned()));
        };
        if let Err(reason) = self.deploy(session, workload) {
            return Ok(Err(reason));
        }
        let dither = 1.0 + rounds.width * self.random.random::<f64>();
        let mut least = (typical * LEAST * dither).max(MIN_LOAD);
        let mut most = (typical * MOST * dither).max(2.0 * MIN_LOAD);
        let mut best = Best::default();
        let mut throughput = least;
        for _ in 0..WIDENINGS {
            let range = (least, most);
            let found = match self.short_search(session, rounds, round, range, &mut best, left)? {
                Ok(found) => found,
                Err(reason) => return Ok(Err(reason)),
            };
            // What it carries lies beyond the range: what was found is its end, and no figure.
            (throughput, least, most) = match found {
                Found::Within(rate) => {
                    throughput = rate;
                    break;
                }
                Found::Above => (most, most * 0.95, most * WIDER),
                Found::Below if least <= MIN_LOAD => break,
                Found::Below => (least, (least / WIDER).max(MIN_LOAD), least * 1.05),
            };
        }
        let half = Pps::new((typical / 2.0).max(MIN_LOAD))?;
        let latency = meter(session, rounds, round, half, true);
        if let Err(reason) = self.step(session, &latency, left)? {
            return Ok(Err(reason));
        }
        let latency = session
            .deployed
            .as_ref()
            .and_then(|it| it.last.latency.as_ref());
        let p99_ns = latency.map(|latency| latency.p99_ns);
        // A datapath that spins would take the processor from the next one.
        if session.datapath.polls_busily() {
            session.deployed = None;
        }
        session.found(throughput);
        self.log.append(&Record::Round(RoundRecord {
            datapath: session.datapath.name().to_owned(),
            scenario: self.task.scenario.id.clone(),
            round,
            throughput,
            cpu_ns_per_frame: best.0.map(|fastest| fastest.cpu_ns_per_frame),
            p99_ns,
        }))?;
        Ok(Ok(throughput))
    }

    /// One search of a round, within a range of loads.
    fn short_search(
        &mut self,
        session: &mut Session<'_>,
        rounds: Rounds,
        round: u32,
        (least, most): (f64, f64),
        best: &mut Best,
        left: &mut Duration,
    ) -> Result<Result<Found, String>, Error> {
        let mut search = Search::new(config(rounds, least, most)?)?;
        while let Step::Measure { load, .. } = search.next() {
            let meter = meter(session, rounds, round, load, false);
            let trial = match self.step(session, &meter, left)? {
                Ok(trial) => trial,
                Err(reason) => return Ok(Err(reason)),
            };
            if let Some(deployed) = &session.deployed {
                best.note(&deployed.last, session.datapath.ports());
            }
            if let Err(error) = search.record(trial) {
                return Ok(Err(error.to_string()));
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

    /// One trial of a round, which takes of the time that is left.
    fn step(
        &mut self,
        session: &mut Session<'_>,
        meter: &Meter,
        left: &mut Duration,
    ) -> Result<Result<Trial, String>, Error> {
        if self.is_interrupted() {
            return Ok(Err("interrupted".to_owned()));
        }
        let Some(deployed) = &mut session.deployed else {
            return Ok(Err("it is not deployed".to_owned()));
        };
        *left = left.saturating_sub(meter.duration);
        let trial = self.trial(deployed, session.datapath.name(), meter)?;
        Ok(trial.ok_or_else(|| deployed.last_error.clone()))
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
fn config(rounds: Rounds, least: f64, most: f64) -> Result<SearchConfig, Error> {
    let trial = rounds.trial.as_millis() as u64;
    let goals = vec![goal("PDR", PARTIAL_DROP, trial, trial, rounds.width)?];
    Ok(SearchConfig {
        initial_trial_duration: rounds.trial,
        search_duration_max: rounds.trial * 16,
        preceding_targets: 0,
        ..SearchConfig::new(Pps::new(least)?, Pps::new(most)?, goals)
    })
}
