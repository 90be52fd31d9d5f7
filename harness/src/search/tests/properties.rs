//! Whatever the device and the goals, a search ends and its result makes sense at every step.

use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use super::device::{Behaviour, Device, pps, run};

/// How far counted frames may blur a capacity, as a share.
const BLUR: f64 = 1e-5;

fn goal() -> impl Strategy<Value = Goal> {
    (
        prop::sample::select(vec![5_u64, 50, 100, 200, 1_000, 60_000]),
        prop::sample::select(vec![100_u64, 130, 200, 500, 2_100]),
        prop::sample::select(vec![0.0, 0.0, 0.000_1, 0.005, 0.1, 0.5, 0.99]),
        prop_oneof![Just(0.0), Just(0.5), 0.0..0.95],
        0.001_f64..0.3,
    )
        .prop_map(|(trial, percent, loss, exceed, width)| {
            Goal::builder("goal")
                .final_trial_duration(Duration::from_millis(trial))
                .duration_sum(Duration::from_millis(trial * percent / 100))
                .loss_ratio(loss)
                .exceed_ratio(exceed)
                .relative_width(width)
                .build()
                .unwrap()
        })
}

/// The same goal under another name.
fn named(goal: &Goal, name: &str, loss: f64) -> Goal {
    Goal::builder(name)
        .final_trial_duration(goal.final_trial_duration())
        .duration_sum(goal.duration_sum())
        .loss_ratio(loss)
        .exceed_ratio(goal.exceed_ratio())
        .relative_width(goal.relative_width())
        .build()
        .unwrap()
}

fn config() -> impl Strategy<Value = SearchConfig> {
    (
        (2.0_f64..5.0, 0.01_f64..5.0),
        prop::collection::vec(goal(), 1..4),
        1_u64..1_500,
        1_u64..200_000,
        0_u8..5,
        2_u32..5,
        prop_oneof![Just(Precedence::LowestLoad), Just(Precedence::LargestLoss)],
    )
        .prop_map(
            |((min, range), goals, initial, budget, preceding_targets, expansion, precedence)| {
                let goals = goals.iter().enumerate();
                SearchConfig {
                    min_load: pps(10_f64.powf(min)),
                    max_load: pps(10_f64.powf(min + range)),
                    goals: goals
                        .map(|(index, goal)| {
                            named(goal, &index.to_string(), goal.loss_ratio().get())
                        })
                        .collect(),
                    initial_trial_duration: Duration::from_millis(initial),
                    search_duration_max: Duration::from_millis(budget),
                    preceding_targets,
                    expansion,
                    precedence,
                }
            },
        )
}

/// A device for a search; places are shares of the search's range, on the logarithm.
fn device(config: &SearchConfig) -> impl Strategy<Value = Device> + use<> {
    let (min, max) = (config.min_load.get(), config.max_load.get());
    let rate = move || (-0.1_f64..1.1).prop_map(move |share| min * (max / min).powf(share));
    let behaviour = prop_oneof![
        rate().prop_map(|capacity| Behaviour::Steady { capacity }),
        (rate(), 0.0_f64..1.0).prop_map(|(capacity, jitter)| Behaviour::Jittery {
            capacity,
            jitter: jitter.powi(3),
        }),
        (rate(), rate(), rate(), 0.0_f64..=1.0).prop_map(|(capacity, from, to, drops)| {
            Behaviour::Inverted {
                capacity,
                from: from.min(to),
                to: from.max(to),
                drops,
            }
        }),
        Just(Behaviour::Random),
        Just(Behaviour::Dead),
        Just(Behaviour::Perfect),
        rate().prop_map(|rate| Behaviour::SlowSender { rate }),
        rate().prop_map(|from| Behaviour::Doubling { from }),
    ];
    (behaviour, any::<u64>(), 0_u64..100).prop_map(|(behaviour, seed, overhead)| {
        let mut device = Device::new(behaviour, seed);
        device.overhead = Duration::from_millis(overhead);
        device
    })
}

fn settings() -> impl Strategy<Value = (SearchConfig, Device)> {
    config().prop_flat_map(|config| {
        let device = device(&config);
        (Just(config), device)
    })
}

