//! Decisions on runs that never took place.

use super::evidence::Evidence;
use super::*;
use crate::record::Record;
use crate::report::tests::fixture::{self, SCENARIOS};
use ranking::STAGES;
use std::path::Path;

/// What of the fixture's scenarios differ in frame size alone.
const ENCAP: &str = SCENARIOS[0];

/// Datapaths on veth and vhost-user in five scenarios, measured against each other in the first.
fn run() -> RunFolder {
    let mut folder = fixture::native_and_variant();
    let rates = [
        ("kernel-xdp", 1.42e6),
        ("openflow", 0.61e6),
        ("mizar-dpdk-veth", 0.9e6),
    ];
    fixture::compare(&mut folder, ENCAP, &rates, STAGES[0]);
    folder
}

/// Requirements with these tables, of the first scenario.
fn asked(host: &str, limits: &str, weights: &str) -> Requirements {
    let text = format!(
        "name = \"Test\"\n[host]\n{host}\n[workload]\ntopologies = [\"encap\"]\n[limits]\n{limits}\n[weights]\n{weights}\n"
    );
    toml::from_str(&text).unwrap()
}

fn containers(limits: &str) -> Requirements {
    asked("attaches = \"containers\"", limits, "throughput = 1")
}

fn chosen(decision: &Decision) -> &str {
    match &decision.answer {
        Answer::One { datapath, .. } => datapath,
        other => panic!("{other:?}"),
    }
}

/// The decision in words, on one line.
fn said(decision: &Decision) -> String {
    let words = words(decision);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn candidate<'d>(decision: &'d Decision, name: &str) -> &'d Candidate {
    let mut candidates = decision.candidates.iter();
    candidates.find(|it| it.datapath == name).unwrap()
}

#[test]
fn hosts_that_differ_get_answers_that_differ() {
    let folder = run();
    let free = decide(&folder, &containers(""), None);
    assert_eq!(chosen(&free), "kernel-xdp");
    let host = "attaches = \"containers\"\nkernel = \"5.4\"\npolled_processors = 0";
    let bound = decide(&folder, &asked(host, "", "throughput = 1"), None);
    assert_eq!(chosen(&bound), "openflow");
    let out = said(&bound);
    assert!(
        out.contains("it asks for Linux 5.12 or newer; the hosts have 5.4"),
        "{out}"
    );
    assert!(
        out.contains("it polls, and has a processor for itself"),
        "{out}"
    );
    // What the choice carries, and what would be to be had.
    assert!(
        out.starts_with("Test: choose openflow (0.612 Mpps)"),
        "{out}"
    );
    assert!(
        out.contains(
            "Without host.kernel, kernel-xdp would carry 2.33 times as much as the choice"
        ),
        "{out}"
    );
    assert!(out.contains("of Linux 5.4, which the hosts have"), "{out}");
    assert!(free.withheld.is_none());
    let host = "attaches = \"virtual-machines\"\npolled_processors = 1";
    let machines = decide(&folder, &asked(host, "", "throughput = 1"), None);
    assert_eq!(chosen(&machines), "mizar-dpdk");
}

#[test]
fn the_runner_up_and_what_it_loses_on_come_with_intervals() {
    let decision = decide(&run(), &containers(""), None);
    let Answer::One {
        runner_up: Some((next, interval)),
        ..
    } = &decision.answer
    else {
        panic!("{:?}", decision.answer);
    };
    assert_eq!(next, "mizar-dpdk-veth");
    assert!(
        interval.lower > 1.5 && interval.upper < 1.65,
        "{interval:?}"
    );
    let loser = candidate(&decision, "openflow");
    let throughput = loser
        .against_choice
        .iter()
        .find(|it| it.figure.is_some())
        .unwrap();
    assert_eq!(throughput.choice, Verdict::Faster);
    let again = said(&decision).matches("[the same trials]").count();
    assert!(again > 0, "{}", said(&decision));
    assert!((throughput.choice_is_better.ratio - 1.42 / 0.61).abs() < 0.05);
}

