//! A run that never took place: simulated devices, searched and measured as a real run would.
//!
//! Rates are whole numbers, which come back from a file exactly as they went into it.

use std::fs;
use std::path::Path;

use crate::record::{
    Comparison, Counters, DatapathInfo, Environment, Failure, Fastest, Latency, Missing, PortType,
    Purpose, Rate, Record, ResultRecord, RoundRecord, Run, SCHEMA, Scenario, TrialRecord,
    Verification,
};
use crate::report::RunFolder;
use datapath_api::{KernelRelease, Needs};
use ranking::Tolerance;

/// The five scenarios.
pub(crate) const SCENARIOS: [&str; 5] = [
    "encap/64B/1-flow",
    "decap/64B/1-flow",
    "hop/64B/1-flow",
    "divide/IMIX/1024-flows",
    "vtep/1518B/16-flows",
];

/// A simulated datapath.
struct Device {
    name: &'static str,
    ports: PortType,
    /// Frames per second it forwards of the first scenario.
    rate: f64,
    /// What the tester reaches on its ports.
    ceiling: f64,
    /// Nanoseconds in the idle datapath.
    idle_ns: f64,
    polls_busily: bool,
    needs: Needs,
}

const XDP: Device = Device {
    name: "kernel-xdp",
    ports: PortType::Veth,
    rate: 1_420_000.0,
    ceiling: 1_950_000.0,
    idle_ns: 9_500.0,
    polls_busily: false,
    needs: Needs {
        kernel: Some(KernelRelease::new(5, 12)),
        kernel_programs: true,
        ..Needs::NONE
    },
};

const OPENFLOW: Device = Device {
    name: "openflow",
    ports: PortType::Veth,
    rate: 610_000.0,
    ceiling: 1_950_000.0,
    idle_ns: 21_000.0,
    polls_busily: false,
    needs: Needs {
        open_vswitch: true,
        ..Needs::NONE
    },
};

const REFERENCE: Device = Device {
    name: "reference",
    ports: PortType::Rings,
    rate: 8_900_000.0,
    ceiling: 21_000_000.0,
    idle_ns: 850.0,
    polls_busily: true,
    needs: Needs::NONE,
};

const DPDK: Device = Device {
    name: "mizar-dpdk",
    ports: PortType::VhostUser,
    rate: 7_500_000.0,
    ceiling: 12_000_000.0,
    idle_ns: 4_000.0,
    polls_busily: true,
    needs: Needs {
        kernel: Some(KernelRelease::new(4, 14)),
        hugepages_mib: 128,
        ..Needs::NONE
    },
};

const DPDK_VETH: Device = Device {
    name: "mizar-dpdk-veth",
    ports: PortType::Veth,
    rate: 900_000.0,
    ceiling: 1_950_000.0,
    ..DPDK
};

/// Two datapaths on veth ports in five scenarios; a third skipped, one failure, one irregular result, one tester-bound,
/// one unverified.
pub(crate) fn run() -> RunFolder {
    let mut folder = empty();
    for (number, id) in SCENARIOS.iter().enumerate() {
        measure(&mut folder, &XDP, number, id);
        measure(&mut folder, &OPENFLOW, number, id);
    }
    fail(&mut folder);
    folder
}

/// As [`run`], with a third datapath on rings.
pub(crate) fn two_port_groups() -> RunFolder {
    let mut folder = run();
    folder.run.datapaths.push(info(&REFERENCE));
    for (number, id) in SCENARIOS.iter().enumerate() {
        measure(&mut folder, &REFERENCE, number, id);
    }
    folder
}

/// As [`run`], with a datapath on vhost-user ports, and its variant on veth.
pub(crate) fn native_and_variant() -> RunFolder {
    let mut folder = run();
    let mut variant = info(&DPDK_VETH);
    variant.variant_of = Some(DPDK.name.to_owned());
    folder.run.datapaths.extend([info(&DPDK), variant]);
    for (number, id) in SCENARIOS.iter().enumerate() {
        measure(&mut folder, &DPDK, number, id);
        measure(&mut folder, &DPDK_VETH, number, id);
        let result = result(&mut folder, DPDK.name, id);
        result.idle = Some(1.0);
        if let Some(fastest) = &mut result.fastest {
            fastest.cycles_per_frame = Some(250.0);
        }
    }
    folder
}

