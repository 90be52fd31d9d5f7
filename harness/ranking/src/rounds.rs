//! Figures of contestants, by round.
//!
//! Rounds may be of several *strata*: circumstances that shift figures, those of each contestant by a part of its own, such as
//! where a hypervisor has the processors. Ratios of two strata are not of one thing; how far figures of one stratum are off from
//! each other is taken to be alike in all.

use std::collections::BTreeMap;

/// The circumstances of a round, numbered.
pub type Stratum = u32;

/// A round cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum FigureError {
    /// Ratios need positive numbers.
    #[error("{0} is not a finite number above zero")]
    NotPositive(f64),
    /// Each contestant has one figure in each round.
    #[error("{found} figures for {expected} contestants")]
    Count {
        /// Contestants.
        expected: usize,
        /// Figures.
        found: usize,
    },
}

/// Rounds in which all contestants have a figure. Larger figures are better.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounds {
    /// Natural logarithms, by contestant, then round.
    logarithms: Vec<Vec<f64>>,
    /// By round.
    strata: Vec<Stratum>,
}

impl Rounds {
    /// No rounds of so many contestants.
    #[must_use]
    pub fn new(contestants: usize) -> Self {
        Self {
            logarithms: vec![Vec::new(); contestants],
            strata: Vec::new(),
        }
    }

    /// Adds a round, where all rounds are of one stratum.
    ///
    /// # Errors
    /// Where there is not one positive figure for each contestant; nothing is added then.
    pub fn push(&mut self, figures: &[f64]) -> Result<(), FigureError> {
        self.push_in(0, figures)
    }

    /// Adds a round of a stratum.
    ///
    /// # Errors
    /// As [`Rounds::push`].
    pub fn push_in(&mut self, stratum: Stratum, figures: &[f64]) -> Result<(), FigureError> {
        if figures.len() != self.contestants() {
            return Err(FigureError::Count {
                expected: self.contestants(),
                found: figures.len(),
            });
        }
        let is_wrong = |figure: &&f64| !(figure.is_finite() && **figure > 0.0);
        if let Some(figure) = figures.iter().find(is_wrong) {
            return Err(FigureError::NotPositive(*figure));
        }
        for (logarithms, figure) in self.logarithms.iter_mut().zip(figures) {
            logarithms.push(figure.ln());
        }
        self.strata.push(stratum);
        Ok(())
    }

    /// Contestants.
    #[must_use]
    pub fn contestants(&self) -> usize {
        self.logarithms.len()
    }

    /// Rounds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.strata.len()
    }

    /// Whether there is no round.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The stratum with the most rounds, of several the one that came first, and how many it has.
    #[must_use]
    pub fn most(&self) -> (Stratum, usize) {
        most(&self.strata)
    }

    /// By round.
    pub(crate) fn strata(&self) -> &[Stratum] {
        &self.strata
    }

    /// How far each contestant is off from the mean of all, as logarithms: by contestant, then round.
    pub(crate) fn residuals(&self) -> Vec<Vec<f64>> {
        let contestants = self.contestants() as f64;
        let mean = |round: usize| {
            let all = self.logarithms.iter().map(|it| it[round]);
            all.sum::<f64>() / contestants
        };
        let means: Vec<f64> = (0..self.len()).map(mean).collect();
        let of = |own: &Vec<f64>| own.iter().zip(&means).map(|(it, mean)| it - mean).collect();
        self.logarithms.iter().map(of).collect()
    }

    /// The logarithm of the ratio of two contestants' figures, in each round; nothing of one that is not there.
    pub(crate) fn differences(&self, (one, other): (usize, usize)) -> Vec<f64> {
        let of = |contestant: usize| self.logarithms.get(contestant).into_iter().flatten();
        of(one)
            .zip(of(other))
            .map(|(one, other)| one - other)
            .collect()
    }
}

/// What occurs most often, of several the one that came first, and how often; the number 0, never, of nothing.
pub(crate) fn most(strata: &[Stratum]) -> (Stratum, usize) {
    let mut counts = BTreeMap::<Stratum, (usize, usize)>::new();
    for (place, stratum) in strata.iter().enumerate() {
        counts.entry(*stratum).or_insert((0, place)).0 += 1;
    }
    let most = counts
        .into_iter()
        .max_by_key(|(_, (count, first))| (*count, std::cmp::Reverse(*first)));
    most.map_or((0, 0), |(stratum, (count, _))| (stratum, count))
}
