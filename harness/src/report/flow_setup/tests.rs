//! The report on flow setup, from records on a disk.

use super::{summary_json, terminal_table, write};
use crate::flow_setup::flows::Traffic;
use crate::flow_setup::learning::Learning;
use crate::flow_setup::record::{Ceiling, Cell, FILE, Header, Log, Record, SCHEMA};
use crate::lines::Lines;
use crate::record::{DatapathInfo, Environment, Latency, PortType, Rate};
use crate::report::text;
use datapath_api::SwitchCounters;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

pub(crate) fn header(schema: u32) -> Header {
    Header {
        schema,
        started: "2026-01-01T00:00:00Z".to_owned(),
        command: vec!["bench".to_owned(), "flow-setup".to_owned()],
        seed: 7,
        profile: "quick".to_owned(),
        environment: Environment {
            bench_version: String::new(),
            commit: None,
            build: "optimised".to_owned(),
            kernel: "6.1".to_owned(),
            system: String::new(),
            cpu_model: "a processor".to_owned(),
            cpus: 2,
            datapath_cpu: 1,
            tester_cpu: 0,
            sinks_cpu: 0,
            memory_mib: 1,
            hypervisor: None,
            clock_source: String::new(),
            clock_cost_ns: 1.0,
            container: None,
            droplets: Vec::new(),
            notes: Vec::new(),
        },
        datapaths: vec![DatapathInfo {
            name: "fast".to_owned(),
            summary: String::new(),
            version: String::new(),
            ports: PortType::Veth,
            variant_of: None,
            declared_differences: Vec::new(),
            polls_busily: false,
            needs: None,
            missing: Vec::new(),
        }],
        installed: vec![0, 100_000],
    }
}

fn latency(p50_ns: u64) -> Option<Latency> {
    Some(Latency {
        count: 2_000,
        p50_ns,
        p90_ns: p50_ns,
        p99_ns: p50_ns,
        p999_ns: p50_ns,
        max_ns: p50_ns,
        histogram: Vec::new(),
    })
}

pub(crate) fn cell(installed: u32) -> Cell {
    let mut learning = Learning::new(Duration::from_micros(200), 10);
    learning.add(0, &[0, 1, 2]);
    Cell {
        datapath: "fast".to_owned(),
        ports: PortType::Veth,
        traffic: Traffic::NewDestinations,
        installed,
        unavailable: None,
        warm_up: None,
        rate: Some(Rate {
            goal: "flow setup".to_owned(),
            loss_ratio: 0.005,
            lower: Some(980_000.0),
            upper: Some(1_020_000.0),
            throughput: Some(980_000.0),
            irregular: None,
        }),
        trials: 9,
        disturbed: 0,
        switch: Some(Box::new(SwitchCounters {
            upcalls: 4_321,
            upcalls_failed: 12,
            packet_ins_lost: Some(3_456),
            flows: Some(99),
            ..SwitchCounters::default()
        })),
        first: latency(50_000),
        second: latency(20_000),
        pairs_lost: 0,
        pairs_disturbed: false,
        learning: Some(learning),
    }
}

fn folder(schema: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::create(folder.path()).unwrap();
    let cannot = Cell {
        unavailable: Some("the datapath holds 50000 direct paths and not 100000".to_owned()),
        rate: None,
        first: None,
        second: None,
        learning: None,
        ..cell(100_000)
    };
    for record in [
        Record::Header(Box::new(header(schema))),
        Record::Ceiling(Ceiling {
            ports: PortType::Veth,
            traffic: Traffic::NewDestinations,
            rate: 1_000_000.0,
        }),
        Record::Cell(Box::new(cell(0))),
        Record::Cell(Box::new(cannot)),
    ] {
        log.append(&record).unwrap();
    }
    assert!(
        Log::create(folder.path()).is_err(),
        "a run is not overwritten"
    );
    folder
}

#[test]
fn every_form_has_the_figures_the_ceiling_and_the_warnings() {
    let folder = folder(SCHEMA);
    let written = write(folder.path()).unwrap();
    let page = std::fs::read_to_string(&written.markdown).unwrap();
    let table = terminal_table(folder.path()).unwrap();
    assert!(page.contains("4,321"), "{page}");
    assert!(page.contains("12 upcalls of the switch failed"), "{page}");
    assert!(page.contains("| 12 | 3,456 | 99 |"), "{page}");
    let lost = "3,456 packets were lost on the way to the controller";
    assert!(page.contains(lost), "{page}");
    for text in [&page, &table] {
        for wanted in [
            "980,000",
            "1,000,000",
            "50.0",
            "20.0",
            "tester-bound",
            "50000 direct",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in:\n{text}");
        }
    }
    assert!(page.contains("--seed 7"), "{page}");
    let [picture] = written.plots.as_slice() else {
        panic!("{:?}", written.plots);
    };
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(picture.contains("first 50.0 µs") && picture.contains("not available"));
    let json = summary_json(folder.path()).unwrap();
    assert_eq!(json["cells"].as_array().unwrap().len(), 2);
}

#[test]
fn names_neither_widen_a_terminal_nor_act_on_it() {
    let folder = folder(SCHEMA);
    for name in ["kernel-xdp-generic".to_owned(), "\u{1b}[1m".repeat(60)] {
        let mut log = Lines::create(folder.path().join(FILE), false).unwrap();
        let named = Cell {
            datapath: name,
            ..cell(0)
        };
        log.append(&Record::Cell(Box::new(named))).unwrap();
    }
    let table = terminal_table(folder.path()).unwrap();
    assert!(table.contains("    kernel-xdp-generic 980,000"), "{table}");
    assert!(table.lines().all(|line| text::width(line) <= 100));
    assert!(table.chars().all(|c| c == '\n' || !c.is_control()));
}

fn append(folder: &Path, bytes: &[u8]) {
    let path = folder.join(FILE);
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Page, terminal and JSON of a run.
fn every_form(folder: &Path) -> [String; 3] {
    let written = write(folder).unwrap();
    [
        std::fs::read_to_string(&written.markdown).unwrap(),
        terminal_table(folder).unwrap(),
        summary_json(folder).unwrap().to_string(),
    ]
    .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_line_that_was_cut_off_is_left_out_and_reported() {
    let cut = folder(SCHEMA);
    append(cut.path(), b"{\"kind\":\"cell\",\"datapa");
    for text in every_form(cut.path()) {
        assert!(text.contains("tester-bound"), "{text}");
        assert!(
            text.contains("The last line of flow-setup.jsonl is cut off"),
            "{text}"
        );
    }
}

#[test]
fn damaged_lines_are_left_out_and_reported_and_those_after_them_are_read() {
    let damaged = folder(SCHEMA);
    append(damaged.path(), b"{}\n\xff\xfe\n");
    let path = damaged.path().join(FILE);
    let text = std::fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    // Those two come before the cells.
    let order = [0, 1, 4, 5, 2, 3].map(|line| lines[line]);
    std::fs::write(&path, order.concat()).unwrap();
    for text in every_form(damaged.path()) {
        assert!(text.contains("tester-bound"), "{text}");
        assert!(
            text.contains(
                "2 lines of flow-setup.jsonl could not be read and are left out, in line 3 and 4."
            ),
            "{text}"
        );
    }
}

#[test]
fn another_version_and_no_run_are_refused() {
    let other = folder(SCHEMA + 1);
    let error = write(other.path()).unwrap_err().to_string();
    assert!(error.contains("schema"), "{error}");
    let none = tempfile::tempdir().unwrap();
    assert!(write(none.path()).is_err());
}