#[test]
fn a_limit_takes_out_who_breaks_it_and_says_by_how_much() {
    let decision = decide(&run(), &containers("rate = 1e6\nloss = 0.005"), None);
    assert_eq!(chosen(&decision), "kernel-xdp");
    let out = said(&decision);
    assert!(
        out.contains("1.000 are asked, with a loss of at most 0.005"),
        "{out}"
    );
    let finding = &candidate(&decision, "openflow").findings;
    let rate = finding
        .iter()
        .find(|it| it.requirement == "limits.rate")
        .unwrap();
    assert_eq!(rate.outcome, Outcome::Unmet);
}

#[test]
fn what_nobody_meets_is_said() {
    let decision = decide(&run(), &containers("rate = 1e9"), None);
    assert_eq!(decision.answer, Answer::None);
    assert_eq!(decision.unmet_by_all, ["limits.rate"]);
    assert!(said(&decision).contains("No datapath is shown to meet limits.rate."));
}

#[test]
fn what_the_run_does_not_show_is_not_taken_for_granted() {
    let decision = decide(&run(), &containers("new_flows = 1000"), None);
    assert_eq!(decision.answer, Answer::None);
    let out = said(&decision);
    assert!(out.contains("bench flow-setup"), "{out}");
}

#[test]
fn weights_decide_and_equal_scores_are_equivalent() {
    let mut folder = fixture::native_and_variant();
    let rates = [("kernel-xdp", 1e6), ("openflow", 1.01e6)];
    fixture::compare(&mut folder, ENCAP, &rates, STAGES[0]);
    let host = "attaches = \"containers\"\npolled_processors = 0";
    let even = decide(&folder, &asked(host, "", "throughput = 1"), None);
    assert!(matches!(&even.answer, Answer::Equivalent { datapaths } if datapaths.len() == 2));
    for record in &mut folder.records {
        if let Record::Round(round) = record
            && round.datapath == "openflow"
        {
            round.p99_ns = round.p99_ns.map(|it| it * 3);
        }
    }
    let late = decide(
        &folder,
        &asked(host, "", "throughput = 1\nlatency = 1"),
        None,
    );
    assert_eq!(chosen(&late), "kernel-xdp");
    let rate_alone = decide(&folder, &asked(host, "", "throughput = 1"), None);
    assert!(matches!(rate_alone.answer, Answer::Equivalent { .. }));
}

