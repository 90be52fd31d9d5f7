//! A run: verify, find the tester's ceiling, search, take latency; interleaved over datapaths.

mod ceiling;
mod comparison;
pub(crate) mod cycles;
pub(crate) mod deploy;
pub(crate) mod distances;
pub(crate) mod disturbance;
pub mod event;
pub mod learning;
mod log;
mod progress;
mod range;
mod rates;
mod scenario;
mod session;
mod timestamp;

#[cfg(test)]
mod tests;

use crate::lines::LogError;
pub use log::RunLog;
pub use progress::{Progress, Silent};
pub use timestamp::rfc3339;

use crate::environment::{Placement, describe};
use crate::overlay::Overlay;
use crate::profile::{Effort, Profile};
use crate::record::{DatapathInfo, Environment, Failure, Record, Run, SCHEMA, Scenario};
use crate::remote::Meeting;
use crate::search::{ConfigError, GoalError, RateError};
use crate::tester::{FrameSize, Workload};
use crate::verify;
use ceiling::Ceilings;
use datapath_api::Datapath;
use distances::{Distance, Distances};
use netdev::Awake;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use session::Session;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use topologies::topology::Topology;

/// The lowest load offered: one frame a millisecond.
const MIN_LOAD: f64 = 1_000.0;
/// The highest load offered to find a ceiling: more than memory rings carry.
const MAX_LOAD: f64 = 100e6;
/// Flows of each direction that are verified frame by frame.
const VERIFIED_FLOWS: u32 = 64;

/// What to measure.
pub struct Plan {
    /// How thoroughly.
    pub profile: Profile,
    /// Which datapaths.
    pub datapaths: Vec<Box<dyn Datapath>>,
    /// In which scenarios.
    pub scenarios: Vec<Task>,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether to measure what failed verification.
    pub measure_anyway: bool,
    /// The command that made the plan.
    pub command: Vec<String>,
    /// The droplets of overlays, where they run elsewhere.
    pub meeting: Option<Meeting>,
}

/// A topology under a workload.
pub struct Task {
    /// How reports name it.
    pub scenario: Scenario,
    /// The topology.
    pub topology: Topology,
    /// Size of inner frames.
    pub size: FrameSize,
    /// Whether the topology's events are made to happen.
    pub events: bool,
}

impl Task {
    /// Such frames in a topology, without its events; `both` if it is measured with the direct path and without.
    pub fn new(topology: Topology, size: FrameSize, both: bool) -> Self {
        Self {
            scenario: scenario::describe(&topology, size, both),
            topology,
            size,
            events: false,
        }
    }

    /// Whether a whole overlay is measured, from endpoint to endpoint.
    pub fn is_overlay(&self) -> bool {
        self.topology.under_test().is_none()
    }

