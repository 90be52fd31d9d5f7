//! How far runs agree about which datapath is faster than which.

use super::Measured;
use crate::report::figures::Figures;
use crate::run::distances::alike;
use ranking::{Interval, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

/// Two datapaths in a scenario: its identifier, and their names in the order of the alphabet.
pub(super) type Match = (String, [String; 2]);

/// What a run says of two datapaths.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Said {
    /// What became of the first against the second.
    pub verdict: Verdict,
    /// The ratio of their rates; none with too few rounds.
    pub interval: Option<Interval>,
    /// How far apart processors were: round trip of a cache line.
    pub round_trip_ns: Option<f64>,
}

/// Two datapaths of which two runs say different things.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Odds {
    /// The scenario.
    pub scenario: String,
    /// The datapaths.
    pub datapaths: [String; 2],
    /// What each run says.
    pub said: [Said; 2],
}

/// How far the runs of two sides agree, each with its counterpart.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// Pairs of datapaths that both runs decide, in the same way.
    pub alike: usize,
    /// Those that both decide, in different ways.
    pub at_odds: Vec<Odds>,
    /// Those that one of the runs leaves undecided, or both.
    pub open: usize,
    /// Those whose processors were farther apart in one run than in the other, so that both may be right.
    pub elsewhere: usize,
}

impl Agreement {
    /// That of these runs, paired in their order.
    pub(super) fn of(base: &[Measured], run: &[Measured]) -> Self {
        let mut agreement = Self::default();
        for (before, after) in base.iter().zip(run) {
            for (place, first) in &before.verdicts {
                if let Some(second) = after.verdicts.get(place) {
                    agreement.add(place, [*first, *second]);
                }
            }
        }
        agreement
    }

    fn add(&mut self, (scenario, datapaths): &Match, said: [Said; 2]) {
        let [first, second] = said;
        let both = first.round_trip_ns.zip(second.round_trip_ns);
        if both.is_some_and(|(first, second)| !alike(first, second)) {
            self.elsewhere += 1;
        } else if !(first.verdict.is_decided() && second.verdict.is_decided()) {
            self.open += 1;
        } else if first.verdict == second.verdict {
            self.alike += 1;
        } else {
            self.at_odds.push(Odds {
                scenario: scenario.clone(),
                datapaths: datapaths.clone(),
                said,
            });
        }
    }

    /// Pairs of datapaths that both runs decide.
    pub fn decided(&self) -> usize {
        self.alike + self.at_odds.len()
    }

    /// Pairs of datapaths that both runs measured against each other.
    pub fn all(&self) -> usize {
        self.decided() + self.open + self.elsewhere
    }
}

/// What a run says of every two datapaths that it measured against each other; nothing if nothing can be concluded from it.
pub(super) fn verdicts(figures: &Figures<'_>) -> BTreeMap<Match, Said> {
    let mut verdicts = BTreeMap::new();
    if figures.unfit().is_some() {
        return verdicts;
    }
    let scenarios = figures.groups.iter().flat_map(|group| &group.scenarios);
    for scenario in scenarios {
        for pair in scenario.standing.iter().flat_map(|it| &it.pairs) {
            let is_sorted = pair.one < pair.other;
            let pair = if is_sorted { *pair } else { pair.inverse() };
            let names = [pair.one.to_owned(), pair.other.to_owned()];
            let said = Said {
                verdict: pair.verdict,
                interval: pair.interval,
                round_trip_ns: pair.round_trip_ns,
            };
            verdicts.insert((scenario.id.to_owned(), names), said);
        }
    }
    verdicts
}
