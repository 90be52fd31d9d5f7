//! The report on sockets, from records on a disk.

use super::figures::{Figures, Spread};
use super::{summary_json, terminal_table, write};
use crate::overlay::Ages;
use crate::record::{DatapathInfo, Environment, Hop, Latency, PortType};
use crate::sockets::mtu::{Mtu, Mtus};
use crate::sockets::record::{
    Checked, CrossCheck, FILE, Failed, Header, Job, Log, ProgramInfo, Record, Recorded, SCHEMA,
    Sample, Visit,
};
use std::fs::OpenOptions;
use std::io::Write;
use topologies::topology::DirectPathState;

fn header(schema: u32) -> Header {
    let datapath = |name: &str, ports| DatapathInfo {
        name: name.to_owned(),
        summary: String::new(),
        version: String::new(),
        ports,
        variant_of: None,
        declared_differences: Vec::new(),
        polls_busily: false,
        needs: None,
        missing: Vec::new(),
    };
    let command = ["bench", "sockets", "--out", "here", "--streams", "4"];
    Header {
        schema,
        started: "2026-01-01T00:00:00Z".to_owned(),
        command: command.map(str::to_owned).to_vec(),
        profile: "quick".to_owned(),
        environment: Environment {
            bench_version: String::new(),
            commit: None,
            build: "optimised".to_owned(),
            kernel: "6.1".to_owned(),
            system: String::new(),
            cpu_model: "a processor".to_owned(),
            cpus: 3,
            datapath_cpu: 2,
            tester_cpu: 1,
            sinks_cpu: 0,
            memory_mib: 1,
            hypervisor: None,
            clock_source: String::new(),
            clock_cost_ns: 1.0,
            notes: Vec::new(),
            container: None,
            droplets: Vec::new(),
        },
        datapaths: vec![
            datapath("fast", PortType::Veth),
            datapath("frail", PortType::Veth),
            datapath("ringing", PortType::Rings),
        ],
        topology: "bounce".to_owned(),
        summary: "By a bouncer and past it".to_owned(),
        states: vec![DirectPathState::Cold, DirectPathState::Warm],
        one_network: true,
        mtus: Mtus::new(Mtu::ETHERNET, Mtu::UNDERLAY).unwrap(),
        streams: 4,
        rounds: 3,
        programs: vec![ProgramInfo {
            name: "netperf".to_owned(),
            remedy: Some("install it".to_owned()),
        }],
        window_seconds: 2.0,
    }
}

fn visit(round: u32, datapath: Option<(&str, DirectPathState)>) -> Visit {
    Visit {
        round,
        datapath: datapath.map(|(name, _)| name.to_owned()),
        direct_path: datapath.map(|(_, state)| state),
    }
}

/// `gigabits` are those of the one second that it took.
fn streams(visit: Visit, gigabits: f64) -> Sample {
    let droplet = |droplet: &str| Hop {
        droplet: droplet.to_owned(),
        arrived: 1,
        cpu_ns: 500_000_000,
        ages: Ages::default(),
    };
    let is_overlay = visit.datapath.is_some();
    let hops = if is_overlay {
        vec![droplet("left"), droplet("right")]
    } else {
        Vec::new()
    };
    Sample {
        at_seconds: 0.0,
        visit,
        job: Job::Streams { streams: 1 },
        seconds: 1.0,
        count: (gigabits * 1e9 / 8.0) as u64,
        latency: None,
        retransmitted: Some(7),
        endpoints_cpu_ns: 250_000_000,
        hops,
        steal_ns: 0,
        round_trip_ns: None,
        disturbed: None,
    }
}

fn requests(visit: Visit, count: u64, p50_ns: u64) -> Sample {
    Sample {
        job: Job::RequestResponse,
        count,
        latency: Some(Latency {
            count,
            p50_ns,
            p90_ns: 2 * p50_ns,
            p99_ns: 3 * p50_ns,
            p999_ns: 4 * p50_ns,
            max_ns: 5 * p50_ns,
            histogram: Vec::new(),
        }),
        retransmitted: None,
        ..streams(visit, 1.0)
    }
}

