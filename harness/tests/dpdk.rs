//! DPDK's processes on live ports: datapaths and tester over vhost-user, what testers say of a device with a known law, and
//! what is left of a process that dies. Needs root, DPDK's process and hugepages; without, every test here is reported
//! as ignored.
//!
//! No verdict depends on speed: what arrives must be intact, and what was made must be gone.

mod common;

use common::Wrapped;
use datapath_api::{Datapath, DropletPorts, Missing, PortType};
use datapath_kernel_xdp::KernelXdp;
use datapath_mizar_dpdk::{Devices, Engine, MizarDpdk};
use datapath_ovs_dpdk::OVS_DPDK;
use dpdk_client::{Client, MEBIBYTES, devices};
use dpdk_protocol::{Device, Memory, Simulated, Start, Work};
use harness::environment::Placement;
use harness::lab::{VethLab, VhostUserLab};
use harness::search::Pps;
use harness::tester::{
    DpdkTester, FrameSize, NullForward, Offer, Report, Tester, TesterCpus, VethTester, Watch,
    Workload,
};
use harness::verify;
use libtest_mimic::{Arguments, Failed, Trial};
use mizar_wire::Mac;
use netdev::{Cpu, Urgency};
use std::path::Path;
use std::time::{Duration, Instant};
use topologies::catalogue;
use topologies::provision::Provision;
use topologies::topology::{Parameters, Topology};

/// What it is set to where nothing may be missing.
const REQUIRED: (&str, &str) = ("BENCH_DPDK", "required");

fn datapath_cpu() -> Result<Cpu, Failed> {
    Ok(Placement::choose()?.datapath)
}

fn tester_cpu() -> Result<Cpu, Failed> {
    Ok(Placement::choose()?.tester)
}