/// What must hold of every result, finished or not.
fn sane(result: &SearchResult, config: &SearchConfig) {
    assert_eq!(result.goals.len(), config.goals.len());
    for (goal, given) in result.goals.iter().zip(&config.goals) {
        assert_eq!(goal.goal, *given);
        if let (Some(lower), Some(upper)) = (goal.lower, goal.upper) {
            assert!(lower < upper);
        }
        assert_eq!(goal.conditional_throughput.is_some(), goal.lower.is_some());
        if let (Some(lower), Some(throughput)) = (goal.lower, goal.conditional_throughput) {
            let least = lower.get() * (1.0 - given.loss_ratio().get());
            assert!(throughput <= lower && throughput.get() >= least * (1.0 - 1e-12));
        }
        let narrow = goal
            .relative_width()
            .is_some_and(|width| width <= given.relative_width());
        assert_eq!(goal.status.is_regular(), narrow, "{goal:?}");
        for rate in [goal.lower, goal.upper].into_iter().flatten() {
            assert!((config.min_load..=config.max_load).contains(&rate));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..Default::default() })]

    #[test]
    fn every_search_ends((config, mut device) in settings()) {
        let budget = config.search_duration_max;
        let shortest = config.goals.iter().map(Goal::final_trial_duration).min().unwrap();
        let shortest = shortest.min(config.initial_trial_duration);
        let mut spent = Duration::ZERO;
        let mut count = 0_u128;
        let overhead = device.overhead;
        let (search, trials) = run(config.clone(), &mut device, |search, load, duration| {
            assert!((config.min_load..=config.max_load).contains(&load));
            assert!(duration >= shortest);
            // No trial starts after the budget is used up, which bounds their number too.
            assert!(spent < budget);
            assert!(count <= budget.as_nanos() / shortest.as_nanos());
            spent += duration + overhead;
            count += 1;
            sane(&search.result(), &config);
        });
        let result = search.result();
        sane(&result, &config);
        prop_assert_eq!(result.trials, trials.len() as u64);
        prop_assert_eq!(result.trial_time, spent);
        for goal in &result.goals {
            match goal.status {
                Status::Regular => {}
                Status::Irregular(Irregular::TimeOut) => prop_assert!(spent >= budget),
                Status::Irregular(Irregular::NothingLowerAboveMin) => {
                    prop_assert_eq!(goal.upper, Some(config.min_load));
                }
                Status::Irregular(Irregular::NoUpperWithinMax) => {
                    prop_assert_eq!((goal.lower, goal.upper), (Some(config.max_load), None));
                }
                Status::Irregular(Irregular::StillSearching) => {
                    prop_assert!(false, "ended without a reason: {goal:?}");
                }
            }
            // The same figures follow from the bare list of trials.
            let bounds = relevant_bounds(&goal.goal, &trials);
            prop_assert_eq!((bounds.lower, bounds.upper), (goal.lower, goal.upper));
            let throughput = bounds.lower.and_then(|lower| {
                let there = trials.iter().filter(|trial| trial.load() == lower);
                conditional_throughput(&goal.goal, lower, there)
            });
            prop_assert_eq!(throughput, goal.conditional_throughput);
        }
    }

    #[test]
    fn a_steady_capacity_is_found(config in config(), share in -0.1_f64..1.1) {
        let (min, max) = (config.min_load.get(), config.max_load.get());
        let capacity = min * (max / min).powf(share);
        let config = SearchConfig {
            search_duration_max: Duration::from_secs(1_000_000),
            ..config
        };
        let (search, trials) = run(config, &mut Device::steady(capacity), |_, _, _| {});
        prop_assert!(trials.len() < 5_000);
        for goal in search.result().goals {
            // The highest load the goal allows.
            let limit = capacity / (1.0 - goal.goal.loss_ratio().get());
            prop_assert!(goal.lower.is_none_or(|lower| lower.get() <= limit * (1.0 + BLUR)));
            prop_assert!(goal.upper.is_none_or(|upper| upper.get() > limit * (1.0 - BLUR)));
            match goal.status {
                Status::Regular => {}
                Status::Irregular(Irregular::NothingLowerAboveMin) => {
                    prop_assert!(limit < min * (1.0 + BLUR));
                }
                Status::Irregular(Irregular::NoUpperWithinMax) => {
                    prop_assert!(limit > max * (1.0 - BLUR));
                }
                status => prop_assert!(false, "{status:?}"),
            }
        }
    }

    #[test]
    fn more_loss_allowed_is_never_less_rate(
        goal in goal(),
        capacity in 1e4_f64..1e7,
        budget in 1_u64..100,
        (low, high) in (0.0_f64..0.5, 0.0_f64..0.5),
    ) {
        let mut config = SearchConfig::new(
            pps(1e4),
            pps(1e7),
            vec![named(&goal, "ndr", low.min(high)), named(&goal, "pdr", low.max(high))],
        );
        config.initial_trial_duration = Duration::from_millis(50);
        config.search_duration_max = goal.duration_sum() * budget as u32;
        let below = |result: SearchResult| {
            let [ndr, pdr] = &result.goals[..] else { panic!("two goals") };
            // A missing upper bound is above all loads, a missing lower bound below.
            assert!(ndr.lower <= pdr.lower);
            assert!(match (ndr.upper, pdr.upper) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(ndr), Some(pdr)) => ndr <= pdr,
            });
        };
        let mut device = Device::steady(capacity);
        let (search, _) = run(config, &mut device, |search, _, _| below(search.result()));
        below(search.result());
    }

    #[test]
    fn without_a_budget_noise_still_ends(
        (config, mut device) in settings(),
    ) {
        let config = SearchConfig {
            search_duration_max: Duration::from_secs(8_000_000),
            ..config
        };
        let (search, trials) = run(config, &mut device, |_, _, _| {});
        prop_assert!(trials.len() < 20_000, "{}", trials.len());
        for goal in search.result().goals {
            prop_assert_ne!(goal.status, Status::Irregular(Irregular::TimeOut));
        }
    }
}
