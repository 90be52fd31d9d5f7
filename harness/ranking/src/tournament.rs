//! Rounds until every pair is decided, or time is over.
//!
//! Who looks at intervals after every round, and stops when one says what he hopes for, is wrong more often than the
//! intervals say. So there are stages, fixed beforehand, at which verdicts are spoken; each has its part of the error that is
//! allowed in all (Bonferroni), and a verdict stays. One part more is held back, since with few rounds intervals miss the
//! truth a little more often than they say. From one to the next the rounds double, which makes intervals narrower
//! by 30 %.
//!
//! Rounds may be of several strata ([`crate::rounds`]). Verdicts are spoken of the one with the most rounds at the time, by all
//! rounds together: which one that is and when it is does not depend on figures.

use crate::interval::{Interval, intervals};
use crate::rounds::{FigureError, Rounds, Stratum, most};
use crate::verdict::{Tolerance, Verdict, pairs};
use std::collections::BTreeMap;

/// After how many rounds verdicts are spoken. With fewer than the first, intervals are narrower than they should be:
/// `RANKING.md` has the figures.
pub const STAGES: [usize; 3] = [8, 16, 32];

/// So many rounds must be of the stratum of which a verdict is spoken: of fewer no extreme is left out.
pub const FEWEST_OF_STRATUM: usize = 5;

/// Whether rounds of these strata are enough for a verdict.
#[must_use]
pub fn are_enough(strata: &[Stratum]) -> bool {
    strata.len() >= STAGES[0] && most(strata).1 >= FEWEST_OF_STRATUM
}

/// Two contestants, and what is known of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// One of them.
    pub one: usize,
    /// The other.
    pub other: usize,
    /// Rounds that say so,
    pub rounds: usize,
    /// and the stratum of which they say it.
    pub stratum: Stratum,
    /// The ratio of the one's figures to the other's.
    pub interval: Interval,
    /// What follows.
    pub verdict: Verdict,
}

/// Contestants that are measured against each other.
#[derive(Debug, Clone)]
pub struct Tournament {
    tolerance: Tolerance,
    error: f64,
    resolution: f64,
    /// By contestant, then round.
    figures: Vec<Vec<f64>>,
    /// By round.
    strata: Vec<Stratum>,
    /// Rounds that wait for figures, by number.
    open: BTreeMap<u32, Open>,
    /// Contestants of the next round.
    due: Vec<usize>,
    pairs: Vec<Pair>,
    /// The next of [`STAGES`].
    stage: usize,
    /// Rounds when verdicts were spoken last.
    judged: usize,
}

/// A round of which not all figures are there.
#[derive(Debug, Clone)]
struct Open {
    stratum: Stratum,
    /// By contestant.
    figures: BTreeMap<usize, f64>,
}

impl Tournament {
    /// So many contestants, none of them measured. In all its verdicts together the tournament is wrong with at most the
    /// probability `error`. By how they are found, figures of one thing may differ by `resolution`, as a share.
    #[must_use]
    pub fn new(contestants: usize, tolerance: Tolerance, error: f64, resolution: f64) -> Self {
        let pairs = pairs(contestants).into_iter().map(|(one, other)| Pair {
            one,
            other,
            rounds: 0,
            stratum: 0,
            interval: Interval::UNKNOWN,
            verdict: Verdict::Undecided,
        });
        let mut tournament = Self {
            tolerance,
            error,
            resolution,
            figures: vec![Vec::new(); contestants],
            strata: Vec::new(),
            open: BTreeMap::new(),
            due: (0..contestants).collect(),
            pairs: pairs.collect(),
            stage: 0,
            judged: 0,
        };
        tournament.leave_the_decided();
        tournament
    }

    /// Contestants of the next round, ascending; none when it is over.
    #[must_use]
    pub fn due(&self) -> &[usize] {
        &self.due
    }

