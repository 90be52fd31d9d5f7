//! Comparisons of runs that never took place.

use super::*;
use crate::record::Record;
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

/// So many runs of each side, in turns.
fn lots(times: [[f64; 2]; 2], count: usize) -> [Vec<Found>; 2] {
    // No two runs are alike.
    let wobble = |number: usize| 1.0 + 0.001 * ((number * 3) % 7) as f64;
    let lot = |side: usize| {
        (0..count)
            .map(|number| {
                run(
                    times[side].map(|it| it * wobble(number + side)),
                    2 * number + side,
                )
            })
            .collect()
    };
    [lot(0), lot(1)]
}

/// Puts the processors of a run so far apart.
fn place(run: &mut Found, nanoseconds: u64) {
    for record in &mut run.folder.records {
        if let Record::Round(round) = record {
            round.round_trip_ns = Some(nanoseconds);
        }
    }
}

fn compared(times: [[f64; 2]; 2], count: usize) -> Comparison {
    let [base, run] = lots(times, count);
    compare(&base, &run, Tolerance::DEFAULT)
}

fn verdict(comparison: &Comparison, datapath: &str, figure: Figure) -> Verdict {
    let mut changes = comparison.changes.iter();
    let found = changes.find(|it| it.datapath == datapath && it.figure == figure);
    found.unwrap().verdict
}

#[test]
fn what_became_slower_is_a_regression_and_what_did_not_is_none() {
    let comparison = compared([[1.0, 1.0], [0.8, 1.0]], FEWEST);
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
        out.contains("Worse than before:") && out.contains("0.80"),
        "{out}"
    );
    assert!(!out.contains("in turns"), "{out}");
    let back = compared([[0.8, 1.0], [1.0, 1.0]], FEWEST);
    assert!(!back.has_regressions());
    assert_eq!(
        verdict(&back, "kernel-xdp", Figure::Throughput),
        Verdict::Faster
    );
}

#[test]
fn the_same_program_is_equivalent_in_everything() {
    let comparison = compared([[1.0, 1.0], [1.0, 1.0]], FEWEST);
    let verdicts: Vec<Verdict> = comparison.changes.iter().map(|it| it.verdict).collect();
    assert_eq!(verdicts, [Verdict::Equivalent; 6]);
    let out = words(&comparison);
    assert!(
        out.starts_with("Nothing became worse for certain: of 6 figures 0 are worse"),
        "{out}"
    );
    assert!(out.contains("6 as they were"), "{out}");
}

/// What all rounds of a run have in common is no evidence, however many rounds there are.
#[test]
fn few_runs_decide_nothing_however_far_apart_they_are() {
    for count in [1, FEWEST - 1] {
        let comparison = compared([[1.0, 1.0], [0.5, 1.0]], count);
        assert!(!comparison.has_regressions(), "{count}");
        let out = words(&comparison);
        assert!(
            out.contains("too few runs to say") && out.contains("about 0.50"),
            "{out}"
        );
    }
}

/// What is better one way round is worse by as much the other way round.
#[test]
fn the_middle_of_two_favours_none() {
    let there = typical([1.0, 1.21].into_iter()).unwrap();
    let back = typical([1.0, 1.0 / 1.21].into_iter()).unwrap();
    assert!((there - 1.1).abs() < 1e-12 && (there * back - 1.0).abs() < 1e-12);
}

#[test]
fn runs_that_were_not_made_in_turns_are_told() {
    let [base, mut run] = lots([[1.0, 1.0], [1.0, 1.0]], FEWEST);
    for found in &mut run {
        found.folder.run.started = found.folder.run.started.replace("T02", "T03");
    }
    let out = words(&compare(&base, &run, Tolerance::DEFAULT));
    assert!(out.contains("not made in turns"), "{out}");
}

#[test]
fn what_the_tester_may_have_set_is_undecided() {
    let [base, mut run] = lots([[1.0, 1.0], [1.0, 1.0]], FEWEST);
    for found in &mut run {
        fixture::result(&mut found.folder, "openflow", SCENARIOS[0]).ceiling = Some(0.6e6);
    }
    let comparison = compare(&base, &run, Tolerance::DEFAULT);
    assert_eq!(
        verdict(&comparison, "openflow", Figure::Throughput),
        Verdict::Undecided
    );
    assert!(words(&comparison).contains("tester-bound"));
}

