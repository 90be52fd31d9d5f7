//! Datapaths weighed against each other, by the rounds that they had together.
//!
//! The score is a weighted product (Bridgman 1922, "Dimensional Analysis"; Miller and Starr 1969): the logarithm of each
//! figure times its weight, added up. It has no unit, and a ratio of two scores does not depend on what figures are measured
//! in. Since it is there for each round, scores are compared as rates are, in each scenario; what counts is their mean over all
//! scenarios: see [`ranking`].

use super::Selected;
use super::requirements::Weights;
use crate::figure::Figure;
use crate::record::RoundRecord;
use crate::report::cell::Cell;
use crate::report::figures::ScenarioFigures;
use ranking::{
    FEWEST_OF_STRATUM, Interval, Rounds, STAGES, Stratum, are_enough, intervals_over, pairs,
};

/// What a figure weighs, where all weights together are 1.
pub fn weight(figure: Figure, weights: Weights) -> f64 {
    let of = |figure| match figure {
        Figure::Throughput => weights.throughput,
        Figure::ProcessorTime => weights.processor_time,
        Figure::Latency => weights.latency,
    };
    of(figure) / Figure::ALL.into_iter().map(of).sum::<f64>()
}

/// Candidates, and their rounds in the scenarios that count.
pub struct Scores {
    candidates: usize,
    scenarios: Vec<OfScenario>,
    /// Width of the searches.
    width: f64,
}

/// Rounds of a scenario in which all candidates have all figures that are weighed.
struct OfScenario {
    id: String,
    rounds: Vec<Round>,
}

struct Round {
    number: u32,
    distance: Stratum,
    /// By candidate: its figures, as logarithms.
    figures: Vec<[f64; 3]>,
}

/// Scores cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unscored {
    /// There are no rounds.
    #[error(
        "the run did not measure datapaths against each other; the profiles quick and longer do"
    )]
    NoRounds,
    /// There are too few.
    #[error("{datapath} has {rounds} rounds in {scenario} with all figures that are weighed; {} are needed, {FEWEST_OF_STRATUM} of them with processors equally far apart; the report says what became of its search there, and another run or a longer profile may have them", STAGES[0])]
    TooFew {
        /// The datapath.
        datapath: String,
        /// The scenario.
        scenario: String,
        /// Rounds.
        rounds: usize,
    },
}

impl Unscored {
    /// Who has too few.
    pub fn lacking(&self) -> Option<&str> {
        match self {
            Self::NoRounds => None,
            Self::TooFew { datapath, .. } => Some(datapath),
        }
    }
}

impl Scores {
    /// Of these candidates, which are all on ports of one kind.
    ///
    /// # Errors
    /// Where they cannot be compared.
    pub fn of(
        candidates: &[&str],
        selected: &Selected<'_, '_>,
        weights: Weights,
        width: Option<f64>,
    ) -> Result<Self, Unscored> {
        let width = width.ok_or(Unscored::NoRounds)?;
        let of_scenario =
            |scenario: &&ScenarioFigures<'_>| OfScenario::of(scenario, candidates, weights);
        let scenarios = selected.0.iter().map(of_scenario);
        Ok(Self {
            candidates: candidates.len(),
            scenarios: scenarios.collect::<Result<_, _>>()?,
            width,
        })
    }

    /// Rounds that count, in the scenario that has the fewest.
    pub fn rounds(&self) -> usize {
        let rounds = self.scenarios.iter().map(|it| it.rounds.len());
        rounds.min().unwrap_or(0)
    }

    /// The numbers of those that count in a scenario.
    pub fn numbers(&self, scenario: &str) -> Vec<u32> {
        let of = self.scenarios.iter().filter(|it| it.id == scenario);
        let rounds = of.flat_map(|it| &it.rounds);
        rounds.map(|round| round.number).collect()
    }

    /// Ratios of the score of each candidate to that of each later one, in the order of [`ranking::pairs`], which hold together but
    /// with the probability `error`.
    pub fn compare(&self, weights: Weights, error: f64) -> Vec<Interval> {
        let weights = Figure::ALL.map(|figure| weight(figure, weights));
        self.intervals(weights, &pairs(self.candidates), error)
    }

