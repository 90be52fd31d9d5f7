//! Stages: what a frame costs in each step of a datapath that carries the core.
//!
//! Programs that go one stage further than others get the same frame, again and again; what a stage costs is the difference.
//! All of them have their turn in each round, in random order, so that what changes on the machine meets them alike. XDP
//! programs run in the kernel's test loop, which is a driver's without a driver, and natively the core runs in a loop of this
//! process: so code is compared with code. What the hook costs is seen live: the processor time of a frame through a null forward,
//! which redirects and does nothing else, and through the datapath.

pub mod record;

use crate::environment::Placement;
use crate::lines::LogError;
use crate::run::deploy::Deployed;
use crate::run::{self, Progress, Summary, cycles, distances, rfc3339};
use crate::search::{Pps, RateError};
use crate::tester::{FrameSize, Offer, Watch, Workload};
use datapath_api::{Datapath, Decision, PortType, Stage, Stages};
use netdev::{Awake, pin_current_thread};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use record::{Header, Live, Log, Record, SCHEMA, Sample, Way};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use topologies::frame::FrameLen;
use topologies::provision::Port;
use topologies::topology::Topology;

/// How long frames go through a program at a time.
const RUN: Duration = Duration::from_millis(10);
/// So many are tried to find how many that are.
const TRIED: u32 = 10_000;
/// Live frames a second: what the datapaths here carry without loss.
const LOAD: f64 = 500_000.0;
/// How long a live trial lasts.
const LIVE: Duration = Duration::from_millis(300);

/// What to measure.
pub struct Plan {
    /// Which datapaths, of whatever sort.
    pub datapaths: Vec<Box<dyn Datapath>>,
    /// A droplet alone, whose flows have found their direct path.
    pub topology: Topology,
    /// How often.
    pub rounds: u32,
    /// Fixes the order.
    pub seed: u64,
    /// The command that made the plan.
    pub command: Vec<String>,
}

/// What ends a run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing can be recorded any more.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The machine cannot be asked.
    #[error(transparent)]
    Device(#[from] netdev::Error),
    /// A topology without a droplet under test.
    #[error("topology {0} has no droplet under test; expected one with, like vtep")]
    NoDroplet(String),
    /// A workload or load that cannot be.
    #[error("{0}")]
    Workload(String),
}

impl From<RateError> for Error {
    fn from(error: RateError) -> Self {
        Self::Workload(error.to_string())
    }
}

/// A datapath whose stages are measured.
struct Measured<'a> {
    datapath: &'a dyn Datapath,
    stages: Box<dyn Stages>,
    /// Through a null forward and through the datapath, if its ports are those of the kernel.
    live: Option<[Deployed; 2]>,
    failed: bool,
}

/// One thing that is measured in each round.
#[derive(Clone, Copy)]
struct Turn {
    measured: usize,
    path: usize,
    decision: Decision,
    stage: Stage,
    frames: u32,
}

/// Carries out `plan` and records everything in `folder`, which is made. Ends early, with what was measured, once
/// `interrupted` is set.
///
/// # Errors
/// Where nothing can be recorded; a datapath's failure is recorded and the run goes on.
pub fn run(
    plan: &Plan,
    folder: &Path,
    progress: &dyn Progress,
    interrupted: &AtomicBool,
) -> Result<Summary, Error> {
    let name = plan.topology.name();
    let droplet = plan.topology.under_test();
    let droplet = droplet.ok_or_else(|| Error::NoDroplet(name.to_owned()))?;
    let provision = plan.topology.provision(droplet);
    let traffic = plan.topology.traffic();
    let frames: Vec<(Port, Vec<u8>)> = traffic
        .iter()
        .map(|direction| (direction.ingress, direction.frame(0, FrameLen::MIN)))
        .collect();
    let workload = Workload::new(&traffic, FrameSize::Bytes(64), 1);
    let workload = workload.map_err(|error| Error::Workload(error.to_string()))?;
    let placement = Placement::choose()?;
    let awake = Awake::hold();
    let environment = run::environment(placement, &awake);
    // Where the core runs natively; programs of the kernel are run by threads of their own.
    pin_current_thread(placement.datapath)?;
    let mut log = Log::create(folder)?;
    let mut failures = Vec::new();
    let mut measured = Vec::new();
    for datapath in &plan.datapaths {
        let datapath = datapath.as_ref();
        if !datapath.probe().is_empty() {
            continue;
        }
        let live = || -> Result<[Deployed; 2], run::deploy::Error> {
            let null = Deployed::null_forward(PortType::Veth, &workload, placement)?;
            let topology = &plan.topology;
            Ok([
                null,
                Deployed::datapath(datapath, topology, &workload, placement, None)?,
            ])
        };
        let begun = datapath.stages(&provision, placement.datapath, placement.sinks);
        let begun = begun.map_err(|error| error.to_string()).and_then(|stages| {
            let is_live = stages.is_some() && datapath.ports() == PortType::Veth;
            let live = is_live.then(live).transpose();
            Ok((stages, live.map_err(|error| error.to_string())?))
        });
        match begun {
            Ok((Some(stages), live)) => measured.push(Measured {
                datapath,
                stages,
                live,
                failed: false,
            }),
            // It does not carry the core.
            Ok((None, _)) => {}
            Err(reason) => failures.push((datapath.name().to_owned(), reason)),
        }
    }
    log.append(&Record::Header(Box::new(Header {
        schema: SCHEMA,
        started: rfc3339(std::time::SystemTime::now()),
        command: plan.command.clone(),
        environment,
        datapaths: measured
            .iter()
            .map(|it| run::datapath_info(it.datapath))
            .collect(),
        topology: name.to_owned(),
        frame_bytes: FrameLen::MIN.get(),
        rounds: plan.rounds,
        cycles_per_ns: cycles::per_nanosecond(),
        live_load: LOAD,
    })))?;
    let mut runner = Runner {
        frames: &frames,
        log: &mut log,
        failures: failures.len() as u64,
    };
    for (datapath, reason) in failures {
        runner.log.append(&Record::Failed { datapath, reason })?;
    }
    let mut turns = runner.turns(&mut measured)?;
    progress.begin(f64::from(plan.rounds) * turns.len() as f64 * RUN.as_secs_f64());
    let mut random = StdRng::seed_from_u64(plan.seed);
    for round in 1..=plan.rounds {
        progress.phase(&format!("round {round}"));
        turns.shuffle(&mut random);
        for turn in &turns {
            if interrupted.load(Ordering::Relaxed) {
                break;
            }
            runner.turn(&mut measured[turn.measured], *turn, round)?;
            progress.advance(RUN.as_secs_f64());
        }
        for measured in &mut measured {
            if !measured.failed && !interrupted.load(Ordering::Relaxed) {
                runner.live(measured, round)?;
            }
        }
    }
    progress.end();
    Ok(Summary {
        results: turns.len() as u64,
        failures: runner.failures,
        interrupted: interrupted.load(Ordering::Relaxed),
    })
}

