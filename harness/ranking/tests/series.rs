//! Series of runs whose truth is known: how often a step is found that is none, and how soon one that is.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ranking::steps;

/// Runs of a series.
const RUNS: usize = 50;
/// What figures are rounded to, as a share.
const RESOLUTION: f64 = 0.02;

/// How figures wander from run to run.
#[derive(Debug, Clone, Copy)]
enum Noise {
    /// Normal, by two percent.
    Calm,
    /// One run in eight is off by up to 40 %, the others by two percent.
    Outliers,
    /// Each run is off by half of what the one before was off, and two percent more: machines change slowly.
    Sticky,
}

fn normal(random: &mut StdRng) -> f64 {
    let (one, other): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

/// A series that steps by `ratio` at run `at`.
fn series(noise: Noise, at: usize, ratio: f64, seed: u64) -> Vec<f64> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut off = 0.0;
    (0..RUNS)
        .map(|run| {
            let own = 0.02 * normal(&mut random);
            off = match noise {
                Noise::Calm => own,
                Noise::Outliers if random.random_bool(0.125) => -0.5 * random.random::<f64>(),
                Noise::Outliers => own,
                Noise::Sticky => 0.5 * off + own,
            };
            let level = if run < at { 1e6 } else { 1e6 * ratio };
            level * f64::exp(off)
        })
        .collect()
}

#[test]
fn few_series_in_which_nothing_changed_have_a_step() {
    const SERIES: u64 = 1_000;
    for (noise, allowed) in [
        (Noise::Calm, 0.02),
        (Noise::Outliers, 0.02),
        (Noise::Sticky, 0.10),
    ] {
        let wrong = (0..SERIES).filter(|seed| {
            let figures = series(noise, RUNS, 1.0, *seed);
            !steps(&figures, RESOLUTION, 1).is_empty()
        });
        let wrong = wrong.count();
        println!("{noise:?}: {wrong} of {SERIES} series of {RUNS} runs have a step that is none");
        assert!(
            wrong as f64 <= allowed * SERIES as f64,
            "{noise:?}: {wrong}"
        );
    }
}

/// A run of profile standard has some two hundred series: each for itself may be right and one of them wrong nearly always.
#[test]
fn few_of_many_series_together_have_a_step() {
    const TOGETHER: u64 = 200;
    const FAMILIES: u64 = 100;
    for noise in [Noise::Calm, Noise::Outliers] {
        let wrong = |family: &u64| {
            let mut seeds = family * TOGETHER..(family + 1) * TOGETHER;
            seeds.any(|seed| {
                let figures = series(noise, RUNS, 1.0, seed);
                !steps(&figures, RESOLUTION, TOGETHER as usize).is_empty()
            })
        };
        let wrong = (0..FAMILIES).filter(wrong).count();
        println!(
            "{noise:?}: {wrong} of {FAMILIES} families of {TOGETHER} series have a step that is none"
        );
        assert!(wrong <= 5, "{noise:?}: {wrong}");
    }
}

#[test]
fn steps_are_found_and_soon() {
    const SERIES: u64 = 300;
    const AT: usize = 30;
    for (noise, ratio, together, behind, wanted) in [
        (Noise::Calm, 0.90, 1, 6, 0.95),
        (Noise::Outliers, 0.90, 1, 8, 0.90),
        (Noise::Calm, 0.95, 1, 12, 0.80),
        (Noise::Calm, 1.10, 1, 6, 0.95),
        (Noise::Calm, 0.90, 200, 8, 0.95),
        (Noise::Outliers, 0.90, 200, 12, 0.90),
    ] {
        let found = (0..SERIES).filter(|seed| {
            let figures = series(noise, AT, ratio, *seed);
            let found = steps(&figures[..AT + behind], RESOLUTION, together);
            let is_it = |step: &ranking::Step| step.at.abs_diff(AT) <= 2;
            found
                .iter()
                .any(|step| is_it(step) && (step.ratio() < 1.0) == (ratio < 1.0))
        });
        let found = found.count();
        println!(
            "{noise:?}, {ratio}, of {together}: found in {found} of {SERIES}, {behind} runs behind"
        );
        assert!(
            found as f64 >= wanted * SERIES as f64,
            "{noise:?}, {ratio}: {found}"
        );
    }
}
