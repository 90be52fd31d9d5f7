//! Datapaths measured against each other.

use super::fixture::{self, SCENARIOS};
use super::written;
use crate::record::{Purpose, Record, TrialRecord};
use crate::report::figures::Figures;
use crate::report::{RunFolder, summary_json, terminal_table};
use ranking::{STAGES, Verdict};

/// A run whose datapaths were measured against each other in the first scenario, at these rates, for as many rounds.
fn run(rates: &[(&str, f64)], rounds: usize) -> RunFolder {
    let mut folder = fixture::run();
    fixture::compare(&mut folder, SCENARIOS[0], rates, rounds);
    folder
}

fn lead(folder: &RunFolder) -> String {
    Figures::of(folder).groups[0].scenarios[0].lead.words()
}

#[test]
fn rounds_decide_and_not_the_intervals_of_searches() {
    let folder = run(&[("kernel-xdp", 0.5e6), ("openflow", 0.6e6)], STAGES[0]);
    let lead = lead(&folder);
    assert!(lead.starts_with("openflow, 1.20 × the next [1.1"), "{lead}");
}

#[test]
fn who_differs_by_less_than_the_tolerance_is_equivalent() {
    let folder = run(&[("kernel-xdp", 1e6), ("openflow", 1.01e6)], STAGES[0]);
    let expected = "openflow and kernel-xdp, equivalent";
    assert_eq!(lead(&folder), expected);
    assert!(terminal_table(&folder).contains(expected));
    assert!(terminal_table(&folder).contains("1.013 [1.010, 1.015] Mpps"));
    let (html, markdown, _) = written(&folder);
    assert!(html.contains("measured against each other"));
    assert!(markdown.contains("equivalent, 8 rounds"));
    let json = summary_json(&folder);
    let compared = &json["port_groups"][0]["scenarios"][0]["compared"];
    assert_eq!(compared["pairs"][0]["verdict"], "equivalent");
    assert_eq!(compared["order"][0], "openflow");
}

#[test]
fn the_first_sentences_give_a_lead_with_its_interval_and_say_how_sure_it_is() {
    let mut folder = run(&[("kernel-xdp", 0.5e6), ("openflow", 0.6e6)], STAGES[0]);
    let (_, markdown, _) = written(&folder);
    let first = |markdown: &str| markdown.split("\n|").next().unwrap_or_default().to_owned();
    let brief = first(&markdown);
    assert!(brief.contains("openflow"), "{brief}");
    assert!(brief.contains("1.20 × the next \\[1.1"), "{brief}");
    assert!(brief.contains("1 of 1 pairs are decided"), "{brief}");
    assert!(brief.contains("a confidence of 95 %"), "{brief}");
    // What an unfit run's rounds say is nothing.
    folder.run.profile = "smoke".to_owned();
    let (_, markdown, _) = written(&folder);
    let brief = first(&markdown);
    assert!(brief.contains("not decided"), "{brief}");
    assert!(
        !brief.contains("How sure") && !brief.contains("1.20"),
        "{brief}"
    );
}

/// One that was measured, and in no round: it may carry more than who leads in them, unless its search has a bound below.
#[test]
fn who_was_in_no_round_may_lead() {
    let with = |rate: f64| {
        let mut folder = fixture::native_and_variant();
        let rates = [("kernel-xdp", rate), ("openflow", 0.3e6)];
        fixture::compare(&mut folder, SCENARIOS[0], &rates, STAGES[0]);
        folder
    };
    assert_eq!(
        lead(&with(0.6e6)),
        "not decided: no rounds of mizar-dpdk-veth"
    );
    let clear = with(1.4e6);
    let lead = lead(&clear);
    assert!(lead.starts_with("kernel-xdp, 4.6"), "{lead}");
    let (_, markdown, _) = written(&clear);
    assert!(markdown.contains("1 of 3 pairs are decided"), "{markdown}");
}

