//! How flows find their direct path: packets and time by bouncers before they go straight.
//!
//! Flows go both ways, since a droplet learns where an endpoint is hosted from what that sends. The underlay counts what
//! each droplet sends to each other one, and keeps when it did so last; which of these are steps of the direct way, the
//! oracles say.

use super::deploy::Error;
use super::event;
use super::session::Session;
use super::{Error as RunError, Runner};
use crate::environment::Placement;
use crate::lab::OverlayLab;
use crate::overlay::Overlay;
use crate::record::{LearningRecord, Record};
use crate::remote::Meeting;
use crate::search::Pps;
use crate::tester::{FrameSize, Offer, Tester, VethTester, Watch, Workload};
use datapath_api::{Datapath, Running};
use std::collections::BTreeSet;
use std::time::Duration;
use topologies::frame::FrameLen;
use topologies::oracle::OverlayOracle;
use topologies::provision::Port;
use topologies::topology::{DirectPathState, Topology};

/// Flows of each direction whose direct ways are looked at.
const FLOWS: u32 = 256;

/// What is watched.
pub struct Watched<'a> {
    /// The overlay.
    pub topology: &'a Topology,
    /// Size of inner frames.
    pub size: FrameSize,
    /// Seed of the flows' order.
    pub seed: u64,
    /// For how long.
    pub duration: Duration,
    /// What the datapath carries, if that is known.
    pub carries: Option<f64>,
    /// Where the droplets are, if not here.
    pub meeting: Option<&'a Meeting>,
}

impl Watched<'_> {
    /// Deploys droplets that have learned nothing, and watches them learn.
    ///
    /// # Errors
    /// Where something cannot be deployed, or dies.
    pub fn of(
        &self,
        datapath: &dyn Datapath,
        scenario: &str,
        placement: Placement,
    ) -> Result<LearningRecord, Error> {
        let cold = self
            .topology
            .clone()
            .both_ways()
            .in_state(DirectPathState::Cold);
        let workload = Workload::new(&cold.traffic(), self.size, self.seed)?;
        let lab = OverlayLab::with(&cold, self.meeting)?;
        let mut tester = VethTester::new(lab.tester(), &workload, false, placement.tester_cpus())?;
        let mut overlay = Overlay::install(datapath, &cold, &lab, placement)?;
        overlay.underlay().time_crossings()?;
        let load = event::load(self.carries);
        let rate = Pps::new(load);
        let offer = Offer {
            load: rate.map_err(|error| crate::tester::Error::Workload(error.to_string()))?,
            duration: self.duration,
            first_entry: 0,
            watch: Watch::Counts,
        };
        let report = tester.offer(&offer)?;
        let between = overlay.crossed()?.between;
        let last = overlay.underlay().last_crossings()?;
        overlay.check()?;
        let direct = Direct::of(&cold.in_state(DirectPathState::Warm));
        let droplets = 0..between.len();
        let pairs = || {
            droplets
                .clone()
                .flat_map(|from| droplets.clone().map(move |to| (from, to)))
        };
        let detours = || pairs().filter(|pair| !direct.steps.contains(pair));
        let leaves = detours().filter(|(from, _)| direct.sources.contains(from));
        let latest = detours()
            .map(|(from, to)| last[from][to])
            .max()
            .unwrap_or(0);
        Ok(LearningRecord {
            datapath: datapath.name().to_owned(),
            scenario: scenario.to_owned(),
            load,
            offered: report.offered,
            received: report.arrived.received,
            by_detour: leaves.map(|(from, to)| between[from][to]).sum(),
            until_ms: latest.saturating_sub(report.began) as f64 / 1e6,
            watched_ms: self.duration.as_secs_f64() * 1e3,
        })
    }
}

/// The direct ways of a topology.
struct Direct {
    /// From droplet to droplet.
    steps: BTreeSet<(usize, usize)>,
    /// Droplets where they begin.
    sources: BTreeSet<usize>,
}

impl Direct {
    fn of(warm: &Topology) -> Self {
        let mut oracle = OverlayOracle::new(warm);
        let (mut steps, mut sources) = (BTreeSet::new(), BTreeSet::new());
        for direction in warm.traffic() {
            let Port::Endpoint(ingress) = direction.ingress else {
                continue;
            };
            for flow in 0..FLOWS.min(direction.flows.count()) {
                let way = oracle
                    .inject(ingress, &direction.frame(flow, FrameLen::MIN))
                    .way;
                steps.extend(way.windows(2).map(|step| (step[0], step[1])));
                sources.extend(way.first());
            }
        }
        Self { steps, sources }
    }
}

impl Runner<'_> {
    /// Watches flows find their direct path, where they have not.
    pub(super) fn learning(&mut self, session: &Session<'_>) -> Result<(), RunError> {
        // A single droplet has nobody to take a direct path to.
        let is_cold =
            self.task.is_overlay() && self.task.topology.direct_path() == DirectPathState::Cold;
        for _ in 0..self.effort.events {
            if !is_cold || self.is_interrupted() {
                break;
            }
            let datapath = session.datapath;
            self.phase(datapath.name(), "finding direct paths");
            let watched = Watched {
                topology: &self.task.topology,
                size: self.task.size,
                seed: self.plan.seed,
                duration: self.effort.event,
                carries: session.pdr(),
                meeting: self.plan.meeting.as_ref(),
            };
            match watched.of(datapath, &self.task.scenario.id, self.placement) {
                Ok(record) => self.log.append(&Record::Learning(record))?,
                Err(error) => {
                    self.fail(datapath.name(), &format!("finding direct paths: {error}"))?;
                }
            }
        }
        Ok(())
    }
}