    /// Whether a datapath has the ports for it.
    pub fn takes(&self, datapath: &dyn Datapath) -> bool {
        !self.is_overlay() || Overlay::takes(datapath)
    }
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
    /// A profile is wrong.
    #[error("the profile's goals: {0}")]
    Goal(#[from] GoalError),
    /// A search cannot be set up.
    #[error("setting up a search: {0}")]
    Search(#[from] ConfigError),
    /// A rate is wrong.
    #[error("setting up a search: {0}")]
    Rate(#[from] RateError),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Results recorded.
    pub results: u64,
    /// Failures recorded.
    pub failures: u64,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

/// Carries out `plan` and records everything in `folder`, which is made. Ends early, with what was measured,
/// once `interrupted` is set.
///
/// # Errors
/// Where nothing can be recorded; a datapath's failure is recorded and the run goes on.
pub fn run(
    plan: &Plan,
    folder: &Path,
    progress: &dyn Progress,
    interrupted: &AtomicBool,
) -> Result<Summary, Error> {
    run_placed(plan, Placement::choose()?, folder, progress, interrupted)
}

fn run_placed(
    plan: &Plan,
    placement: Placement,
    folder: &Path,
    progress: &dyn Progress,
    interrupted: &AtomicBool,
) -> Result<Summary, Error> {
    let awake = Awake::hold();
    let effort = plan.profile.effort()?;
    let mut log = RunLog::create(folder, &header(plan, &effort, placement, &awake))?;
    let mut random = StdRng::seed_from_u64(plan.seed);
    let runnable: Vec<&dyn Datapath> = plan
        .datapaths
        .iter()
        .filter(|d| d.probe().is_empty())
        .map(AsRef::as_ref)
        .collect();
    let of_scenario = |task: &Task| {
        let taking_part = runnable.iter().filter(|it| task.takes(**it)).count();
        let events = match task.events {
            true => {
                let topologies = event::with_and_without_extensions(&task.topology);
                let events = topologies.iter().map(|it| it.events().len() as u32);
                events.sum::<u32>() * effort.events
            }
            false => 0,
        };
        let each = effort.time() + effort.event * events;
        effort.ceiling.as_secs_f64() + each.as_secs_f64() * taking_part as f64
    };
    progress.begin(plan.scenarios.iter().map(of_scenario).sum());

    let mut order: Vec<&Task> = plan.scenarios.iter().collect();
    order.shuffle(&mut random);
    let mut summary = Summary::default();
    let (mut golden, mut changed) = (Vec::new(), Vec::new());
    let mut distances = Distances::default();
    for task in order {
        let mut runner = Runner {
            plan,
            task,
            effort: &effort,
            placement,
            log: &mut log,
            progress,
            interrupted,
            random: &mut random,
            distances: &mut distances,
            ceilings: Ceilings::default(),
            golden: &mut golden,
            changed: &mut changed,
            failures: 0,
            measured: Duration::ZERO,
        };
        summary.results += runner.scenario(&runnable)?;
        summary.failures += runner.failures;
    }
    summary.interrupted = interrupted.load(Ordering::Relaxed);
    progress.end();
    Ok(summary)
}

fn header(
    plan: &Plan,
    effort: &Effort,
    placement: Placement,
    awake: &Result<Awake, netdev::Error>,
) -> Run {
    Run {
        schema: SCHEMA,
        started: rfc3339(std::time::SystemTime::now()),
        command: plan.command.clone(),
        seed: plan.seed,
        profile: plan.profile.to_string(),
        environment: Environment {
            droplets: plan
                .meeting
                .as_ref()
                .map_or_else(Vec::new, Meeting::described),
            ..environment(placement, awake)
        },
        datapaths: plan
            .datapaths
            .iter()
            .map(|datapath| datapath_info(datapath.as_ref()))
            .collect(),
        scenarios: plan
            .scenarios
            .iter()
            .map(|task| task.scenario.clone())
            .collect(),
        comparison: effort.comparison.map(comparison::described),
    }
}

/// The machine, and whether its idle processors are kept awake.
pub(crate) fn environment(
    placement: Placement,
    awake: &Result<Awake, netdev::Error>,
) -> Environment {
    let mut environment = describe(placement);
    environment.notes.push(match awake {
        Ok(_) => "idle processors were kept awake (/dev/cpu_dma_latency)".to_owned(),
        Err(error) => {
            format!("idle processors could sleep, which costs time to wake them: {error}")
        }
    });
    environment
}

/// What a run records of a datapath.
pub(crate) fn datapath_info(datapath: &dyn Datapath) -> DatapathInfo {
    DatapathInfo {
        name: datapath.name().to_owned(),
        summary: datapath.summary().to_owned(),
        version: datapath.version(),
        ports: datapath.ports(),
        variant_of: datapath.variant_of().map(str::to_owned),
        declared_differences: datapath
            .declared_differences()
            .iter()
            .map(|difference| difference.described())
            .collect(),
        polls_busily: datapath.polls_busily(),
        needs: Some(datapath.needs()),
        missing: datapath.probe(),
    }
}

/// One scenario of a run.
struct Runner<'a> {
    plan: &'a Plan,
    task: &'a Task,
    effort: &'a Effort,
    placement: Placement,
    log: &'a mut RunLog,
    progress: &'a dyn Progress,
    interrupted: &'a AtomicBool,
    random: &'a mut StdRng,
    distances: &'a mut Distances,
    ceilings: Ceilings,
    golden: &'a mut Vec<(String, verify::Report)>,
    /// Datapaths and topologies whose changes of tables were verified.
    changed: &'a mut Vec<(String, String)>,
    /// Failures recorded.
    failures: u64,
    /// How long trials took together.
    measured: Duration,
}

impl Runner<'_> {
    /// Measures everything; returns of how many datapaths there are results.
    fn scenario(&mut self, datapaths: &[&dyn Datapath]) -> Result<u64, Error> {
        let mut results = 0;
        let datapaths: Vec<_> = datapaths
            .iter()
            .copied()
            .filter(|it| self.task.takes(*it))
            .collect();
        let directions = self.task.topology.traffic();
        let workload = match Workload::new(&directions, self.task.size, self.plan.seed) {
            Ok(workload) => workload,
            Err(error) => {
                for datapath in &datapaths {
                    self.fail(datapath.name(), &error.to_string())?;
                }
                return Ok(results);
            }
        };
        let mut sessions = Vec::new();
        for datapath in datapaths {
            if self.is_interrupted() {
                return Ok(results);
            }
            let unverified = !self.verify(datapath)?;
            if self.is_interrupted() {
                return Ok(results);
            }
            if unverified && !self.plan.measure_anyway {
                self.progress.skip(self.effort.time().as_secs_f64());
                continue;
            }
            sessions.push(Session::new(datapath, unverified));
        }
        self.rates(&mut sessions, &workload)?;
        self.compare(&mut sessions, &workload)?;
        for session in &mut sessions {
            if self.task.events && !session.failed {
                self.learning(session)?;
                self.events(session, &workload)?;
            }
            // What was found before something failed is true; the failure stands beside it.
            let found = session.results(&self.task.scenario.id);
            results += u64::from(!found.is_empty());
            for result in found {
                self.log.append(&Record::Result(result))?;
            }
        }
        Ok(results)
    }

    /// How far apart processors are now.
    fn distance(&mut self) -> Distance {
        self.distances.now(|| self.placement.apart())
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn fail(&mut self, datapath: &str, reason: &str) -> Result<(), Error> {
        tracing::error!(datapath, scenario = self.task.scenario.id, "{reason}");
        self.failures += 1;
        self.log.append(&Record::Failure(Failure {
            datapath: datapath.to_owned(),
            scenario: self.task.scenario.id.clone(),
            reason: reason.to_owned(),
        }))?;
        Ok(())
    }

    /// Checks the datapath against the oracle; true if it conforms.
    fn verify(&mut self, datapath: &dyn Datapath) -> Result<bool, Error> {
        self.phase(datapath.name(), "verifying, golden vectors");
        let mut report = self.golden(datapath);
        // Between its parts, since some take long: a user who wants to end need not wait for all of them.
        if self.is_interrupted() {
            return Ok(false);
        }
        self.phase(datapath.name(), "verifying, each droplet");
        report.merge(verify::oracle::check(
            datapath,
            &self.task.topology,
            VERIFIED_FLOWS,
        ));
        let topology = self.task.topology.name();
        let of_this = (datapath.name().to_owned(), topology.to_owned());
        if self.task.events && !self.changed.contains(&of_this) {
            // Once a topology: tables change alike in both states of the direct path.
            self.phase(datapath.name(), "verifying, changes of tables");
            for topology in event::with_and_without_extensions(&self.task.topology) {
                if self.is_interrupted() {
                    return Ok(false);
                }
                report.merge(verify::oracle::check_changes(datapath, &topology));
            }
            self.changed.push(of_this);
        }
        if self.is_interrupted() {
            return Ok(false);
        }
        if self.task.is_overlay() {
            self.phase(datapath.name(), "verifying, from endpoint to endpoint");
            let (topology, meeting) = (&self.task.topology, self.plan.meeting.as_ref());
            let live = verify::overlay::check(datapath, topology, VERIFIED_FLOWS, meeting);
            report.merge(live);
        }
        let recorded = report.recorded(datapath.name(), &self.task.scenario.id);
        self.log.append(&Record::Verification(recorded))?;
        let Some(objection) = report.objection() else {
            return Ok(true);
        };
        if !self.plan.measure_anyway {
            let advice = "it is not measured (--measure-anyway does it, and marks every figure)";
            self.fail(datapath.name(), &format!("{advice}: {objection}"))?;
        }
        Ok(false)
    }

    /// The golden vectors, replayed once a run.
    fn golden(&mut self, datapath: &dyn Datapath) -> verify::Report {
        // Their droplets have no ports.
        let name = datapath.variant_of().unwrap_or(datapath.name());
        if let Some((_, report)) = self.golden.iter().find(|(known, _)| known == name) {
            return report.clone();
        }
        let report = match topologies::vectors::parse(topologies::vectors::BUILT_IN) {
            Ok(vectors) => verify::vectors::replay(datapath, &vectors),
            Err(error) => {
                let skipped = vec![("golden vectors".to_owned(), error.to_string())];
                verify::Report {
                    skipped,
                    ..verify::Report::default()
                }
            }
        };
        self.golden.push((name.to_owned(), report.clone()));
        report
    }

    fn phase(&self, datapath: &str, phase: &str) {
        self.progress
            .phase(&format!("{} {datapath}: {phase}", self.task.scenario.id));
    }
}
