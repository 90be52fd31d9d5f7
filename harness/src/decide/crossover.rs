//! Where the answer changes.
//!
//! Scenarios of a run that differ in one thing alone (the size of frames, the number of flows, of endpoints or of rules) are points on
//! a line. Where one datapath has the better score at one point, and another at the next, the answer changes in between;
//! where, is interpolated, with both scales logarithmic.

use super::evidence::Evidence;
use super::requirements::Requirements;
use super::score::Scores;
use super::{ERROR, Selected, ahead};
use crate::record::Scenario;
use crate::report::apart::Apart;
use crate::report::figures::ScenarioFigures;
use crate::report::units::significant;
use ranking::Interval;
use serde::Serialize;

/// What scenarios differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Bytes of the inner frame.
    FrameSize,
    /// Distinct flows.
    Flows,
    /// Endpoints.
    Endpoints,
    /// Rules of access lists.
    Rules,
    /// Percent of frames that are the first of their flow.
    NewFlows,
}

impl Axis {
    const OF_SCENARIOS: [Self; 4] = [Self::FrameSize, Self::Flows, Self::Endpoints, Self::Rules];

    /// Where a scenario lies on it.
    fn place(self, scenario: &Scenario) -> Option<f64> {
        match self {
            Self::FrameSize => scenario.frame.parse().ok(),
            Self::Flows => Some(scenario.flows.into()),
            Self::Endpoints => Some(scenario.endpoints.into()),
            Self::Rules => scenario.rules.map(f64::from),
            Self::NewFlows => None,
        }
    }

    /// Those along which some of these scenarios differ.
    pub(crate) fn varied(scenarios: &[&ScenarioFigures<'_>]) -> Vec<Self> {
        let differ = |axis: &Self| {
            let places = scenarios.iter().filter_map(|it| axis.place(it.info?));
            let mut places: Vec<u64> = places.map(f64::to_bits).collect();
            places.sort_unstable();
            places.dedup();
            places.len() > 1
        };
        Self::OF_SCENARIOS.into_iter().filter(differ).collect()
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::FrameSize => "size of frames",
            Self::Flows => "number of flows",
            Self::Endpoints => "number of endpoints",
            Self::Rules => "number of rules",
            Self::NewFlows => "share of new flows",
        }
    }

    /// Whether two scenarios differ in nothing else.
    fn joins(self, one: &Scenario, other: &Scenario) -> bool {
        let same_but_for = |axis: Self, same: bool| self == axis || same;
        one.topology == other.topology
            && one.transport == other.transport
            && one.direct_path == other.direct_path
            && same_but_for(Self::FrameSize, one.frame == other.frame)
            && same_but_for(Self::Flows, one.flows == other.flows)
            && same_but_for(Self::Endpoints, one.endpoints == other.endpoints)
            && same_but_for(Self::Rules, one.rules == other.rules)
    }

    /// A place on it, with its unit.
    pub fn words(self, place: f64) -> String {
        match self {
            Self::FrameSize => format!("frames of {place:.0} bytes"),
            Self::Flows => format!("{place:.0} flows"),
            Self::Endpoints => format!("{place:.0} endpoints"),
            Self::Rules => format!("{place:.0} rules"),
            Self::NewFlows => format!(
                "{} % of all frames first of their flow",
                significant(place, 2)
            ),
        }
    }
}

/// A place where the answer changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crossover {
    /// What changes.
    pub axis: Axis,
    /// Where else: the topology, and what the scenarios have in common.
    pub scenarios: [String; 2],
    /// The two places that were measured; of a model, those between which it is by the bounds of what it was calculated from.
    pub between: [f64; 2],
    /// Where scores are equal in between; interpolated, not measured.
    pub about: f64,
    /// The better one below,
    pub below: String,
    /// and above.
    pub above: String,
    /// What that rests on.
    pub evidence: Vec<Evidence>,
}

