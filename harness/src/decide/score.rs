//! Datapaths weighed against each other, by the rounds that they had together.
//!
//! The score is a weighted product (Bridgman 1922, "Dimensional Analysis"; Miller and Starr 1969): the logarithm of each
//! figure times its weight, added up. It has no unit, and a ratio of two scores does not depend on what figures are measured
//! in. Since it is there for each round, scores are compared as rates are: see [`ranking`].

use super::Selected;
use super::requirements::Weights;
use crate::figure::Figure;
use crate::record::RoundRecord;
use crate::report::cell::Cell;
use ranking::{Interval, Rounds, STAGES, intervals, pairs};

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
    /// By candidate, then scenario, then round: its figures, as logarithms.
    figures: Vec<Vec<Vec<[f64; 3]>>>,
    /// Rounds that all of them have, in every scenario.
    rounds: usize,
    /// Width of the searches.
    width: f64,
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
    #[error("{datapath} has {rounds} rounds in {scenario} with all figures that are weighed; {} are needed", STAGES[0])]
    TooFew {
        /// The datapath.
        datapath: String,
        /// The scenario.
        scenario: String,
        /// Rounds.
        rounds: usize,
    },
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
        let mut figures = Vec::new();
        let mut fewest = usize::MAX;
        for candidate in candidates {
            let mut of_scenarios = Vec::new();
            for (scenario, cell) in selected.cells_of(candidate) {
                let rounds = of_rounds(cell, weights);
                if rounds.len() < STAGES[0] {
                    return Err(Unscored::TooFew {
                        datapath: (*candidate).to_owned(),
                        scenario: scenario.to_owned(),
                        rounds: rounds.len(),
                    });
                }
                fewest = fewest.min(rounds.len());
                of_scenarios.push(rounds);
            }
            figures.push(of_scenarios);
        }
        Ok(Self {
            figures,
            rounds: if fewest == usize::MAX { 0 } else { fewest },
            width,
        })
    }

    /// Rounds that count, in each scenario.
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Ratios of the score of each candidate to that of each later one, in the order of [`ranking::pairs`], which hold together but
    /// with the probability `error`.
    pub fn compare(&self, weights: Weights, error: f64) -> Vec<Interval> {
        let weights = Figure::ALL.map(|figure| weight(figure, weights));
        self.intervals(weights, &pairs(self.figures.len()), error)
    }

    /// Ratios of one figure of `best` to that of each of the others, likewise.
    pub fn figure(&self, figure: Figure, best: usize, error: f64) -> Vec<(usize, Interval)> {
        let weights = Figure::ALL.map(|it| f64::from(u8::from(it == figure)));
        let others: Vec<usize> = (0..self.figures.len()).filter(|it| *it != best).collect();
        let pairs: Vec<(usize, usize)> = others.iter().map(|other| (best, *other)).collect();
        let found = self.intervals(weights, &pairs, error);
        others.into_iter().zip(found).collect()
    }

    fn intervals(&self, weights: [f64; 3], pairs: &[(usize, usize)], error: f64) -> Vec<Interval> {
        let mut rounds = Rounds::new(self.figures.len());
        for round in 0..self.rounds {
            let score = |scenarios: &Vec<Vec<[f64; 3]>>| {
                let scores = scenarios
                    .iter()
                    .map(|rounds| weigh(&rounds[round], weights));
                (scores.sum::<f64>() / scenarios.len().max(1) as f64).exp()
            };
            let scores: Vec<f64> = self.figures.iter().map(score).collect();
            // A score is the exponential of a number, so a positive one.
            let _ = rounds.push(&scores);
        }
        intervals(&rounds, pairs, error, self.width)
    }
}

fn weigh(figures: &[f64; 3], weights: [f64; 3]) -> f64 {
    let weighed = figures.iter().zip(weights);
    weighed.map(|(figure, weight)| figure * weight).sum()
}

/// The first rounds of a cell, up to one without a figure that is weighed.
fn of_rounds(cell: &Cell<'_>, weights: Weights) -> Vec<[f64; 3]> {
    let mut rounds: Vec<&RoundRecord> = cell.rounds.clone();
    rounds.sort_by_key(|round| round.round);
    let whole = |round: &&RoundRecord| {
        let mut figures = [0.0; 3];
        for (place, figure) in Figure::ALL.into_iter().enumerate() {
            match figure.of(round) {
                Some(figure) => figures[place] = figure.ln(),
                None if weight(figure, weights) == 0.0 => {}
                None => return None,
            }
        }
        Some(figures)
    };
    rounds.iter().map_while(whole).collect()
}