/// The first picture has medians of rounds, in bold of who leads, and is there only where there are rounds.
#[test]
fn the_first_picture_is_of_rounds() {
    let folder = run(&[("kernel-xdp", 0.5e6), ("openflow", 0.6e6)], STAGES[0]);
    let (html, markdown, plots) = written(&folder);
    let first = markdown.find("![").map(|at| &markdown[at..]);
    let first = first.and_then(|it| it.lines().next()).unwrap_or_default();
    assert!(first.ends_with("(plots/overview.svg)"), "{first}");
    assert!(
        first.contains("kernel-xdp 0.501, openflow 0.602 leads"),
        "{first}"
    );
    assert!(html.contains("What datapaths carry in a typical round"));
    assert!(!plots.is_empty());
    let (_, markdown, _) = written(&fixture::run());
    assert!(!markdown.contains("overview.svg"));
}

#[test]
fn a_lead_by_the_bounds_of_searches_says_that_it_has_no_probability() {
    let (_, markdown, _) = written(&fixture::run());
    assert!(markdown.contains("has no probability here"), "{markdown}");
    // Where nobody leads there is nothing to be sure of.
    let mut folder = fixture::run();
    for record in &mut folder.records {
        if let Record::Result(result) = record {
            result.rates[1].upper = None;
        }
    }
    let (_, markdown, _) = written(&folder);
    assert!(!markdown.contains("How sure"), "{markdown}");
}

#[test]
fn a_round_is_the_testers_if_the_trial_that_ended_it_lacks_frames_that_were_never_sent() {
    let rates = [("kernel-xdp", 0.5e6), ("openflow", 0.6e6)];
    // Frames that were sent of those that should have been, in the trial that ended each round.
    for (offered, expected) in [(55_000, "openflow, 1.20 ×"), (50_000, "not decided: ")] {
        let mut folder = run(&rates, STAGES[0]);
        let of_rounds = folder.records.iter().filter_map(|record| match record {
            Record::Trial(it) if it.datapath == "kernel-xdp" => match it.purpose {
                Purpose::Comparison { .. } => Some(it.clone()),
                _ => None,
            },
            _ => None,
        });
        let of_rounds: Vec<TrialRecord> = of_rounds.collect();
        for trial in of_rounds {
            let like = |load, intended, offered, received| TrialRecord {
                load,
                intended,
                offered,
                received,
                ..trial.clone()
            };
            // One that is far beyond both, and one that is just beyond the datapath.
            let beyond = like(70e6, 7_000_000, 500_000, 50_000);
            let end = like(0.55e6, 55_000, offered, 50_000);
            folder.records.extend([beyond, end].map(Record::Trial));
        }
        let lead = lead(&folder);
        assert!(lead.starts_with(expected), "{lead}");
    }
}

#[test]
fn too_few_rounds_decide_nothing() {
    let folder = run(&[("kernel-xdp", 2e6), ("openflow", 1e6)], STAGES[0] - 1);
    assert_eq!(
        lead(&folder),
        "not decided: too few rounds of kernel-xdp and openflow"
    );
    let (_, markdown, _) = written(&folder);
    assert!(
        markdown.contains("undecided: 7 rounds are too few"),
        "{markdown}"
    );
}

#[test]
fn a_round_that_was_cut_off_changes_nothing() {
    let whole = run(&[("kernel-xdp", 2e6), ("openflow", 1e6)], STAGES[0]);
    let mut cut = whole.clone();
    let mut extra = cut.records.last().unwrap().clone();
    if let Record::Round(round) = &mut extra {
        round.round += 1;
    }
    cut.records.push(extra);
    assert_eq!(lead(&cut), lead(&whole));
}

#[test]
fn who_failed_on_the_way_is_in_no_verdict() {
    let mut folder = run(&[("kernel-xdp", 2e6), ("openflow", 1e6)], STAGES[0]);
    folder.records.retain(
        |record| !matches!(record, Record::Round(it) if it.datapath == "openflow" && it.round == 3),
    );
    let figures = Figures::of(&folder);
    let standing = figures.groups[0].scenarios[0].standing.as_ref().unwrap();
    let pair = standing.pair("kernel-xdp", "openflow").unwrap();
    assert_eq!((pair.verdict, pair.interval), (Verdict::Undecided, None));
}

