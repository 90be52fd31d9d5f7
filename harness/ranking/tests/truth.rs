//! Tournaments whose truth is known: how often intervals miss it, and how often verdicts are wrong.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ranking::{Pair, Rounds, STAGES, Stratum, Tolerance, Tournament, Verdict, intervals};

/// What the machine does to figures.
#[derive(Debug, Clone, Copy)]
enum Noise {
    /// Normal, by a percent and a half.
    Calm,
    /// Each figure is off by a part of its own: some contestants are steady, some are not.
    Uneven,
    /// As a shared machine: a slow drift that all have in common, bursts that take up to a third for some rounds, and one
    /// figure in twelve off by up to a third for itself.
    Shared,
    /// As found by a search for bounds three percent apart, whose loads begin at random: the lower one.
    Coarse,
    /// As beside others that take the machine's caches and execution units: a round is off by a fifth for all, and each figure
    /// by a part of its own of up to a half.
    Neighbours,
    /// Every other contestant is off by a tenth in a round, all of these by as much: as those that need the kernel, and those that
    /// do not.
    Halves,
}

const NOISES: [Noise; 6] = [
    Noise::Calm,
    Noise::Uneven,
    Noise::Shared,
    Noise::Coarse,
    Noise::Neighbours,
    Noise::Halves,
];

