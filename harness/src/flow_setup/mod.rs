//! Flow setup: what a datapath does with packets of flows that it has not seen before.
//!
//! For each datapath, at several numbers of flows that are installed already, and in both directions:
//!
//! - **New flows per second**: every frame belongs to a flow of its own, with an inner address that no earlier frame
//!   had. MLRsearch ([`crate::search`]) looks for the highest rate at which at most 0.5 % of the frames are lost.
//! - **First against second packet**: pairs of frames of one flow, half a millisecond apart, open loop, with a
//!   histogram for each.
//! - **When a direct path is learned**: see [`learning`], which also says how exact it is.
//!
//! Or, with numbers of rules: what of this becomes of flows from another network, past access lists that long.
//!
//! The droplet under test hosts one endpoint and knows nobody else ([`flows`]). What leaves therefore goes to a
//! bouncer, unless the destination's direct path was learned; and no capacity of a table but the caches limits how
//! many flows there can be. There is a frame in the tester for each flow, up to a million in a deployment.
//!
//! # Which flows are new
//!
//! A trial goes on in the address space where the one before ended, as long as the flows that trials added are no more
//! than those that were installed; otherwise a droplet is deployed anew, warmed up, and the same flows are new to it.
//! So a trial begins with as many flows as the step says, or at most twice as many. Where a trial itself adds more flows
//! than were installed, which a fast datapath does at any rate, its figure is that of a growing table.
//!
//! # Installed flows
//!
//! They are passed over, a frame each, at a bounded rate: half of what the step before sustained. Open vSwitch holds
//! some 10,000 flows at first and raises that limit slowly; beyond it each packet is an upcall and may be lost. Passes
//! are repeated until one loses hardly any frame, or the time for it is over and the step is recorded as not
//! available. Two checks tell whether the flows are there, since forwarding alone does not: in the direction that learns,
//! the droplet's direct paths are counted; and the flows installed first are sent a packet each, whose latency must
//! be like that of second packets and not like that of first ones. Open vSwitch lets flows go that were idle for 10 s,
//! so they are passed over again before that.

mod bench;
mod cell;
mod droplet;
mod effort;
pub mod flows;
pub mod learning;
mod rate;
pub mod record;
#[cfg(test)]
mod tests;

pub use effort::Effort;

use crate::environment::Placement;
use crate::lines::LogError;
use crate::profile::Profile;
use crate::record::{Failure, PortType};
use crate::run::{self, Progress, Summary, rfc3339};
use crate::search::GoalError;
use crate::verify;
use bench::{Live, Subject};
use cell::Task;
use datapath_api::Datapath;
use droplet::{Context, Droplet, Stop};
use flows::{Flows, FlowsError, Layout, Traffic};
use netdev::Awake;
use record::{Ceiling, Header, Log, Record, SCHEMA};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Peers that a verification looks at.
const VERIFIED: u32 = 16;
/// Frames per second that a ceiling's search offers at the most.
const FASTEST: f64 = 20e6;

/// Flows that a ceiling is found with.
const CEILING_FLOWS: u32 = 200_000;