#[test]
fn who_failed_in_the_last_round_is_out_and_the_others_are_judged() {
    let rates = [
        ("kernel-xdp", 2e6),
        ("openflow", 1e6),
        ("mizar-dpdk-veth", 0.5e6),
    ];
    let mut folder = fixture::native_and_variant();
    fixture::compare(&mut folder, SCENARIOS[0], &rates, STAGES[0]);
    let last = STAGES[0] as u32 - 1;
    folder.records.retain(|record| {
        !matches!(record, Record::Round(it) if it.datapath == "openflow" && it.round == last)
    });
    let judged = |folder: &RunFolder| {
        let figures = Figures::of(folder);
        let group = figures
            .groups
            .iter()
            .find(|it| it.datapaths.contains(&"openflow"));
        let standing = group.unwrap().scenarios[0].standing.as_ref().unwrap();
        standing
            .pair("kernel-xdp", "mizar-dpdk-veth")
            .unwrap()
            .verdict
    };
    // As an interrupted run leaves it.
    assert_eq!(judged(&folder), Verdict::Undecided);
    folder.records.push(Record::Failure(crate::record::Failure {
        datapath: "openflow".to_owned(),
        scenario: SCENARIOS[0].to_owned(),
        reason: "it died".to_owned(),
    }));
    assert_eq!(judged(&folder), Verdict::Faster);
}

#[test]
fn one_that_the_tester_limits_may_have_won_but_not_lost() {
    let rates = [("kernel-xdp", 1.4e6), ("openflow", 0.6e6)];
    let mut folder = run(&rates, STAGES[0]);
    fixture::result(&mut folder, "openflow", SCENARIOS[0]).ceiling = Some(0.6e6);
    assert_eq!(lead(&folder), "not decided: openflow tester-bound");
    let mut folder = run(&rates, STAGES[0]);
    fixture::result(&mut folder, "kernel-xdp", SCENARIOS[0]).ceiling = Some(1.42e6);
    assert!(lead(&folder).starts_with("kernel-xdp, at least 2.3"));
}

#[test]
fn unverified_rounds_win_nothing() {
    let mut folder = run(&[("kernel-xdp", 1.4e6), ("openflow", 0.6e6)], STAGES[0]);
    fixture::result(&mut folder, "kernel-xdp", SCENARIOS[0]).unverified = true;
    assert_eq!(
        lead(&folder),
        "not decided: only openflow has trustworthy rounds"
    );
}

#[test]
fn a_row_beats_its_column_in_the_order_of_the_table() {
    let rates = [("openflow", 0.6e6), ("kernel-xdp", 1.4e6)];
    let folder = run(&rates, STAGES[0]);
    let figures = Figures::of(&folder);
    let standing = figures.groups[0].scenarios[0].standing.as_ref().unwrap();
    assert_eq!(standing.contestants, ["kernel-xdp", "openflow"]);
    let pair = standing.pair("kernel-xdp", "openflow").unwrap();
    let back = standing.pair("openflow", "kernel-xdp").unwrap();
    assert_eq!(
        (pair.verdict, back.verdict),
        (Verdict::Faster, Verdict::Slower)
    );
    let (there, back) = (pair.interval.unwrap(), back.interval.unwrap());
    assert!((there.ratio * back.ratio - 1.0).abs() < 1e-12);
    assert!((there.lower * back.upper - 1.0).abs() < 1e-12);
}