/// All of them among these candidates, which keep to the limits in all these scenarios.
pub fn find(
    scenarios: &[&ScenarioFigures<'_>],
    candidates: &[&str],
    asked: &Requirements,
    width: Option<f64>,
) -> Vec<Crossover> {
    let weights = asked.weights;
    // Who is best for certain, where somebody is.
    let points: Vec<Point<'_, '_>> = scenarios
        .iter()
        .filter_map(|scenario| {
            let selected = Selected::only(scenario);
            let scores = Scores::of(candidates, &selected, weights, width).ok()?;
            // Two points make a place where the answer changes.
            let found = scores.compare(weights, ERROR / 2.0);
            let best = ahead(candidates, &selected, &found, asked).alone()?;
            Some(Point {
                scenario,
                rounds: scores.numbers(scenario.id),
                found,
                best,
            })
        })
        .collect();
    let mut crossovers = Vec::new();
    for axis in Axis::OF_SCENARIOS {
        for (one, other) in neighbours(axis, &points) {
            let places = [one, other].map(|it| it.scenario.info.and_then(|info| axis.place(info)));
            let [Some(from), Some(to)] = places else {
                continue;
            };
            let (below, above) = (one.best, other.best);
            // What differs between distances is not what differs along the axis.
            let are_alike = Apart::can_be_compared(one.scenario.apart, other.scenario.apart);
            if below == above || from <= 0.0 || !are_alike {
                continue;
            }
            let lead = |point: &Point<'_, '_>| point.lead(candidates.len(), below, above);
            let (first, last) = (lead(one), lead(other));
            let about = (from.ln() + (to.ln() - from.ln()) * first / (first - last)).exp();
            let trials = |point: &Point<'_, '_>, candidate: usize| {
                let mut cells = point.scenario.cells.iter();
                let cell = cells.find(|cell| cell.datapath == candidates[candidate]);
                let of = |cell| Evidence::rounds(point.scenario.id, cell, &point.rounds);
                cell.map_or(Evidence::Nothing, of)
            };
            crossovers.push(Crossover {
                axis,
                scenarios: [one.scenario.id.to_owned(), other.scenario.id.to_owned()],
                between: [from, to],
                about,
                below: candidates[below].to_owned(),
                above: candidates[above].to_owned(),
                evidence: [one, other]
                    .into_iter()
                    .flat_map(|it| [trials(it, below), trials(it, above)])
                    .collect(),
            });
        }
    }
    crossovers
}

/// A scenario in which one candidate is best for certain.
struct Point<'f, 'a> {
    scenario: &'f ScenarioFigures<'a>,
    rounds: Vec<u32>,
    found: Vec<Interval>,
    best: usize,
}

impl Point<'_, '_> {
    /// The logarithm of the ratio of one candidate's score to another's.
    fn lead(&self, candidates: usize, one: usize, other: usize) -> f64 {
        let pairs = ranking::pairs(candidates).into_iter().zip(&self.found);
        let of = |((first, second), interval): ((usize, usize), &Interval)| {
            if (first, second) == (one, other) {
                Some(interval.ratio.ln())
            } else if (second, first) == (one, other) {
                Some(-interval.ratio.ln())
            } else {
                None
            }
        };
        pairs.filter_map(of).next().unwrap_or_default()
    }
}

/// Points next to each other on the axis.
fn neighbours<'p, 'f, 'a>(
    axis: Axis,
    points: &'p [Point<'f, 'a>],
) -> Vec<(&'p Point<'f, 'a>, &'p Point<'f, 'a>)> {
    let mut placed: Vec<(f64, &'p Point<'f, 'a>)> = points
        .iter()
        .filter_map(|it| Some((axis.place(it.scenario.info?)?, it)))
        .collect();
    placed.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut pairs = Vec::new();
    for (index, (place, one)) in placed.iter().enumerate() {
        let next = placed[index + 1..].iter().find(|(other_place, other)| {
            let infos = one.scenario.info.zip(other.scenario.info);
            other_place > place && infos.is_some_and(|(one, other)| axis.joins(one, other))
        });
        pairs.extend(next.map(|(_, other)| (*one, *other)));
    }
    pairs
}
