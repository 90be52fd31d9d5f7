//! What packets suffer while something happens to an overlay: endpoints move, are deleted, or lose their host.
//!
//! One trial at a constant load lasts through the event. Every frame that arrives is counted for the millisecond in which
//! it was due, so that the loss is known millisecond by millisecond, whenever what came late came. The event itself is what
//! a control plane does: droplets get their new tables one after the other, the new host first and the old one last. Where
//! a host fails, its uplink goes dead, and the control plane notices 200 ms later. Where droplets have the extension for it, it
//! tells them nothing about that host: they find out, see [`crate::health`].

mod scene;

use super::deploy::Error;
use super::distances::in_whole_nanoseconds;
use super::session::Session;
use super::{Error as RunError, Runner};
use crate::environment::{Placement, steal};
use crate::health::HealthChecks;
use crate::lab::OverlayLab;
use crate::overlay::Overlay;
use crate::record::{EventRecord, EventStep, Record};
use crate::remote::Meeting;
use crate::search::Pps;
use crate::tester::{Offer, Tester, VethTester, Watch, Workload};
use datapath_api::{Datapath, Running as _};
use polling_tester::now;
use scene::{Scene, Step};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use topologies::provision::{Extensions, Provision};
use topologies::topology::{Event, Topology};
use workload::ROUNDS;

/// After how long a control plane notices that a host is dead. A choice, the same for all: three packets of BFD at 50 ms
/// that do not come (how a detection time is made: RFC 5880 section 6.8.4), and as long as one more to act on it.
const NOTICE: Duration = Duration::from_millis(200);
/// The highest load: what every datapath carries with room to spare, so that loss is the event's.
const MOST: f64 = 10_000.0;
/// The lowest: a frame a millisecond.
const LEAST: f64 = 1_000.0;
/// Of a datapath that carries little, this share of what it carries.
const SHARE: f64 = 0.25;
/// How long all flows run before, so that whoever learns or caches has done it.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long a trial may take until it begins.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a trial lasts at the most.
pub const LONGEST: Duration = Duration::from_millis(ROUNDS as u64);

/// Frames per second for who carries so many: a whole number of frames a millisecond.
pub(super) fn load(carries: Option<f64>) -> f64 {
    let room = carries.map_or(LEAST, |carries| carries * SHARE);
    (room.clamp(LEAST, MOST) / LEAST).floor() * LEAST
}

/// An event to be watched.
pub struct Watched<'a> {
    /// The overlay before it.
    pub topology: &'a Topology,
    /// What happens.
    pub event: &'a Event,
    /// Frames that are sent.
    pub workload: &'a Workload,
    /// For how long.
    pub duration: Duration,
    /// What the datapath carries, if that is known.
    pub carries: Option<f64>,
    /// Where the droplets are, if not here.
    pub meeting: Option<&'a Meeting>,
}

