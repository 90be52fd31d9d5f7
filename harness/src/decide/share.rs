//! From which share of new flows on another datapath is better, by a run of `bench flow-setup`.
//!
//! A frame of an established flow takes 1/R seconds of a datapath that carries R of those a second, one that is the first of
//! its flow 1/N where it sets up N a second. So with a share s of first frames it carries 1 / ((1 - s) / R + s / N), and two
//! datapaths carry as many where their times are equal: s = (1/R' - 1/R) / ((1/N - 1/R) - (1/N' - 1/R')).
//!
//! That is a model, by throughput alone: R is of frames both ways on a host, N of flows that leave it, and no mixture of both
//! was measured.

use super::Selected;
use super::crossover::{Axis, Crossover};
use super::evidence::Evidence;
use crate::compare::between_machines;
use crate::flow_setup::flows::Traffic;
use crate::flow_setup::record::{Cell, FILE, Record, Recorded};
use crate::record::{PortType, Run};
use crate::report::cell::Cell as Measured;
use crate::report::figures::ScenarioFigures;
use crate::report::warnings::of_damage;
use ranking::Verdict;

/// Frames of flow setup, as a scenario names them, and the topology whose droplet has its part.
const FRAME: &str = "64";
const TOPOLOGY: &str = "vtep";
/// A rate this near to the tester's ceiling may be the tester's.
const NEAR: f64 = 0.95;

/// How many new flows a second datapaths take, by a run of `bench flow-setup`.
pub struct FlowSetups(Recorded);

/// Such a run decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is too short.
    #[error("the run of flow-setup has the profile smoke, which is too short for conclusions")]
    Smoke,
    /// Its program was slow.
    #[error("the run of flow-setup was made by a program that was not optimised")]
    NotOptimised,
}

/// How many new flows a second a datapath takes.
pub struct FlowSetup {
    /// A rate that held.
    pub lower: Option<f64>,
    /// A rate that did not.
    pub upper: Option<f64>,
    /// The figure to calculate with.
    pub throughput: f64,
    /// The ports it was measured on,
    pub ports: PortType,
    /// and what the tester gets through a null forward there.
    pub ceiling: Option<f64>,
    /// Why it is no figure to calculate with: the search, the tester, or the machine's other work.
    pub doubt: Option<&'static str>,
    /// Flows that were installed before.
    pub installed: u32,
}

impl FlowSetup {
    /// Where that is recorded.
    pub fn evidence(&self, datapath: &str) -> Evidence {
        Evidence::FlowSetup {
            datapath: datapath.to_owned(),
            installed: self.installed,
        }
    }
}

impl FlowSetups {
    /// By what such a run recorded.
    ///
    /// # Errors
    /// Where nothing can be concluded from it.
    pub fn new(recorded: Recorded) -> Result<Self, Unfit> {
        let header = &recorded.header;
        if header.profile.eq_ignore_ascii_case("smoke") {
            return Err(Unfit::Smoke);
        }
        if !header.environment.is_optimised() {
            return Err(Unfit::NotOptimised);
        }
        Ok(Self(recorded))
    }

    fn ceiling(&self, cell: &Cell) -> Option<f64> {
        let ceilings = self.0.records.iter().filter_map(|record| match record {
            Record::Ceiling(ceiling) => Some(ceiling),
            _ => None,
        });
        let mut ceilings =
            ceilings.filter(|it| (it.ports, it.traffic) == (cell.ports, cell.traffic));
        Some(ceilings.next()?.rate)
    }

    /// What makes its figures not those of `run`: another machine, or lines that could not be read.
    pub fn warnings(&self, run: &Run) -> Vec<String> {
        let Recorded { header, damage, .. } = &self.0;
        let differences = between_machines(&run.environment, &header.environment);
        let mut warnings = of_damage(FILE, damage);
        if !differences.is_empty() {
            warnings.push(format!(
                "The run of flow-setup was made on another machine than the other run, or another day's: {}. What follows from both together may be the machine's doing.",
                differences.join("; ")
            ));
        }
        warnings
    }

    /// New flows a second that leave an endpoint, with the fewest flows installed before.
    pub fn of(&self, datapath: &str) -> Option<FlowSetup> {
        let cells = self.0.records.iter().filter_map(|record| match record {
            Record::Cell(cell) if cell.datapath == datapath => Some(cell),
            _ => None,
        });
        let outgoing = cells.filter(|cell| cell.traffic == Traffic::NewDestinations);
        let rated = outgoing.filter_map(|cell| {
            let rate = cell.rate.as_ref()?;
            let throughput = rate.throughput.or(rate.lower)?;
            let ceiling = self.ceiling(cell);
            let is_near = |ceiling: f64| throughput >= ceiling * NEAR;
            let doubt = if ceiling.is_some_and(is_near) {
                Some("the tester may have set it")
            } else if cell.disturbed * 2 > cell.trials {
                Some("most of its trials were disturbed")
            } else if rate.irregular.is_some() {
                Some("its search is irregular")
            } else {
                None
            };
            Some(FlowSetup {
                doubt,
                throughput,
                lower: rate.lower,
                upper: rate.upper,
                ports: cell.ports,
                ceiling,
                installed: cell.installed,
            })
        });
        rated.min_by_key(|setup| setup.installed)
    }
}