#[test]
fn a_run_without_rounds_or_a_smoke_run_decides_nothing() {
    let bare = fixture::native_and_variant();
    let decision = decide(&bare, &containers(""), None);
    let because = |decision: &Decision| match &decision.answer {
        Answer::Undecided { because, .. } => because.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(because(&decision).contains("profiles quick and longer"));
    let mut smoke = run();
    smoke.run.profile = "smoke".to_owned();
    assert!(because(&decide(&smoke, &containers(""), None)).starts_with("smoke"));
}

/// One candidate lacks rounds: what the others are to each other stands, and it alone keeps the answer open.
#[test]
fn who_lacks_rounds_keeps_the_answer_open_and_nobody_else_does() {
    let mut folder = fixture::native_and_variant();
    let rates = [("kernel-xdp", 1.42e6), ("openflow", 0.61e6)];
    fixture::compare(&mut folder, ENCAP, &rates, STAGES[0]);
    let decision = decide(&folder, &containers(""), None);
    let Answer::Undecided { datapaths, because } = &decision.answer else {
        panic!("{:?}", decision.answer);
    };
    assert_eq!(datapaths.as_slice(), ["kernel-xdp", "mizar-dpdk-veth"]);
    let because = because.as_deref().unwrap_or_default();
    assert!(
        because.starts_with("mizar-dpdk-veth has 0 rounds"),
        "{because}"
    );
    let compared = decision.candidates.iter().flat_map(|it| &it.against_choice);
    assert_eq!(compared.count(), 0, "there is no choice");
}

#[test]
fn what_is_wrong_with_a_run_is_said_in_full() {
    let mut folder = run();
    folder.run.schema -= 1;
    folder.damage.cut_off = true;
    let out = said(&decide(&folder, &containers(""), None));
    assert!(out.contains("of an older program than this one"), "{out}");
    assert!(out.contains("trials.jsonl is cut off"), "{out}");
    assert!(out.contains("openflow-kernel, mizar-capsule"), "{out}");
}

#[test]
fn the_answer_changes_between_two_frame_sizes() {
    let mut folder = run();
    let (small, large) = ("encap/64B/1-flow", "encap/1024B/1-flow");
    let mut like = folder.run.scenarios[0].clone();
    (like.id, like.frame) = (large.to_owned(), "1024".to_owned());
    folder.run.scenarios.push(like);
    let copies = folder.records.clone();
    for mut record in copies {
        let is_there = match &mut record {
            Record::Trial(it) if it.scenario == small => {
                it.scenario = large.to_owned();
                !matches!(it.purpose, crate::record::Purpose::Comparison { .. })
            }
            Record::Result(it) if it.scenario == small => {
                it.scenario = large.to_owned();
                true
            }
            Record::Verification(it) if it.scenario == small => {
                it.scenario = large.to_owned();
                true
            }
            _ => false,
        };
        if is_there {
            folder.records.push(record);
        }
    }
    let rates = [
        ("kernel-xdp", 0.61e6),
        ("openflow", 1.42e6),
        ("mizar-dpdk-veth", 0.3e6),
    ];
    fixture::compare(&mut folder, large, &rates, STAGES[0]);
    let decision = decide(&folder, &containers(""), None);
    let [crossover] = decision.crossovers.as_slice() else {
        panic!("{:?}", decision.crossovers);
    };
    assert_eq!(
        (crossover.below.as_str(), crossover.above.as_str()),
        ("kernel-xdp", "openflow")
    );
    // As far from one as from the other, on a logarithmic scale: the root of 64 times 1024.
    assert!(
        (crossover.about - 256.0).abs() < 20.0,
        "{}",
        crossover.about
    );
    assert!(said(&decision).contains("openflow instead of kernel-xdp"));
}

#[test]
fn every_trial_that_is_named_is_one_of_the_datapath_and_scenario() {
    let folder = run();
    let decision = decide(&folder, &containers("rate = 1e5\np99_us = 1e6"), None);
    let findings = decision.candidates.iter().flat_map(|it| &it.findings);
    let of_findings = findings.map(|it| &it.evidence);
    let comparisons = decision.candidates.iter().flat_map(|it| &it.against_choice);
    let of_comparisons = comparisons.flat_map(|it| &it.evidence);
    let mut named = 0;
    for evidence in of_findings.chain(of_comparisons) {
        let Evidence::Trials {
            scenario,
            datapath,
            trials,
        } = evidence
        else {
            continue;
        };
        for number in trials {
            let is_it = |record: &&Record| matches!(record, Record::Trial(it) if it.number == *number && !it.repeated);
            let Some(Record::Trial(trial)) = folder.records.iter().find(is_it) else {
                panic!("there is no trial {number}");
            };
            assert_eq!((&trial.datapath, &trial.scenario), (datapath, scenario));
            named += 1;
        }
    }
    assert!(named > 50, "{named}");
}

#[test]
fn those_built_in_decide_about_any_run() {
    let folder = run();
    for (name, _) in BUILT_IN {
        let asked = Requirements::find(Path::new(name)).unwrap();
        let out = words(&decide(&folder, &asked, None));
        assert!(out.starts_with(&asked.name), "{out}");
        assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
    }
}

#[test]
fn who_is_limited_by_the_tester_has_neither_lost_nor_failed_a_limit() {
    let mut folder = run();
    fixture::result(&mut folder, "mizar-dpdk-veth", ENCAP).ceiling = Some(0.9e6);
    let decision = decide(&folder, &containers(""), None);
    let Answer::Undecided { datapaths, because } = &decision.answer else {
        panic!("{:?}", decision.answer);
    };
    assert_eq!(datapaths.as_slice(), ["kernel-xdp", "mizar-dpdk-veth"]);
    assert!(
        because
            .as_ref()
            .unwrap()
            .contains("the tester may have set")
    );
    let asked = containers("rate = 1.2e6\nloss = 0.005");
    let findings = candidate(&decide(&folder, &asked, None), "mizar-dpdk-veth")
        .findings
        .clone();
    let rate = findings
        .iter()
        .find(|it| it.requirement == "limits.rate")
        .unwrap();
    assert_eq!(rate.outcome, Outcome::NotShown);
}

#[test]
fn a_run_that_is_worth_nothing_chooses_nothing_even_if_one_is_left() {
    let mut folder = run();
    folder.run.profile = "smoke".to_owned();
    let host = "attaches = \"containers\"\nkernel = \"5.4\"\npolled_processors = 0";
    let decision = decide(&folder, &asked(host, "", "throughput = 1"), None);
    assert!(
        matches!(&decision.answer, Answer::Undecided { datapaths, .. } if datapaths.len() == 1)
    );
    assert_eq!(decision.crossovers, []);
}

#[test]
fn latency_of_frames_that_did_not_come_is_not_shown() {
    let mut folder = run();
    for record in &mut folder.records {
        if let Record::Trial(trial) = record
            && trial.datapath == "kernel-xdp"
            && matches!(trial.purpose, crate::record::Purpose::Latency { .. })
        {
            trial.received /= 2;
        }
    }
    let decision = decide(&folder, &containers("p99_us = 1e6"), None);
    let findings = &candidate(&decision, "kernel-xdp").findings;
    let p99 = findings
        .iter()
        .find(|it| it.requirement == "limits.p99_us")
        .unwrap();
    assert_eq!(p99.outcome, Outcome::NotShown, "{}", p99.says);
}

fn finding<'d>(decision: &'d Decision, datapath: &str, requirement: &str) -> &'d Finding {
    let mut findings = candidate(decision, datapath).findings.iter();
    findings.find(|it| it.requirement == requirement).unwrap()
}