/// Three rounds: the machine is half as fast in the second, which the ratio does not show.
fn folder(schema: u32) -> tempfile::TempDir {
    use DirectPathState::Warm;
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::create(folder.path()).unwrap();
    let mut append = |record: &Record| log.append(record).unwrap();
    append(&Record::Header(Box::new(header(schema))));
    for (round, speed) in [(1, 1.0), (2, 0.5), (3, 1.0)] {
        let fast = visit(round, Some(("fast", Warm)));
        let plain = visit(round, None);
        append(&Record::Checked {
            visit: fast.clone(),
            checked: Checked {
                full_size: Mtu::ETHERNET,
                bytes: 4_194_304,
                segments: 2_873,
                on_the_way: Some(2_900),
                elsewhere: Some(0),
            },
        });
        for sample in [
            streams(plain.clone(), 8.0 * speed),
            streams(fast.clone(), 2.0 * speed),
            requests(plain, 20_000, 20_000),
            requests(fast, 5_000, 80_000),
        ] {
            append(&Record::Sample(Box::new(sample)));
        }
    }
    append(&Record::CrossCheck(CrossCheck {
        visit: visit(1, Some(("fast", Warm))),
        job: Job::Streams { streams: 1 },
        program: "iperf3".to_owned(),
        rate: Some(1.6e9),
        failed: None,
    }));
    append(&Record::Failed(Failed {
        visit: visit(2, Some(("frail", Warm))),
        doing: "1 stream".to_owned(),
        reason: "the switch | ended: signal: 9".to_owned(),
    }));
    drop(log);
    folder
}

#[test]
fn every_form_has_the_figures_the_ratios_and_the_failure() {
    let folder = folder(SCHEMA);
    let written = write(folder.path()).unwrap();
    let markdown = std::fs::read_to_string(&written.markdown).unwrap();
    let page = std::fs::read_to_string(&written.html).unwrap();
    let table = terminal_table(folder.path()).unwrap();
    let picture = std::fs::read_to_string(written.plot.unwrap()).unwrap();
    for text in [&markdown, &page, &table] {
        for wanted in [
            "no overlay",
            "fast, direct path on",
            "2.000",
            "0.250",
            "80.0",
            "~320",
            "ended: signal: 9",
            "its ports are rings",
            "it is not installed; install it",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in:\n{text}");
        }
        assert!(!text.contains("fast, direct path off"), "{text}");
    }
    for text in [&markdown, &page] {
        assert!(text.contains("iperf3") && text.contains("1.250"), "{text}");
    }
    assert!(markdown.contains("bench sockets --streams 4"), "{markdown}");
    // What tells the two apart is not cut off.
    assert!(picture.contains(">\nfast (on)\n<"), "{picture}");
    let json = summary_json(folder.path()).unwrap();
    assert_eq!(json["cells"].as_array().unwrap().len(), 4, "{json}");
}

#[test]
fn a_ratio_is_of_the_same_round_and_times_are_of_all_droplets() {
    let folder = folder(SCHEMA);
    let recorded = Recorded::read(folder.path()).unwrap();
    let figures = Figures::of(&recorded);
    let row = &figures.rows[1];
    let streams = &row.cells[0];
    let spread = |median, least, most| Spread {
        median,
        least,
        most,
    };
    assert_eq!(streams.rate, spread(2e9, 1e9, 2e9));
    assert_eq!(streams.ratio, Some(spread(0.25, 0.25, 0.25)));
    // A second of processor time for 250 MB, or 125.
    let each = 1e9 * 1024.0 / 250e6;
    assert_eq!(streams.datapath_ns, Some(spread(each, each, 2.0 * each)));
    assert_eq!(streams.retransmitted, Some(21));
    let requests = &row.cells[1];
    assert_eq!(requests.latency_ratio, Some(spread(4.0, 4.0, 4.0)));
    let uncertain = requests.latency.unwrap().map(|it| it.uncertain);
    assert_eq!(uncertain, [false, false, false, true]);
    assert!(figures.rows[0].cells[0].datapath_ns.is_none());
}

#[test]
fn the_median_of_an_even_number_lies_between() {
    let of = |values: &[f64]| Spread::of(values.iter().copied()).map(|it| it.median);
    assert_eq!(of(&[3.0, 1.0, 2.0, 10.0]), Some(2.5));
    assert_eq!(of(&[f64::NAN, 4.0]), Some(4.0));
    assert_eq!(of(&[]), None);
}

#[test]
fn a_cut_off_line_is_said_and_another_schema_is_refused() {
    let whole = folder(SCHEMA);
    let mut file = OpenOptions::new()
        .append(true)
        .open(whole.path().join(FILE))
        .unwrap();
    file.write_all(b"{\"kind\":\"sam").unwrap();
    let table = terminal_table(whole.path()).unwrap();
    assert!(table.contains("is cut off"), "{table}");
    let other = folder(SCHEMA + 1);
    let error = write(other.path()).unwrap_err().to_string();
    assert!(error.contains("schema 1"), "{error}");
    assert!(
        Log::create(other.path()).is_err(),
        "a run is not overwritten"
    );
}