/// How the datapaths of [`compared`] were measured against each other.
const COMPARISON: Comparison = Comparison {
    tolerance: Tolerance::DEFAULT,
    error: 0.05,
    width: 0.02,
    trial_seconds: 0.1,
};

/// Adds that these datapaths were measured against each other in a scenario, at these rates, for as many rounds.
pub(crate) fn compare(folder: &mut RunFolder, id: &str, rates: &[(&str, f64)], rounds: usize) {
    folder.run.comparison = Some(COMPARISON);
    for round in 0..rounds as u32 {
        for (index, (datapath, rate)) in rates.iter().enumerate() {
            let wobble = 1.0 + 0.0008 * f64::from((round * 3 + index as u32 * 5) % 7);
            let purpose = Purpose::Comparison { round };
            let is_such = |record: &&Record| matches!(record, Record::Trial(it) if it.datapath == *datapath && it.scenario == id && !it.repeated);
            let Some(Record::Trial(like)) = folder.records.iter().find(is_such).cloned() else {
                panic!("{datapath} has no trial in {id}");
            };
            let number = folder.records.len() as u64;
            folder.records.push(Record::Trial(TrialRecord {
                number,
                purpose,
                ..like
            }));
            folder.records.push(Record::Round(RoundRecord {
                datapath: (*datapath).to_owned(),
                scenario: id.to_owned(),
                round,
                distance: 0,
                round_trip_ns: None,
                throughput: (rate * wobble).round(),
                cpu_ns_per_frame: Some((9e8 / rate * wobble).round()),
                p99_ns: Some((2e10 / rate * wobble) as u64),
            }));
        }
    }
}

/// A run of which nothing but its description is left.
pub(crate) fn empty() -> RunFolder {
    let mut skipped = info(&Device {
        name: "ovs-dpdk",
        ..REFERENCE
    });
    skipped.ports = PortType::Veth;
    skipped.missing = vec![Missing {
        what: "huge pages (0 of 512)".to_owned(),
        remedy: "sysctl -w vm.nr_hugepages=512".to_owned(),
    }];
    RunFolder {
        run: Run {
            schema: SCHEMA,
            started: "2025-11-22T18:24:05Z".to_owned(),
            command: ["bench", "per-datapath", "--profile", "quick"]
                .map(str::to_owned)
                .to_vec(),
            seed: 42,
            profile: "quick".to_owned(),
            environment: Environment {
                bench_version: "0.1.0".to_owned(),
                commit: None,
                build: "optimised".to_owned(),
                kernel: "6.12.8-amd64".to_owned(),
                system: "Debian GNU/Linux 12 (bookworm)".to_owned(),
                cpu_model: "AMD EPYC 9654 96-Core Processor".to_owned(),
                cpus: 2,
                datapath_cpu: 0,
                tester_cpu: 1,
                sinks_cpu: 1,
                memory_mib: 15_998,
                hypervisor: Some("kvm".to_owned()),
                clock_source: "tsc".to_owned(),
                clock_cost_ns: 23.4,
                container: None,
                droplets: Vec::new(),
                notes: vec![
                    "mitigations: on".to_owned(),
                    "load before the run: 0.12".to_owned(),
                ],
            },
            datapaths: vec![info(&XDP), info(&OPENFLOW), skipped],
            scenarios: SCENARIOS.iter().map(|id| scenario(id)).collect(),
            comparison: None,
        },
        records: Vec::new(),
        damage: Default::default(),
    }
}

/// Writes `folder` as a run does.
pub(crate) fn save(folder: &RunFolder, dir: &Path) {
    let run = serde_json::to_vec_pretty(&folder.run).unwrap();
    fs::write(dir.join("run.json"), run).unwrap();
    let mut lines = String::new();
    for record in &folder.records {
        lines.push_str(&serde_json::to_string(record).unwrap());
        lines.push('\n');
    }
    fs::write(dir.join("trials.jsonl"), lines).unwrap();
}

/// The result of `datapath` in the scenario `id`.
pub(crate) fn result<'a>(
    folder: &'a mut RunFolder,
    datapath: &str,
    id: &str,
) -> &'a mut ResultRecord {
    let found = folder.records.iter_mut().find_map(|record| match record {
        Record::Result(it) if it.datapath == datapath && it.scenario == id => Some(it),
        _ => None,
    });
    found.unwrap()
}