#[test]
fn who_failed_after_its_figures_were_found_is_not_chosen() {
    let mut folder = run();
    folder.records.push(Record::Failure(crate::record::Failure {
        datapath: "kernel-xdp".to_owned(),
        scenario: ENCAP.to_owned(),
        reason: "the datapath no longer answers".to_owned(),
    }));
    let decision = decide(&folder, &containers(""), None);
    let failed = finding(&decision, "kernel-xdp", limits::SOUND);
    assert_eq!(failed.outcome, Outcome::NotShown);
    assert!(said(&decision).contains("no longer answers [its line of kind failure]"));
    assert_ne!(chosen(&decision), "kernel-xdp");
}

/// Everything was searched near, and the rounds were far apart.
#[test]
fn figures_of_another_distance_show_nothing() {
    let mut folder = run();
    for record in &mut folder.records {
        match record {
            Record::Round(round) => (round.distance, round.round_trip_ns) = (1, Some(390)),
            Record::Result(result) => result.round_trip_ns = Some(96),
            _ => {}
        }
    }
    let asked = containers("rate = 1e5\nloss = 0.005\np99_us = 1e6");
    let decision = decide(&folder, &asked, None);
    for limit in ["limits.rate", "limits.p99_us"] {
        let found = finding(&decision, "kernel-xdp", limit);
        assert_eq!(found.outcome, Outcome::NotShown, "{limit}");
    }
}

#[test]
fn evidence_is_of_the_distance_that_is_shown() {
    let mut folder = run();
    let elsewhere = folder
        .records
        .clone()
        .into_iter()
        .filter_map(|record| match record {
            Record::Trial(trial)
                if !matches!(trial.purpose, crate::record::Purpose::Comparison { .. }) =>
            {
                let number = trial.number + 1_000_000;
                let distance = 1;
                Some(Record::Trial(crate::record::TrialRecord {
                    number,
                    distance,
                    ..trial
                }))
            }
            Record::Result(result) => Some(Record::Result(crate::record::ResultRecord {
                distance: 1,
                ..result
            })),
            _ => None,
        });
    let elsewhere: Vec<Record> = elsewhere.collect();
    folder.records.extend(elsewhere);
    let decision = decide(
        &folder,
        &containers("rate = 1e5\np99_us = 1e6\nidle = 1.0"),
        None,
    );
    let mut named = 0;
    for finding in decision.candidates.iter().flat_map(|it| &it.findings) {
        match &finding.evidence {
            Evidence::Trials { trials, .. } => {
                assert!(trials.iter().all(|number| *number < 1_000_000));
                named += trials.len();
            }
            Evidence::Line {
                kind: "result",
                distance,
                ..
            } => assert_eq!(*distance, Some(0)),
            _ => {}
        }
    }
    assert!(named > 20, "{named}");
}

