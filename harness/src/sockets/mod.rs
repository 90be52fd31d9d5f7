//! Sockets: what programs at the endpoints of an overlay get, by the kernel's TCP.
//!
//! Client and server are threads of this process, each in the namespace of an endpoint ([`endpoint`]). Between them are
//! whole droplets of the datapath ([`setting`]), or nothing but a veth pair, which every figure is set against. What is
//! measured, one after the other: one stream, several streams, requests and responses on one connection, and connections.
//!
//! A *round* visits everybody once, without an overlay first, so that what changes on the machine meanwhile meets them
//! alike. Each visit deploys anew and is checked first ([`probe`]). What fails is recorded, and not visited again.
//!
//! # The direct path
//!
//! Packets that go both ways teach droplets the direct path by return-to-sender, within one round trip, and ARP within a
//! network does so before the first of them. To measure without it, the underlay takes that option off every packet, so
//! that no droplet has anything to learn from; with it, droplets know it from the start, as in all other measurements.

pub mod cross_check;
pub mod endpoint;
pub mod exchange;
pub mod mtu;
pub mod probe;
pub mod record;
pub mod setting;
pub mod socket;

pub use setting::{Ends, Packets, Setting};

use crate::environment::{Placement, steal};
use crate::lab::OverlayLabError;
use crate::lines::LogError;
use crate::overlay::{self, Overlay};
use crate::profile::Profile;
use crate::run::disturbance::Taken;
use crate::run::{self, Progress, Summary, distances, rfc3339};
use crate::tester;
use cross_check::Program;
use datapath_api::Datapath;
use exchange::{Done, Span};
use mtu::{Mtu, Mtus};
use netdev::Awake;
use record::{CrossCheck, Failed, Header, Job, Log, ProgramInfo, Record, SCHEMA, Sample, Visit};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use topologies::topology::{DirectPathState, Topology};

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The lab.
    #[error(transparent)]
    Device(#[from] netdev::Error),
    /// The droplets' part of it.
    #[error(transparent)]
    Lab(#[from] OverlayLabError),
    /// The overlay.
    #[error(transparent)]
    Overlay(#[from] overlay::Error),
    /// The underlay.
    #[error("the underlay: {0}")]
    Underlay(#[from] tester::Error),
    /// A droplet is no more, or the underlay.
    #[error("it no longer works: {0}")]
    Dead(datapath_api::Error),
    /// A socket.
    #[error("{doing}: {source}")]
    Socket {
        /// What was tried.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A port that not everybody may listen at.
    #[error(
        "listening at port {port} is not allowed: the port is that of the topology's flow, and those below 1024 need \
         CAP_NET_BIND_SERVICE"
    )]
    Port {
        /// The port.
        port: u16,
    },
    /// Nothing moves any more.
    #[error("{doing}: nothing got through for {} s", socket::PATIENCE.as_secs())]
    Stalled {
        /// What was tried.
        doing: &'static str,
    },
    /// The other side ended a connection.
    #[error("a connection ended before its time")]
    Ended,
    /// Nothing gets through at all.
    #[error("no packet got from the client to the server and back within {} s", socket::PATIENCE.as_secs())]
    NoWay,
    /// Long packets do not get through.
    #[error(
        "packets of {mtu} bytes, the endpoints' MTU, do not get through; of {longest} bytes and less they do: give \
         --endpoint-mtu {longest} or less"
    )]
    Size {
        /// The endpoints' MTU.
        mtu: Mtu,
        /// Bytes of the longest IP packet that came back.
        longest: u16,
    },
    /// Something else arrived than was sent.
    #[error("byte {at} of a stream is not what was sent")]
    Corrupted {
        /// Its place in the stream, from zero.
        at: usize,
    },
    /// Less arrived than was sent.
    #[error("{came} bytes of a stream arrived, and {sent} were sent")]
    Cut {
        /// Bytes that arrived.
        came: usize,
        /// Bytes that were sent.
        sent: usize,
    },
    /// Packets do not go where they must.
    #[error(
        "at least {segments} packets must have gone by the droplets on the way, but {on_the_way} did, and {elsewhere} \
         went elsewhere"
    )]
    OtherWay {
        /// The fewest packets that carry what was sent.
        segments: u64,
        /// Those that were counted.
        on_the_way: u64,
        /// Those between other droplets.
        elsewhere: u64,
    },
    /// A program of the cross-check.
    #[error("{program}: {reason}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it said.
        reason: String,
    },
    /// A topology whose packets do not go from endpoint to endpoint.
    #[error(
        "topology {topology} has no flow from endpoint to endpoint; expected one without a droplet under test, like direct"
    )]
    NoEndpoints {
        /// Its name.
        topology: String,
    },
    /// Somebody else failed, and says why.
    #[error("given up")]
    GivenUp,
    /// The user wants it.
    #[error("interrupted")]
    Interrupted,
}

/// How much time a run takes, by profile.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How often everything is measured.
    pub rounds: u32,
    /// How long each job takes.
    pub span: Span,
}