/// Shares at which the better of two datapaths changes, by scenario.
pub fn crossovers(
    selected: &Selected<'_, '_>,
    candidates: &[&str],
    best: &[String],
    flow_setups: &FlowSetups,
) -> Vec<Crossover> {
    let mut found = Vec::new();
    let is_like_flow_setup = |scenario: &&&ScenarioFigures<'_>| {
        let info = scenario.info;
        info.is_some_and(|it| it.frame == FRAME && it.topology == TOPOLOGY)
    };
    for scenario in selected.0.iter().filter(is_like_flow_setup) {
        let rates: Vec<(&Measured<'_>, f64, FlowSetup)> = candidates
            .iter()
            .filter_map(|name| {
                let cell = scenario.cells.iter().find(|cell| cell.datapath == *name)?;
                let typical = cell.in_a_typical_round()?;
                let setup = flow_setups.of(name)?;
                let is_sound = setup.doubt.is_none() && !cell.rounds_are_set_by_tester();
                is_sound.then_some((cell, typical.median, setup))
            })
            .collect();
        let is_best = |cell: &Measured<'_>| best.iter().any(|it| it == cell.datapath);
        let is_decided = |one: &str, other: &str| {
            let standing = scenario.standing.as_ref();
            let pair = standing.and_then(|it| it.pair(one, other));
            pair.is_some_and(|pair| matches!(pair.verdict, Verdict::Faster | Verdict::Slower))
        };
        // Where a third one carries more than both, nobody would change from one to the other.
        let is_ahead = |share: f64, rate: f64| {
            let mut all = rates.iter();
            all.all(|(_, established, setup)| {
                mixed(share, (*established, setup.throughput)) <= rate * (1.0 + 1e-9)
            })
        };
        for (place, one) in rates.iter().enumerate() {
            for other in &rates[place + 1..] {
                let (below, above) = if one.1 > other.1 {
                    (one, other)
                } else {
                    (other, one)
                };
                let at = |bound: fn(&FlowSetup) -> [Option<f64>; 2]| {
                    let of =
                        |it: &FlowSetup, place: usize| bound(it)[place].unwrap_or(it.throughput);
                    equal_at((below.1, of(&below.2, 0)), (above.1, of(&above.2, 1)))
                };
                let both = at(|it| [Some(it.throughput); 2]);
                // One changes sides for certain only if its bounds are apart from the other's.
                let soonest = at(|it| [it.lower, it.upper]);
                let latest = at(|it| [it.upper, it.lower]);
                let (Some(share), Some(soonest), Some(latest)) = (both, soonest, latest) else {
                    continue;
                };
                let concerns_the_answer = is_best(one.0) || is_best(other.0);
                if !concerns_the_answer
                    || !is_decided(one.0.datapath, other.0.datapath)
                    || !is_ahead(share, mixed(share, (below.1, below.2.throughput)))
                {
                    continue;
                }
                let evidence = |(cell, _, setup): &(&Measured<'_>, f64, FlowSetup)| {
                    let rounds: Vec<u32> = cell.rounds.iter().map(|it| it.round).collect();
                    let trials = Evidence::rounds(scenario.id, cell, &rounds);
                    [trials, setup.evidence(cell.datapath)]
                };
                found.push(Crossover {
                    axis: Axis::NewFlows,
                    scenarios: [scenario.id.to_owned(), "flow-setup".to_owned()],
                    between: [soonest * 100.0, latest * 100.0],
                    about: share * 100.0,
                    below: below.0.datapath.to_owned(),
                    above: above.0.datapath.to_owned(),
                    evidence: [evidence(below), evidence(above)].concat(),
                });
            }
        }
    }
    found
}

/// What a datapath carries of which this share of frames is first of its flow, by its rates of established and of new flows.
fn mixed(share: f64, (established, new): (f64, f64)) -> f64 {
    1.0 / ((1.0 - share) / established + share / new)
}

/// The share of first frames at which two datapaths carry as many frames, each with its rates of established and of new
/// flows; none where one is better throughout.
fn equal_at(one: (f64, f64), other: (f64, f64)) -> Option<f64> {
    let extra = |(established, new): (f64, f64)| 1.0 / new - 1.0 / established;
    let share = (1.0 / other.0 - 1.0 / one.0) / (extra(one) - extra(other));
    (share.is_finite() && share > 0.0 && share < 1.0).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_share_both_carry_as_much() {
        let (one, other) = ((2e6, 1e4), (1e6, 5e5));
        let share = equal_at(one, other).unwrap();
        assert!((mixed(share, one) / mixed(share, other) - 1.0).abs() < 1e-9);
        assert!(share > 0.0 && share < 0.01);
    }

    #[test]
    fn who_is_better_at_both_is_better_throughout() {
        assert_eq!(equal_at((2e6, 1e5), (1e6, 1e4)), None);
        assert_eq!(equal_at((1e6, 1e4), (1e6, 1e4)), None);
    }
}