/// One half of the runs had processors near each other, the other half far apart.
#[test]
fn runs_whose_processors_were_elsewhere_are_not_compared() {
    let mut lots = lots([[1.0, 1.0], [0.5, 1.0]], FEWEST);
    for (lot, nanoseconds) in lots.iter_mut().zip([97, 370]) {
        lot.iter_mut().for_each(|found| place(found, nanoseconds));
    }
    let [base, run] = &lots;
    let comparison = compare(base, run, Tolerance::DEFAULT);
    assert!(comparison.changes.is_empty() && !comparison.has_regressions());
    let out = words(&comparison);
    assert!(out.contains("processors were farther apart"), "{out}");
}

/// Processors were near each other in every other run of one side, and in the others of the other side.
#[test]
fn runs_are_paired_with_those_at_their_distance() {
    let mut lots = lots([[1.0, 1.0], [0.5, 1.0]], 2 * FEWEST);
    for (side, lot) in lots.iter_mut().enumerate() {
        for (turn, found) in lot.iter_mut().enumerate() {
            place(found, if (turn + side) % 2 == 0 { 97 } else { 370 });
        }
    }
    let [base, run] = &lots;
    let comparison = compare(base, run, Tolerance::DEFAULT);
    assert_eq!(
        verdict(&comparison, "kernel-xdp", Figure::Throughput),
        Verdict::Slower
    );
    let change = &comparison.changes[0];
    assert_eq!(change.runs, 2 * FEWEST);
}

#[test]
fn what_is_not_measured_any_more_became_worse() {
    let [base, mut run] = lots([[1.0, 1.0], [1.0, 1.0]], FEWEST);
    for found in &mut run {
        let is_gone = |record: &Record| crate::report::figures::place(record).0 == "openflow";
        found.folder.records.retain(|record| !is_gone(record));
    }
    let comparison = compare(&base, &run, Tolerance::DEFAULT);
    assert!(comparison.has_regressions());
    let out = words(&comparison);
    assert!(out.starts_with("Something became worse"), "{out}");
    assert!(out.contains("Not measured any more: openflow in"), "{out}");
}

/// One of ten runs was made while the machine was busy.
#[test]
fn a_run_that_is_worth_nothing_takes_its_pair_along_and_no_other() {
    let [base, mut run] = lots([[1.0, 1.0], [0.8, 1.0]], FEWEST + 2);
    run[3].folder.run.profile = "smoke".to_owned();
    let comparison = compare(&base, &run, Tolerance::DEFAULT);
    assert_eq!(
        verdict(&comparison, "kernel-xdp", Figure::Throughput),
        Verdict::Slower
    );
    assert_eq!(comparison.changes[0].runs, FEWEST + 1);
    assert!(words(&comparison).contains("counts for nothing"));
}

/// Who is faster than whom is the same after a change that makes all slower, and not after one that turns them round.
#[test]
fn runs_agree_about_who_is_faster_or_are_at_odds() {
    let comparison = compared([[1.0, 1.0], [0.5, 0.5]], FEWEST);
    let agreement = &comparison.agreement;
    assert_eq!((agreement.alike, agreement.all()), (FEWEST, FEWEST));
    let out = words(&comparison);
    assert!(
        out.contains("of 8 verdicts both runs decide 8, 8 of them alike"),
        "{out}"
    );

    let comparison = compared([[1.0, 1.0], [0.2, 1.0]], 1);
    let [odds] = comparison.agreement.at_odds.as_slice() else {
        panic!("{:?}", comparison.agreement);
    };
    assert_eq!(odds.datapaths, ["kernel-xdp", "openflow"]);
    assert_eq!(
        odds.said.map(|it| it.verdict),
        [Verdict::Faster, Verdict::Slower]
    );
    let out = words(&comparison);
    assert!(
        out.contains("Decided otherwise:") && out.contains("then slower"),
        "{out}"
    );
}

/// What an interval leaves open contradicts nothing, nor does what was measured at another distance.
#[test]
fn what_is_undecided_or_elsewhere_contradicts_nothing() {
    let [mut base, mut run] = lots([[1.0, 1.0], [0.2, 1.0]], 1);
    let keep = |record: &Record| !matches!(record, Record::Round(it) if it.round > 0);
    let mut cut = lots([[1.0, 1.0], [0.2, 1.0]], 1)[1].remove(0);
    cut.folder.records.retain(keep);
    let agreement = compare(&base, &[cut], Tolerance::DEFAULT).agreement;
    assert_eq!((agreement.open, agreement.all()), (1, 1));
    place(&mut base[0], 97);
    place(&mut run[0], 370);
    let agreement = compare(&base, &run, Tolerance::DEFAULT).agreement;
    assert_eq!((agreement.elsewhere, agreement.all()), (1, 1));
}