impl Effort {
    /// The effort of a profile.
    pub fn of(profile: Profile) -> Self {
        let effort = |rounds, ramp, window| Self {
            rounds,
            span: Span {
                ramp: Duration::from_millis(ramp),
                window: Duration::from_millis(window),
            },
        };
        match profile {
            Profile::Smoke => effort(1, 100, 300),
            Profile::Quick => effort(3, 500, 2_000),
            Profile::Standard => effort(7, 1_000, 5_000),
            Profile::Full => effort(15, 2_000, 10_000),
        }
    }
}

/// What to measure.
pub struct Plan {
    /// How thoroughly.
    pub profile: Profile,
    /// Which datapaths.
    pub datapaths: Vec<Box<dyn Datapath>>,
    /// Between whose endpoints: in each state of the direct path that it names.
    pub topology: Topology,
    /// The longest packets.
    pub mtus: Mtus,
    /// Streams that are measured together, beside one alone.
    pub streams: u16,
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
    /// The topology.
    #[error(transparent)]
    Topology(Trouble),
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
    let ends = Ends::of(&plan.topology).map_err(Error::Topology)?;
    let placement = Placement::choose()?;
    let awake = Awake::hold();
    let effort = Effort::of(plan.profile);
    let datapaths = plan.datapaths.iter();
    let mut log = Log::create(folder)?;
    log.append(&Record::Header(Box::new(Header {
        schema: SCHEMA,
        started: rfc3339(std::time::SystemTime::now()),
        command: plan.command.clone(),
        profile: plan.profile.to_string(),
        environment: run::environment(placement, &awake),
        datapaths: datapaths
            .map(|it| run::datapath_info(it.as_ref()))
            .collect(),
        topology: plan.topology.name().to_owned(),
        summary: plan.topology.description().to_owned(),
        states: plan.topology.direct_path_states().to_vec(),
        one_network: ends.are_in_one_network(),
        mtus: plan.mtus,
        streams: plan.streams,
        rounds: effort.rounds,
        programs: programs(),
        window_seconds: effort.span.window.as_secs_f64(),
    })))?;
    let mut candidates = vec![Candidate::plain()];
    for datapath in &plan.datapaths {
        let datapath = datapath.as_ref();
        if Overlay::takes(datapath) && datapath.probe().is_empty() {
            let states = plan.topology.direct_path_states().iter();
            candidates.extend(states.map(|state| Candidate {
                between: Some((datapath, *state)),
                has_failed: false,
            }));
        }
    }
    let jobs = jobs(plan.streams);
    let visit = (effort.span.ramp + effort.span.window).as_secs_f64() * jobs.len() as f64;
    progress.begin(visit * candidates.len() as f64 * f64::from(effort.rounds));
    let mut runner = Runner {
        plan,
        ends: &ends,
        jobs,
        span: effort.span,
        placement,
        log: &mut log,
        progress,
        interrupted,
        began: Instant::now(),
        summary: Summary::default(),
    };
    for round in 1..=effort.rounds {
        for candidate in &mut candidates {
            if interrupted.load(Ordering::Relaxed) {
                break;
            }
            if !candidate.has_failed {
                candidate.has_failed = !runner.visit(candidate, round)?;
            }
            progress.advance(visit);
        }
    }
    let mut summary = runner.summary;
    summary.interrupted = interrupted.load(Ordering::Relaxed);
    progress.end();
    Ok(summary)
}

/// Programs of the cross-check, those that are not here included.
fn programs() -> Vec<ProgramInfo> {
    let info = |program: Program| ProgramInfo {
        name: program.name().to_owned(),
        remedy: (!program.is_here()).then(|| program.remedy().to_owned()),
    };
    Program::ALL.into_iter().map(info).collect()
}

/// The jobs of a visit, in their order.
fn jobs(streams: u16) -> Vec<Job> {
    let mut jobs = vec![Job::Streams { streams: 1 }];
    if streams > 1 {
        jobs.push(Job::Streams { streams });
    }
    jobs.extend([Job::RequestResponse, Job::Connections]);
    jobs
}

/// What is visited in each round.
struct Candidate<'a> {
    /// The datapath, and the state of the direct path; nothing for a veth pair.
    between: Option<(&'a dyn Datapath, DirectPathState)>,
    has_failed: bool,
}

impl Candidate<'_> {
    fn plain() -> Self {
        Self {
            between: None,
            has_failed: false,
        }
    }

    fn visit(&self, round: u32) -> Visit {
        Visit {
            round,
            datapath: self.between.map(|(datapath, _)| datapath.name().to_owned()),
            direct_path: self.between.map(|(_, state)| state),
        }
    }
}

struct Runner<'a> {
    plan: &'a Plan,
    ends: &'a Ends,
    jobs: Vec<Job>,
    span: Span,
    placement: Placement,
    log: &'a mut Log,
    progress: &'a dyn Progress,
    interrupted: &'a AtomicBool,
    began: Instant,
    summary: Summary,
}

