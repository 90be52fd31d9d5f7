//! A datapath on ports with a tester at their other ends.

use super::distances;
use super::disturbance::Taken;
use crate::environment::{Placement, steal};
use crate::lab::{OverlayLab, OverlayLabError, VethLab, VhostUserLab};
use crate::overlay::{self, Overlay};
use crate::record::{Hop, Latency, Purpose, TrialRecord};
use crate::remote::Meeting;
use crate::search::{Counters, Pps, Trial};
use crate::tester::{
    self, DpdkTester, NullForward, Offer, Report, RingTester, Tester, VethTester, Watch, Workload,
};
use datapath_api::{
    Counters as Counted, Datapath, DropletPorts, Polling, PortType, Running, SwitchCounters, ring,
};
use netdev::CpuTime;
use std::time::{Duration, Instant};
use topologies::provision::Provision;
use topologies::topology::Topology;

/// Frames that a ring holds: as many as a network card's default queue.
const RING: usize = 512;
/// How long a datapath is left alone after its start, and watched while idle.
const SETTLE: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_millis(200);

/// Why something could not be deployed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lab.
    #[error(transparent)]
    Lab(#[from] netdev::Error),
    /// The lab of an overlay.
    #[error(transparent)]
    OverlayLab(#[from] OverlayLabError),
    /// The datapath.
    #[error(transparent)]
    Datapath(#[from] datapath_api::Error),
    /// The tester.
    #[error(transparent)]
    Tester(#[from] tester::Error),
    /// An overlay of several droplets.
    #[error(transparent)]
    Overlay(#[from] overlay::Error),
    /// No tester for these ports.
    #[error("there is no tester for {0} ports")]
    NoTester(PortType),
}

/// What to measure in one trial.
pub struct Meter {
    pub load: Pps,
    pub duration: Duration,
    pub latency: bool,
    /// Whether the datapath is asked what it counted, which takes some of them longer than a short trial.
    pub asks_datapath: bool,
    pub purpose: Purpose,
}

/// A trial with what the machine did meanwhile.
pub struct Observation {
    /// What the tester counted.
    pub report: Report,
    /// Time of the datapath's threads.
    pub used: CpuTime,
    /// Time that the hypervisor took.
    pub stolen: Duration,
    /// What disturbed the trial.
    pub disturbed: Option<String>,
    /// What a switch counted inside meanwhile, where somebody asked it before and after.
    pub switch: Option<Box<SwitchCounters>>,
    /// Each droplet's part, where there are several.
    pub hops: Vec<Hop>,
    /// How far apart processors were before it and after it.
    pub apart: Option<[Duration; 2]>,
}

/// What stands between a datapath and its tester.
#[expect(dead_code, reason = "kept until it is dropped")]
enum Lab {
    Rings,
    Veth(VethLab),
    VhostUser(VhostUserLab),
    Overlay(OverlayLab),
}

/// What is tested.
enum Device {
    Droplet(Box<dyn Running>),
    Overlay(Box<Overlay>),
}

impl Device {
    fn running(&self) -> &dyn Running {
        match self {
            Self::Droplet(droplet) => &**droplet,
            Self::Overlay(overlay) => &**overlay,
        }
    }

    fn running_mut(&mut self) -> &mut dyn Running {
        match self {
            Self::Droplet(droplet) => &mut **droplet,
            Self::Overlay(overlay) => &mut **overlay,
        }
    }

    /// What each droplet of several did so far.
    fn hops(&self) -> Result<Vec<Hop>, tester::Error> {
        match self {
            Self::Overlay(overlay) => overlay.hops(),
            Self::Droplet(_) => Ok(Vec::new()),
        }
    }

    /// Has it known how old frames are when they reach each droplet of several, or no longer.
    fn sum_ages(&mut self, wanted: bool) -> Result<(), tester::Error> {
        match self {
            Self::Overlay(overlay) => overlay.underlay().sum_ages(wanted),
            Self::Droplet(_) => Ok(()),
        }
    }
}

/// A datapath that runs, and its tester. Dropping it takes everything down.
pub struct Deployed {
    device: Device,
    tester: Box<dyn Tester>,
    _lab: Lab,
    placement: Placement,
    /// The last trial.
    pub last: TrialRecord,
    /// Why the last trial failed, if it did.
    pub last_error: String,
    /// What the datapath had counted when the last trial was over, if it was asked and no frame came since.
    counted: Option<Counted>,
}

impl Deployed {
    /// A datapath on the ports that it is measured on; on the droplets of `meeting`, if there is one and the topology is an
    /// overlay.
    pub fn datapath(
        datapath: &dyn Datapath,
        topology: &Topology,
        workload: &Workload,
        placement: Placement,
        meeting: Option<&Meeting>,
    ) -> Result<Self, Error> {
        let Some(droplet) = topology.under_test() else {
            let lab = OverlayLab::with(topology, meeting)?;
            return Self::overlay(datapath, topology, lab, workload, placement);
        };
        let provision = topology.provision(droplet);
        Self::new(
            datapath,
            datapath.ports(),
            &provision,
            workload,
            false,
            placement,
        )
    }

    /// Droplets with a datapath each, and the tester at their endpoint ports.
    fn overlay(
        datapath: &dyn Datapath,
        topology: &Topology,
        lab: OverlayLab,
        workload: &Workload,
        placement: Placement,
    ) -> Result<Self, Error> {
        let tester = VethTester::new(lab.tester(), workload, false, placement.tester_cpus())?;
        let overlay = Overlay::install(datapath, topology, &lab, placement)?;
        Ok(Self {
            device: Device::Overlay(Box::new(overlay)),
            tester: Box::new(tester),
            _lab: Lab::Overlay(lab),
            placement,
            last: empty(),
            last_error: String::new(),
            counted: None,
        })
    }

    /// A null forward on ports of this type.
    pub fn null_forward(
        ports: PortType,
        workload: &Workload,
        placement: Placement,
    ) -> Result<Self, Error> {
        let null = NullForward {
            paths: workload.paths.clone(),
        };
        let nowhere = topologies::provision::Host {
            ip: std::net::Ipv4Addr::UNSPECIFIED.into(),
            mac: mizar_wire::Mac::default(),
        };
        Self::new(
            &null,
            ports,
            &Provision::new(nowhere),
            workload,
            true,
            placement,
        )
    }

    fn new(
        datapath: &dyn Datapath,
        ports: PortType,
        provision: &Provision,
        workload: &Workload,
        null: bool,
        placement: Placement,
    ) -> Result<Self, Error> {
        let endpoint_ports = endpoint_ports(provision, workload);
        let (running, tester, lab): (_, Box<dyn Tester>, _) = match ports {
            PortType::Veth => {
                let lab = VethLab::new(endpoint_ports)?;
                // The tester's programs first: a device accepts frames only once its peer has one.
                let tester =
                    VethTester::new(lab.tester(), workload, null, placement.tester_cpus())?;
                let running = datapath.install(lab.ports(), provision, placement.datapath)?;
                (running, Box::new(tester), Lab::Veth(lab))
            }
            PortType::Rings => {
                let (uplink, tester_uplink) = ring::port(RING);
                let mut tester_ends = vec![tester_uplink];
                let mut endpoints = Vec::new();
                for _ in 0..endpoint_ports {
                    let (endpoint, tester_end) = ring::port(RING);
                    endpoints.push(endpoint);
                    tester_ends.push(tester_end);
                }
                let ports = DropletPorts::Rings { uplink, endpoints };
                let running = datapath.install(ports, provision, placement.datapath)?;
                let tester = RingTester::new(tester_ends, workload, null, placement.tester);
                (running, Box::new(tester), Lab::Rings)
            }
            PortType::VhostUser => {
                let lab = VhostUserLab::new(endpoint_ports)?;
                // The droplet connects to the tester, which has the memory.
                let waiting = DpdkTester::launch(&lab, workload, null, placement.tester)?;
                let ports = DropletPorts::VhostUser(lab.ports().clone());
                let running = datapath.install(ports, provision, placement.datapath)?;
                (running, Box::new(waiting.connected()?), Lab::VhostUser(lab))
            }
            PortType::Detached => return Err(Error::NoTester(ports)),
        };
        Ok(Self {
            device: Device::Droplet(running),
            tester,
            _lab: lab,
            placement,
            last: empty(),
            last_error: String::new(),
            counted: None,
        })
    }

    fn threads_time(&self) -> CpuTime {
        // A thread that died shows in the trial's loss; its time is not worth failing for.
        CpuTime::of(&self.device.running().threads())
    }

    /// Share of a processor that the datapath's threads take while there is no frame.
    pub fn idle(&self) -> f64 {
        // What its start still made it do is over by then.
        std::thread::sleep(SETTLE);
        let (before, began) = (self.threads_time(), Instant::now());
        std::thread::sleep(IDLE);
        let used = self.threads_time().since(before).running;
        used.as_secs_f64() / began.elapsed().as_secs_f64()
    }

    /// The datapath.
    pub fn running(&mut self) -> &mut dyn Running {
        self.counted = None;
        self.device.running_mut()
    }

    /// Carries out `offer` and watches the machine meanwhile. Nothing is asked of the datapath, which might change
    /// what it does.
    pub fn observe(&mut self, offer: &Offer) -> Result<Observation, tester::Error> {
        let cpus = self.placement.all();
        self.counted = None;
        let apart = self.placement.apart();
        self.device.sum_ages(offer.watch == Watch::Latency)?;
        let hops_before = self.device.hops()?;
        let (stolen_before, before) = (steal(&cpus), self.threads_time());
        let report = self.tester.offer(offer)?;
        let used = self.threads_time().since(before);
        let hops = self.device.hops()?.into_iter().zip(&hops_before);
        let hops = hops.map(|(now, before)| now.since(before)).collect();
        let stolen = steal(&cpus).saturating_sub(stolen_before);
        let apart = apart.zip(self.placement.apart());
        let apart = apart.map(|(before, after)| [before, after]);
        let is_alone = self.device.running().threads().len() == 1;
        let taken = Taken {
            stolen,
            from_tester: report.stalled,
            from_datapath: is_alone.then_some(used.waiting),
        };
        let disturbed = taken.disturbance(offer.duration);
        let was_moved = apart.is_some_and(distances::moved);
        let moved = || was_moved.then(|| "the hypervisor moved its processors".to_owned());
        let disturbed = disturbed.or_else(moved);
        Ok(Observation {
            report,
            used,
            stolen,
            disturbed,
            switch: None,
            hops,
            apart,
        })
    }

    /// Makes one trial; `None` if it failed, with the reason in `last_error`.
    pub fn measure(
        &mut self,
        meter: &Meter,
        run_began: Instant,
        datapath: &str,
        scenario: &str,
    ) -> Option<TrialRecord> {
        let at_seconds = run_began.elapsed().as_secs_f64();
        // Outside of what is timed: reading them may take a while.
        let counters_before = match self.counted.take() {
            None if meter.asks_datapath => self.device.running_mut().counters().ok(),
            counted => counted,
        };
        let offer = Offer {
            load: meter.load,
            duration: meter.duration,
            first_entry: 0,
            watch: if meter.latency {
                Watch::Latency
            } else {
                Watch::Counts
            },
        };
        let Observation {
            report,
            used,
            stolen,
            disturbed,
            switch: _,
            hops,
            apart,
        } = match self.observe(&offer) {
            Ok(observation) => observation,
            Err(error) => {
                self.last_error = error.to_string();
                return None;
            }
        };
        // One that died may still forward, and say what it knew, while nobody answers for what is new.
        let running = self.device.running_mut();
        let asked = running.check().and_then(|()| match meter.asks_datapath {
            true => running.counters().map(Some),
            false => Ok(None),
        });
        let counters = match asked {
            Ok(counters) => {
                let both = counters.as_ref().zip(counters_before.as_ref());
                let counted = both.map(|(counters, before)| since(counters, before));
                // What polls counts time as well, which goes on between trials.
                let has_no_time = |it: &Counted| it.polling.is_none() && it.switch.is_none();
                self.counted = counters.filter(has_no_time);
                counted
            }
            Err(error) => {
                self.last_error = format!("while it was measured: {error}");
                return None;
            }
        };
        self.last = TrialRecord {
            number: 0,
            at_seconds,
            datapath: datapath.to_owned(),
            scenario: scenario.to_owned(),
            purpose: meter.purpose,
            load: meter.load.get(),
            duration_seconds: meter.duration.as_secs_f64(),
            effective_seconds: report.effective.as_secs_f64(),
            intended: report.intended,
            offered: report.offered,
            received: report.arrived.received,
            duplicates: report.arrived.duplicates,
            reordered: report.arrived.reordered,
            corrupted: report.arrived.corrupted,
            foreign: report.arrived.foreign,
            latency: match meter.purpose {
                // There are thousands of them, and a round's figure is the percentile.
                Purpose::Comparison { .. } => report.latency.map(Latency::in_wide_buckets),
                _ => report.latency,
            },
            datapath_cpu_ns: used.running.as_nanos() as u64,
            datapath_wait_ns: used.waiting.as_nanos() as u64,
            tester_cpu_ns: report.cpu.running.as_nanos() as u64,
            steal_ns: stolen.as_nanos() as u64,
            round_trip_ns: apart.map(distances::in_whole_nanoseconds),
            distance: 0,
            counters,
            disturbed,
            repeated: false,
            hops,
        };
        Some(self.last.clone())
    }

    /// The last trial as a rate search takes it.
    pub fn trial(&self, meter: &Meter) -> Option<Trial> {
        let counters = Counters {
            intended: self.last.intended,
            offered: self.last.offered,
            received: self.last.received,
        };
        let effective = Duration::from_secs_f64(self.last.effective_seconds);
        Trial::new(meter.load, meter.duration, effective, counters).ok()
    }
}

/// As many endpoint ports as anything refers to.
fn endpoint_ports(provision: &Provision, workload: &Workload) -> u16 {
    let attached = provision
        .attachments
        .iter()
        .map(|attachment| attachment.port.0);
    let hosted = provision
        .endpoints
        .iter()
        .filter_map(|endpoint| Some(endpoint.port?.0));
    let used = workload
        .entries
        .iter()
        .filter_map(|entry| entry.port.checked_sub(1));
    let sinks = workload
        .sinks
        .iter()
        .filter_map(|sink| sink.number.checked_sub(1));
    attached
        .chain(hosted)
        .chain(used)
        .chain(sinks)
        .max()
        .map_or(0, |last| last + 1)
}

/// What was counted between two readings. A counter may have lost what it counted for a rule that is gone.
fn since(now: &Counted, before: &Counted) -> Counted {
    let refused = now
        .refused
        .iter()
        .filter_map(|(reason, count)| {
            let earlier = before.refused.iter().find(|(known, _)| known == reason);
            let grown = count.saturating_sub(earlier.map_or(0, |(_, count)| *count));
            (grown > 0).then(|| (reason.clone(), grown))
        })
        .collect();
    Counted {
        encapsulated: now.encapsulated.saturating_sub(before.encapsulated),
        forwarded: now.forwarded.saturating_sub(before.forwarded),
        delivered: now.delivered.saturating_sub(before.delivered),
        passed: now.passed.saturating_sub(before.passed),
        shaped: now.shaped.saturating_sub(before.shaped),
        refused,
        polling: polled(now, before),
        switch: inside(now, before),
    }
}

/// What a thread that polls did between two readings.
fn polled(now: &Counted, before: &Counted) -> Option<Box<Polling>> {
    let before = before.polling.as_deref().copied().unwrap_or_default();
    now.polling.as_deref()?.since(before).map(Box::new)
}

/// What a switch counted inside between two readings.
pub fn inside(now: &Counted, before: &Counted) -> Option<Box<SwitchCounters>> {
    let (now, before) = (now.switch.as_ref()?, before.switch.as_ref()?);
    now.since(before).map(Box::new)
}

/// A trial of which nothing is known.
pub fn empty() -> TrialRecord {
    TrialRecord {
        number: 0,
        at_seconds: 0.0,
        datapath: String::new(),
        scenario: String::new(),
        purpose: Purpose::Search,
        load: 0.0,
        duration_seconds: 0.0,
        effective_seconds: 0.0,
        intended: 0,
        offered: 0,
        received: 0,
        duplicates: 0,
        reordered: 0,
        corrupted: 0,
        foreign: 0,
        latency: None,
        datapath_cpu_ns: 0,
        datapath_wait_ns: 0,
        tester_cpu_ns: 0,
        steal_ns: 0,
        round_trip_ns: None,
        distance: 0,
        counters: None,
        disturbed: None,
        repeated: false,
        hops: Vec::new(),
    }
}
