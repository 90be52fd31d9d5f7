//! Comparisons of runs that never took place.

use super::*;
use crate::report::tests::fixture::{self, SCENARIOS};
use std::path::PathBuf;

/// A run in which the datapaths of the first scenario are so many times as fast as usual, begun at this minute.
fn run(times: [f64; 2], minute: usize) -> Found {
    let mut folder = fixture::run();
    let rates = [
        ("kernel-xdp", 1.42e6 * times[0]),
        ("openflow", 0.61e6 * times[1]),
    ];
    fixture::compare(&mut folder, SCENARIOS[0], &rates, STAGES[0]);
    folder.run.started = format!("2026-11-29T02:{minute:02}:00Z");
    Found {
        path: PathBuf::from(format!("run-{minute}")),
        folder,
    }
}

fn verdict(comparison: &Comparison, datapath: &str, figure: Figure) -> Verdict {
    let mut changes = comparison.changes.iter();
    let found = changes.find(|it| it.datapath == datapath && it.figure == figure);
    found.unwrap().verdict
}

#[test]
fn what_became_slower_is_a_regression_and_what_did_not_is_none() {
    let comparison = compare(
        &[run([1.0, 1.0], 0)],
        &[run([0.8, 1.0], 1)],
        Tolerance::DEFAULT,
    );
    assert!(comparison.has_regressions());
    assert_eq!(
        verdict(&comparison, "kernel-xdp", Figure::Throughput),
        Verdict::Slower
    );
    assert_eq!(
        verdict(&comparison, "openflow", Figure::Throughput),
        Verdict::Equivalent
    );
    let out = words(&comparison);
    assert!(
        out.contains("Worse than before:") && out.contains("0.800 times as good"),
        "{out}"
    );
    assert!(out.contains("One run on each side"), "{out}");
    let back = compare(
        &[run([0.8, 1.0], 0)],
        &[run([1.0, 1.0], 1)],
        Tolerance::DEFAULT,
    );
    assert!(!back.has_regressions());
    assert_eq!(
        verdict(&back, "kernel-xdp", Figure::Throughput),
        Verdict::Faster
    );
}

#[test]
fn the_same_run_is_equivalent_in_everything() {
    let comparison = compare(
        &[run([1.0, 1.0], 0)],
        &[run([1.0, 1.0], 1)],
        Tolerance::DEFAULT,
    );
    let verdicts: Vec<Verdict> = comparison.changes.iter().map(|it| it.verdict).collect();
    assert_eq!(verdicts, [Verdict::Equivalent; 6]);
    assert!(words(&comparison).contains("6 of 6 figures are as they were"));
}

#[test]
fn another_environment_is_said_loudly() {
    let mut other = run([1.0, 1.0], 1);
    other.folder.run.environment.kernel = "7.0".to_owned();
    other.folder.run.datapaths[0].version = "another".to_owned();
    let out = words(&compare(
        &[run([1.0, 1.0], 0)],
        &[other],
        Tolerance::DEFAULT,
    ));
    assert!(out.starts_with("NOT THE SAME ENVIRONMENT"), "{out}");
    assert!(out.contains("7.0") && out.contains("then another"), "{out}");
}

#[test]
fn a_run_that_is_incomplete_is_compared_as_far_as_it_goes() {
    let mut cut = run([1.0, 1.0], 1);
    let is_late = |record: &Record| matches!(record, Record::Round(it) if it.round >= 4);
    cut.folder.records.retain(|record| !is_late(record));
    cut.folder.damage.cut_off = true;
    let comparison = compare(&[run([1.0, 1.0], 0)], &[cut], Tolerance::DEFAULT);
    assert!(
        comparison
            .changes
            .iter()
            .all(|it| it.verdict == Verdict::Undecided)
    );
    let out = words(&comparison);
    assert!(
        out.contains("run-1 is incomplete") && out.contains("too few rounds"),
        "{out}"
    );
}

#[test]
fn a_series_steps_once_and_is_found_to() {
    let runs: Vec<Found> = (0..20)
        .map(|number| run([if number < 12 { 1.0 } else { 0.85 }, 1.0], number))
        .collect();
    let found = trend(&runs);
    let throughput: Vec<_> = found
        .steps
        .iter()
        .filter(|step| step.figure == Figure::Throughput)
        .collect();
    let [step] = throughput.as_slice() else {
        panic!("{:?}", found.steps);
    };
    assert_eq!(
        (step.datapath.as_str(), step.since.as_str()),
        ("kernel-xdp", "2026-11-29T02:12:00Z")
    );
    assert!((step.times_better - 0.85).abs() < 0.01, "{step:?}");
    assert!(found.has_regressions());
    let out = trend_words(&found);
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.contains("0.850 times as good as before"), "{out}");
    let steady = trend(&runs[..12]);
    assert_eq!(steady.steps, []);
    assert!(trend_words(&steady).contains("No figure stepped"));
}

#[test]
fn a_folder_without_runs_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = find(folder.path()).err().unwrap().to_string();
    assert!(error.contains("neither a run"), "{error}");
    assert!(find(&folder.path().join("nothing")).is_err());
}
