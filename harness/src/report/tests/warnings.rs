//! Warnings that a reader needs to judge a figure.

use super::fixture::{self, SCENARIOS};
use crate::record::{Fastest, Purpose, Record, TrialRecord};
use crate::report::RunFolder;
use crate::report::figures::Figures;

/// The warnings about `kernel-xdp`.
fn warnings(folder: &RunFolder) -> Vec<String> {
    let all = Figures::of(folder).warnings;
    all.into_iter()
        .filter(|warning| warning.starts_with("kernel-xdp"))
        .collect()
}

/// Whether a warning in the first scenario says `words`, and whether it did not before `change`.
fn appears(words: &str, change: impl FnOnce(&mut RunFolder)) -> bool {
    let mut folder = fixture::run();
    let says = |folder: &RunFolder| {
        let here = |warning: &String| warning.contains(SCENARIOS[0]) && warning.contains(words);
        warnings(folder).iter().any(here)
    };
    let before = says(&folder);
    change(&mut folder);
    !before && says(&folder)
}

fn fastest(folder: &mut RunFolder, change: impl FnOnce(&mut Fastest)) {
    let result = fixture::result(folder, "kernel-xdp", SCENARIOS[0]);
    change(result.fastest.as_mut().unwrap());
}

fn trials(folder: &mut RunFolder) -> impl Iterator<Item = &mut TrialRecord> {
    folder.records.iter_mut().filter_map(|record| match record {
        Record::Trial(trial)
            if trial.datapath == "kernel-xdp" && trial.scenario == SCENARIOS[0] =>
        {
            Some(trial)
        }
        _ => None,
    })
}

#[test]
fn a_trial_that_held_above_the_upper_bound_is_told() {
    assert!(appears(
        "a few trials that lost frames decided it",
        |folder| {
            fastest(folder, |fastest| fastest.rate *= 1.2);
        }
    ));
}

#[test]
fn a_processor_with_time_left_is_told() {
    assert!(appears(
        "left its processor idle for more than 10",
        |folder| {
            fastest(folder, |fastest| fastest.busy = 0.81);
        }
    ));
}

#[test]
fn a_null_forward_that_costs_more_than_the_datapath_is_told() {
    assert!(appears("than a null forward", |folder| {
        fastest(folder, |fastest| fastest.cpu_ns_per_frame = 70.0);
    }));
}

#[test]
fn latency_of_a_trial_that_lost_frames_is_told() {
    let lose = |folder: &mut RunFolder, of: fn(&mut TrialRecord)| {
        let latency = Purpose::Latency { percent_of_pdr: 90 };
        trials(folder)
            .filter(|trial| trial.purpose == latency)
            .for_each(of);
    };
    let words = "more frames were lost or never sent than PDR allows";
    assert!(appears(words, |folder| lose(folder, |trial| {
        trial.received = trial.intended - trial.intended / 10;
    })));
    assert!(appears(words, |folder| lose(folder, |trial| {
        trial.offered = trial.intended - trial.intended / 10;
        trial.received = trial.offered;
    })));
}

#[test]
fn a_trial_that_stays_disturbed_counts_and_is_told() {
    assert!(appears("disturbed each time it was made", |folder| {
        let latency = Purpose::Latency { percent_of_pdr: 50 };
        let trial = trials(folder).find(|trial| trial.purpose == latency && !trial.repeated);
        trial.unwrap().disturbed = Some("the hypervisor took 12 % of its time".to_owned());
    }));
    let mut folder = fixture::run();
    let rows = |folder: &RunFolder| {
        let figures = Figures::of(folder);
        let (_, cell) = figures
            .cells()
            .find(|(_, cell)| cell.datapath == "kernel-xdp")
            .unwrap();
        cell.latencies.len()
    };
    let all = rows(&folder);
    for trial in trials(&mut folder) {
        trial.disturbed = Some("always".to_owned());
    }
    assert_eq!(rows(&folder), all, "no row vanishes");
}

#[test]
fn a_trial_of_a_round_that_stays_disturbed_is_told() {
    let told = |disturbed: bool| {
        let mut folder = fixture::run();
        let rates = [("kernel-xdp", 2e6), ("openflow", 1e6)];
        fixture::compare(&mut folder, SCENARIOS[0], &rates, 8);
        if disturbed {
            let of_a_round =
                |trial: &&mut TrialRecord| matches!(trial.purpose, Purpose::Comparison { .. });
            let trial = trials(&mut folder).find(of_a_round).unwrap();
            trial.disturbed = Some("the hypervisor took 12 % of its time".to_owned());
        }
        let warnings = Figures::of(&folder).warnings;
        let told = warnings
            .iter()
            .filter(|it| it.contains("1 trial of the rounds against others was disturbed"));
        told.count()
    };
    assert_eq!((told(false), told(true)), (0, 1));
}

#[test]
fn processors_that_a_hypervisor_moved_are_told() {
    let told = |round_trips: [u32; 2]| {
        let mut folder = fixture::run();
        for (number, trial) in trials(&mut folder).enumerate() {
            let place = usize::from(number % 10 == 3);
            trial.round_trip_ns = Some([round_trips[place]; 2]);
            trial.distance = round_trips
                .iter()
                .position(|it| *it == round_trips[place])
                .unwrap() as u32;
        }
        let warnings = Figures::of(&folder).warnings;
        warnings
            .iter()
            .any(|it| it.contains("moved the processors: a cache line took 97 ns"))
    };
    assert!(told([97, 370]));
    assert!(!told([97, 97]));
}

#[test]
fn a_disturbed_ceiling_is_told() {
    let mut folder = fixture::run();
    let told = |folder: &RunFolder| {
        let warnings = Figures::of(folder).warnings;
        warnings
            .iter()
            .any(|warning| warning.contains("ceiling in") && warning.contains("rests on"))
    };
    assert!(!told(&folder));
    for trial in trials(&mut folder) {
        if trial.purpose == Purpose::Ceiling && !trial.repeated {
            trial.disturbed = Some("always".to_owned());
        }
    }
    assert!(told(&folder));
}

#[test]
fn a_run_on_a_busy_machine_concludes_nothing() {
    let mut folder = fixture::run();
    assert!(
        !Figures::of(&folder)
            .warnings
            .iter()
            .any(|it| it.contains("too busy for conclusions"))
    );
    for (number, record) in folder.records.iter_mut().enumerate() {
        if let Record::Trial(trial) = record
            && number % 4 == 0
        {
            trial.disturbed = Some("the hypervisor took 12 % of its time".to_owned());
        }
    }
    let figures = Figures::of(&folder);
    assert!(figures.warnings[0].starts_with("The machine was too busy for conclusions"));
    let lead = &figures.groups[0].scenarios[0].lead;
    assert_eq!(lead.words(), "not decided: the machine was too busy");
}
