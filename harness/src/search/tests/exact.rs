//! Classification and conditional throughput against exact arithmetic on whole numbers.

use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use super::device::pps;

/// A trial of a goal with loss ratio 0.1: full-length or short, effective duration in milliseconds, lost of 100 frames.
#[derive(Debug, Clone, Copy)]
struct Kind {
    full_length: bool,
    effective: u64,
    lost: u64,
}

fn kinds() -> impl Strategy<Value = Vec<Kind>> {
    let kind =
        (any::<bool>(), 1_u64..400, 0_u64..=20).prop_map(|(full_length, effective, lost)| {
            Kind {
                full_length,
                // Mostly round values: those meet thresholds exactly.
                effective: if effective < 300 {
                    100 * (1 + effective % 3)
                } else {
                    effective
                },
                lost,
            }
        });
    prop::collection::vec(kind, 0..30)
}

fn trials(kinds: &[Kind]) -> Vec<Trial> {
    kinds
        .iter()
        .map(|kind| {
            let duration = Duration::from_millis(if kind.full_length { 100 } else { 99 });
            let counters = Counters {
                intended: 100,
                offered: 100,
                received: 100 - kind.lost,
            };
            let effective = Duration::from_millis(kind.effective);
            Trial::new(pps(1e6), duration, effective, counters).unwrap()
        })
        .collect()
}

fn goal(sum: u64, exceed: i128, of: i128) -> Goal {
    Goal::builder("goal")
        .final_trial_duration(Duration::from_millis(100))
        .duration_sum(Duration::from_millis(sum))
        .loss_ratio(0.1)
        .exceed_ratio(exceed as f64 / of as f64)
        .build()
        .unwrap()
}

/// Appendix A with exceed ratio `p / q`. All amounts are multiplied by `q * (q - p)`, so none has a fraction.
fn reference(kinds: &[Kind], sum: i128, p: i128, q: i128) -> Classification {
    let total = |full_length: bool, high_loss: bool| -> i128 {
        kinds
            .iter()
            .filter(|kind| kind.full_length == full_length && (kind.lost > 10) == high_loss)
            .map(|kind| i128::from(kind.effective))
            .sum()
    };
    let scale = q * (q - p);
    let good_long = total(true, false) * scale;
    let balancing = total(false, false) * p * q;
    let excess = (total(false, true) * scale - balancing).max(0);
    let bad = total(true, true) * scale + excess;
    let whole = (good_long + bad).max(sum * scale);
    let pessimistic = (whole - good_long) * q <= whole * p;
    let optimistic = bad * q <= whole * p;
    match (optimistic, pessimistic) {
        (true, true) => Classification::LowerBound,
        (false, false) => Classification::UpperBound,
        (true, false) => Classification::Undecided,
        (false, true) => panic!("the draft's two estimates contradict each other"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..Default::default() })]

    #[test]
    fn classification_is_exact(
        kinds in kinds(),
        sum in 1_u64..30,
        (p, q) in (1_i128..=20).prop_flat_map(|q| (0..q, Just(q))),
    ) {
        let goal = goal(sum * 100, p, q);
        prop_assert_eq!(
            classify(&goal, &trials(&kinds)),
            reference(&kinds, i128::from(sum) * 100, p, q)
        );
    }

    #[test]
    fn throughput_of_a_lower_bound_keeps_the_goal(
        kinds in kinds(),
        sum in 1_u64..30,
        (p, q) in (1_i128..=20).prop_flat_map(|q| (0..q, Just(q))),
    ) {
        let goal = goal(sum * 100, p, q);
        let trials = trials(&kinds);
        let throughput = conditional_throughput(&goal, pps(1e6), &trials);
        if classify(&goal, &trials) == Classification::LowerBound {
            let rate = throughput.unwrap().get();
            prop_assert!((0.9e6 * (1.0 - 1e-12)..=1e6).contains(&rate), "{rate}");
        }
    }
}

#[test]
fn tenths_of_a_second_add_up() {
    // In floats ten times 0.1 is less than 1, and the load would stay undecided.
    let kind = Kind {
        full_length: true,
        effective: 100,
        lost: 0,
    };
    let goal = goal(1_000, 0, 1);
    assert_eq!(
        classify(&goal, &trials(&[kind; 9])),
        Classification::Undecided
    );
    assert_eq!(
        classify(&goal, &trials(&[kind; 10])),
        Classification::LowerBound
    );
    assert_eq!(
        conditional_throughput(&goal, pps(1e6), &trials(&[kind; 10])),
        Some(pps(1e6))
    );
}

#[test]
fn thresholds_belong_to_the_lower_bound() {
    // Of `q` trials `p` are bad, and just that many are allowed. Products of floats fall on either side of the threshold.
    for (p, q) in (1..=100).flat_map(|q| (0..q).map(move |p| (p, q))) {
        let goal = goal(100 * q as u64, p as i128, q as i128);
        let kind = |lost| Kind {
            full_length: true,
            effective: 100,
            lost,
        };
        let mut kinds = vec![kind(5); q - p];
        // The good trials settle it, whatever would follow them.
        assert_eq!(
            classify(&goal, &trials(&kinds)),
            Classification::LowerBound,
            "{p} of {q}"
        );
        kinds.extend(vec![kind(50); p]);
        let all = trials(&kinds);
        assert_eq!(
            classify(&goal, &all),
            Classification::LowerBound,
            "{p} of {q}"
        );
        let throughput = conditional_throughput(&goal, pps(1e6), &all).unwrap();
        assert!((throughput.get() - 0.95e6).abs() < 1.0, "{p} of {q}");
        kinds.push(kind(50));
        assert_eq!(
            classify(&goal, &trials(&kinds)),
            Classification::UpperBound,
            "{p} of {q}"
        );
    }
}