/// What to measure.
pub struct Plan {
    /// How thoroughly.
    pub profile: Profile,
    /// Which datapaths.
    pub datapaths: Vec<Box<dyn Datapath>>,
    /// Numbers of installed flows; the profile's if there are none.
    pub installed: Vec<u32>,
    /// Rules of access lists that new flows have to pass, once with each number; without any if there are none.
    pub rules: Vec<u32>,
    /// Seed of everything random.
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
    /// A profile is wrong.
    #[error("the profile's goals: {0}")]
    Goal(#[from] GoalError),
    /// The overlay is wrong.
    #[error(transparent)]
    Flows(#[from] FlowsError),
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
    let placement = Placement::choose()?;
    let awake = Awake::hold();
    let effort = Effort::of(plan.profile)?;
    let mut installed = if plan.installed.is_empty() {
        effort.installed.clone()
    } else {
        plan.installed.clone()
    };
    // Fewest first: each step's rate tells how fast the next may be warmed up.
    installed.sort_unstable();
    installed.dedup();
    let mut log = Log::create(folder)?;
    log.append(&Record::Header(Box::new(Header {
        schema: SCHEMA,
        started: rfc3339(std::time::SystemTime::now()),
        command: plan.command.clone(),
        seed: plan.seed,
        profile: plan.profile.to_string(),
        environment: run::environment(placement, &awake),
        datapaths: plan
            .datapaths
            .iter()
            .map(|datapath| run::datapath_info(datapath.as_ref()))
            .collect(),
        installed: installed.clone(),
    })))?;
    let traffic = traffic(&plan.rules);
    let mut flows = Vec::new();
    for rules in traffic.iter().map(|it| it.rules()) {
        if flows.iter().all(|(known, _)| *known != rules) {
            flows.push((rules, Flows::past(plan.seed, rules)?));
        }
    }
    let runnable: Vec<&dyn Datapath> = plan
        .datapaths
        .iter()
        .filter(|datapath| datapath.probe().is_empty())
        .map(AsRef::as_ref)
        .collect();
    let cells = runnable.len() * installed.len() * traffic.len();
    progress.begin(effort.time().as_secs_f64() * cells as f64);
    let mut runner = Runner {
        effort: &effort,
        traffic: &traffic,
        flows: &flows,
        installed: &installed,
        placement,
        log: &mut log,
        progress,
        interrupted,
        began: Instant::now(),
        ceilings: Vec::new(),
        summary: Summary::default(),
    };
    for datapath in runnable {
        runner.datapath(datapath)?;
    }
    let mut summary = runner.summary;
    summary.interrupted = interrupted.load(Ordering::Relaxed);
    progress.end();
    Ok(summary)
}

/// In which directions flows are new: in both, or past access lists in the one in which they are judged.
fn traffic(rules: &[u32]) -> Vec<Traffic> {
    if rules.is_empty() {
        return Traffic::OPEN.to_vec();
    }
    let mut rules = rules.to_vec();
    rules.sort_unstable();
    rules.dedup();
    let past = rules.into_iter().map(Traffic::NewSourcesPastRules);
    past.collect()
}

struct Runner<'a> {
    effort: &'a Effort,
    traffic: &'a [Traffic],
    /// By the rules that they have to pass.
    flows: &'a [(Option<u32>, Flows)],
    installed: &'a [u32],
    placement: Placement,
    log: &'a mut Log,
    progress: &'a dyn Progress,
    interrupted: &'a AtomicBool,
    began: Instant,
    ceilings: Vec<Ceiling>,
    summary: Summary,
}

impl<'r> Runner<'r> {
    fn datapath(&mut self, datapath: &dyn Datapath) -> Result<(), Error> {
        for (rules, _) in self.flows {
            if self.interrupted.load(Ordering::Relaxed) || !self.verify(datapath, *rules)? {
                return Ok(());
            }
        }
        for traffic in self.traffic.iter().copied() {
            let Some(flows) = self.flows_of(traffic) else {
                continue;
            };
            let ceiling = self.ceiling(datapath, traffic)?;
            let mut before = None;
            for installed in self.installed.iter().copied() {
                if self.interrupted.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let task = Task {
                    traffic,
                    installed,
                    ports: datapath.ports(),
                    host: flows.peers_host().ip,
                    ceiling,
                    before,
                };
                before = self.cell(datapath, flows, &task)?.or(before);
                self.progress.advance(self.effort.time().as_secs_f64());
            }
        }
        Ok(())
    }

    /// The flows that are new in this way.
    fn flows_of(&self, traffic: Traffic) -> Option<&'r Flows> {
        let mut flows = self.flows.iter();
        let known = flows.find(|(rules, _)| *rules == traffic.rules());
        known.map(|(_, flows)| flows)
    }

    /// Measures one cell; returns its rate.
    fn cell(
        &mut self,
        datapath: &dyn Datapath,
        flows: &Flows,
        task: &Task,
    ) -> Result<Option<f64>, Error> {
        self.progress.phase(&format!(
            "{}: {}, {} flows installed",
            datapath.name(),
            task.traffic.words(),
            task.installed
        ));
        let effort = self.effort;
        let task = *task;
        let measured = self.on_bench(
            flows,
            Subject::Datapath(datapath),
            datapath.name(),
            |bench, context| cell::measure(bench, context, effort, &task),
        );
        match measured {
            Ok(cell) => {
                let rate = cell.rate.as_ref().and_then(|rate| rate.throughput);
                self.log.append(&Record::Cell(Box::new(cell)))?;
                self.summary.results += 1;
                Ok(rate)
            }
            Err(stop) => self.stopped(datapath, &what(&task), stop).map(|()| None),
        }
    }

