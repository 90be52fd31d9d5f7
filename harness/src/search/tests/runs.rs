//! Whole searches against single devices.

use std::time::Duration;

use super::super::*;
use super::device::{Behaviour, Device, pps, run};

fn csit() -> SearchConfig {
    SearchConfig::csit(pps(9_001.0), pps(14.88e6))
}

/// Lower bound, upper bound and throughput, to three decimals.
fn figures(result: &GoalResult) -> [String; 3] {
    [result.lower, result.upper, result.conditional_throughput]
        .map(|rate| rate.map_or("-".to_owned(), |rate| format!("{:.3}", rate.get())))
}

#[test]
fn csit_check_values() {
    let (search, trials) = run(csit(), &mut Device::steady(1e6), |_, _, _| {});
    assert_eq!(trials.len(), 35);
    let result = search.result();
    assert_eq!(result.trials, 35);
    assert_eq!(result.trial_time, Duration::from_secs(35));
    assert_eq!(
        figures(&result.goals[0]),
        ["999392.196", "1004412.154", "999392.196"]
    );
    let [lower, upper, throughput] = figures(&result.goals[1]);
    assert_eq!([&*lower, &*upper], ["1004412.154", "1009457.328"]);
    // With frames that cannot be divided it is 1000000.154, see the replay of the same search.
    assert_eq!(throughput, "1000000.000");
    for goal in &result.goals {
        assert_eq!(goal.status, Status::Regular);
        assert_eq!(goal.estimate, None);
        assert!(goal.relative_width().unwrap() <= 0.005);
    }
}

#[test]
fn replayed_check_values() {
    let search = super::golden::replay(include_str!("golden/csit_plain.csv"));
    let result = search.result();
    assert_eq!(
        figures(&result.goals[1]),
        ["1004412.154", "1009457.328", "1000000.154"]
    );
}

#[test]
fn first_trials() {
    let mut loads = Vec::new();
    run(csit(), &mut Device::steady(1e6), |_, load, _| {
        loads.push(load.get());
    });
    assert_eq!(loads[0], 14.88e6);
    // At most the rate forwarded, and less than one step below it.
    assert!((995_000.0..=1e6).contains(&loads[1]), "{}", loads[1]);
    // It passed, so the third is the widest target's width above.
    assert!(
        (1.0 - loads[1] / loads[2] - 0.02).abs() < 0.001,
        "{}",
        loads[2]
    );
}

#[test]
fn dead_device() {
    let (search, trials) = run(csit(), &mut Device::new(Behaviour::Dead, 0), |_, _, _| {});
    assert!(trials.len() < 40, "{}", trials.len());
    for goal in search.result().goals {
        assert_eq!(
            goal.status,
            Status::Irregular(Irregular::NothingLowerAboveMin)
        );
        assert_eq!(figures(&goal), ["-", "9001.000", "-"]);
    }
}

#[test]
fn perfect_device() {
    let (search, _) = run(
        csit(),
        &mut Device::new(Behaviour::Perfect, 0),
        |_, _, _| {},
    );
    for goal in search.result().goals {
        assert_eq!(goal.status, Status::Irregular(Irregular::NoUpperWithinMax));
        assert_eq!(figures(&goal), ["14880000.000", "-", "14880000.000"]);
    }
}

#[test]
fn a_sender_too_slow_is_no_success() {
    let behaviour = Behaviour::SlowSender { rate: 2e6 };
    let (search, _) = run(csit(), &mut Device::new(behaviour, 0), |_, _, _| {});
    let ndr = &search.result().goals[0];
    assert_eq!(ndr.status, Status::Regular);
    assert!(ndr.upper.unwrap() > pps(2e6) && ndr.lower.unwrap() <= pps(2e6));
}

#[test]
fn duplicates_are_no_success() {
    let behaviour = Behaviour::Doubling { from: 3e6 };
    let (search, _) = run(csit(), &mut Device::new(behaviour, 0), |_, _, _| {});
    for goal in search.result().goals {
        assert_eq!(goal.status, Status::Regular);
        assert!(goal.upper.unwrap() > pps(3e6) && goal.lower.unwrap() <= pps(3e6));
    }
}

#[test]
fn out_of_time() {
    let mut config = csit();
    config.search_duration_max = Duration::from_secs(12);
    let (mut search, trials) = run(config, &mut Device::steady(1e6), |search, _, _| {
        for goal in search.result().goals {
            assert_eq!(goal.status, Status::Irregular(Irregular::StillSearching));
        }
    });
    assert_eq!(trials.len(), 12);
    assert_eq!(search.next(), Step::Done);
    for goal in search.result().goals {
        assert_eq!(goal.status, Status::Irregular(Irregular::TimeOut));
        let estimate = goal.estimate.unwrap();
        assert!(estimate.lower.unwrap() < estimate.upper.unwrap());
        assert!(estimate.duration_sum < goal.goal.duration_sum());
    }
}