fn main() {
    let mizar = |engine| MizarDpdk {
        engine,
        devices: Devices::VhostUser,
    };
    let (burst, capsule) = (mizar(Engine::Burst), mizar(Engine::Capsule));
    let missing = |datapaths: &[&dyn Datapath]| -> Vec<Missing> {
        datapaths.iter().flat_map(|it| it.probe()).collect()
    };
    let (without_dpdk, without_switch, without_programs) = (
        missing(&[&burst]),
        missing(&[&OVS_DPDK]),
        missing(&[&KernelXdp::default()]),
    );
    for missing in [&without_dpdk, &without_switch, &without_programs] {
        missing
            .iter()
            .for_each(|missing| eprintln!("ignored: needs {missing}"));
    }
    let mut trials = Vec::new();
    let is_required = std::env::var(REQUIRED.0).is_ok_and(|value| value == REQUIRED.1);
    let lacks: Vec<String> = [&without_dpdk, &without_switch]
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    let nothing_missing = Trial::test("nothing_is_missing", move || {
        check(lacks.is_empty(), "what these tests need is missing", &lacks)
    });
    trials.push(nothing_missing.with_ignored_flag(!is_required));
    for topology in catalogue::ENTRIES.map(|entry| entry.name) {
        let mut add = |name: &str, datapath: Option<Box<dyn Datapath>>, missing: &[Missing]| {
            let trial = Trial::test(format!("{topology}_by_{name}"), move || {
                forwards(topology, datapath.as_deref())
            });
            trials.push(trial.with_ignored_flag(!missing.is_empty()));
        };
        add("null_forward", None, &without_dpdk);
        add("burst", Some(Box::new(burst)), &without_dpdk);
        add("capsule", Some(Box::new(capsule)), &without_dpdk);
        add("ovs_dpdk", Some(Box::new(OVS_DPDK)), &without_switch);
    }
    let mut add = |name: &str, test: fn() -> Result<(), Failed>, is_ignored: bool| {
        trials.push(Trial::test(name, test).with_ignored_flag(is_ignored));
    };
    let no_dpdk = !without_dpdk.is_empty();
    add(
        "the_dpdk_tester_reports_a_known_law",
        || law(by_dpdk),
        no_dpdk,
    );
    add(
        "the_veth_tester_reports_the_same_law",
        || law(by_veth),
        no_dpdk || !without_programs.is_empty(),
    );
    add("a_tester_that_nobody_connects_to_ends", nobody, no_dpdk);
    add(
        "verification_finds_what_is_wrong_on_vhost_user_ports_alone",
        wrong_on_vhost_user,
        no_dpdk,
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The droplet believes in another Ethernet address of its own, where it is on vhost-user ports.
fn wrong_on_vhost_user() -> Result<(), Failed> {
    let install = |inner: &dyn Datapath, ports: DropletPorts, provision: &Provision, cpu| {
        let mut provision = provision.clone();
        if ports.port_type() == PortType::VhostUser {
            let mut mac = provision.host.mac.octets();
            mac[5] ^= 1;
            provision.host.mac = Mac::new(mac);
        }
        inner.install(ports, &provision, cpu)
    };
    let inner = Box::new(MizarDpdk {
        engine: Engine::Burst,
        devices: Devices::VhostUser,
    });
    let report = verify::oracle::check(&Wrapped { inner, install }, &topology("encap")?, 4);
    let by_vhost_user = |name: &str| name.contains("by vhost-user");
    let mut found = report.failures.iter();
    check(
        report.passed > 0 && !report.is_clean() && found.all(|found| by_vhost_user(&found.name)),
        "what is wrong on vhost-user ports was not found there, or elsewhere too",
        &report,
    )
}

fn check(holds: bool, what: &str, found: &impl std::fmt::Debug) -> Result<(), Failed> {
    if holds {
        Ok(())
    } else {
        Err(format!("{what}: {found:?}").into())
    }
}

fn topology(name: &str) -> Result<Topology, Failed> {
    Ok(catalogue::find(name, Parameters::new(50, 200)?)?)
}

/// As many frames pass as can be expected on a machine that stalls, and those that pass are intact.
fn forwards(name: &str, datapath: Option<&dyn Datapath>) -> Result<(), Failed> {
    let topology = topology(name)?;
    let workload = Workload::new(&topology.traffic(), FrameSize::Imix, 1)?;
    let provision = topology.provision(topology.under_test().ok_or("no droplet under test")?);
    let null = NullForward {
        paths: workload.paths.clone(),
    };
    let lab = VhostUserLab::new(1)?;
    let waiting = DpdkTester::launch(&lab, &workload, datapath.is_none(), tester_cpu()?)?;
    let ports = DropletPorts::VhostUser(lab.ports().clone());
    let mut running = datapath
        .unwrap_or(&null)
        .install(ports, &provision, datapath_cpu()?)?;
    let mut tester = waiting.connected()?;
    let report = tester.trial(Pps::new(20_000.0)?, Duration::from_millis(200), true)?;
    let arrived = &report.arrived;
    check(
        arrived.received > report.intended / 10 && arrived.received <= report.offered,
        "hardly anything came back, or more than was sent",
        &report,
    )?;
    check(
        (arrived.corrupted, arrived.foreign, arrived.duplicates) == (0, 0, 0),
        "frames came back changed, or were not ours",
        &report,
    )?;
    let latency = report.latency.as_ref().ok_or("no latency")?;
    check(
        latency.count == arrived.received,
        "a frame without latency",
        &report,
    )?;
    let polling = running
        .counters()?
        .polling
        .ok_or("it does not say how it polls")?;
    check(
        polling.received >= arrived.received && polling.cycles.busy > 0,
        "it polled less than came back",
        &polling,
    )?;
    running.stop()?;
    Ok(())
}

/// One frame of as many is dropped.
const DROPPED_ONE_OF: u64 = 5;
/// How long even and odd frames are held.
const HOLD: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(6)];
/// Few enough frames for any queue.
const FRAMES: u64 = 200;
const LOAD: f64 = 1_000.0;

/// Trials until one must have passed without a stall of the machine, which shows as loss and latency, too.
const TRIES: u32 = 20;

/// What a tester reports of the law is the law.
fn law(tester: fn(&Workload, &Offer) -> Result<Report, Failed>) -> Result<(), Failed> {
    let mut last = Ok(());
    for _ in 0..TRIES {
        last = law_once(tester);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn law_once(tester: fn(&Workload, &Offer) -> Result<Report, Failed>) -> Result<(), Failed> {
    let workload = Workload::new(&topology("encap")?.traffic(), FrameSize::Bytes(64), 1)?;
    let offer = Offer {
        load: Pps::new(LOAD)?,
        duration: Duration::from_secs_f64(FRAMES as f64 / LOAD),
        first_entry: 0,
        watch: Watch::PairLatency,
    };
    let report = tester(&workload, &offer)?;
    check(
        (report.intended, report.offered) == (FRAMES, FRAMES),
        "not all frames were sent",
        &report,
    )?;
    let passed = FRAMES - FRAMES / DROPPED_ONE_OF;
    let arrived = &report.arrived;
    check(arrived.received == passed, "loss is not the law's", &report)?;
    check(
        (arrived.corrupted, arrived.foreign, arrived.duplicates) == (0, 0, 0),
        "nothing was changed, added or repeated",
        &report,
    )?;
    // Odd frames are overtaken by the even ones behind them.
    check(arrived.reordered > 0, "no frame was overtaken", &report)?;
    let halves = [report.latency.as_ref(), report.odd_latency.as_ref()];
    for (latency, held) in halves.into_iter().zip(HOLD) {
        let latency = latency.ok_or("no latency")?;
        let held = held.as_nanos() as u64;
        let count: u64 = latency.histogram.iter().map(|(_, count)| *count).sum();
        // Every fifth is dropped, so as many even ones as odd ones.
        check(
            count == passed / 2,
            "half of the frames",
            &latency.histogram,
        )?;
        let mut below = 0;
        let median = latency.histogram.iter().find(|(_, count)| {
            below += count;
            below * 2 >= passed / 2
        });
        for of in [latency.histogram.first(), median] {
            let value = of.map_or(0, |(value, _)| *value);
            // A bucket is named by its lower bound, at most 1/1024 below.
            check(
                (held - held / 1024..held + held / 4).contains(&value),
                "latency is not the law's",
                &(held, value, &latency.histogram),
            )?;
        }
    }
    Ok(())
}

/// The device with the law.
fn simulated(workload: &Workload, memory: Memory, devices: Vec<Device>, cpu: Cpu) -> Start {
    Start {
        engine: Engine::Burst,
        cpu: cpu.0,
        memory,
        mebibytes: MEBIBYTES,
        devices,
        work: Work::Simulate(Simulated {
            paths: workload.paths.clone(),
            drop_last_of: DROPPED_ONE_OF,
            hold: HOLD.map(|hold| hold.as_nanos() as u64),
        }),
    }
}

fn by_dpdk(workload: &Workload, offer: &Offer) -> Result<Report, Failed> {
    let lab = VhostUserLab::new(1)?;
    let waiting = DpdkTester::launch(&lab, workload, true, tester_cpu()?)?;
    let devices = devices::of_vhost_user(lab.ports());
    let device = Client::start(
        simulated(workload, Memory::Huge, devices, datapath_cpu()?),
        Some(&lab.ports().namespace),
    )?;
    let report = waiting.connected()?.offer(offer)?;
    drop(device);
    Ok(report)
}

fn by_veth(workload: &Workload, offer: &Offer) -> Result<Report, Failed> {
    let lab = VethLab::new(1)?;
    let cpus = TesterCpus {
        generator: tester_cpu()?,
        sinks: tester_cpu()?,
    };
    let mut tester = VethTester::new(lab.tester(), workload, true, cpus)?;
    let DropletPorts::Veth(ports) = lab.ports() else {
        return Err("no veth ports".into());
    };
    let devices = devices::of_veth(&ports, false);
    let device = Client::start(
        simulated(workload, Memory::Ordinary, devices, datapath_cpu()?),
        Some(&ports.namespace),
    )?;
    for interface in ports.endpoints.iter().chain([&ports.uplink]) {
        interface.thread_napi(datapath_cpu()?, Urgency::Prompt)?;
    }
    let report = tester.offer(offer)?;
    drop(device);
    Ok(report)
}

/// A tester whose ports nobody connects to waits in DPDK's initialisation, and ends with who started it all the same.
fn nobody() -> Result<(), Failed> {
    let workload = Workload::new(&topology("encap")?.traffic(), FrameSize::Bytes(64), 1)?;
    let lab = VhostUserLab::new(1)?;
    let folder = lab.folder().to_owned();
    let waiting = DpdkTester::launch(&lab, &workload, true, tester_cpu()?)?;
    let pid = waiting.pid();
    let began = Instant::now();
    while !lab.ports().uplink.exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    check(lab.ports().uplink.exists(), "it does not listen", &pid)?;
    drop(waiting);
    check(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "it lives on",
        &pid,
    )?;
    drop(lab);
    check(!folder.exists(), "its folder is still there", &folder)
}
