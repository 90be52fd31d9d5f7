//! What the tester itself gets through: the ceiling of every figure.

use super::deploy::{Deployed, Meter};
use super::distances::Distance;
use super::rates::Outcome;
use super::session::{Best, Ceiling, Next, Session};
use super::{Error, MAX_LOAD, MIN_LOAD, Runner};
use crate::record::Purpose;
use crate::search::{Pps, Search, Step};
use crate::tester::Workload;
use datapath_api::{Datapath, PortType};

/// How often the ceiling of one kind of port is measured at one distance of processors at the most.
const MOST: u32 = 3;

/// The ceilings of a scenario, as they become known.
#[derive(Default)]
pub(super) struct Ceilings(Vec<Known>);

struct Known {
    ports: PortType,
    distance: Distance,
    /// The highest; none where it could not be measured.
    ceiling: Option<Ceiling>,
    times: u32,
}

impl Ceilings {
    fn known(&mut self, ports: PortType, distance: Distance) -> Option<&mut Known> {
        let mut known = self.0.iter_mut();
        known.find(|it| it.ports == ports && it.distance == distance)
    }
}

impl Runner<'_> {
    /// A search for what a datapath carries, up to as much.
    pub(super) fn new_search(&self, most: Option<f64>) -> Result<Search, Error> {
        let most = most.map_or(MAX_LOAD, |most| most.max(2.0 * MIN_LOAD));
        let config = self.effort.search(Pps::new(MIN_LOAD)?, Pps::new(most)?);
        Ok(Search::new(config)?)
    }

    /// The most that the tester gets through a null forward on the datapath's ports, if that can be measured; `None` where
    /// processors were moved before it was known.
    pub(super) fn ceiling(
        &mut self,
        datapath: &dyn Datapath,
        workload: &Workload,
        distance: Distance,
    ) -> Result<Option<Option<Ceiling>>, Error> {
        let ports = datapath.ports();
        if let Some(known) = self.ceilings.known(ports, distance) {
            return Ok(Some(known.ceiling));
        }
        let measured = self.measure_ceiling(datapath, workload, distance)?;
        if let Some(ceiling) = measured {
            self.ceilings.0.push(Known {
                ports,
                distance,
                ceiling,
                times: 1,
            });
        }
        Ok(measured)
    }

    /// Whether a ceiling that a datapath came close to is to be measured again.
    pub(super) fn may_measure_ceiling_again(
        &mut self,
        ports: PortType,
        distance: Distance,
    ) -> bool {
        let known = self.ceilings.known(ports, distance);
        known.is_some_and(|known| known.times < MOST)
    }

    /// Measures the ceiling again that this session came close to. Who carried all that the old one let be offered is to be
    /// searched again.
    pub(super) fn doubted_ceiling(
        &mut self,
        sessions: &mut [Session<'_>],
        index: usize,
        workload: &Workload,
    ) -> Result<(), Error> {
        let distance = self.distance();
        let datapath = sessions[index].datapath;
        let doubts = self.may_measure_ceiling_again(datapath.ports(), distance);
        let is_doubted = matches!(sessions[index].next(distance, doubts), Next::Ceiling);
        if !is_doubted || sessions[index].failed || self.is_interrupted() {
            return Ok(());
        }
        let Some(again) = self.measure_ceiling(datapath, workload, distance)? else {
            return Ok(());
        };
        if let Some(known) = self.ceilings.known(datapath.ports(), distance) {
            known.times += 1;
            known.ceiling = [known.ceiling, again]
                .into_iter()
                .flatten()
                .max_by(|one, other| one.rate.total_cmp(&other.rate));
        }
        let Some(again) = again else {
            return Ok(());
        };
        for session in sessions.iter_mut() {
            if session.datapath.ports() == datapath.ports() {
                session.raise_ceiling(distance, again, |it| self.new_search(Some(it.most())))?;
            }
        }
        Ok(())
    }

    fn measure_ceiling(
        &mut self,
        datapath: &dyn Datapath,
        workload: &Workload,
        distance: Distance,
    ) -> Result<Option<Option<Ceiling>>, Error> {
        self.phase(datapath.name(), "tester's ceiling");
        let mut best = Best::default();
        let ports = datapath.ports();
        let null = Deployed::null_forward(ports, workload, self.placement);
        let mut deployed = match null {
            Ok(deployed) => deployed,
            Err(error) => {
                self.fail(datapath.name(), &format!("tester's ceiling: {error}"))?;
                return Ok(Some(None));
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
            match self.trial(&mut deployed, datapath.name(), &meter, distance)? {
                Outcome::Trial(trial) if search.record(trial).is_ok() => {
                    best.note(&deployed.last, ports);
                }
                Outcome::Moved => return Ok(None),
                Outcome::Trial(_) | Outcome::Failed => return Ok(Some(None)),
            }
        }
        let result = search.result();
        Ok(Some(result.goals.first().and_then(|goal| {
            let estimate = goal.estimate.and_then(|estimate| estimate.lower);
            let found = goal.conditional_throughput.or(goal.lower).or(estimate);
            // Noise lowers what a search finds, and a ceiling too low would call datapaths tester-bound; what one
            // trial got through, the tester can do.
            let fastest = best.0;
            let rate = found.map_or(0.0, Pps::get);
            let rate = rate.max(fastest.map_or(0.0, |fastest| fastest.rate));
            (rate > 0.0).then_some(Ceiling { rate, fastest })
        })))
    }
}
