//! What is refused: bad numbers, goals, configurations and trials.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::de::value::{Error, F64Deserializer};
use serde::{Deserialize, Serialize};

use super::super::*;
use super::device::{Device, pps};

fn loss(intended: u64, offered: u64, received: u64) -> f64 {
    let counters = Counters {
        intended,
        offered,
        received,
    };
    counters.loss_ratio().get()
}

#[test]
fn loss_ratios() {
    assert_eq!(loss(100, 100, 100), 0.0);
    assert_eq!(loss(100, 100, 90), 0.1);
    assert_eq!(loss(100, 100, 0), 1.0);
    // Not all was sent; all that was sent came back, or not.
    assert_eq!(loss(100, 80, 80), 0.2);
    assert_eq!(loss(100, 80, 70), 0.3);
    assert_eq!(loss(100, 0, 0), 1.0);
    // More was sent than intended.
    assert_eq!(loss(80, 100, 100), 0.2);
    // More came back than was sent: as bad as if it were lost, and at most everything.
    assert_eq!(loss(100, 100, 110), 0.1);
    assert_eq!(loss(100, 100, 1_000), 1.0);
    // Nothing at all.
    assert_eq!(loss(0, 0, 0), 0.0);
    assert_eq!(loss(0, 0, 1), 1.0);
    assert_eq!(loss(u64::MAX, 0, u64::MAX), 1.0);
}

#[test]
fn forwarding_rate() {
    let counters = Counters {
        intended: 1_000,
        offered: 900,
        received: 800,
    };
    let second = Duration::from_secs(1);
    let trial = Trial::new(pps(1_000.0), second, second, counters).unwrap();
    assert_eq!(trial.forwarding_rate(), 800.0);
    assert_eq!((counters.lost(), counters.unsent()), (100, 100));
}

#[test]
fn numbers() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Pps::new(rate).is_err());
        assert!(Pps::deserialize(F64Deserializer::<Error>::new(rate)).is_err());
    }
    for ratio in [-0.1, 1.1, f64::NAN] {
        assert!(LossRatio::new(ratio).is_err());
        assert!(LossRatio::deserialize(F64Deserializer::<Error>::new(ratio)).is_err());
    }
    assert_eq!(LossRatio::new(-0.0).unwrap(), LossRatio::ZERO);
    assert!(LossRatio::new(-0.0).unwrap() <= LossRatio::ZERO);
    assert!(pps(1.0) < pps(2.0));
}

#[test]
fn stored_types() {
    fn stored<T: Serialize + DeserializeOwned>() {}
    stored::<Goal>();
    stored::<Trial>();
    stored::<SearchResult>();
}

#[test]
fn trials() {
    let counters = Counters {
        intended: 1,
        offered: 1,
        received: 1,
    };
    let (zero, second) = (Duration::ZERO, Duration::from_secs(1));
    assert_eq!(
        Trial::new(pps(1.0), zero, second, counters),
        Err(TrialError::NoDuration)
    );
    assert_eq!(
        Trial::new(pps(1.0), second, zero, counters),
        Err(TrialError::NoEffectiveDuration)
    );
}

#[test]
fn goals() {
    let ms = Duration::from_millis;
    let goal = || Goal::builder("goal");
    assert_eq!(goal().build().unwrap().name(), "goal");
    assert_eq!(Goal::builder("").build(), Err(GoalError::NoName));
    assert_eq!(
        goal().final_trial_duration(Duration::ZERO).build(),
        Err(GoalError::FinalTrialTooShort(Duration::ZERO))
    );
    assert_eq!(
        goal().duration_sum(ms(999)).build(),
        Err(GoalError::SumBelowTrial {
            sum: ms(999),
            trial: ms(1_000)
        })
    );
    assert_eq!(
        goal().duration_sum(Duration::MAX).build(),
        Err(GoalError::SumTooLong(Duration::MAX))
    );
    for ratio in [-0.1, 1.0, 2.0] {
        assert_eq!(
            goal().loss_ratio(ratio).build(),
            Err(GoalError::LossRatio(ratio))
        );
        assert_eq!(
            goal().exceed_ratio(ratio).build(),
            Err(GoalError::ExceedRatio(ratio))
        );
    }
    assert!(goal().exceed_ratio(f64::NAN).build().is_err());
    for width in [0.0, -1.0, 0.95] {
        assert_eq!(
            goal().relative_width(width).build(),
            Err(GoalError::RelativeWidth(width))
        );
    }
}

