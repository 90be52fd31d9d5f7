//! What a packet costs on vhost-user ports: the core in bursts and in `capsule`'s pipelines, against Open vSwitch on DPDK
//! and a null forward. Asked of the core in bursts: half the cycles of `ovs-dpdk`.
//!
//! Cycles are those of rounds that found packets, under overload, so that bursts are full; one datapath after the other,
//! since each polls.
//!
//! Needs root, DPDK and Open vSwitch on it: `cargo xtask build && sudo cargo bench --package harness --bench vhost_user`.

mod common;

use anyhow::Context;
use common::median;
use datapath_api::{Datapath, DropletPorts};
use datapath_mizar_dpdk::{Devices, Engine, MizarDpdk};
use datapath_ovs_dpdk::OVS_DPDK;
use harness::environment::Placement;
use harness::lab::VhostUserLab;
use harness::search::Pps;
use harness::tester::{DpdkTester, FrameSize, NullForward, Tester, Workload};
use netdev::Awake;
use std::time::Duration;
use topologies::catalogue;
use topologies::topology::{Parameters, Topology};

/// Rounds; odd, so that there is a median.
const ROUNDS: usize = 3;
const TRIAL: Duration = Duration::from_millis(500);
/// More than anything here carries.
const OVERLOAD: f64 = 30e6;
/// Each flow has a few packets at this load, in this time.
const WARM: f64 = 20e3;
const WARM_UP: Duration = Duration::from_secs(3);
const ASKED: f64 = 0.5;
/// Topology, flows, endpoints, up to as many as the core holds beside the droplet's own.
const CASES: [(&str, u32, u32); 9] = [
    ("encap", 1, 1),
    ("decap", 1, 1),
    ("hop", 1, 1),
    ("encap", 10_000, 10_000),
    ("decap", 10_000, 10_000),
    ("hop", 10_000, 10_000),
    ("encap", 10_000, 65_536),
    ("decap", 10_000, 65_536),
    ("hop", 10_000, 65_536),
];

/// What a datapath does under overload.
#[derive(Clone, Copy)]
struct Speed {
    cycles: f64,
    rate: f64,
}

fn speed(
    datapath: Option<&dyn Datapath>,
    topology: &Topology,
    placement: &Placement,
) -> anyhow::Result<Speed> {
    let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
    let provision = topology.provision(topology.under_test());
    let null = NullForward {
        paths: workload.paths.clone(),
    };
    let lab = VhostUserLab::new(1)?;
    let waiting = DpdkTester::launch(&lab, &workload, datapath.is_none(), placement.tester)?;
    let ports = DropletPorts::VhostUser(lab.ports().clone());
    let mut running = datapath
        .unwrap_or(&null)
        .install(ports, &provision, placement.datapath)?;
    let mut tester = waiting.connected()?;
    // The first packets make flows, of which a switch makes some 15,000 a second.
    tester.trial(Pps::new(WARM)?, WARM_UP, false)?;
    tester.trial(Pps::new(OVERLOAD)?, TRIAL, false)?;
    let mut polled =
        || -> anyhow::Result<_> { running.counters()?.polling.context("it does not poll") };
    let before = polled()?;
    let report = tester.trial(Pps::new(OVERLOAD)?, TRIAL, false)?;
    let polled = polled()?.since(*before).context("another datapath")?;
    Ok(Speed {
        cycles: polled.cycles_per_frame().context("no packet")?,
        rate: report.arrived.received as f64 / TRIAL.as_secs_f64(),
    })
}

fn main() -> anyhow::Result<()> {
    let mizar = |engine| MizarDpdk {
        engine,
        devices: Devices::VhostUser,
    };
    let (burst, capsule) = (mizar(Engine::Burst), mizar(Engine::Capsule));
    let missing: Vec<_> = [&burst as &dyn Datapath, &OVS_DPDK]
        .into_iter()
        .flat_map(Datapath::probe)
        .collect();
    if !missing.is_empty() {
        for missing in missing {
            println!("skipped: needs {missing}");
        }
        return Ok(());
    }
    let placement = Placement::choose()?;
    let _awake = Awake::hold()?;
    println!(
        "cycles per packet (Mpps that came back); the ratio is burst to ovs-dpdk, asked {ASKED:.2}"
    );
    for (name, flows, endpoints) in CASES {
        let topology = catalogue::find(name, Parameters::new(flows, endpoints)?)?;
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let measured = [
                None,
                Some(&burst as &dyn Datapath),
                Some(&capsule),
                Some(&OVS_DPDK),
            ]
            .map(|datapath| speed(datapath, &topology, &placement));
            let [null, by_burst, by_capsule, by_switch] = measured;
            let (null, by_burst, by_capsule, by_switch) =
                (null?, by_burst?, by_capsule?, by_switch?);
            let text = |speed: Speed| format!("{:.0} ({:.2})", speed.cycles, speed.rate / 1e6);
            let ratio = by_burst.cycles / by_switch.cycles;
            println!(
                "{name}, {flows} flows, {endpoints} endpoints: null {}, burst {}, capsule {}, ovs-dpdk {}; ratio {ratio:.2}",
                text(null),
                text(by_burst),
                text(by_capsule),
                text(by_switch),
            );
            ratios.push(ratio);
        }
        println!("{name}, {flows} flows: median {:.2}", median(ratios)?);
    }
    Ok(())
}