fn info(device: &Device) -> DatapathInfo {
    DatapathInfo {
        name: device.name.to_owned(),
        summary: format!("Mizar's forwarding as {}", device.name),
        version: "1.2.3".to_owned(),
        ports: device.ports,
        variant_of: None,
        declared_differences: vec!["outer source port".to_owned()],
        polls_busily: device.polls_busily,
        needs: Some(device.needs),
        missing: Vec::new(),
    }
}

fn scenario(id: &str) -> Scenario {
    let parts: Vec<_> = id.split('/').collect();
    Scenario {
        id: id.to_owned(),
        topology: parts[0].to_owned(),
        summary: format!("Frames take the path of {}", parts[0]),
        endpoints: 2,
        flows: parts[2].split('-').next().unwrap().parse().unwrap(),
        frame: parts[1].trim_end_matches('B').to_owned(),
        transport: "UDP".to_owned(),
        rules: None,
        overlay: None,
        direct_path: None,
    }
}

/// One failure, which leaves `openflow` without a result in the scenario `divide`.
fn fail(folder: &mut RunFolder) {
    let place = (OPENFLOW.name, SCENARIOS[3]);
    folder.records.retain(|record| {
        crate::report::figures::place(record) != place || matches!(record, Record::Verification(_))
    });
    folder.records.push(Record::Failure(Failure {
        datapath: place.0.to_owned(),
        scenario: place.1.to_owned(),
        reason: "ovs-vswitchd exited with status 1; read its log and run again".to_owned(),
    }));
}

/// Everything a run records of one device in one scenario.
fn measure(folder: &mut RunFolder, device: &Device, number: usize, id: &str) {
    let capacity = device.rate * [1.0, 1.09, 1.55, 0.78, 0.52][number];
    let unverified = device.name == "openflow" && number == 4;
    let bound = device.name == "kernel-xdp" && number == 2;
    let ceiling: f64 = if bound {
        capacity * 1.01
    } else {
        device.ceiling * (1.0 - 0.05 * number as f64)
    };
    let ceiling = ceiling.round();
    let mut lab = Lab {
        folder,
        device,
        id,
        capacity: capacity.min(ceiling),
        noise: 7 + number as u64,
    };
    lab.push(Record::Verification(Verification {
        datapath: device.name.to_owned(),
        scenario: id.to_owned(),
        passed: 64,
        excused: [("neighbours".to_owned(), 7)].into(),
        failures: if unverified {
            vec!["frame 12: VNI 7, the oracle says 8".to_owned()]
        } else {
            Vec::new()
        },
        broken: None,
    }));
    lab.trial(Purpose::Ceiling, ceiling);
    let ndr = lab.search("NDR", 0.0, ceiling);
    let pdr = lab.search("PDR", 0.005, ceiling);
    let carried = pdr.throughput.unwrap();
    for percent_of_pdr in [10, 50, 90] {
        lab.trial(
            Purpose::Latency { percent_of_pdr },
            carried * f64::from(percent_of_pdr) / 100.0,
        );
    }
    let mut rates = vec![ndr, pdr];
    if device.name == "kernel-xdp" && number == 1 {
        rates[0].irregular = Some("the budget ran out first; a longer profile has more".to_owned());
        rates[0].lower = Some((rates[0].lower.unwrap() * 0.9).round());
    }
    lab.push(Record::Result(ResultRecord {
        datapath: device.name.to_owned(),
        scenario: id.to_owned(),
        ports: device.ports,
        unverified,
        distance: 0,
        round_trip_ns: None,
        ceiling: Some(ceiling),
        rates,
        fastest: Some(Fastest {
            rate: carried,
            cpu_ns_per_frame: (0.97e9 / carried).round(),
            cycles_per_frame: None,
            busy: 0.97,
        }),
        idle: None,
        null_forward: Some(Fastest {
            rate: 9e6,
            cpu_ns_per_frame: 80.0,
            cycles_per_frame: None,
            busy: 0.72,
        }),
    }));
}

/// Where the trials of one device in one scenario are made.
struct Lab<'a> {
    folder: &'a mut RunFolder,
    device: &'a Device,
    id: &'a str,
    capacity: f64,
    noise: u64,
}

