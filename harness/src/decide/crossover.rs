//! Where the answer changes.
//!
//! Scenarios of a run that differ in one thing alone (the size of frames, the number of flows or of endpoints) are points on
//! a line. Where one datapath has the better score at one point, and another at the next, the answer changes in between;
//! where, is interpolated, with both scales logarithmic.

use super::requirements::Weights;
use super::score::Scores;
use super::{Selected, evidence::Evidence, evidence::Which};
use crate::record::Scenario;
use crate::report::RunFolder;
use crate::report::figures::ScenarioFigures;
use ranking::{Resampling, STAGES, Verdict};
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
    /// Percent of frames that are the first of their flow.
    NewFlows,
}

impl Axis {
    const OF_SCENARIOS: [Self; 3] = [Self::FrameSize, Self::Flows, Self::Endpoints];

    /// Where a scenario lies on it.
    fn place(self, scenario: &Scenario) -> Option<f64> {
        match self {
            Self::FrameSize => scenario.frame.parse().ok(),
            Self::Flows => Some(scenario.flows.into()),
            Self::Endpoints => Some(scenario.endpoints.into()),
            Self::NewFlows => None,
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
    }

    /// A place on it, with its unit.
    pub fn words(self, place: f64) -> String {
        match self {
            Self::FrameSize => format!("frames of {place:.0} bytes"),
            Self::Flows => format!("{place:.0} flows"),
            Self::Endpoints => format!("{place:.0} endpoints"),
            Self::NewFlows => format!("{place:.3} % of all frames first of their flow"),
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
    /// The two places that were measured.
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

/// All of them among these candidates.
pub fn find(
    folder: &RunFolder,
    scenarios: &[&ScenarioFigures<'_>],
    candidates: &[&str],
    weights: Weights,
    how: Option<Resampling>,
) -> Vec<Crossover> {
    let mut found = Vec::new();
    for axis in Axis::OF_SCENARIOS {
        for (one, other) in neighbours(axis, scenarios) {
            let score = |it| Scores::of(candidates, &Selected::only(it), weights, how).ok();
            let Some((low, high)) = score(one).zip(score(other)) else {
                continue;
            };
            let places = [one, other].map(|it| it.info.and_then(|info| axis.place(info)));
            let ([Some(from), Some(to)], Some(below), Some(above)) = (
                places,
                best(&low, candidates, weights),
                best(&high, candidates, weights),
            ) else {
                continue;
            };
            if below == above {
                continue;
            }
            let lead = |scores: &Scores| {
                let of = |it| scores.in_scenario(it, 0, weights).unwrap_or_default();
                of(below) - of(above)
            };
            let (first, last) = (lead(&low), lead(&high));
            let share = first / (first - last);
            let about = (from.ln() + (to.ln() - from.ln()) * share.clamp(0.0, 1.0)).exp();
            let trials = |it: &ScenarioFigures<'_>, candidate: usize| {
                let which = Which::RoundsBefore(STAGES[0] as u32);
                Evidence::trials(folder, it.id, candidates[candidate], which)
            };
            found.push(Crossover {
                axis,
                scenarios: [one.id.to_owned(), other.id.to_owned()],
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
    found
}

/// Scenarios next to each other on the axis.
fn neighbours<'s, 'a>(
    axis: Axis,
    scenarios: &[&'s ScenarioFigures<'a>],
) -> Vec<(&'s ScenarioFigures<'a>, &'s ScenarioFigures<'a>)> {
    let mut placed: Vec<(f64, &'s ScenarioFigures<'a>)> = scenarios
        .iter()
        .filter_map(|it| Some((axis.place(it.info?)?, *it)))
        .collect();
    placed.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut pairs = Vec::new();
    for (index, (place, one)) in placed.iter().enumerate() {
        let next = placed[index + 1..].iter().find(|(other_place, other)| {
            let infos = one.info.zip(other.info);
            other_place > place && infos.is_some_and(|(one, other)| axis.joins(one, other))
        });
        pairs.extend(next.map(|(_, other)| (*one, *other)));
    }
    pairs
}

/// The candidate that is better than every other, if one is for certain.
fn best(scores: &Scores, candidates: &[&str], weights: Weights) -> Option<usize> {
    super::choice(
        candidates.len(),
        &scores.compare(weights, super::ERROR),
        |interval| Verdict::of(interval, ranking::Tolerance::DEFAULT),
    )
    .alone()
}