#[test]
fn another_environment_is_said_loudly() {
    let [base, mut run] = lots([[1.0, 1.0], [1.0, 1.0]], 2);
    run[0].folder.run.environment.kernel = "7.0".to_owned();
    run[1].folder.run.datapaths[0].version = "another".to_owned();
    let out = words(&compare(&base, &run, Tolerance::DEFAULT));
    assert!(out.contains("NOT THE SAME ENVIRONMENT"), "{out}");
    assert!(out.contains("7.0") && out.contains("then another"), "{out}");
}

#[test]
fn a_run_that_is_incomplete_or_worthless_is_told_and_decides_nothing() {
    let [base, mut run] = lots([[1.0, 1.0], [0.5, 1.0]], FEWEST);
    let is_late = |record: &Record| matches!(record, Record::Round(it) if it.round >= 4);
    run[0].folder.records.retain(|record| !is_late(record));
    run[0].folder.damage.cut_off = true;
    run[0].folder.run.schema -= 1;
    let out = words(&compare(&base, &run, Tolerance::DEFAULT));
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.contains("run-1: The last line of"), "{out}");
    assert!(out.contains("run-1: The run has schema"), "{out}");
    run[2].folder.run.environment.build = "debug".to_owned();
    let comparison = compare(&base, &run, Tolerance::DEFAULT);
    assert!(!comparison.has_regressions());
    assert!(words(&comparison).contains("not optimised"));
    let found = trend(&run);
    assert_eq!((found.left_out.len(), found.began.len()), (1, FEWEST - 1));
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
    let mut bare = run([1.0, 1.0], 0);
    let is_round = |record: &Record| matches!(record, Record::Round(_));
    bare.folder.records.retain(|record| !is_round(record));
    let nothing = trend_words(&trend(&[bare]));
    assert!(nothing.contains("Nothing to look at"), "{nothing}");
    // A series of which nothing can be said is not said to be steady.
    let short = trend_words(&trend(&runs[..7]));
    assert!(short.contains("have too few runs"), "{short}");
    assert!(!short.contains("No figure stepped"), "{short}");
}

/// Runs say what commit they are of, which is where to look for what became slower.
#[test]
fn what_stepped_is_traced_to_a_commit() {
    let of = |mut found: Found, commit: &str| {
        found.folder.run.environment.commit = Some(commit.to_owned());
        found
    };
    let flat = |out: &str| out.split_whitespace().collect::<Vec<_>>().join(" ");
    let series = (0..20).map(|number| {
        let (factor, commit) = if number < 12 {
            (1.0, "0123456789ab")
        } else {
            (0.85, "ba9876543210")
        };
        of(run([factor, 1.0], number), commit)
    });
    let out = flat(&trend_words(&trend(&series.collect::<Vec<_>>())));
    let commits = "(commit ba9876543210, and 0123456789ab before it)";
    assert!(out.contains(commits), "{out}");

    let named = |lot: Vec<Found>, commit: &str| -> Vec<Found> {
        lot.into_iter().map(|it| of(it, commit)).collect()
    };
    let [base, run] = lots([[1.0; 2]; 2], FEWEST);
    let (base, mut run) = (named(base, "0123456789ab"), named(run, "ba9876543210"));
    let words =
        |base: &[Found], run: &[Found]| flat(&words(&compare(base, run, Tolerance::DEFAULT)));
    let out = words(&base, &run);
    assert!(
        out.contains("Commit 0123456789ab, then ba9876543210."),
        "{out}"
    );
    // Programs that were mixed up are no side of a comparison.
    run[0].folder.run.environment.commit = Some("0123456789ab".to_owned());
    let out = words(&base, &run);
    let mixed = "The runs of run are of different commits: 0123456789ab and ba9876543210.";
    assert!(out.contains(mixed), "{out}");
}

#[test]
fn a_folder_without_runs_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = find(folder.path()).err().unwrap().to_string();
    assert!(error.contains("neither a run"), "{error}");
    assert!(find(&folder.path().join("nothing")).is_err());
}