struct Runner<'a> {
    /// By the port that they come by.
    frames: &'a [(Port, Vec<u8>)],
    log: &'a mut Log,
    failures: u64,
}

impl Runner<'_> {
    fn fail(&mut self, measured: &mut Measured<'_>, reason: String) -> Result<(), LogError> {
        measured.failed = true;
        self.failures += 1;
        self.log.append(&Record::Failed {
            datapath: measured.datapath.name().to_owned(),
            reason,
        })
    }

    /// All that is to be measured, with as many frames as take about [`RUN`].
    fn turns(&mut self, all: &mut [Measured<'_>]) -> Result<Vec<Turn>, LogError> {
        let mut turns = Vec::new();
        for (number, measured) in all.iter_mut().enumerate() {
            'datapath: for (path, (port, frame)) in self.frames.iter().enumerate() {
                let is_established = match measured.stages.is_established(*port, frame) {
                    Ok(is_established) => is_established,
                    Err(error) => {
                        self.fail(measured, error.to_string())?;
                        break 'datapath;
                    }
                };
                for (decision, stage) in Decision::ALL
                    .into_iter()
                    .flat_map(|decision| Stage::ALL.map(|stage| (decision, stage)))
                {
                    let is_there = is_established || decision == Decision::Full;
                    if !is_there || !measured.stages.has(decision, stage) {
                        continue;
                    }
                    let tried = measured.stages.run(*port, decision, stage, frame, TRIED);
                    match tried {
                        Ok(took) => turns.push(Turn {
                            measured: number,
                            path,
                            decision,
                            stage,
                            frames: frames_in(RUN, took),
                        }),
                        Err(error) => {
                            self.fail(measured, error.to_string())?;
                            break 'datapath;
                        }
                    }
                }
            }
        }
        Ok(turns)
    }

    fn turn(
        &mut self,
        measured: &mut Measured<'_>,
        turn: Turn,
        round: u32,
    ) -> Result<(), LogError> {
        if measured.failed {
            return Ok(());
        }
        let (port, frame) = &self.frames[turn.path];
        let Turn {
            decision,
            stage,
            frames,
            ..
        } = turn;
        let took = match measured.stages.run(*port, decision, stage, frame, frames) {
            Ok(took) => took,
            Err(error) => return self.fail(measured, error.to_string()),
        };
        self.log.append(&Record::Sample(Sample {
            round,
            datapath: measured.datapath.name().to_owned(),
            way: Way::of(*port),
            decision,
            stage,
            frames,
            ns: took.as_nanos() as u64,
        }))
    }

    fn live(&mut self, measured: &mut Measured<'_>, round: u32) -> Result<(), Error> {
        let offer = Offer {
            load: Pps::new(LOAD)?,
            duration: LIVE,
            first_entry: 0,
            watch: Watch::Counts,
        };
        let name = measured.datapath.name().to_owned();
        let mut observed = Vec::new();
        for (place, deployed) in measured.live.iter_mut().flatten().enumerate() {
            match deployed.observe(&offer) {
                Ok(observation) => observed.push(Live {
                    round,
                    datapath: (place == 1).then(|| name.clone()),
                    intended: observation.report.intended,
                    frames: observation.report.arrived.received,
                    disturbed: observation.disturbed,
                    cpu_ns: observation.used.running.as_nanos() as u64,
                    round_trip_ns: observation.apart.map(distances::in_whole_nanoseconds),
                }),
                Err(error) => {
                    measured.live = None;
                    self.fail(measured, error.to_string())?;
                    return Ok(());
                }
            }
        }
        for live in observed {
            self.log.append(&Record::Live(live))?;
        }
        Ok(())
    }
}

/// How many frames take so long, if [`TRIED`] took `took`.
fn frames_in(wanted: Duration, took: Duration) -> u32 {
    let each = took.as_secs_f64() / f64::from(TRIED);
    let frames = wanted.as_secs_f64() / each.max(1e-10);
    frames.clamp(1_000.0, 100_000_000.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_frames_take_as_long_as_wanted() {
        let took = Duration::from_micros(1_000);
        assert_eq!(frames_in(Duration::from_millis(10), took), 100_000);
        assert_eq!(
            frames_in(Duration::from_millis(10), Duration::from_secs(10)),
            1_000
        );
        assert_eq!(
            frames_in(Duration::from_secs(100), Duration::ZERO),
            100_000_000
        );
    }
}