impl Runner<'_> {
    /// Deploys, checks and measures; false if that failed.
    fn visit(&mut self, candidate: &Candidate<'_>, round: u32) -> Result<bool, Error> {
        let visit = candidate.visit(round);
        let mut doing = "deploying".to_owned();
        match self.try_visit(candidate, &visit, &mut doing)? {
            Ok(()) => Ok(true),
            Err(Trouble::Interrupted) => Ok(true),
            Err(trouble) => {
                let reason = trouble.to_string();
                let name = words(visit.datapath.as_deref());
                tracing::error!(datapath = name, doing, "{reason}");
                self.summary.failures += 1;
                self.log.append(&Record::Failed(Failed {
                    visit,
                    doing,
                    reason,
                }))?;
                Ok(false)
            }
        }
    }

    /// The same; `doing` is what failed. The outer error is of the records.
    fn try_visit(
        &mut self,
        candidate: &Candidate<'_>,
        visit: &Visit,
        doing: &mut String,
    ) -> Result<Result<(), Trouble>, LogError> {
        let name = words(visit.datapath.as_deref());
        let phase = |what: &str| format!("round {}, {name}: {what}", visit.round);
        self.progress.phase(&phase(doing));
        let setting = match self.deploy(candidate) {
            Ok(setting) => setting,
            Err(trouble) => return Ok(Err(trouble)),
        };
        "checking".clone_into(doing);
        self.progress.phase(&phase(doing));
        let checked = match probe::check(&setting, self.plan.mtus) {
            Ok(checked) => checked,
            Err(trouble) => return Ok(Err(trouble)),
        };
        self.log.append(&Record::Checked {
            visit: visit.clone(),
            checked,
        })?;
        for job in self.jobs.clone() {
            *doing = job.words();
            self.progress.phase(&phase(doing));
            match self.sample(&setting, visit, job) {
                Ok(sample) => self.log.append(&Record::Sample(Box::new(sample)))?,
                Err(trouble) => return Ok(Err(trouble)),
            }
            self.summary.results += 1;
        }
        if visit.round == 1
            && let Err(trouble) = self.cross_check(&setting, visit, doing)?
        {
            return Ok(Err(trouble));
        }
        "stopping".clone_into(doing);
        Ok(setting.stop())
    }

    /// Has programs that are here do the same. One that fails is recorded, and nothing else; the inner error is of a
    /// droplet.
    fn cross_check(
        &mut self,
        setting: &Setting,
        visit: &Visit,
        doing: &mut String,
    ) -> Result<Result<(), Trouble>, LogError> {
        for program in Program::ALL.into_iter().filter(|it| it.is_here()) {
            for job in self.jobs.clone().into_iter().filter(|it| program.does(*it)) {
                if self.interrupted.load(Ordering::Relaxed) {
                    return Ok(Err(Trouble::Interrupted));
                }
                *doing = format!("{} by {}", job.words(), program.name());
                self.progress
                    .phase(&format!("round {}, {doing}", visit.round));
                let measured = cross_check::measure(program, setting, job, self.span);
                let (rate, failed) = match measured {
                    Ok(rate) => (Some(rate), None),
                    Err(Trouble::Program { reason, .. }) => (None, Some(reason)),
                    Err(trouble) => return Ok(Err(trouble)),
                };
                self.log.append(&Record::CrossCheck(CrossCheck {
                    visit: visit.clone(),
                    job,
                    program: program.name().to_owned(),
                    rate,
                    failed,
                }))?;
            }
        }
        Ok(Ok(()))
    }

    fn deploy(&self, candidate: &Candidate<'_>) -> Result<Setting, Trouble> {
        let mtus = self.plan.mtus;
        match candidate.between {
            None => Setting::plain(self.ends, mtus, self.placement),
            Some((datapath, state)) => {
                let topology = self.plan.topology.clone().in_state(state);
                Setting::overlay(datapath, &topology, mtus, self.placement)
            }
        }
    }

    fn sample(&self, setting: &Setting, visit: &Visit, job: Job) -> Result<Sample, Trouble> {
        let at_seconds = self.began.elapsed().as_secs_f64();
        let placement = self.placement;
        let cpus = placement.all();
        let before = placement.apart();
        let (stolen, began) = (steal(&cpus), Instant::now());
        let is_interrupted = || self.interrupted.load(Ordering::Relaxed);
        let Done {
            time,
            count,
            latency,
            retransmitted,
            endpoints,
            hops,
        } = exchange::measure(setting, job, self.span, &is_interrupted)?;
        let stolen = steal(&cpus).saturating_sub(stolen);
        let elapsed = began.elapsed();
        let apart = before.zip(placement.apart());
        let apart = apart.map(|(before, after)| [before, after]);
        let taken = Taken {
            stolen,
            ..Taken::default()
        };
        Ok(Sample {
            at_seconds,
            visit: visit.clone(),
            job,
            seconds: time.as_secs_f64(),
            count,
            latency,
            retransmitted,
            endpoints_cpu_ns: endpoints.as_nanos() as u64,
            hops,
            steal_ns: stolen.as_nanos() as u64,
            round_trip_ns: apart.map(distances::in_whole_nanoseconds),
            disturbed: taken.disturbance(elapsed),
        })
    }
}

/// What is between client and server, for people.
pub fn words(datapath: Option<&str>) -> &str {
    datapath.unwrap_or("no overlay")
}
