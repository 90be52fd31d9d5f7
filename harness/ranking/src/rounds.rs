//! Figures of contestants, by round.

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
}

impl Rounds {
    /// No rounds of so many contestants.
    #[must_use]
    pub fn new(contestants: usize) -> Self {
        Self {
            logarithms: vec![Vec::new(); contestants],
        }
    }

    /// Adds a round.
    ///
    /// # Errors
    /// Where there is not one positive figure for each contestant; nothing is added then.
    pub fn push(&mut self, figures: &[f64]) -> Result<(), FigureError> {
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
        self.logarithms.first().map_or(0, Vec::len)
    }

    /// Whether there is no round.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
