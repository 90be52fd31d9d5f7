//! Who leads, and when that cannot be said.

use super::fixture::{self, SCENARIOS};
use crate::record::{Purpose, Record, ResultRecord};
use crate::report::RunFolder;
use crate::report::figures::Figures;

/// The verdict on the first scenario.
fn verdict(folder: &RunFolder) -> String {
    Figures::of(folder).groups[0].scenarios[0].lead.words()
}

/// A run in which `change` was made to the result of `datapath` in the first scenario.
fn changed(datapath: &str, change: impl FnOnce(&mut ResultRecord)) -> RunFolder {
    let mut folder = fixture::run();
    change(fixture::result(&mut folder, datapath, SCENARIOS[0]));
    folder
}

#[test]
fn intervals_apart_have_a_leader() {
    let verdict = verdict(&fixture::run());
    assert!(verdict.starts_with("kernel-xdp, 2.3"), "{verdict}");
}

#[test]
fn overlapping_intervals_have_none() {
    let folder = changed("openflow", |result| result.rates[1].upper = Some(1.5e6));
    assert_eq!(
        verdict(&folder),
        "not decided: intervals of kernel-xdp and openflow overlap"
    );
}

#[test]
fn without_an_upper_bound_of_the_others_there_is_none() {
    let folder = changed("openflow", |result| result.rates[1].upper = None);
    assert_eq!(verdict(&folder), "not decided: no upper bound for openflow");
    let folder = changed("kernel-xdp", |result| result.rates[1].lower = None);
    assert_eq!(
        verdict(&folder),
        "not decided: no lower bound for kernel-xdp"
    );
}

#[test]
fn a_tester_bound_follower_may_be_the_faster_one() {
    let folder = changed("openflow", |result| result.ceiling = Some(0.6e6));
    assert_eq!(verdict(&folder), "not decided: openflow tester-bound");
    let folder = changed("kernel-xdp", |result| result.ceiling = Some(1.42e6));
    assert!(verdict(&folder).starts_with("kernel-xdp, at least 2.3"));
}

#[test]
fn a_follower_whose_upper_bound_is_unsent_frames_may_be_the_faster_one() {
    let mut folder = fixture::run();
    let upper = fixture::result(&mut folder, "openflow", SCENARIOS[0]).rates[1]
        .upper
        .unwrap();
    let mut template = None;
    for record in &folder.records {
        if let Record::Trial(trial) = record
            && trial.datapath == "openflow"
            && trial.scenario == SCENARIOS[0]
            && trial.purpose == Purpose::Search
        {
            template = Some(trial.clone());
        }
    }
    let mut trial = template.unwrap();
    (trial.load, trial.intended) = (upper, 1_000_000);
    // The tester sent half, and all that it sent came back.
    (trial.offered, trial.received) = (500_000, 500_000);
    for _ in 0..100 {
        folder.records.push(Record::Trial(trial.clone()));
    }
    assert_eq!(verdict(&folder), "not decided: openflow tester-bound");
}

#[test]
fn unverified_figures_do_not_lead() {
    let folder = changed("kernel-xdp", |result| result.unverified = true);
    assert_eq!(
        verdict(&folder),
        "not decided: only openflow has a trustworthy PDR"
    );
    let folder = changed("kernel-xdp", |result| result.rates.clear());
    assert_eq!(
        verdict(&folder),
        "not decided: only openflow has a trustworthy PDR"
    );
}

#[test]
fn neither_a_smoke_run_nor_a_slow_build_decides() {
    let mut folder = fixture::run();
    folder.run.profile = "smoke".to_owned();
    assert_eq!(
        verdict(&folder),
        "not decided: smoke: too short for conclusions"
    );
    folder.run.environment.build = "debug".to_owned();
    assert_eq!(
        verdict(&folder),
        "not decided: the program is not optimised"
    );
}

/// Lets one trial of `datapath` carry half as much again as its PDR, with this share of its processor.
fn contradicted(datapath: &str, busy: f64) -> RunFolder {
    changed(datapath, |result| {
        let fastest = result.fastest.as_mut().unwrap();
        fastest.rate *= 1.5;
        fastest.busy = busy;
    })
}

#[test]
fn a_leader_that_a_trial_contradicts_leads_all_the_more_and_is_marked() {
    let folder = contradicted("kernel-xdp", 0.99);
    let verdict = verdict(&folder);
    assert!(verdict.starts_with("kernel-xdp, at least 2.3"), "{verdict}");
    let (_, markdown, _) = super::written(&folder);
    assert!(markdown.contains("**(too low: one trial carried "));
}

#[test]
fn a_follower_that_a_trial_contradicts_follows_where_its_processor_was_full() {
    let folder = contradicted("openflow", 0.99);
    assert!(verdict(&folder).starts_with("kernel-xdp, "));
    // One that spins is always busy.
    let mut folder = contradicted("openflow", 0.99);
    for info in &mut folder.run.datapaths {
        info.polls_busily = true;
    }
    assert_eq!(verdict(&folder), "not decided: PDR of openflow too low");
}

#[test]
fn a_slower_datapath_does_not_lead_because_a_faster_one_is_doubted() {
    // As measured once: 1.44 Mpps that were too low, against a sound 0.32.
    let folder = contradicted("kernel-xdp", 0.5);
    assert!(!verdict(&folder).starts_with("openflow"));
}