    /// Calls `measure` with a bench for `subject`, which is taken down afterwards.
    fn on_bench<T>(
        &mut self,
        flows: &Flows,
        subject: Subject<'_>,
        name: &str,
        measure: impl FnOnce(&mut dyn bench::Bench, &mut Context<'_>) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let mut live = Live {
            flows,
            subject,
            placement: self.placement,
            deployed: None,
        };
        let log = &mut *self.log;
        let interrupted = self.interrupted;
        let mut context = Context {
            record: &mut |record| log.append(record),
            interrupted: &|| interrupted.load(Ordering::Relaxed),
            began: self.began,
            name,
        };
        measure(&mut live, &mut context)
    }

    fn stopped(&mut self, datapath: &dyn Datapath, what: &str, stop: Stop) -> Result<(), Error> {
        match stop {
            Stop::Log(error) => Err(error.into()),
            Stop::Interrupted => Ok(()),
            Stop::Failed(reason) | Stop::Unavailable(reason, _) => {
                self.fail(datapath, what, &reason)
            }
        }
    }

    fn fail(&mut self, datapath: &dyn Datapath, what: &str, reason: &str) -> Result<(), Error> {
        tracing::error!(datapath = datapath.name(), what, "{reason}");
        self.summary.failures += 1;
        self.log.append(&Record::Failure(Failure {
            datapath: datapath.name().to_owned(),
            scenario: what.to_owned(),
            reason: reason.to_owned(),
        }))?;
        Ok(())
    }

    /// Checks the datapath against the oracle in the overlay of flow setup; true if it conforms.
    fn verify(&mut self, datapath: &dyn Datapath, rules: Option<u32>) -> Result<bool, Error> {
        let name = datapath.name();
        self.progress.phase(&format!("{name}: verifying"));
        let topology = flows::topology(VERIFIED, rules)?;
        let report = verify::oracle::check(datapath, &topology, VERIFIED);
        let recorded = report.recorded(name, topology.name());
        self.log.append(&Record::Verification(recorded))?;
        let Some(objection) = report.objection() else {
            return Ok(true);
        };
        let reason =
            format!("it is not measured; `bench verify --datapath {name}` says more: {objection}");
        self.fail(datapath, "verification", &reason)?;
        Ok(false)
    }

    /// What the tester gets through a null forward on the datapath's ports, each frame of another flow.
    fn ceiling(&mut self, datapath: &dyn Datapath, traffic: Traffic) -> Result<Option<f64>, Error> {
        let ports: PortType = datapath.ports();
        let mut known = self.ceilings.iter();
        if let Some(known) = known.find(|known| (known.ports, known.traffic) == (ports, traffic)) {
            return Ok(Some(known.rate));
        }
        self.progress
            .phase(&format!("{}: tester's ceiling", datapath.name()));
        let mut layout = Layout {
            traffic,
            installed: 0,
            pairs: 0,
            episodes: 0,
            rounds: 0,
            fresh: 0,
        };
        // A null forward keeps no flows; these are far more than fit any cache of the tester's processor.
        layout.fresh = CEILING_FLOWS;
        let effort = self.effort;
        let Some(flows) = self.flows_of(traffic) else {
            return Ok(None);
        };
        let found = self.on_bench(
            flows,
            Subject::NullForward(ports),
            datapath.name(),
            |bench, context| {
                let (mut droplet, _) = Droplet::new(bench, context, effort, layout, FASTEST)?;
                rate::find(effort, FASTEST, |load, duration| {
                    droplet.all_flows(load, duration)
                })
            },
        );
        match found {
            Ok(found) => {
                // Noise lowers what a search finds; what one trial got through, the tester can do.
                let rate = found.rate.throughput.unwrap_or(0.0);
                let rate = rate.max(found.fastest.unwrap_or(0.0));
                if rate <= 0.0 {
                    let reason = "no load came through a null forward; was the machine busy with something else?";
                    self.fail(datapath, "tester's ceiling", reason)?;
                    return Ok(None);
                }
                let ceiling = Ceiling {
                    ports,
                    traffic,
                    rate,
                };
                self.log.append(&Record::Ceiling(ceiling))?;
                self.ceilings.push(ceiling);
                Ok(Some(rate))
            }
            Err(stop) => {
                self.stopped(datapath, "tester's ceiling", stop)?;
                Ok(None)
            }
        }
    }
}

fn what(task: &Task) -> String {
    format!(
        "{}, {} flows installed",
        task.traffic.words(),
        task.installed
    )
}