#[test]
fn presets() {
    let table = [
        (Goal::ndr_csit(), 1.0, 21.0, 0.0, 0.5, 0.005),
        (Goal::pdr_csit(), 1.0, 21.0, 0.005, 0.5, 0.005),
        (Goal::rfc2544(), 60.0, 60.0, 0.0, 0.0, 0.005),
        (Goal::tst009(), 60.0, 120.0, 0.0, 0.5, 0.005),
        (Goal::ndr_short(), 0.1, 1.0, 0.0, 0.5, 0.02),
        (Goal::pdr_short(), 0.1, 1.0, 0.005, 0.5, 0.02),
    ];
    for (preset, trial, sum, loss, exceed, width) in table {
        let built = Goal::builder(preset.name())
            .final_trial_duration(Duration::from_secs_f64(trial))
            .duration_sum(Duration::from_secs_f64(sum))
            .loss_ratio(loss)
            .exceed_ratio(exceed)
            .relative_width(width)
            .build();
        assert_eq!(built, Ok(preset));
    }
}

#[test]
fn configurations() {
    let error = |change: fn(&mut SearchConfig)| {
        let mut config = SearchConfig::csit(pps(1e3), pps(1e6));
        change(&mut config);
        Search::new(config).err()
    };
    assert_eq!(error(|_| {}), None);
    assert_eq!(error(|c| c.goals.clear()), Some(ConfigError::NoGoals));
    assert_eq!(
        error(|c| c.goals.push(Goal::ndr_csit())),
        Some(ConfigError::DuplicateGoal("ndr".to_owned()))
    );
    assert_eq!(
        error(|c| c.max_load = c.min_load),
        Some(ConfigError::NoRange {
            min: pps(1e3),
            max: pps(1e3)
        })
    );
    assert_eq!(
        error(|c| c.initial_trial_duration = Duration::ZERO),
        Some(ConfigError::InitialTrialTooShort(Duration::ZERO))
    );
    for budget in [Duration::ZERO, Duration::MAX] {
        let mut config = SearchConfig::csit(pps(1e3), pps(1e6));
        config.search_duration_max = budget;
        assert_eq!(
            Search::new(config).err(),
            Some(ConfigError::SearchDuration(budget))
        );
    }
    assert_eq!(error(|c| c.expansion = 1), Some(ConfigError::Expansion(1)));
    assert_eq!(
        error(|c| c.preceding_targets = 17),
        Some(ConfigError::PrecedingTargets(17))
    );
}

#[test]
fn records() {
    let mut search = Search::new(SearchConfig::csit(pps(1e3), pps(1e6))).unwrap();
    let mut device = Device::steady(1e5);
    let second = Duration::from_secs(1);
    let early = device.measure(pps(1e6), second);
    assert_eq!(search.record(early), Err(RecordError::NotAwaited));
    let step = search.next();
    let Step::Measure { load, duration } = step else {
        panic!("done already")
    };
    let other = pps(load.get() * 0.999);
    assert_eq!(
        search.record(device.measure(other, duration)),
        Err(RecordError::OtherLoad {
            wanted: load,
            given: other
        })
    );
    assert_eq!(
        search.record(device.measure(load, duration * 2)),
        Err(RecordError::OtherDuration {
            wanted: duration,
            given: duration * 2
        })
    );
    // Nothing of that counted, and the same trial is still awaited.
    assert_eq!(search.result().trials, 0);
    assert_eq!(search.next(), step);
    assert_eq!(search.next(), step);
    assert_eq!(search.record(device.measure(load, duration)), Ok(()));
    assert_eq!(
        search.record(device.measure(load, duration)),
        Err(RecordError::NotAwaited)
    );
    assert_eq!(search.result().trials, 1);
}