impl Watched<'_> {
    /// Deploys droplets, and watches what the event does to them.
    ///
    /// # Errors
    /// Where something cannot be deployed, or a droplet refuses its new tables.
    pub fn of(
        &self,
        datapath: &dyn Datapath,
        scenario: &str,
        placement: Placement,
    ) -> Result<EventRecord, Error> {
        // Who checks the health of hosts finds out by itself that one is dead.
        let checks_health = self.event.fails.is_some() && self.topology.extensions().health_check;
        let topology = match checks_health {
            true => self.topology.clone().with_health_endpoints(),
            false => self.topology.clone(),
        };
        let after = topology.after(self.event);
        let mut workload = self.workload.clone();
        workload.also_arrives(&after.traffic());
        let lab = OverlayLab::with(&topology, self.meeting)?;
        let mut tester = VethTester::new(lab.tester(), &workload, false, placement.tester_cpus())?;
        let mut overlay = Overlay::install(datapath, &topology, &lab, placement)?;
        let load = load(self.carries);
        let rate =
            Pps::new(load).map_err(|error| crate::tester::Error::Workload(error.to_string()))?;
        let mut offer = Offer {
            load: rate,
            duration: WARM_UP,
            first_entry: 0,
            watch: Watch::Counts,
        };
        tester.offer(&offer)?;
        let checks_health = !lab.health_endpoints().is_empty();
        let health = checks_health.then(|| HealthChecks::begin(&topology, &lab, now()));
        let (apart, stolen) = (placement.apart(), steal(&placement.all()));
        let scene = Scene::new(&topology, &mut overlay, health.transpose()?);
        let crossed_at_first = scene.crossed()?;
        offer.duration = self.duration.min(LONGEST);
        let per_round = (load / 1_000.0) as u32;
        offer.watch = Watch::Series { round: per_round };
        let lead = offer.duration / 4;
        let (tell, start) = channel();
        tester.tell_start(tell);
        let over = AtomicBool::new(false);
        let changes = self.changes(&topology, &after);
        let (happened, report) = std::thread::scope(|scope| {
            let over = &over;
            let happens = scope.spawn(move || {
                let late =
                    |_| datapath_api::Error::failed("waiting for a trial", "it did not begin");
                let start = start.recv_timeout(PATIENCE).map_err(late)?;
                let due = start + lead.as_nanos() as u64;
                self.happens(scene, changes, due, over)
            });
            let report = {
                let _ends = Ends(over);
                tester.offer(&offer)
            };
            (happens.join(), report)
        });
        let panicked = || datapath_api::Error::failed("carrying out an event", "it panicked");
        let happened = happened.map_err(|_| panicked())??;
        let report = report?;
        overlay.check()?;
        let stolen = steal(&placement.all()).saturating_sub(stolen);
        let apart = apart.zip(placement.apart());
        let apart = apart.map(|(before, after)| [before, after]);
        let milliseconds = |at: u64| at.saturating_sub(report.began) as f64 / 1e6;
        let step = |step: Step| EventStep {
            kind: step.kind,
            about: step.about,
            what: step.what,
            at_ms: milliseconds(step.began),
            took_ms: step.ended.saturating_sub(step.began) as f64 / 1e6,
        };
        let rounds = offer.duration.as_millis() as usize;
        Ok(EventRecord {
            datapath: datapath.name().to_owned(),
            scenario: scenario.to_owned(),
            event: self.event.kind,
            description: self.topology.describe(self.event),
            extensions: self.topology.extensions(),
            health: checks_health.then(|| topology.health_timing()),
            load,
            frames_a_round: per_round,
            round_ms: 1.0,
            at_ms: milliseconds(happened.began),
            done_ms: milliseconds(happened.ended),
            steps: happened.steps.into_iter().map(step).collect(),
            received: report
                .direct
                .into_iter()
                .take(rounds)
                .map(|it| it as u32)
                .collect(),
            duplicates: report.arrived.duplicates,
            corrupted: report.arrived.corrupted,
            foreign: report.arrived.foreign,
            steal_ns: stolen.as_nanos() as u64,
            round_trip_ns: apart.map(in_whole_nanoseconds),
            repeated: false,
            crossed_before: happened.crossed_at_event.saturating_sub(crossed_at_first),
            crossed_after: happened.crossed.saturating_sub(happened.crossed_at_event),
        })
    }

    /// Makes it happen at the time `due`, and watches hosts until the trial is over.
    fn happens(
        &self,
        mut scene: Scene<'_>,
        changes: Vec<(usize, Provision)>,
        due: u64,
        over: &AtomicBool,
    ) -> Result<Happened, Error> {
        scene.wait_until(due)?;
        let crossed_at_event = scene.crossed()?;
        let began = now();
        if let Some(dead) = self.event.fails {
            scene.cut_off(dead)?;
            scene.wait_until(now() + NOTICE.as_nanos() as u64)?;
        }
        for (droplet, provision) in changes {
            scene.tell(droplet, provision)?;
        }
        scene.wait_for(over)?;
        let crossed = scene.crossed()?;
        let steps = scene.into_steps();
        Ok(Happened {
            began,
            ended: steps.iter().map(|step| step.ended).max().unwrap_or(began),
            steps,
            crossed_at_event,
            crossed,
        })
    }

    /// New tables of droplets that get some: those that host more first, those that host less last, and one that is dead
    /// none.
    fn changes(&self, topology: &Topology, after: &Topology) -> Vec<(usize, Provision)> {
        let hosted = |tables: &Provision| {
            let endpoints = tables.endpoints.iter();
            endpoints.filter(|endpoint| endpoint.port.is_some()).count() as i64
        };
        let droplets = topology.droplets().iter().enumerate();
        let changes = droplets.filter_map(|(number, droplet)| {
            let (old, new) = (topology.provision(droplet), after.provision(droplet));
            let gains = hosted(&new) - hosted(&old);
            let is_other = old
                != Provision {
                    direct_paths: old.direct_paths.clone(),
                    ..new.clone()
                };
            (is_other && self.event.fails != Some(number)).then_some((gains, number, new))
        });
        let mut changes: Vec<_> = changes.collect();
        changes.sort_by_key(|(gains, number, _)| (-gains, *number));
        changes
            .into_iter()
            .map(|(_, number, new)| (number, new))
            .collect()
    }
}

