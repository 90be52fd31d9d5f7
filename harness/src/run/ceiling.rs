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
    /// How often it was measured.
    times: u32,
    /// A search that has not ended, since processors were moved.
    searching: Option<(Search, Best)>,
}

impl Ceilings {
    fn of(&mut self, ports: PortType, distance: Distance) -> &mut Known {
        let is_it = |it: &Known| it.ports == ports && it.distance == distance;
        let place = self.0.iter().position(is_it).unwrap_or_else(|| {
            self.0.push(Known {
                ports,
                distance,
                ceiling: None,
                times: 0,
                searching: None,
            });
            self.0.len() - 1
        });
        &mut self.0[place]
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
        let known = self.ceilings.of(datapath.ports(), distance);
        if known.times > 0 {
            return Ok(Some(known.ceiling));
        }
        self.measure_ceiling(datapath, workload, distance)
    }

    /// Whether a ceiling that a datapath came close to is to be measured again.
    pub(super) fn may_measure_ceiling_again(
        &mut self,
        ports: PortType,
        distance: Distance,
    ) -> bool {
        self.ceilings.of(ports, distance).times < MOST
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
        let Some(Some(again)) = self.measure_ceiling(datapath, workload, distance)? else {
            return Ok(());
        };
        for session in sessions.iter_mut() {
            if session.datapath.ports() == datapath.ports() {
                session.raise_ceiling(distance, again, |it| self.new_search(Some(it.most())))?;
            }
        }
        Ok(())
    }

    /// Measures it, or goes on to, and keeps it if it is higher than before; `None` where processors were moved.
    fn measure_ceiling(
        &mut self,
        datapath: &dyn Datapath,
        workload: &Workload,
        distance: Distance,
    ) -> Result<Option<Option<Ceiling>>, Error> {
        let ports = datapath.ports();
        let config = self
            .effort
            .ceiling_search(Pps::new(MIN_LOAD)?, Pps::new(MAX_LOAD)?);
        let begun = self.ceilings.of(ports, distance).searching.take();
        let (mut search, mut best) = match begun {
            Some(begun) => begun,
            None => (Search::new(config)?, Best::default()),
        };
        let outcome = self.search_ceiling(datapath, workload, distance, (&mut search, &mut best));
        let known = self.ceilings.of(ports, distance);
        let ceiling = match outcome? {
            Ended::Interrupted => {
                known.searching = Some((search, best));
                return Ok(None);
            }
            Ended::Failed => None,
            Ended::Found => found(&search, best),
        };
        known.times += 1;
        known.ceiling = [known.ceiling, ceiling]
            .into_iter()
            .flatten()
            .max_by(|one, other| one.rate.total_cmp(&other.rate));
        Ok(Some(known.ceiling))
    }

    fn search_ceiling(
        &mut self,
        datapath: &dyn Datapath,
        workload: &Workload,
        distance: Distance,
        (search, best): (&mut Search, &mut Best),
    ) -> Result<Ended, Error> {
        self.phase(datapath.name(), "tester's ceiling");
        let ports = datapath.ports();
        let null = Deployed::null_forward(ports, workload, self.placement);
        let mut deployed = match null {
            Ok(deployed) => deployed,
            Err(error) => {
                self.fail(datapath.name(), &format!("tester's ceiling: {error}"))?;
                return Ok(Ended::Failed);
            }
        };
        while let Step::Measure { load, duration } = search.next() {
            if self.is_interrupted() {
                return Ok(Ended::Interrupted);
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
                Outcome::Moved => return Ok(Ended::Interrupted),
                Outcome::Trial(_) => {}
                Outcome::Failed => {
                    let reason = format!("tester's ceiling: {}", deployed.last_error);
                    self.fail(datapath.name(), &reason)?;
                    return Ok(Ended::Failed);
                }
            }
        }
        Ok(Ended::Found)
    }
}

/// How a search for a ceiling ended.
enum Ended {
    /// It came to its end.
    Found,
    /// It is to be gone on with: processors were moved, or the user has enough.
    Interrupted,
    /// It failed, which is recorded.
    Failed,
}

/// What a search found.
fn found(search: &Search, best: Best) -> Option<Ceiling> {
    let result = search.result();
    let goal = result.goals.first()?;
    let estimate = goal.estimate.and_then(|estimate| estimate.lower);
    let found = goal.conditional_throughput.or(goal.lower).or(estimate);
    // Noise lowers what a search finds, and a ceiling too low would call datapaths tester-bound; what one trial got
    // through, the tester can do.
    let fastest = best.0;
    let rate = found.map_or(0.0, Pps::get);
    let rate = rate.max(fastest.map_or(0.0, |fastest| fastest.rate));
    (rate > 0.0).then_some(Ceiling { rate, fastest })
}
