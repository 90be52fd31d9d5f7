//! The draft's appendix C, "Example Search": four goals, one load, six points in time.

use std::time::Duration;

use super::super::Classification::{LowerBound, Undecided, UpperBound};
use super::super::*;
use super::device::pps;

/// Trials of one kind: how many, of how many seconds, with how many frames lost of a thousand.
type Trials = (usize, u64, u64);

/// The trials added at each point (section C.2).
const POINTS: [&[Trials]; 6] = [
    &[(59, 1, 0)],
    &[(1, 1, 10)],
    &[(59, 1, 10)],
    &[(1, 1, 0)],
    &[(1, 60, 1)],
    &[(1, 60, 0)],
];

/// Tables 1 to 6, last line: goals in the order of [`goals`].
///
/// The last goal at points 5 and 6 is the exception. The tables print "Lower Bound" below exceed ratios of 42.857 % and
/// 27.273 %, though the goal allows 20 %. The code of appendix A, which the definitions in section 4.7.2 refer to, says
/// upper bound for the sums in those tables, and so does this list.
const CLASSIFICATIONS: [[Classification; 4]; 6] = [
    [Undecided, Undecided, Undecided, Undecided],
    [UpperBound, Undecided, Undecided, Undecided],
    [UpperBound, Undecided, Undecided, UpperBound],
    [UpperBound, Undecided, LowerBound, UpperBound],
    [UpperBound, Undecided, LowerBound, UpperBound],
    [UpperBound, LowerBound, LowerBound, UpperBound],
];

/// Section C.1.
fn goals() -> [Goal; 4] {
    let goal = |name, trial, sum, loss, exceed| {
        Goal::builder(name)
            .final_trial_duration(Duration::from_secs(trial))
            .duration_sum(Duration::from_secs(sum))
            .loss_ratio(loss)
            .exceed_ratio(exceed)
            .build()
            .unwrap()
    };
    [
        Goal::rfc2544(),
        Goal::tst009(),
        goal("1s final", 1, 120, 0.005, 0.5),
        goal("20% exceed", 60, 60, 0.005, 0.2),
    ]
}

fn load() -> Pps {
    pps(1e6)
}

/// All trials up to and including a point.
fn trials(point: usize) -> Vec<Trial> {
    let kinds = POINTS[..=point].iter().flat_map(|added| added.iter());
    kinds
        .flat_map(|&(count, seconds, lost)| {
            let duration = Duration::from_secs(seconds);
            let counters = Counters {
                intended: 1_000,
                offered: 1_000,
                received: 1_000 - lost,
            };
            vec![Trial::new(load(), duration, duration, counters).unwrap(); count]
        })
        .collect()
}

#[test]
fn classifications() {
    for (point, expected) in CLASSIFICATIONS.iter().enumerate() {
        let trials = trials(point);
        for (goal, expected) in goals().iter().zip(expected) {
            assert_eq!(
                classify(goal, &trials),
                *expected,
                "point {}, goal {}",
                point + 1,
                goal.name()
            );
        }
    }
}

#[test]
fn conditional_throughputs() {
    let mut trials = trials(5);
    for _ in 0..2 {
        let throughput = |goal: &Goal| {
            let rate = conditional_throughput(goal, load(), &trials).unwrap();
            // The draft's figures are whole.
            (rate.get() * 1e3).round() / 1e3
        };
        let [_, tst009, one_second, twenty_percent] = goals().map(|goal| throughput(&goal));
        assert_eq!(tst009, 1_000_000.0);
        assert_eq!(one_second, 1_000_000.0);
        assert_eq!(twenty_percent, 999_000.0);
        // The order of the trials has no say.
        trials.reverse();
    }
}

#[test]
fn nothing_measured() {
    for goal in goals() {
        assert_eq!(classify(&goal, &[]), Undecided);
        assert_eq!(relevant_bounds(&goal, &[]), RelevantBounds::default());
        assert_eq!(conditional_throughput(&goal, load(), &[]), None);
    }
}

#[test]
fn missing_time_counts_as_lost() {
    // One good minute of the two that half of the sum of four asks for.
    let goal = Goal::builder("long")
        .final_trial_duration(Duration::from_secs(60))
        .duration_sum(Duration::from_secs(240))
        .build()
        .unwrap();
    let minute = trials(5).last().copied().unwrap();
    assert_eq!(conditional_throughput(&goal, load(), &[minute]), None);
    assert_eq!(
        conditional_throughput(&goal, load(), &[minute, minute]),
        Some(load())
    );
}
