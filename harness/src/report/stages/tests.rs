//! The report on stages, from records on a disk.

use super::{summary_json, terminal_table, write};
use crate::report::tests::fixture;
use crate::stages::record::{FILE, Header, Live, Log, Record, SCHEMA, Sample, Way};
use datapath_api::{Decision, Stage};
use tempfile::TempDir;

fn header() -> Header {
    let run = fixture::run().run;
    let datapaths = run.datapaths.into_iter().take(1);
    Header {
        schema: SCHEMA,
        started: "2026-01-01T00:00:00Z".to_owned(),
        command: ["bench", "stages"].map(str::to_owned).to_vec(),
        environment: run.environment,
        datapaths: datapaths.collect(),
        topology: "vtep".to_owned(),
        frame_bytes: 60,
        rounds: 21,
        cycles_per_ns: Some(2.0),
        live_load: 200_000.0,
    }
}

/// Each stage adds ten times its number of nanoseconds, and each round one to all of them.
fn recorded(rounds: u32) -> TempDir {
    let folder = TempDir::new().unwrap();
    let header = header();
    let datapath = header.datapaths[0].name.clone();
    let mut log = Log::create(folder.path()).unwrap();
    log.append(&Record::Header(Box::new(header))).unwrap();
    let stages = [Stage::Hook, Stage::Parse, Stage::Lookup, Stage::Headers];
    for round in 1..=rounds {
        let mut ns = 0;
        for (number, stage) in (1..).zip(stages) {
            ns += 10 * number;
            log.append(&Record::Sample(Sample {
                round,
                datapath: datapath.clone(),
                way: Way::Leaving,
                decision: Decision::Established,
                stage,
                frames: 1_000,
                ns: 1_000 * (ns + u64::from(round)),
            }))
            .unwrap();
        }
        for (datapath, ns) in [(None, 500), (Some(datapath.clone()), 530)] {
            log.append(&Record::Live(Live {
                round,
                datapath,
                intended: 10,
                frames: 10,
                disturbed: (round == 3).then(|| "a stall".to_owned()),
                cpu_ns: 10 * (ns + u64::from(round % 2)),
                round_trip_ns: Some([97; 2]),
            }))
            .unwrap();
        }
    }
    folder
}

#[test]
fn a_stage_costs_what_it_adds() {
    let folder = recorded(21);
    let written = write(folder.path()).unwrap();
    let markdown = std::fs::read_to_string(&written.markdown).unwrap();
    let markdown = markdown.replace('\\', "");
    for row in [
        "| loop, and a program that drops | 21.0 [16.0, 26.0] | 42 [32, 52] |",
        "| reading headers | 20.0 [20.0, 20.0] | 40 [40, 40] |",
        "| looking up where it goes | 30.0 [30.0, 30.0] | 60 [60, 60] |",
        "| writing or stripping headers | 40.0 [40.0, 40.0] | 80 [80, 80] |",
        "| code: all between loop and sending | 90.0 [90.0, 90.0] | 180 [180, 180] |",
    ] {
        assert!(markdown.contains(row), "{row}\n{markdown}");
    }
    // The null forward of the same round is what it is set against.
    assert!(
        markdown.contains("| 500 [500, 501] | 530 [530, 531] | 30 [30, 30] |"),
        "{markdown}"
    );
    assert!(markdown.contains("2 live trials disturbed"), "{markdown}");
    let terminal = terminal_table(folder.path()).unwrap();
    assert!(terminal.contains("lookup 30.0 [30.0, 30.0]"), "{terminal}");
    let json = summary_json(folder.path()).unwrap();
    assert_eq!(json["columns"][0]["code_ns"]["median"], 90.0);
    assert!(written.html.is_file());
}

/// Some of the live trials were made while the hypervisor had the processors farther apart.
#[test]
fn processors_that_moved_are_told() {
    let folder = recorded(21);
    let file = folder.path().join(FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    let told = || {
        let table = terminal_table(folder.path()).unwrap();
        let words: Vec<_> = table.split_whitespace().collect();
        words.join(" ").contains("moved the processors")
    };
    assert!(!told());
    let moved = text.replace("\"round_trip_ns\":[97,97]", "\"round_trip_ns\":[391,388]");
    let lines = text.lines().zip(moved.lines()).enumerate();
    let of_both: Vec<&str> = lines
        .map(|(number, (near, far))| if number % 3 == 0 { near } else { far })
        .collect();
    std::fs::write(&file, of_both.join("\n") + "\n").unwrap();
    assert!(told());
}

#[test]
fn the_commit_is_told_where_it_is_known() {
    let folder = recorded(21);
    let page = || {
        let written = write(folder.path()).unwrap();
        std::fs::read_to_string(written.markdown).unwrap()
    };
    assert!(!page().contains("commit"));
    let file = folder.path().join(FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    let built = "\"commit\":\"0123abc\",\"build\"";
    std::fs::write(&file, text.replacen("\"build\"", built, 1)).unwrap();
    assert!(page().contains(", bench of commit 0123abc, "));
}

#[test]
fn a_program_that_was_not_optimised_is_warned_of() {
    let folder = recorded(21);
    let file = folder.path().join(FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!terminal_table(folder.path()).unwrap().contains("worthless"));
    std::fs::write(
        &file,
        text.replacen("\"optimised\"", "\"with runtime checks\"", 1),
    )
    .unwrap();
    assert!(
        terminal_table(folder.path())
            .unwrap()
            .contains("every figure is worthless")
    );
}

#[test]
fn too_few_rounds_are_no_figure_and_a_failure_is_told() {
    let folder = recorded(5);
    let file = folder.path().join(FILE);
    let mut text = std::fs::read_to_string(&file).unwrap();
    let failed = Record::Failed {
        datapath: "kernel-xdp".to_owned(),
        reason: "the verifier".to_owned(),
    };
    text.push_str(&serde_json::to_string(&failed).unwrap());
    // And the run was cut off.
    text.push_str("\n{\"kind\":\"sam");
    std::fs::write(&file, text).unwrap();
    let terminal = terminal_table(folder.path()).unwrap();
    for said in [
        "too few rounds",
        "kernel-xdp failed: the verifier",
        "damaged",
    ] {
        assert!(terminal.contains(said), "{said}\n{terminal}");
    }
}