    /// All pairs.
    #[must_use]
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// Those that are due and have no figure yet in the first open round of a stratum; all that are due if none is open.
    #[must_use]
    pub fn wanted(&self, stratum: Stratum) -> Vec<usize> {
        let open = self.open.values().find(|open| open.stratum == stratum);
        let has = |contestant: &usize| open.is_some_and(|it| it.figures.contains_key(contestant));
        self.due.iter().copied().filter(|it| !has(it)).collect()
    }

    /// Whether no round of a stratum waits for some of its figures.
    #[must_use]
    pub fn is_between(&self, stratum: Stratum) -> bool {
        self.open.values().all(|open| open.stratum != stratum)
    }

    /// Whether a round waits for the figure of a contestant.
    #[must_use]
    pub fn waits_for(&self, contestant: usize) -> bool {
        let lacks = |open: &Open| !open.figures.contains_key(&contestant);
        self.due.contains(&contestant) && self.open.values().any(lacks)
    }

    /// Whether verdicts were spoken, or there is nobody to speak of.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.stage > 0 || self.due.is_empty()
    }

    /// Rounds that those still in it have.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.strata.len()
    }

    /// Takes the figures of a round, in the order of [`Tournament::due`], where all rounds are of one stratum.
    ///
    /// # Errors
    /// Where there is not one positive figure for each.
    pub fn record(&mut self, figures: &[f64]) -> Result<(), FigureError> {
        self.record_in(0, figures)
    }

    /// Takes one figure of a round, which is known by its number; the round counts when all that are due have one. That of a
    /// contestant who is not due any more counts for nothing.
    ///
    /// # Errors
    /// Where it is not positive.
    pub fn enter(
        &mut self,
        round: u32,
        stratum: Stratum,
        contestant: usize,
        figure: f64,
    ) -> Result<(), FigureError> {
        Rounds::new(1).push(&[figure])?;
        if self.due.contains(&contestant) {
            let open = self.open.entry(round).or_insert_with(|| Open {
                stratum,
                figures: BTreeMap::new(),
            });
            open.figures.insert(contestant, figure);
            self.complete();
        }
        Ok(())
    }

    /// Takes out a contestant that cannot be measured any more: its open pairs stay undecided.
    pub fn withdraw(&mut self, contestant: usize) {
        self.due.retain(|it| *it != contestant);
        self.leave_the_decided();
        self.complete();
    }

    /// Time is over: speaks what verdicts the rounds allow that came after the last stage.
    pub fn end(&mut self) {
        if self.rounds() > self.judged && are_enough(&self.strata) {
            self.judge();
        }
        self.due.clear();
    }

    fn record_in(&mut self, stratum: Stratum, figures: &[f64]) -> Result<(), FigureError> {
        Rounds::new(self.due.len()).push(figures)?;
        for (contestant, figure) in self.due.iter().zip(figures) {
            self.figures[*contestant].push(*figure);
        }
        self.strata.push(stratum);
        let stage = STAGES.get(self.stage);
        if stage.is_some_and(|stage| self.rounds() >= *stage) && are_enough(&self.strata) {
            self.judge();
        }
        Ok(())
    }

    /// Takes open rounds in which all that are due have a figure.
    fn complete(&mut self) {
        while !self.due.is_empty() {
            let is_whole = |open: &Open| self.due.iter().all(|it| open.figures.contains_key(it));
            let whole = self.open.iter().find(|(_, open)| is_whole(open));
            let Some(open) = whole
                .map(|(number, _)| *number)
                .and_then(|number| self.open.remove(&number))
            else {
                return;
            };
            let figures: Vec<f64> = self.due.iter().map(|it| open.figures[it]).collect();
            // They were checked when they came.
            let _ = self.record_in(open.stratum, &figures);
        }
    }

    /// Speaks verdicts on open pairs of those still in it.
    fn judge(&mut self) {
        let mut rounds = Rounds::new(self.due.len());
        for round in 0..self.rounds() {
            let figures: Vec<f64> = self.due.iter().map(|it| self.figures[*it][round]).collect();
            // They were checked when they came.
            let _ = rounds.push_in(self.strata[round], &figures);
        }
        let (stratum, _) = rounds.most();
        let place = |contestant: usize| self.due.iter().position(|it| *it == contestant);
        let is_open = |pair: &Pair| !pair.verdict.is_decided();
        let open: Vec<(usize, (usize, usize))> = self
            .pairs
            .iter()
            .enumerate()
            .filter(|(_, pair)| is_open(pair))
            .filter_map(|(index, pair)| Some((index, (place(pair.one)?, place(pair.other)?))))
            .collect();
        let places: Vec<(usize, usize)> = open.iter().map(|(_, places)| *places).collect();
        let error = self.error / (STAGES.len() + 1) as f64;
        let found = intervals(&rounds, &places, error, self.resolution);
        for ((index, _), interval) in open.into_iter().zip(found) {
            self.pairs[index].rounds = rounds.len();
            self.pairs[index].stratum = stratum;
            self.pairs[index].interval = interval;
            self.pairs[index].verdict = Verdict::of(&interval, self.tolerance);
        }
        self.judged = rounds.len();
        self.stage += 1;
        if self.stage == STAGES.len() {
            self.due.clear();
        }
        self.leave_the_decided();
    }

    /// Who is in no open pair any more, with others still in it, is not measured any more, and in no open round.
    fn leave_the_decided(&mut self) {
        let due = std::mem::take(&mut self.due);
        let is_open = |contestant: usize| {
            self.pairs.iter().any(|pair| {
                !pair.verdict.is_decided()
                    && due.contains(&pair.one)
                    && due.contains(&pair.other)
                    && (pair.one == contestant || pair.other == contestant)
            })
        };
        self.due = due.iter().copied().filter(|it| is_open(*it)).collect();
        for open in self.open.values_mut() {
            open.figures
                .retain(|contestant, _| self.due.contains(contestant));
        }
        self.open.retain(|_, open| !open.figures.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tournament(contestants: usize) -> Tournament {
        Tournament::new(contestants, Tolerance::DEFAULT, 0.05, 0.02)
    }

    /// Figures that differ by some percent from round to round.
    fn figures(due: &[usize], rates: &[f64], round: usize) -> Vec<f64> {
        let wobble = |it: usize| 1.0 + 0.08 * ((round * 7 + it * 3) % 5) as f64 / 5.0;
        due.iter().map(|it| rates[*it] * wobble(*it)).collect()
    }

    #[test]
    fn who_is_decided_leaves_and_the_others_go_on() {
        let rates = [4e6, 1e6, 1.01e6];
        let mut tournament = tournament(3);
        for round in 0..STAGES[0] {
            assert_eq!(tournament.due(), [0, 1, 2]);
            let figures = figures(tournament.due(), &rates, round);
            tournament.record(&figures).unwrap();
        }
        assert_eq!(tournament.pairs()[0].verdict, Verdict::Faster);
        assert_eq!(tournament.pairs()[1].verdict, Verdict::Faster);
        assert_eq!(tournament.due(), [1, 2]);
        let mut round = STAGES[0];
        while !tournament.due().is_empty() {
            let figures = figures(tournament.due(), &rates, round);
            tournament.record(&figures).unwrap();
            round += 1;
        }
        let last = tournament.pairs()[2];
        assert_eq!(last.verdict, Verdict::Equivalent);
        assert!(STAGES.contains(&last.rounds) && last.rounds == round);
    }

    #[test]
    fn time_that_is_over_leaves_pairs_undecided() {
        let mut tournament = tournament(2);
        for _ in 1..STAGES[0] {
            tournament.record(&[1.0, 2.0]).unwrap();
        }
        tournament.end();
        assert_eq!(tournament.due(), [] as [usize; 0]);
        assert_eq!(tournament.pairs()[0].verdict, Verdict::Undecided);
        assert_eq!(tournament.pairs()[0].interval, Interval::UNKNOWN);
    }

    #[test]
    fn time_that_is_over_between_two_stages_is_not_for_nothing() {
        // Noise that few rounds cannot see through: at the first stage nothing is decided.
        let noise = [0.06, -0.05, 0.05, -0.06, 0.07, -0.07, 0.04, -0.04];
        let mut tournament = tournament(2);
        for round in 0..STAGES[1] - 2 {
            let factor = 1.0 + noise[round % noise.len()];
            tournament.record(&[1e6, 1.1e6 * factor]).unwrap();
        }
        let before = tournament.pairs()[0];
        assert_eq!(
            (before.rounds, before.verdict),
            (STAGES[0], Verdict::Undecided)
        );
        tournament.end();
        let after = tournament.pairs()[0];
        assert_eq!(after.rounds, STAGES[1] - 2);
        let width = |pair: Pair| pair.interval.upper / pair.interval.lower;
        assert!(width(after) < width(before), "{before:?}, {after:?}");
    }

    #[test]
    fn who_withdraws_leaves_its_pairs_undecided_and_the_others_go_on() {
        let mut tournament = tournament(3);
        tournament.record(&[1e6, 2e6, 3e6]).unwrap();
        tournament.withdraw(1);
        assert_eq!(tournament.due(), [0, 2]);
        tournament.withdraw(0);
        assert_eq!(tournament.due(), [] as [usize; 0]);
    }

    /// Rounds of two strata in turns, of which one shifts the first contestant by a half; some wait for their last figure while
    /// others begin.
    #[test]
    fn rounds_of_two_strata_are_judged_together() {
        let mut tournament = tournament(2);
        let mut number = 0;
        while !tournament.is_judged() {
            let stratum = number % 2;
            assert!(tournament.is_between(stratum));
            let shift = if stratum == 0 { 1.0 } else { 1.5 };
            let wobble = 1.0 + 0.01 * f64::from(number % 3);
            tournament
                .enter(number, stratum, 0, 1e6 * shift * wobble)
                .unwrap();
            assert_eq!(tournament.wanted(stratum), [1]);
            assert_eq!(tournament.wanted(1 - stratum), [0, 1]);
            tournament.enter(number, stratum, 1, 0.5e6).unwrap();
            number += 1;
        }
        // Eight rounds are four of each, which are too few of either.
        assert_eq!((number, tournament.rounds()), (9, 9));
        let pair = tournament.pairs()[0];
        assert_eq!(
            (pair.verdict, pair.stratum, pair.rounds),
            (Verdict::Faster, 0, 9)
        );
        assert!((pair.interval.ratio - 2.0).abs() < 0.03, "{pair:?}");
        assert!(tournament.due().is_empty());
    }

    #[test]
    fn a_round_is_whole_once_who_is_missing_withdraws() {
        let mut tournament = tournament(3);
        for contestant in [0, 2] {
            tournament.enter(7, 1, contestant, 1e6).unwrap();
            tournament.enter(9, 0, contestant, 1e6).unwrap();
        }
        assert_eq!((tournament.rounds(), tournament.wanted(0)), (0, vec![1]));
        tournament.withdraw(1);
        assert_eq!((tournament.rounds(), tournament.wanted(0)), (2, vec![0, 2]));
        // Of one that is not in it any more, and what is no figure.
        tournament.enter(10, 0, 1, 1e6).unwrap();
        assert!(tournament.is_between(0));
        assert!(tournament.enter(10, 0, 2, 0.0).is_err());
    }

    #[test]
    fn one_alone_has_nobody_to_compare_with() {
        assert_eq!(tournament(1).due(), [] as [usize; 0]);
        assert_eq!(tournament(0).due(), [] as [usize; 0]);
    }

    #[test]
    fn a_wrong_figure_is_refused_and_leaves_the_round_open() {
        let mut tournament = tournament(2);
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(tournament.record(&[1.0, wrong]).is_err(), "{wrong}");
        }
        assert!(tournament.record(&[1.0]).is_err());
        assert_eq!(tournament.rounds(), 0);
    }
}
