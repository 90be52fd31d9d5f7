//! The figures themselves, and that each form of the report has the same.

use super::fixture::{self, SCENARIOS};
use super::{lines, written};
use crate::record::{Failure, Fastest, Latency, Purpose, Record, TrialRecord};
use crate::report::cell::Check;
use crate::report::figures::Figures;
use crate::report::latency::LatencyFigure;
use crate::report::{RunFolder, summary_json, terminal_table};
use crate::verify::{Mismatch, Report};

/// Gives `kernel-xdp` known figures in the first scenario.
fn known() -> RunFolder {
    let mut folder = fixture::run();
    let result = fixture::result(&mut folder, "kernel-xdp", SCENARIOS[0]);
    result.ceiling = Some(2_000_000.0);
    result.fastest = Some(Fastest {
        rate: 1.25e6,
        cpu_ns_per_frame: 701.4,
        cycles_per_frame: None,
        busy: 0.98,
    });
    let [ndr, pdr] = result.rates.as_mut_slice() else {
        panic!("two rates");
    };
    (ndr.lower, ndr.upper, ndr.throughput) =
        (Some(1_111_100.0), Some(1_122_200.0), Some(1_111_100.0));
    (pdr.lower, pdr.upper, pdr.throughput) =
        (Some(1_238_000.0), Some(1_245_600.0), Some(1_234_567.0));
    let latency = |record: &mut Record| match record {
        Record::Trial(trial)
            if trial.datapath == "kernel-xdp"
                && trial.scenario == SCENARIOS[0]
                && trial.purpose == (Purpose::Latency { percent_of_pdr: 50 }) =>
        {
            let latency = trial.latency.as_mut().unwrap();
            (latency.p50_ns, latency.p90_ns, latency.p99_ns) = (11_111, 22_222, 33_333);
            (latency.p999_ns, latency.max_ns) = (444_444, 5_555_555);
        }
        _ => {}
    };
    folder.records.iter_mut().for_each(latency);
    folder
}

#[test]
fn all_forms_have_the_same_figures() {
    let folder = known();
    let (html, markdown, plots) = written(&folder);
    let (ndr, pdr) = ("1.111 [1.111, 1.122]", "1.235 [1.238, 1.246]");
    assert!(html.contains(&format!("{ndr}</td>")));
    assert!(html.contains("<strong>1.235</strong> [1.238, 1.246]</td>"));
    let row = |name: &str, parts: &[&str]| {
        let mut all = vec![name];
        all.extend(parts);
        assert_eq!(lines(&markdown, &all).len(), 1, "{all:?}");
    };
    let escape = |interval: &str| interval.replace('[', "\\[").replace(']', "\\]");
    row(
        "| kernel-xdp |",
        &[
            &escape(ndr),
            &escape(pdr),
            "| 2.000 | 62 % | passed, 64 frames (7 more not compared, since declared to differ) |",
        ],
    );
    row(
        "| kernel-xdp |",
        &["| 1.250 | 98 % | 701 | 80.0 (11 % of the time beside it) |"],
    );
    row(
        "| kernel-xdp | 50 % |",
        &["| 11.1 | 22.2 | 33.3 | 444 | 5,556 |"],
    );
    assert!(html.contains("11 % of the time beside it"));
    for cell in [
        "1.250", "98 %", "701", "11.1", "22.2", "33.3", "444", "5,556", "62 %",
    ] {
        assert!(
            html.contains(&format!("<td class=\"n\">{cell}</td>")),
            "{cell}"
        );
    }
    let table = terminal_table(&folder);
    assert_eq!(
        lines(
            &table,
            &["kernel-xdp", ndr, pdr, "2.000", "62%", "701", "33.3"]
        )
        .len(),
        1,
        "{table}"
    );
    let picture = plots
        .iter()
        .find(|svg| svg.contains("Throughput on veth ports"))
        .unwrap();
    assert!(picture.contains(&format!("NDR {ndr}")) && picture.contains(&format!("PDR {pdr}")));
    let json = summary_json(&folder);
    let cell = &json["port_groups"][0]["scenarios"][0]["datapaths"][0];
    assert_eq!(cell["datapath"], "kernel-xdp");
    assert_eq!(cell["ndr"]["throughput_fps"], 1_111_100.0);
    assert_eq!(cell["pdr"]["throughput_fps"], 1_234_567.0);
    assert_eq!(cell["pdr"]["lower_fps"], 1_238_000.0);
    assert_eq!(cell["pdr"]["upper_fps"], 1_245_600.0);
    assert_eq!(cell["ceiling_fps"], 2_000_000.0);
    assert_eq!(cell["fastest_trial"]["cpu_ns_per_frame"], 701.4);
    assert_eq!(cell["fastest_trial"]["busy"], 0.98);
    assert_eq!(cell["null_forward"]["cpu_ns_per_frame"], 80.0);
    assert_eq!(cell["verification"]["status"], "passed");
    assert_eq!(cell["latency"][1]["percent_of_pdr"], 50);
    assert_eq!(cell["latency"][1]["p99_ns"], 33_333);
    assert_eq!(cell["latency"][1]["max_ns"], 5_555_555);
    assert_eq!(json["seed"], 42);
}

