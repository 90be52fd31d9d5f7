//! NDR, PDR and latency of each datapath: a search at each distance of processors that it meets.

use super::deploy::{Deployed, Meter};
use super::distances::{self, Distance};
use super::session::{Next, Session};
use super::{Error, MIN_LOAD, Runner};
use crate::record::{Purpose, Record};
use crate::search::{self, Pps};
use crate::tester::Workload;
use rand::seq::SliceRandom;
use std::time::{Duration, Instant};

/// Where processors are moved again and again, searches end after this many times the time of their trials at one distance, with
/// those for ceilings and latency.
const PATIENCE: f64 = 1.5;
/// What a turn takes of that in any case, since what is deployed in vain takes time as well.
const VAIN: Duration = Duration::from_millis(500);
/// Kinds of ports at the most.
const PORTS: u32 = 4;
/// The shares of PDR at which latency is taken, in percent.
const LOADS: [u8; 3] = [10, 50, 90];

/// How a trial ended.
pub(super) enum Outcome {
    /// It counts.
    Trial(search::Trial),
    /// Processors were moved, so that it is of no one distance and does not count.
    Moved,
    /// It failed, with the reason in the deployment.
    Failed,
}

/// Whether everything is known at one distance.
fn is_complete(sessions: &mut [Session<'_>]) -> bool {
    let mut distances: Vec<Distance> = sessions.iter().flat_map(Session::distances).collect();
    distances.sort_unstable();
    distances.dedup();
    let nothing_is_left = sessions.iter().all(|session| session.failed);
    let mut is_closed = |distance: Distance| sessions.iter_mut().all(|it| !it.is_open(distance));
    nothing_is_left || distances.into_iter().any(&mut is_closed)
}

impl Runner<'_> {
    /// Searches what each datapath carries, and takes its latency: all by a few trials at a time, in random order, so that drift
    /// of the machine hits all alike. Ends when everything is known at one distance of processors; what is known at others by then
    /// is recorded as well.
    pub(super) fn rates(
        &mut self,
        sessions: &mut [Session<'_>],
        workload: &Workload,
    ) -> Result<(), Error> {
        let each = self.effort.search + self.effort.latency * LOADS.len() as u32;
        let all = each * sessions.len() as u32 + self.effort.ceiling * PORTS;
        let began = self.measured;
        let mut in_vain = Duration::ZERO;
        while self.measured - began + in_vain < all.mul_f64(PATIENCE) && !self.is_interrupted() {
            if is_complete(sessions) {
                break;
            }
            let distance = self.distance();
            let mut open: Vec<usize> = (0..sessions.len())
                .filter(|index| sessions[*index].is_open(distance))
                .collect();
            open.shuffle(self.random);
            for index in open {
                in_vain += VAIN;
                if let Err(reason) = self.turn(&mut sessions[index], workload)? {
                    let session = &mut sessions[index];
                    session.failed = true;
                    session.deployed = None;
                    let name = session.datapath.name();
                    self.fail(name, &reason)?;
                }
                self.doubted_ceiling(sessions, index, workload)?;
            }
        }
        for session in sessions {
            // Searches that had no time to end have a best guess.
            let distance = self.distance();
            let lacks_latency = !session.failed && !session.has_any_latency();
            if lacks_latency && session.pdr_at(distance).is_some() && !self.is_interrupted() {
                match self.deploy(session, workload) {
                    Ok(()) => self.latency(session, distance)?,
                    Err(reason) => self.fail(session.datapath.name(), &reason)?,
                }
            }
            session.deployed = None;
        }
        Ok(())
    }

    /// A few trials of one datapath, as long as processors stay where they are.
    fn turn(
        &mut self,
        session: &mut Session<'_>,
        workload: &Workload,
    ) -> Result<Result<(), String>, Error> {
        let distance = self.distance();
        if !session.is_open(distance) {
            return Ok(Ok(()));
        }
        if !session.has_begun(distance) {
            let Some(ceiling) = self.ceiling(session.datapath, workload, distance)? else {
                return Ok(Ok(()));
            };
            let search = self.new_search(ceiling.map(|ceiling| ceiling.most()))?;
            session.begin(distance, search, ceiling);
        }
        self.phase(session.datapath.name(), "rate search");
        if let Err(reason) = self.deploy(session, workload) {
            return Ok(Err(reason));
        }
        session.watch_idle();
        let outcome = self.trials(session, distance);
        // A datapath that spins would take the processor from the next one.
        if session.datapath.polls_busily() {
            session.deployed = None;
        }
        outcome
    }

    fn trials(
        &mut self,
        session: &mut Session<'_>,
        distance: Distance,
    ) -> Result<Result<(), String>, Error> {
        let (mut trials, mut measured) = (0, Duration::ZERO);
        while trials < Session::TRIALS_A_TURN || measured < Session::TURN {
            let doubts = self.may_measure_ceiling_again(session.datapath.ports(), distance);
            let (load, duration) = match session.next(distance, doubts) {
                _ if self.is_interrupted() => break,
                Next::Search { load, duration } => (load, duration),
                Next::Latency => {
                    self.latency(session, distance)?;
                    break;
                }
                Next::Ceiling | Next::Nothing => break,
            };
            let meter = Meter {
                load,
                duration,
                latency: false,
                asks_datapath: true,
                purpose: Purpose::Search,
            };
            trials += 1;
            measured += duration;
            let Some(deployed) = &mut session.deployed else {
                break;
            };
            match self.trial(deployed, session.datapath.name(), &meter, distance)? {
                Outcome::Trial(trial) => {
                    let seen = deployed.last.clone();
                    if let Err(error) = session.record(distance, trial, &seen) {
                        return Ok(Err(error.to_string()));
                    }
                }
                Outcome::Moved => break,
                Outcome::Failed => return Ok(Err(deployed.last_error.clone())),
            }
        }
        Ok(Ok(()))
    }

    /// Starts a datapath, if it does not run.
    pub(super) fn deploy(
        &self,
        session: &mut Session<'_>,
        workload: &Workload,
    ) -> Result<(), String> {
        if session.deployed.is_none() {
            let topology = &self.task.topology;
            let meeting = self.plan.meeting.as_ref();
            let deployed = Deployed::datapath(
                session.datapath,
                topology,
                workload,
                self.placement,
                meeting,
            );
            session.deployed = Some(deployed.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// Takes latency at shares of PDR; where processors are moved meanwhile, it is to be taken again.
    fn latency(&mut self, session: &mut Session<'_>, distance: Distance) -> Result<(), Error> {
        let name = session.datapath.name();
        if let Some(pdr) = session.pdr_at(distance) {
            self.phase(name, "latency");
            for percent in LOADS {
                if self.is_interrupted() {
                    return Ok(());
                }
                let load = (pdr * f64::from(percent) / 100.0).max(MIN_LOAD);
                let meter = Meter {
                    load: Pps::new(load)?,
                    duration: self.effort.latency,
                    latency: true,
                    asks_datapath: true,
                    purpose: Purpose::Latency {
                        percent_of_pdr: percent,
                    },
                };
                let Some(deployed) = &mut session.deployed else {
                    break;
                };
                match self.trial(deployed, name, &meter, distance)? {
                    Outcome::Trial(_) => {}
                    Outcome::Moved => return Ok(()),
                    Outcome::Failed => {
                        let reason = deployed.last_error.clone();
                        // It may be dead, and is started again if there is more to measure.
                        session.deployed = None;
                        self.fail(name, &reason)?;
                        break;
                    }
                }
            }
        }
        session.has_latency(distance);
        Ok(())
    }

    /// One trial, repeated while it is disturbed.
    pub(super) fn trial(
        &mut self,
        deployed: &mut Deployed,
        datapath: &str,
        meter: &Meter,
        distance: Distance,
    ) -> Result<Outcome, Error> {
        let mut attempts = 0;
        loop {
            let began = Instant::now();
            let scenario = &self.task.scenario.id;
            let Some(mut record) = deployed.measure(meter, self.log.clock(), datapath, scenario)
            else {
                return Ok(Outcome::Failed);
            };
            attempts += 1;
            self.measured += meter.duration;
            let seen = record.round_trip_ns;
            let seen = seen.map(|it| it.map(|it| Duration::from_nanos(u64::from(it))));
            // A single reading may be of a processor that did something else meanwhile.
            let seems_moved = seen.is_some_and(distances::moved)
                || seen.is_some_and(|[before, _]| !self.distances.is_of(before, distance));
            let was_moved = seems_moved && self.distance() != distance;
            let give_up = attempts >= Session::ATTEMPTS || self.is_interrupted();
            // A trial that stays disturbed counts, stays marked, and is warned of.
            let repeated = record.disturbed.is_some() && !give_up;
            record.repeated = repeated || was_moved;
            record.distance = distance.0;
            record.number = self.log.next_trial();
            self.log.append(&Record::Trial(record))?;
            if was_moved {
                return Ok(Outcome::Moved);
            }
            if !repeated {
                self.progress.advance(meter.duration.as_secs_f64());
                return Ok(match deployed.trial(meter) {
                    Some(trial) => Outcome::Trial(trial),
                    None => Outcome::Failed,
                });
            }
            tracing::debug!(elapsed = ?began.elapsed(), "a disturbed trial is repeated");
        }
    }
}