impl Lab<'_> {
    fn push(&mut self, record: Record) {
        self.folder.records.push(record);
    }

    /// From 0 to 1, the same in each run.
    fn random(&mut self) -> f64 {
        self.noise = self
            .noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 33) as f64 / f64::from(1_u32 << 31)
    }

    /// Bisects between nothing and the ceiling down to 1 %.
    fn search(&mut self, goal: &str, loss_ratio: f64, max: f64) -> Rate {
        let (mut lower, mut upper) = (max * 0.02, max);
        let mut throughput = 0.0;
        while (upper - lower) / upper > 0.01 {
            let load = (lower * upper).sqrt().max((lower + upper) / 2.2).round();
            let loss = self.trial(Purpose::Search, load);
            if loss <= loss_ratio {
                (lower, throughput) = (load, (load * (1.0 - loss)).round());
            } else {
                upper = load;
            }
        }
        Rate {
            goal: goal.to_owned(),
            loss_ratio,
            lower: Some(lower.round()),
            upper: Some(upper.round()),
            throughput: Some(throughput),
            irregular: None,
        }
    }

    /// Makes a trial and says its loss ratio.
    fn trial(&mut self, purpose: Purpose, load: f64) -> f64 {
        let load = load.round();
        let over = (1.0 - self.capacity / load).max(0.0);
        let near = (load / self.capacity - 0.97).max(0.0) * 0.02;
        let loss = match purpose {
            Purpose::Ceiling => 0.0,
            _ if load < self.capacity * 0.97 => 0.0,
            _ => (over + near * self.random()).min(1.0),
        };
        let intended = load as u64;
        let received = (intended as f64 * (1.0 - loss)) as u64;
        let number = self.folder.records.len() as u64;
        // Now and then a trial is disturbed and made again; its figures must not count.
        let disturbed = number % 37 == 5;
        let latency = matches!(purpose, Purpose::Latency { .. }).then(|| self.latency(load));
        let counts = !matches!(purpose, Purpose::Ceiling);
        let trial = TrialRecord {
            number,
            at_seconds: number as f64,
            datapath: self.device.name.to_owned(),
            scenario: self.id.to_owned(),
            purpose,
            load,
            duration_seconds: 1.0,
            effective_seconds: 1.01,
            intended,
            offered: intended,
            received,
            duplicates: 0,
            reordered: 0,
            corrupted: 0,
            foreign: 0,
            latency,
            datapath_cpu_ns: 970_000_000,
            datapath_wait_ns: 1_000,
            tester_cpu_ns: 990_000_000,
            steal_ns: 0,
            round_trip_ns: None,
            distance: 0,
            counters: counts.then(|| Counters {
                encapsulated: received,
                refused: if self.id.starts_with("divide") {
                    vec![("no-such-endpoint".to_owned(), 3)]
                } else {
                    Vec::new()
                },
                ..Counters::default()
            }),
            disturbed: None,
            repeated: false,
            hops: Vec::new(),
        };
        if disturbed {
            self.push(Record::Trial(TrialRecord {
                received: intended / 3,
                disturbed: Some("the hypervisor took 12 ms".to_owned()),
                repeated: true,
                ..trial.clone()
            }));
        }
        self.push(Record::Trial(TrialRecord {
            number: self.folder.records.len() as u64,
            ..trial
        }));
        (intended - received) as f64 / intended as f64
    }

    /// A latency with a tail that grows with the load.
    fn latency(&mut self, load: f64) -> Latency {
        let busy = load / self.capacity;
        let mut samples: Vec<u64> = (0..12_000)
            .map(|_| {
                let tail = -self.random().max(1e-9).ln() * 0.2 / (1.05 - busy);
                let stall = if self.random() < 0.0008 {
                    12.0 * self.random()
                } else {
                    0.0
                };
                (self.device.idle_ns * (1.0 + tail + stall)) as u64
            })
            .collect();
        samples.sort_unstable();
        let at =
            |quantile: f64| samples[((samples.len() as f64 * quantile).ceil() as usize).max(1) - 1];
        let mut histogram: Vec<(u64, u64)> = Vec::new();
        for sample in &samples {
            let bound = sample - sample % 128;
            match histogram.last_mut() {
                Some((last, count)) if *last == bound => *count += 1,
                _ => histogram.push((bound, 1)),
            }
        }
        Latency {
            count: samples.len() as u64,
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: at(1.0),
            histogram,
        }
    }
}
