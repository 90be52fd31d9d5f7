//! What the tester itself gets through: the ceiling of every figure.

use super::deploy::{Deployed, Meter};
use super::session::{Best, Ceiling, Session};
use super::{Error, MAX_LOAD, MIN_LOAD, Runner};
use crate::record::Purpose;
use crate::search::{Pps, Search, Step};
use crate::tester::Workload;
use datapath_api::Datapath;

impl Runner<'_> {
    /// A search for what a datapath carries, up to as much.
    pub(super) fn new_search(&self, most: Option<f64>) -> Result<Search, Error> {
        let most = most.map_or(MAX_LOAD, |most| most.max(2.0 * MIN_LOAD));
        let config = self.effort.search(Pps::new(MIN_LOAD)?, Pps::new(most)?);
        Ok(Search::new(config)?)
    }

    /// The most that the tester gets through a null forward on the datapath's ports.
    pub(super) fn ceiling(
        &mut self,
        datapath: &dyn Datapath,
        workload: &Workload,
    ) -> Result<Option<Ceiling>, Error> {
        self.phase(datapath.name(), "tester's ceiling");
        let mut best = Best::default();
        let ports = datapath.ports();
        let null = Deployed::null_forward(ports, workload, self.placement);
        let mut deployed = match null {
            Ok(deployed) => deployed,
            Err(error) => {
                self.fail(datapath.name(), &format!("tester's ceiling: {error}"))?;
                return Ok(None);
            }
        };
        let config = self
            .effort
            .ceiling_search(Pps::new(MIN_LOAD)?, Pps::new(MAX_LOAD)?);
        let mut search = Search::new(config)?;
        while let Step::Measure { load, duration } = search.next() {
            if self.is_interrupted() {
                return Ok(None);
            }
            let meter = Meter {
                load,
                duration,
                latency: false,
                asks_datapath: true,
                purpose: Purpose::Ceiling,
            };
            match self.trial(&mut deployed, datapath.name(), &meter)? {
                Some(trial) if search.record(trial).is_ok() => best.note(&deployed.last, ports),
                _ => return Ok(None),
            }
        }
        let result = search.result();
        Ok(result.goals.first().and_then(|goal| {
            let estimate = goal.estimate.and_then(|estimate| estimate.lower);
            let found = goal.conditional_throughput.or(goal.lower).or(estimate);
            // Noise lowers what a search finds, and a ceiling too low would call datapaths tester-bound; what one
            // trial got through, the tester can do.
            let fastest = best.0;
            let rate = found.map_or(0.0, Pps::get);
            let rate = rate.max(fastest.map_or(0.0, |fastest| fastest.rate));
            (rate > 0.0).then_some(Ceiling { rate, fastest })
        }))
    }

    /// Measures ceilings again that a datapath came close to, once for each kind of port. Who carried all that the old one
    /// let be offered is to be searched again.
    pub(super) fn doubted_ceilings(
        &mut self,
        sessions: &mut [Session<'_>],
        workload: &Workload,
    ) -> Result<(), Error> {
        let mut doubted: Vec<&dyn Datapath> = Vec::new();
        for session in sessions.iter().filter(|session| session.doubts_ceiling()) {
            let is_known = |it: &&dyn Datapath| it.ports() == session.datapath.ports();
            if !doubted.iter().any(is_known) {
                doubted.push(session.datapath);
            }
        }
        for datapath in doubted {
            let Some(again) = self.ceiling(datapath, workload)? else {
                continue;
            };
            for session in sessions.iter_mut() {
                if session.datapath.ports() == datapath.ports()
                    && session.raise_ceiling(again)
                    && session.carried_all()
                {
                    session.search = self.new_search(session.most())?;
                }
            }
        }
        Ok(())
    }
}
