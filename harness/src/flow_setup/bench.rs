//! The bench on which one datapath is measured: real, or simulated in tests.

use super::flows::{Flows, Layout};
use crate::environment::Placement;
use crate::run::deploy::{Deployed, Observation, inside};
use crate::tester::Offer;
use datapath_api::{Datapath, PortType};

/// What measures one datapath. Errors are in words, to be recorded.
pub(super) trait Bench {
    /// A new droplet that knows nothing of earlier ones, and a tester with the frames of `layout`.
    fn deploy(&mut self, layout: &Layout) -> Result<(), String>;
    /// One trial on what was deployed last.
    fn offer(&mut self, offer: &Offer) -> Result<Observation, String>;
    /// How many direct paths the droplet has.
    fn direct_paths(&mut self) -> Result<u64, String>;
}

/// What is deployed.
pub(super) enum Subject<'a> {
    /// A datapath on its native ports.
    Datapath(&'a dyn Datapath),
    /// A null forward on these ports.
    NullForward(PortType),
}

/// Real devices, threads and time.
pub(super) struct Live<'a> {
    pub flows: &'a Flows,
    pub subject: Subject<'a>,
    pub placement: Placement,
    pub deployed: Option<Deployed>,
}

impl Bench for Live<'_> {
    fn deploy(&mut self, layout: &Layout) -> Result<(), String> {
        // First, since two of them would share a processor.
        self.deployed = None;
        let workload = self.flows.workload(layout).map_err(|e| e.to_string())?;
        let deployed = match &self.subject {
            Subject::Datapath(datapath) => {
                let topology = self.flows.topology();
                Deployed::datapath(*datapath, topology, &workload, self.placement, None)
            }
            Subject::NullForward(ports) => {
                Deployed::null_forward(*ports, &workload, self.placement)
            }
        };
        self.deployed = Some(deployed.map_err(|e| e.to_string())?);
        Ok(())
    }

    fn offer(&mut self, offer: &Offer) -> Result<Observation, String> {
        let deployed = self.deployed.as_mut().ok_or(NOTHING)?;
        // Outside of what is timed. One that cannot be read has no counters; that it died shows below.
        let before = deployed.running().counters().ok();
        let mut observed = deployed.observe(offer).map_err(|e| e.to_string())?;
        // One that died loses every frame, which must not pass for its limit.
        let alive = deployed.running().check();
        alive.map_err(|e| format!("the datapath no longer works: {e}"))?;
        let after = deployed.running().counters().ok();
        observed.switch = before
            .zip(after)
            .and_then(|(before, after)| inside(&after, &before));
        Ok(observed)
    }

    fn direct_paths(&mut self) -> Result<u64, String> {
        let deployed = self.deployed.as_mut().ok_or(NOTHING)?;
        let paths = deployed.running().direct_paths();
        Ok(paths.map_err(|e| e.to_string())?.len() as u64)
    }
}

const NOTHING: &str = "nothing is deployed";