#[test]
fn every_figure_of_an_unverified_result_is_marked() {
    let folder = fixture::run();
    let (html, markdown, plots) = written(&folder);
    let scenario = markdown.split("### vtep").nth(1).unwrap();
    let rows: Vec<_> = lines(scenario, &["| openflow |"]);
    // NDR, PDR, ceiling, share; the fastest trial's rate, how busy, time, a null forward's; then load, loss and
    // five latencies at three shares.
    let marks = |row: &str| row.matches("**(unverified)**").count();
    assert_eq!(marks(rows[0]), 4, "{}", rows[0]);
    assert_eq!(marks(rows[1]), 4, "{}", rows[1]);
    assert!(
        rows[0].contains("failed: 1 frame not as the oracle says"),
        "{}",
        rows[0]
    );
    let latencies = &rows[2..5];
    assert!(latencies.iter().all(|row| marks(row) == 7), "{latencies:?}");
    assert!(html.contains("<tr class=\"doubtful\">"));
    assert!(html.contains("differs from the oracle: frame 12"));
    let table = terminal_table(&folder);
    assert_eq!(table.matches("! unverified").count(), 1);
    assert_eq!(lines(&table, &["openflow", "]!", "%!"]).len(), 1);
    for start in [
        "Throughput",
        "Processor time",
        "Loss over offered load: vtep",
        "Latency: vtep",
    ] {
        let picture = plots.iter().find(|svg| svg.contains(start)).unwrap();
        assert!(picture.contains("unverified"), "{start}");
    }
    assert_eq!(
        summary_json(&folder)["port_groups"][0]["scenarios"][4]["datapaths"][1]["doubt"],
        "unverified"
    );
}

#[test]
fn who_failed_after_its_figures_were_found_is_marked() {
    let mut folder = known();
    let (html, ..) = written(&folder);
    assert!(!html.contains("failed later"));
    folder.records.push(Record::Failure(Failure {
        datapath: "kernel-xdp".to_owned(),
        scenario: SCENARIOS[0].to_owned(),
        reason: "it no longer answers".to_owned(),
    }));
    let (html, markdown, _) = written(&folder);
    assert!(html.contains("failed later") && markdown.contains("failed later"));
    assert!(terminal_table(&folder).contains("! failed later"));
}

#[test]
fn a_result_without_verification_is_not_trusted() {
    let mut folder = fixture::run();
    folder
        .records
        .retain(|record| !matches!(record, Record::Verification(_)));
    let figures = Figures::of(&folder);
    assert!(figures.cells().all(|(_, cell)| cell.check == Check::Absent));
    let measured = figures.cells().filter(|(_, cell)| cell.result.is_some());
    let doubts: Vec<_> = measured.map(|(_, cell)| cell.doubt()).collect();
    assert!(doubts.iter().all(Option::is_some) && doubts.contains(&Some("not checked")));
    assert!(terminal_table(&folder).contains("has no record of a verification"));
}

#[test]
fn an_irregular_result_says_so_beside_the_figure() {
    let folder = fixture::run();
    let (html, markdown, plots) = written(&folder);
    let reason = "irregular: the budget ran out first";
    let row = lines(&markdown, &["| kernel-xdp |", reason]);
    assert_eq!(row.len(), 1, "{row:?}");
    let ndr = row[0].split('|').nth(2).unwrap();
    assert!(ndr.contains(reason), "{ndr}");
    assert_eq!(html.matches(reason).count(), 1);
    assert!(terminal_table(&folder).contains("~ NDR irregular: the budget ran out first"));
    assert!(plots.iter().any(|svg| svg.contains("irregular\n")));
}

#[test]
fn pdr_within_five_per_cent_of_the_ceiling_is_tester_bound() {
    for (throughput, bound) in [(950_000.0, true), (949_000.0, false), (1_100_000.0, true)] {
        let mut folder = fixture::run();
        let result = fixture::result(&mut folder, "openflow", SCENARIOS[0]);
        result.ceiling = Some(1e6);
        result.rates[1].throughput = Some(throughput);
        let figures = Figures::of(&folder);
        let cell = &figures.groups[0].scenarios[0].cells[1];
        assert_eq!(cell.is_tester_bound(), bound, "{throughput}");
        let warned = figures
            .warnings
            .iter()
            .any(|warning| warning.contains("ceiling, which therefore"));
        assert_eq!(warned, throughput > 1e6);
    }
    let (html, markdown, _) = written(&fixture::run());
    assert!(html.contains("<span class=\"mark\">tester-bound</span>"));
    assert_eq!(
        lines(&markdown, &["**(tester-bound)**"]).len(),
        2,
        "in the answer and in the scenario"
    );
}