/// A run of flow setup, in which each of these takes so many new flows a second, with such a ceiling of the tester.
fn flow_setups(rates: &[(&str, f64)], ceiling: f64) -> FlowSetups {
    use crate::flow_setup::record::{Ceiling, Record};
    use crate::report::flow_setup::tests::{cell, header};
    let mut records = vec![Record::Ceiling(Ceiling {
        ports: datapath_api::PortType::Veth,
        traffic: crate::flow_setup::flows::Traffic::NewDestinations,
        rate: ceiling,
    })];
    for (name, rate) in rates {
        let mut cell = cell(0);
        cell.datapath = (*name).to_owned();
        cell.rate = cell.rate.map(|found| crate::record::Rate {
            lower: Some(*rate),
            upper: Some(rate * 1.02),
            throughput: Some(*rate),
            ..found
        });
        records.push(Record::Cell(Box::new(cell)));
    }
    let recorded = crate::flow_setup::record::Recorded {
        header: header(crate::flow_setup::record::SCHEMA),
        records,
        damage: crate::lines::Damage::default(),
    };
    FlowSetups::new(recorded).unwrap()
}

#[test]
fn new_flows_are_judged_by_the_run_for_them_unless_the_tester_set_them() {
    let folder = run();
    let asked = containers("new_flows = 50000");
    let outcome = |ceiling: f64| {
        let setups = flow_setups(&[("kernel-xdp", 9e5), ("openflow", 1e4)], ceiling);
        let decision = decide(&folder, &asked, Some(&setups));
        let of = |name| finding(&decision, name, "limits.new_flows").outcome;
        [of("kernel-xdp"), of("openflow"), of("mizar-dpdk-veth")]
    };
    use Outcome::{Met, NotShown, Unmet};
    assert_eq!(outcome(2e6), [Met, Unmet, NotShown]);
    assert_eq!(outcome(1e4), [Met, NotShown, NotShown]);
}

#[test]
fn another_machine_of_flow_setup_is_told() {
    let mut folder = run();
    folder.run.environment.kernel = "7.0".to_owned();
    let setups = flow_setups(&[("kernel-xdp", 9e5)], 2e6);
    let decision = decide(&folder, &containers(""), Some(&setups));
    assert!(
        decision.warnings[0].contains("another machine"),
        "{:?}",
        decision.warnings
    );
}

/// Who carries more established flows takes fewer new ones.
#[test]
fn shares_of_new_flows_change_sides_only_for_the_answer_and_only_as_a_model() {
    let (small, host) = (ENCAP, "vtep/64B/1-flow");
    let mut folder = run();
    let mut like = folder.run.scenarios[0].clone();
    (like.id, like.topology) = (host.to_owned(), "vtep".to_owned());
    folder.run.scenarios.push(like);
    let mut copies = folder.records.clone();
    copies.retain_mut(|record| {
        let (_, of) = crate::report::figures::place(record);
        let is_there = of == small;
        match record {
            Record::Trial(it) => it.scenario = host.to_owned(),
            Record::Result(it) => it.scenario = host.to_owned(),
            Record::Verification(it) => it.scenario = host.to_owned(),
            Record::Round(it) => it.scenario = host.to_owned(),
            _ => return false,
        }
        is_there
    });
    folder.records.extend(copies);
    let mut asked = containers("");
    asked.workload.topologies = vec!["vtep".to_owned()];
    asked.workload.frames = vec!["64".to_owned()];
    let rates = [
        ("kernel-xdp", 1e4),
        ("openflow", 1e5),
        ("mizar-dpdk-veth", 5e4),
    ];
    let setups = flow_setups(&rates, 2e6);
    let decision = decide(&folder, &asked, Some(&setups));
    assert_eq!(chosen(&decision), "kernel-xdp");
    let sides: Vec<(&str, &str)> = decision
        .crossovers
        .iter()
        .map(|it| (it.below.as_str(), it.above.as_str()))
        .collect();
    // Where openflow would overtake the answer, the other has done so already; and those two are no answer, whatever they do to
    // each other.
    assert_eq!(sides, [("kernel-xdp", "mizar-dpdk-veth")]);
    let out = said(&decision);
    assert!(
        out.contains("a model: calculated") && !out.contains("measured at 0.000"),
        "{out}"
    );
}