impl Runner<'_> {
    /// Has happen to the overlay what may happen to it.
    pub(super) fn events(
        &mut self,
        session: &Session<'_>,
        workload: &Workload,
    ) -> Result<(), RunError> {
        let datapath = session.datapath;
        let topologies = with_and_without_extensions(&self.task.topology);
        let events = topologies
            .iter()
            .flat_map(|topology| topology.events().iter().map(move |event| (topology, event)));
        for (topology, event) in events {
            for _ in 0..self.effort.events {
                if self.is_interrupted() {
                    return Ok(());
                }
                let what = topology.describe(event);
                let what = match topology.extensions() == Extensions::default() {
                    true => what,
                    false => format!("{what}, extended"),
                };
                self.phase(datapath.name(), &what);
                let watched = Watched {
                    topology,
                    event,
                    workload,
                    duration: self.effort.event,
                    carries: session.pdr(),
                    meeting: self.plan.meeting.as_ref(),
                };
                match self.undisturbed(&watched, datapath)? {
                    Ok(wrong) => {
                        if wrong > 0 {
                            let reason =
                                format!("{what}: {wrong} frames came back that were not sent so");
                            self.fail(datapath.name(), &reason)?;
                        }
                    }
                    Err(error) => {
                        self.fail(datapath.name(), &format!("{what}: {error}"))?;
                    }
                }
                self.progress.advance(self.effort.event.as_secs_f64());
            }
        }
        Ok(())
    }

    /// Watches an event, again if frames were lost before it began; the last time counts however it went. All are recorded.
    fn undisturbed(
        &mut self,
        watched: &Watched<'_>,
        datapath: &dyn Datapath,
    ) -> Result<Result<u64, Error>, RunError> {
        let mut attempts = 0;
        loop {
            let scenario = &self.task.scenario.id;
            let mut record = match watched.of(datapath, scenario, self.placement) {
                Ok(record) => record,
                Err(error) => return Ok(Err(error)),
            };
            attempts += 1;
            let give_up = attempts >= Session::ATTEMPTS || self.is_interrupted();
            record.repeated = record.lost_before() > 0 && !give_up;
            let (wrong, repeated) = (record.corrupted + record.foreign, record.repeated);
            self.log.append(&Record::Event(record))?;
            if !repeated {
                return Ok(Ok(wrong));
            }
            tracing::debug!("frames were lost before an event, which is repeated");
        }
    }
}

/// The overlay as it is, and with all that Mizar designed and has not built; the latter alone if it has some already.
pub fn with_and_without_extensions(topology: &Topology) -> Vec<Topology> {
    if topology.extensions() == Extensions::default() {
        vec![
            topology.clone(),
            topology.clone().with_extensions(Extensions::ALL),
        ]
    } else {
        vec![topology.clone()]
    }
}

/// Says that a trial is over, however it ended.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

struct Happened {
    began: u64,
    ended: u64,
    steps: Vec<Step>,
    /// Packets that had crossed the underlay when it began,
    crossed_at_event: u64,
    /// and when the trial was over.
    crossed: u64,
}