/// A hypervisor had the processors near each other for eight rounds, in which one datapath was faster, and far apart for fewer,
/// in which the other was.
#[test]
fn rounds_at_two_distances_are_not_mixed() {
    let mut folder = run(&[("kernel-xdp", 1e6), ("openflow", 0.5e6)], STAGES[0]);
    let place = |record: &mut Record, distance: u32, nanoseconds: u64| match record {
        Record::Round(round) => {
            (round.distance, round.round_trip_ns) = (distance, Some(nanoseconds));
        }
        Record::Result(result) => result.distance = distance,
        Record::Trial(trial) => trial.distance = distance,
        _ => {}
    };
    let near = folder.records.len();
    folder.records.iter_mut().for_each(|it| place(it, 1, 97));
    let rates = [("kernel-xdp", 0.25e6), ("openflow", 0.5e6)];
    fixture::compare(&mut folder, SCENARIOS[0], &rates, STAGES[0] - 1);
    for record in &mut folder.records[near..] {
        place(record, 0, 370);
        match record {
            Record::Round(round) => round.round += 100,
            Record::Trial(trial) => {
                if let Purpose::Comparison { round } = &mut trial.purpose {
                    *round += 100;
                }
            }
            _ => {}
        }
    }
    let lead = lead(&folder);
    assert!(lead.starts_with("kernel-xdp, 2.00 × the next"), "{lead}");
    let figures = Figures::of(&folder);
    let scenario = &figures.groups[0].scenarios[0];
    let apart = scenario.apart.unwrap();
    assert_eq!((apart.round_trip_ns, apart.elsewhere), (97.0, 14));
    let cell = &scenario.cells[0];
    assert_eq!((cell.rounds.len(), cell.in_rounds.len()), (8, 8));
    let (_, markdown, _) = written(&folder);
    assert!(
        markdown.contains("a cache line took 97 ns")
            && markdown.contains("14 figures of other rounds at another distance say how steady"),
        "{markdown}"
    );
}

/// Nine rounds in turns near and far: too few of either alone.
#[test]
fn rounds_at_two_distances_are_judged_together() {
    let mut folder = run(&[("kernel-xdp", 1e6), ("openflow", 0.5e6)], 9);
    for record in &mut folder.records {
        if let Record::Round(round) = record {
            let is_far = round.round % 2 == 1;
            (round.distance, round.round_trip_ns) = match is_far {
                true => (1, Some(370)),
                false => (0, Some(97)),
            };
            if is_far && round.datapath == "kernel-xdp" {
                round.throughput *= 0.6;
            }
        }
    }
    let lead = lead(&folder);
    assert!(lead.starts_with("kernel-xdp, 2.00 × the next"), "{lead}");
    let figures = Figures::of(&folder);
    let standing = figures.groups[0].scenarios[0].standing.as_ref().unwrap();
    let pair = standing.pair("openflow", "kernel-xdp").unwrap();
    assert_eq!((pair.rounds, pair.elsewhere), (9, None));
    assert_eq!(pair.round_trip_ns, Some(97.0));
    assert_eq!(figures.groups[0].scenarios[0].cells[0].rounds.len(), 5);
}

/// One fails before anybody has had a figure of the round: the others go on without it.
#[test]
fn who_fails_at_the_beginning_of_a_round_is_waited_for_no_longer() {
    let mut folder = fixture::native_and_variant();
    let rates = [
        ("kernel-xdp", 1e6),
        ("openflow", 0.5e6),
        ("mizar-dpdk-veth", 0.7e6),
    ];
    fixture::compare(&mut folder, SCENARIOS[0], &rates, 3);
    folder.records.push(Record::Failure(crate::record::Failure {
        datapath: "mizar-dpdk-veth".to_owned(),
        scenario: SCENARIOS[0].to_owned(),
        reason: "it died".to_owned(),
    }));
    let before = folder.records.len();
    fixture::compare(&mut folder, SCENARIOS[0], &rates[..2], STAGES[0] - 3);
    for record in &mut folder.records[before..] {
        if let Record::Round(round) = record {
            round.round += 3;
        }
    }
    let figures = Figures::of(&folder);
    let mut groups = figures.groups.iter().flat_map(|group| &group.scenarios);
    let standing = groups.find_map(|it| it.standing.as_ref()).unwrap();
    assert_eq!(standing.contestants.len(), 3);
    let pair = standing.pair("kernel-xdp", "openflow").unwrap();
    assert_eq!((pair.rounds, pair.verdict), (STAGES[0], Verdict::Faster));
    let pair = standing.pair("kernel-xdp", "mizar-dpdk-veth").unwrap();
    assert_eq!(pair.verdict, Verdict::Undecided);
}