    /// Ratios of one figure of `best` to that of each of the others, likewise.
    pub fn figure(&self, figure: Figure, best: usize, error: f64) -> Vec<(usize, Interval)> {
        let weights = Figure::ALL.map(|it| f64::from(u8::from(it == figure)));
        let others: Vec<usize> = (0..self.candidates).filter(|it| *it != best).collect();
        let pairs: Vec<(usize, usize)> = others.iter().map(|other| (best, *other)).collect();
        let found = self.intervals(weights, &pairs, error);
        others.into_iter().zip(found).collect()
    }

    fn intervals(&self, weights: [f64; 3], pairs: &[(usize, usize)], error: f64) -> Vec<Interval> {
        let weighed = |scenario: &OfScenario| {
            let mut rounds = Rounds::new(self.candidates);
            for round in &scenario.rounds {
                let score = |figures| f64::exp(weigh(figures, weights));
                let scores: Vec<f64> = round.figures.iter().map(score).collect();
                // A score is the exponential of a number, so a positive one.
                let _ = rounds.push_in(round.distance, &scores);
            }
            rounds
        };
        let scenarios: Vec<Rounds> = self.scenarios.iter().map(weighed).collect();
        let scenarios: Vec<&Rounds> = scenarios.iter().collect();
        intervals_over(&scenarios, pairs, error, self.width)
    }
}

fn weigh(figures: &[f64; 3], weights: [f64; 3]) -> f64 {
    let weighed = figures.iter().zip(weights);
    weighed.map(|(figure, weight)| figure * weight).sum()
}

impl OfScenario {
    /// The first rounds that all candidates were in, up to one in which one of them lacks a figure that is weighed.
    fn of(
        scenario: &ScenarioFigures<'_>,
        candidates: &[&str],
        weights: Weights,
    ) -> Result<Self, Unscored> {
        let cell = |name: &&str| scenario.cells.iter().find(|cell| cell.datapath == *name);
        let cells: Vec<&Cell<'_>> = candidates.iter().filter_map(cell).collect();
        let fewest = cells.iter().min_by_key(|cell| cell.rounds_anywhere.len());
        let mut rounds = Vec::new();
        if let Some(fewest) = fewest.filter(|_| cells.len() == candidates.len()) {
            let mut its_own = fewest.rounds_anywhere.clone();
            its_own.sort_by_key(|round| round.round);
            let common = its_own.into_iter().filter_map(|it| {
                let all: Option<Vec<&RoundRecord>> =
                    cells.iter().map(|cell| round_of(cell, it.round)).collect();
                Some((it, all?))
            });
            let whole = common.map_while(|(it, all)| {
                let figures = all.into_iter().map(|round| figures(round, weights));
                Some(Round {
                    number: it.round,
                    distance: it.distance,
                    figures: figures.collect::<Option<_>>()?,
                })
            });
            rounds = whole.collect();
        }
        let distances: Vec<Stratum> = rounds.iter().map(|round| round.distance).collect();
        if !are_enough(&distances) {
            return Err(Unscored::TooFew {
                datapath: fewest.map_or("nothing", |cell| cell.datapath).to_owned(),
                scenario: scenario.id.to_owned(),
                rounds: rounds.len(),
            });
        }
        Ok(Self {
            id: scenario.id.to_owned(),
            rounds,
        })
    }
}

/// What a cell has of the round with this number.
fn round_of<'c>(cell: &'c Cell<'_>, number: u32) -> Option<&'c RoundRecord> {
    let mut rounds = cell.rounds_anywhere.iter();
    rounds.find(|round| round.round == number).copied()
}

/// The figures of a round, as logarithms; nothing if one is missing that is weighed.
fn figures(round: &RoundRecord, weights: Weights) -> Option<[f64; 3]> {
    let mut figures = [0.0; 3];
    for (place, figure) in Figure::ALL.into_iter().enumerate() {
        match figure.of(round) {
            Some(figure) => figures[place] = figure.ln(),
            None if weight(figure, weights) == 0.0 => {}
            None => return None,
        }
    }
    Some(figures)
}