#[test]
fn estimates_come_from_the_finest_target_that_has_both_bounds() {
    let mut seen = Vec::new();
    for seconds in 4..35 {
        let mut config = csit();
        config.search_duration_max = Duration::from_secs(seconds);
        let (search, trials) = run(config, &mut Device::steady(1e6), |_, _, _| {});
        let ndr = &search.result().goals[0];
        if ndr.lower.is_some() && ndr.upper.is_some() {
            assert_eq!(ndr.estimate, None);
            continue;
        }
        // CSIT's chain of duration sums from the goal's 21 s down to one trial, in equal proportions.
        let expected = [21_f64.sqrt(), 1.0].map(Duration::from_secs_f64);
        let expected = expected.into_iter().find_map(|duration_sum| {
            let target = Goal::builder("target").duration_sum(duration_sum).build();
            let bounds = relevant_bounds(&target.unwrap(), &trials);
            Some((bounds.lower?, bounds.upper?, duration_sum))
        });
        let estimate = ndr.estimate.unwrap();
        if let Some((lower, upper, duration_sum)) = expected {
            assert_eq!(
                (estimate.lower, estimate.upper, estimate.duration_sum),
                (Some(lower), Some(upper), duration_sum)
            );
            seen.push(duration_sum);
        }
    }
    seen.dedup();
    assert_eq!(seen, [1.0, 21_f64.sqrt()].map(Duration::from_secs_f64));
}

#[test]
fn overhead_counts() {
    let mut device = Device::steady(1e6);
    device.overhead = Duration::from_secs(2);
    let mut config = csit();
    config.search_duration_max = Duration::from_secs(10);
    let (search, trials) = run(config, &mut device, |_, _, _| {});
    assert_eq!(trials.len(), 4);
    assert_eq!(search.result().trial_time, Duration::from_secs(12));
}

#[test]
fn short_search_of_a_steady_device_is_regular() {
    for capacity in [2e4, 3.3e5, 1e6, 9e6] {
        let config = SearchConfig::short(pps(9_001.0), pps(14.88e6));
        let (search, _) = run(config, &mut Device::steady(capacity), |_, _, _| {});
        let result = search.result();
        assert!(result.trial_time < Duration::from_secs(6), "{result:?}");
        for (goal, loss) in result.goals.iter().zip([0.0, 0.005]) {
            assert_eq!(goal.status, Status::Regular);
            let limit = pps(capacity / (1.0 - loss));
            assert!(goal.lower.unwrap() <= limit && limit < goal.upper.unwrap());
        }
    }
}

#[test]
fn short_goals_of_all_sizes_end_with_bounds() {
    let (trials, sums) = ([50, 100, 200], [1_000, 2_000, 3_000]);
    let sizes = trials
        .iter()
        .flat_map(|trial| sums.map(|sum| (*trial, sum)));
    for (trial, sum) in sizes {
        for (seed, jitter) in [0.0, 0.01, 0.1, 0.5].into_iter().enumerate() {
            let goal = |name, loss| {
                Goal::builder(name)
                    .final_trial_duration(Duration::from_millis(trial))
                    .duration_sum(Duration::from_millis(sum))
                    .loss_ratio(loss)
                    .build()
                    .unwrap()
            };
            let config = SearchConfig {
                goals: vec![goal("ndr", 0.0), goal("pdr", 0.005)],
                ..SearchConfig::short(pps(1e4), pps(1e7))
            };
            let behaviour = Behaviour::Jittery {
                capacity: 1e6,
                jitter,
            };
            let mut device = Device::new(behaviour, seed as u64);
            let (search, _) = run(config, &mut device, |_, _, _| {});
            let result = search.result();
            assert!(result.trial_time < Duration::from_secs(6) + Duration::from_millis(trial));
            for goal in result.goals {
                let (lower, upper) = match (goal.lower, goal.upper, goal.estimate) {
                    (Some(lower), Some(upper), _) => (lower, upper),
                    (_, _, Some(estimate)) => (estimate.lower.unwrap(), estimate.upper.unwrap()),
                    _ => panic!("{trial} ms of {sum} ms, jitter {jitter}: {goal:?}"),
                };
                assert!(lower < upper && upper > pps(1e6 * (1.0 - jitter)));
                assert!(lower < pps(1.01e6));
            }
        }
    }
}
