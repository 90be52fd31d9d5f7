//! Replays of whole searches recorded with CSIT's library (MLRsearch 1.2.1 of PyPI) against simulated devices.
//!
//! Each file lists the settings, every trial with the load and duration CSIT's controller chose and the frames counted,
//! and the results. The search here must choose the same trials in the same order and come to the same results.

use std::time::Duration;

use super::super::*;

/// How much a load may differ: the two libraries compute the grid in a different order of operations.
const TOLERANCE: f64 = 1e-9;

fn number(text: &str) -> f64 {
    text.parse()
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn optional(text: &str) -> Option<f64> {
    (!text.is_empty()).then(|| number(text))
}

fn goal(fields: &[&str]) -> Goal {
    let [name, trial, sum, loss, exceed, width] = fields else {
        panic!("goal line with {} fields", fields.len())
    };
    Goal::builder(*name)
        .final_trial_duration(Duration::from_secs_f64(number(trial)))
        .duration_sum(Duration::from_secs_f64(number(sum)))
        .loss_ratio(number(loss))
        .exceed_ratio(number(exceed))
        .relative_width(number(width))
        .build()
        .unwrap()
}

fn settings(fields: &[&str], goals: Vec<Goal>) -> SearchConfig {
    let [min, max, initial, preceding, expansion] = fields else {
        panic!("search line with {} fields", fields.len())
    };
    SearchConfig {
        initial_trial_duration: Duration::from_secs_f64(number(initial)),
        search_duration_max: Duration::from_secs(1_000_000),
        preceding_targets: preceding.parse().unwrap(),
        expansion: expansion.parse().unwrap(),
        ..SearchConfig::new(
            Pps::new(number(min)).unwrap(),
            Pps::new(number(max)).unwrap(),
            goals,
        )
    }
}

fn same(ours: Option<Pps>, theirs: Option<f64>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours.get() / theirs - 1.0).abs() < TOLERANCE,
        (ours, theirs) => ours.is_none() && theirs.is_none(),
    }
}

/// Replays one recording; the search is returned for further checks.
pub(super) fn replay(recording: &str) -> Search {
    let lines: Vec<Vec<&str>> = recording
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    let of = |kind: &str| -> Vec<&[&str]> {
        lines
            .iter()
            .filter(|line| line[0] == kind)
            .map(|line| &line[1..])
            .collect()
    };
    let goals = of("goal").into_iter().map(goal).collect();
    let mut search = Search::new(settings(of("search")[0], goals)).unwrap();
    for (index, fields) in of("trial").into_iter().enumerate() {
        let Step::Measure { load, duration } = search.next() else {
            panic!("trial {index}: done already");
        };
        let (their_load, their_duration) = (number(fields[0]), number(fields[1]));
        assert!(
            same(Some(load), Some(their_load)),
            "trial {index}: load {load}, recorded {their_load}"
        );
        assert!(
            (duration.as_secs_f64() - their_duration).abs() < 1e-9,
            "trial {index}: {duration:?}, recorded {their_duration} s"
        );
        let offered: u64 = fields[2].parse().unwrap();
        let lost: u64 = fields[3].parse().unwrap();
        let counters = Counters {
            intended: offered,
            offered,
            received: offered - lost,
        };
        search
            .record(Trial::new(load, duration, duration, counters).unwrap())
            .unwrap();
    }
    assert_eq!(search.next(), Step::Done);
    let result = search.result();
    let recorded = of("result");
    assert_eq!(result.goals.len(), recorded.len());
    for (ours, fields) in result.goals.iter().zip(recorded) {
        assert_eq!(ours.goal.name(), fields[0]);
        assert!(
            same(ours.lower, optional(fields[1]))
                && same(ours.upper, optional(fields[2]))
                && same(ours.conditional_throughput, optional(fields[3])),
            "{ours:?}, recorded {fields:?}"
        );
    }
    search
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(include_str!(concat!("golden/", stringify!($name), ".csv")));
            }
        )*
    };
}

replays! {
    all_lost
    csit_noisy
    csit_plain
    high_loss
    knee
    no_loss
    short_dip
    three_goals
    tied_goals
}