#[test]
fn short_goals_count_as_ndr_and_pdr() {
    let mut folder = fixture::run();
    let result = fixture::result(&mut folder, "kernel-xdp", SCENARIOS[0]);
    result.rates[0].goal = "ndr-short".to_owned();
    result.rates[1].goal = "pdr-short".to_owned();
    let figures = Figures::of(&folder);
    let cell = &figures.groups[0].scenarios[0].cells[0];
    assert_eq!(cell.ndr().unwrap().goal, "ndr-short");
    assert_eq!(cell.pdr().unwrap().goal, "pdr-short");
}

#[test]
fn disturbed_trials_are_counted_and_left_out() {
    let folder = fixture::run();
    let figures = Figures::of(&folder);
    assert!(figures.trials.repeated > 0);
    let shown: u64 = figures.cells().map(|(_, cell)| cell.repeated).sum();
    assert!(shown > 0 && shown <= figures.trials.repeated);
    // Disturbed trials of the fixture lose two thirds; no other does.
    assert!(
        figures
            .cells()
            .flat_map(|(_, cell)| &cell.losses)
            .all(|(_, loss)| *loss < 0.6)
    );
    assert!(
        figures
            .cells()
            .flat_map(|(_, cell)| &cell.latencies)
            .all(|figure| figure.loss < 0.6)
    );
}

#[test]
fn latencies_of_several_trials_are_put_together() {
    let folder = fixture::run();
    let sample = folder.records.iter().find_map(|record| match record {
        Record::Trial(trial) if trial.latency.is_some() => Some(trial.clone()),
        _ => None,
    });
    let trial = |ns: u64, count: u64| TrialRecord {
        latency: Some(Latency {
            count,
            p50_ns: ns,
            p90_ns: ns,
            p99_ns: ns,
            p999_ns: ns,
            max_ns: ns + 1,
            histogram: vec![(ns, count)],
        }),
        ..sample.clone().unwrap()
    };
    let (fast, slow) = (trial(1_000, 9_500), trial(5_000, 500));
    let both = LatencyFigure::of(50, &[&fast, &slow]).unwrap();
    assert_eq!((both.count, both.trials), (10_000, 2));
    assert_eq!(
        (both.p50.ns, both.p90.ns, both.p99.ns, both.max_ns),
        (1_000, 1_000, 5_000, 5_001)
    );
    assert!(!both.p999.uncertain, "ten frames lie above");
    let few = trial(1_000, 999);
    let few = LatencyFigure::of(50, &[&few]).unwrap();
    assert!(few.p99.uncertain && few.p999.uncertain && !few.p90.uncertain);
    assert_eq!(LatencyFigure::of(50, &[&trial(1_000, 0)]), None);
    assert!(few.curve().iter().all(|(nines, _)| *nines < 2.0));
}

#[test]
fn an_upper_bound_set_by_the_tester_is_reported() {
    let mut folder = fixture::run();
    let result = fixture::result(&mut folder, "kernel-xdp", SCENARIOS[0]);
    let upper = result.rates[1].upper.unwrap();
    for record in &mut folder.records {
        if let Record::Trial(trial) = record
            && trial.load == upper
        {
            trial.received = trial.received.min(trial.intended * 9 / 10);
            trial.offered = trial.received;
        }
    }
    let figures = Figures::of(&folder);
    let found = figures
        .warnings
        .iter()
        .filter(|warning| warning.contains("the upper bound of PDR comes from frames"));
    assert_eq!(found.count(), 1, "{:?}", figures.warnings);
}

/// That it could not be set up is a failure, and no frame's fault.
#[test]
fn who_could_not_be_set_up_to_be_verified_differs_in_no_frame() {
    let mut folder = fixture::run();
    let place = ("openflow", SCENARIOS[0]);
    folder
        .records
        .retain(|record| crate::report::figures::place(record) != place);
    let verification = Report {
        passed: 12,
        failures: vec![Mismatch {
            name: "installing".to_owned(),
            step: None,
            lines: vec!["no process".to_owned()],
        }],
        broken: Some("no process".to_owned()),
        ..Report::default()
    };
    let reason = verification.objection().unwrap();
    assert_eq!(reason, "it cannot be set up to be verified: no process");
    let recorded = verification.recorded(place.0, place.1);
    folder.records.push(Record::Verification(recorded));
    folder.records.push(Record::Failure(Failure {
        datapath: place.0.to_owned(),
        scenario: place.1.to_owned(),
        reason,
    }));
    let figures = Figures::of(&folder);
    let is_it = |cell: &&crate::report::cell::Cell<'_>| cell.datapath == place.0;
    let mut cells = figures
        .cells()
        .filter(|(scenario, _)| scenario.id == place.1);
    let cell = cells
        .find_map(|(_, cell)| Some(cell).filter(is_it))
        .unwrap();
    assert_eq!(cell.check, Check::Absent);
    assert_eq!(cell.absence(), Some("failed"));
    assert!(terminal_table(&folder).contains("no process"));
}