/// A standard normal deviate (Box and Muller 1958).
fn normal(random: &mut StdRng) -> f64 {
    let (one, other): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

/// A machine on which contestants with these true rates are measured, round by round.
struct Machine {
    rates: Vec<f64>,
    noise: Noise,
    drift: f64,
    burst: f64,
    half: f64,
    /// Where processors are.
    stratum: Stratum,
    /// How many times as noisy it is in the first stratum.
    louder: f64,
    random: StdRng,
}

impl Machine {
    fn new(rates: &[f64], noise: Noise, seed: u64) -> Self {
        Self {
            rates: rates.to_vec(),
            noise,
            drift: 0.0,
            burst: 0.0,
            half: 0.0,
            stratum: 0,
            louder: 1.0,
            random: StdRng::seed_from_u64(seed),
        }
    }

    fn round(&mut self, due: &[usize]) -> Vec<f64> {
        self.drift += 0.01 * normal(&mut self.random);
        self.half = 0.1 * normal(&mut self.random);
        // A burst begins in one round of ten, and lasts for three.
        if self.random.random_bool(0.1) {
            self.burst = 0.33 * self.random.random::<f64>();
        } else if self.random.random_bool(1.0 / 3.0) {
            self.burst = 0.0;
        }
        due.iter().map(|it| self.figure(*it)).collect()
    }

    fn figure(&mut self, contestant: usize) -> f64 {
        let rate = self.rates[contestant].ln() + shift(contestant, self.stratum);
        let louder = if self.stratum == 0 { self.louder } else { 1.0 };
        let own = louder * normal(&mut self.random);
        let logarithm = match self.noise {
            Noise::Calm => rate + 0.015 * own,
            Noise::Uneven => rate + 0.005 * (1 + contestant) as f64 * own,
            Noise::Shared => {
                let is_off = self.random.random_bool(1.0 / 12.0);
                let off = if is_off { 0.33 } else { 0.0 } * self.random.random::<f64>();
                rate + self.drift - self.burst - off + 0.015 * own
            }
            Noise::Neighbours => {
                let share = 0.1 * (1 + contestant % 5) as f64;
                rate + 20.0 * self.drift + share * own
            }
            Noise::Halves if contestant.is_multiple_of(2) => rate + self.half + 0.015 * own,
            Noise::Halves => rate + 0.015 * own,
            Noise::Coarse => rate + 0.005 * own - RESOLUTION * self.random.random::<f64>(),
        };
        logarithm.exp()
    }
}

/// What a stratum does to a contestant: the first ones are up to twice as slow in another one, the last ones hardly so.
fn shift(contestant: usize, stratum: Stratum) -> f64 {
    -0.7 * f64::from(stratum) / (1.0 + contestant as f64)
}

/// The width of a search, as in the profile quick.
const RESOLUTION: f64 = 0.03;

/// Most misses among `count` where each happens with the probability `error`, but for one such count in a thousand: three
/// standard errors above what is expected.
fn most(count: u32, error: f64) -> u32 {
    let (count, expected) = (f64::from(count), f64::from(count) * error);
    (expected + 3.1 * (count * error * (1.0 - error)).sqrt()).ceil() as u32
}

/// Rates of which all kinds of pairs can be made: equal, off by less than the tolerance, by as much, by more, by far.
const RATES: [f64; 5] = [1e6, 1.0e6, 1.02e6, 1.05e6, 1.6e6];

/// What a tournament asks of a stage, of five percent in all,
const ASKED: f64 = 0.05 / 4.0;
/// and what a stage may take of it.
const ALLOWED: f64 = 0.05 / 3.0;

/// In how many of so many stages any interval misses the truth, where each stratum has so many rounds and the first one is so many
/// times as noisy as the others.
fn missed(noise: Noise, louder: f64, pairs: &[(usize, usize)], rounds: &[usize], runs: u32) -> u32 {
    let is_missed = |seed: &u64| {
        let mut machine = Machine::new(&RATES, noise, *seed);
        machine.louder = louder;
        let mut measured = Rounds::new(RATES.len());
        let all: Vec<usize> = (0..RATES.len()).collect();
        for (stratum, count) in (0..).zip(rounds) {
            machine.stratum = stratum;
            for _ in 0..*count {
                let pushed = measured.push_in(stratum, &machine.round(&all));
                assert_eq!(pushed, Ok(()));
            }
        }
        let found = intervals(&measured, pairs, ASKED, RESOLUTION);
        pairs.iter().zip(found).any(|((one, other), interval)| {
            let truth = RATES[*one] / RATES[*other];
            truth < interval.lower || truth > interval.upper
        })
    };
    let missed = (0..u64::from(runs)).filter(is_missed).count() as u32;
    let of = pairs.len();
    println!(
        "{noise:?}, {louder} times, {of} pairs, rounds {rounds:?}: missed in {missed} of {runs}"
    );
    missed
}

/// Rounds of each stratum, where there are several.
const SPLITS: [&[usize]; 5] = [&[5, 4], &[5, 3, 3], &[8, 8], &[12, 4], &[17, 15]];

/// All pairs, and one alone.
fn some_pairs() -> [Vec<(usize, usize)>; 2] {
    let all = ranking::pairs(RATES.len());
    let one = all[1..2].to_vec();
    [all, one]
}

#[test]
fn intervals_hold_together_as_often_as_a_stage_must() {
    const RUNS: u32 = 5_000;
    for (noise, pairs) in NOISES
        .into_iter()
        .flat_map(|it| some_pairs().map(|pairs| (it, pairs)))
    {
        for count in STAGES {
            let missed = missed(noise, 1.0, &pairs, &[count], RUNS);
            assert!(
                missed <= most(RUNS, ALLOWED),
                "{noise:?}, {count} rounds: {missed} of {RUNS}"
            );
        }
    }
}

/// Some rounds were made in other strata than that of which intervals are spoken: as many, or fewer.
#[test]
fn intervals_hold_together_where_other_strata_say_how_steady_figures_are() {
    const RUNS: u32 = 4_000;
    for (noise, pairs) in NOISES
        .into_iter()
        .flat_map(|it| some_pairs().map(|pairs| (it, pairs)))
    {
        for split in SPLITS {
            let missed = missed(noise, 1.0, &pairs, split, RUNS);
            assert!(
                missed <= most(RUNS, ALLOWED),
                "{noise:?}, rounds {split:?}: {missed} of {RUNS}"
            );
        }
    }
}

/// Beyond what the method assumes: the stratum in question is twice as noisy as the others. A stage takes up to twice of what it may
/// then; the tournament as a whole keeps to its error (below).
#[test]
fn a_stratum_that_is_less_steady_than_others_is_not_much_oftener_missed() {
    const RUNS: u32 = 4_000;
    for (noise, pairs) in NOISES
        .into_iter()
        .flat_map(|it| some_pairs().map(|pairs| (it, pairs)))
    {
        for split in SPLITS {
            let missed = missed(noise, 2.0, &pairs, split, RUNS);
            assert!(
                missed <= most(RUNS, 2.0 * ALLOWED),
                "{noise:?}, rounds {split:?}: {missed} of {RUNS}"
            );
        }
    }
}

/// Tournaments during which processors are moved now and then: verdicts are held against the truth of their stratum. Either stratum
/// may be twice as noisy as the other.
#[test]
fn tournaments_over_two_strata_are_seldom_wrong() {
    const RUNS: u32 = 2_000;
    let rates: &[f64] = &[1e6, 1e6, 1.051e6, 1.2e6];
    for (noise, louder) in NOISES
        .into_iter()
        .flat_map(|it| [1.0, 2.0].map(|louder| (it, louder)))
    {
        let truth = |pair: &Pair| {
            let of = |it: usize| rates[it].ln() + shift(it, pair.stratum);
            (of(pair.one) - of(pair.other)).exp()
        };
        let (mut wrong, mut missed) = (0, 0);
        for seed in 0..RUNS {
            let mut machine = Machine::new(rates, noise, seed.into());
            machine.louder = louder;
            let mut moves = StdRng::seed_from_u64(u64::from(seed) + 77);
            let mut tournament = Tournament::new(rates.len(), Tolerance::DEFAULT, 0.05, RESOLUTION);
            let mut number = 0;
            while !tournament.due().is_empty() {
                if moves.random_bool(0.3) {
                    machine.stratum = 1 - machine.stratum;
                }
                let due = tournament.due().to_vec();
                for (contestant, figure) in due.iter().zip(machine.round(&due)) {
                    let entered = tournament.enter(number, machine.stratum, *contestant, figure);
                    assert_eq!(entered, Ok(()));
                }
                number += 1;
            }
            let pairs = tournament.pairs();
            let is_missed = |pair: &Pair| {
                truth(pair) < pair.interval.lower || truth(pair) > pair.interval.upper
            };
            wrong += u32::from(pairs.iter().any(|it| is_wrong(it.verdict, truth(it))));
            missed += u32::from(pairs.iter().any(is_missed));
        }
        println!(
            "{noise:?}, two strata, {louder} times: of {RUNS}, {wrong} with a wrong verdict, {missed} with a wrong interval"
        );
        assert!(wrong <= most(RUNS, 0.05), "{noise:?}: {wrong} of {RUNS}");
        assert!(missed <= most(RUNS, 0.05), "{noise:?}: {missed} of {RUNS}");
    }
}

/// What a verdict says of the truth.
fn is_wrong(verdict: Verdict, truth: f64) -> bool {
    // As far as numbers carry: 1.05 over 1.
    let most = 1.0 + Tolerance::DEFAULT.get() + 1e-9;
    match verdict {
        Verdict::Faster => truth <= 1.0,
        Verdict::Slower => truth >= 1.0,
        Verdict::Equivalent => truth > most || truth < 1.0 / most,
        Verdict::Undecided => false,
    }
}

/// Carries out a tournament.
fn play(rates: &[f64], noise: Noise, seed: u64) -> Vec<Pair> {
    let mut machine = Machine::new(rates, noise, seed);
    let mut tournament = Tournament::new(rates.len(), Tolerance::DEFAULT, 0.05, RESOLUTION);
    while !tournament.due().is_empty() {
        let due = tournament.due().to_vec();
        let recorded = tournament.record(&machine.round(&due));
        assert_eq!(recorded, Ok(()));
    }
    tournament.pairs().to_vec()
}

#[test]
fn tournaments_are_seldom_wrong() {
    const RUNS: u32 = 3_000;
    // The hardest truth of all: as good as equal but for a thousandth more than the tolerance allows.
    let several: &[f64] = &[1e6, 1e6, 1.051e6, 1.2e6];
    // With one pair alone, no other makes its interval wider.
    let two: &[f64] = &[1e6, 1.051e6];
    for (noise, rates) in NOISES.into_iter().flat_map(|it| [(it, several), (it, two)]) {
        let truth = |pair: &Pair| rates[pair.one] / rates[pair.other];
        let count = rates.len();
        let (mut wrong, mut missed) = (0, 0);
        for seed in 0..RUNS {
            let pairs = play(rates, noise, seed.into());
            let is_missed = |pair: &Pair| {
                truth(pair) < pair.interval.lower || truth(pair) > pair.interval.upper
            };
            wrong += u32::from(pairs.iter().any(|it| is_wrong(it.verdict, truth(it))));
            missed += u32::from(pairs.iter().any(is_missed));
        }
        println!(
            "{noise:?}, {count}: of {RUNS}, {wrong} with a wrong verdict, {missed} with a wrong interval"
        );
        assert!(wrong <= most(RUNS, 0.05), "{noise:?}: {wrong} of {RUNS}");
        assert!(missed <= most(RUNS, 0.05), "{noise:?}: {missed} of {RUNS}");
    }
}

#[test]
fn tournaments_decide_what_is_clear() {
    const RUNS: u64 = 100;
    // Equal, or far apart.
    let rates = [1e6, 1e6, 1.3e6, 2e6, 2e6];
    for noise in NOISES.into_iter().take(4) {
        let (mut undecided, mut rounds) = (0, 0);
        for seed in 0..RUNS {
            let pairs = play(&rates, noise, seed);
            undecided += pairs.iter().filter(|it| !it.verdict.is_decided()).count();
            rounds += pairs.iter().map(|it| it.rounds).max().unwrap_or(0);
        }
        let (pairs, mean) = (RUNS * 10, rounds as f64 / RUNS as f64);
        println!(
            "{noise:?}: {undecided} of {pairs} pairs undecided after {mean} rounds in the mean"
        );
        assert!(
            undecided as u64 <= pairs / 20,
            "{noise:?}: {undecided} of {pairs}"
        );
    }
}

/// Ten contestants of which each is three times as fast as the next, where a figure is off by up to a half: eight rounds tell
/// most of them apart.
#[test]
fn what_is_far_apart_is_decided_beside_neighbours() {
    const RUNS: u64 = 100;
    let rates: Vec<f64> = (0..10).map(|place| 1e4 * 3_f64.powi(place)).collect();
    let all = ranking::pairs(rates.len());
    let (mut decided, mut wrong) = (0, 0);
    for seed in 0..RUNS {
        let mut machine = Machine::new(&rates, Noise::Neighbours, seed);
        let mut rounds = Rounds::new(rates.len());
        let due: Vec<usize> = (0..rates.len()).collect();
        for _ in 0..STAGES[0] {
            rounds.push(&machine.round(&due)).unwrap();
        }
        for ((one, other), interval) in all.iter().zip(intervals(&rounds, &all, ASKED, RESOLUTION))
        {
            let verdict = Verdict::of(&interval, Tolerance::DEFAULT);
            decided += u64::from(verdict.is_decided());
            wrong += u64::from(is_wrong(verdict, rates[*one] / rates[*other]));
        }
    }
    let of = RUNS * all.len() as u64;
    println!("{decided} of {of} decided, {wrong} of them wrong");
    assert!(
        decided * 100 >= of * 85 && wrong == 0,
        "{decided} of {of}, {wrong} wrong"
    );
}
