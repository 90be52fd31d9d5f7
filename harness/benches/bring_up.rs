//! How long it takes until droplets forward: fifty of an overlay, and one that knows as many endpoints as Mizar declares.
//! Asked: at most 10 s for the fifty, and at most 1 s for the endpoints where the core forwards. Exit code 1 where that is
//! not kept to.
//!
//! Needs root: `sudo cargo bench --package harness --bench bring_up`. After `--` may come names of datapaths;
//! fifty that poll come up only of those that are named.

mod common;

use anyhow::{Context, ensure};
use common::median;
use datapath_api::{Datapath, DropletPorts, PortType, Running, ring};
use harness::environment::Placement;
use harness::lab::{OverlayLab, VethLab, VhostUserLab};
use harness::overlay::Overlay;
use harness::registry;
use harness::tester::{DpdkTester, FrameSize, Workload};
use netdev::Cpu;
use std::process::ExitCode;
use std::time::Instant;
use topologies::catalogue;
use topologies::provision::Provision;
use topologies::topology::{Parameters, Topology};

/// Rounds; odd, so that there is a median.
const ROUNDS: usize = 3;
/// 2 x 23 hosts, a bouncer for each network, two dividers.
const DROPLETS: (u32, u32, u32) = (23, 1, 2);
/// As many as Mizar declares: those of a network, and their client.
const ENDPOINTS: usize = 65_537;
/// Seconds that are asked.
const FIFTY_WITHIN: f64 = 10.0;
const ENDPOINTS_WITHIN: f64 = 1.0;
/// Those in which the core forwards.
const OF_THE_CORE: [&str; 8] = [
    "reference",
    "kernel-xdp",
    "kernel-xdp-generic",
    "ovs-ebpf-core",
    "mizar-dpdk",
    "mizar-dpdk-veth",
    "mizar-capsule",
    "mizar-capsule-veth",
];
/// Frames that a ring holds.
const RING: usize = 512;

fn main() -> anyhow::Result<ExitCode> {
    // Cargo hands flags of its own on.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let known: Vec<_> = registry::all().into_iter().map(|it| it.datapath).collect();
    for name in &wanted {
        ensure!(
            known.iter().any(|it| it.name() == name),
            "there is no datapath {name}"
        );
    }
    let mut is_kept = true;
    for datapath in &known {
        let (datapath, name) = (datapath.as_ref(), datapath.name());
        if !wanted.is_empty() && !wanted.iter().any(|it| it == name) {
            continue;
        }
        if let Some(missing) = datapath.probe().first() {
            println!("{name:<20} SKIPPED: needs {missing}");
            continue;
        }
        let asked = OF_THE_CORE.contains(&name).then_some(ENDPOINTS_WITHIN);
        is_kept &= judge(name, "65,537 endpoints", asked, || one(datapath));
        if !Overlay::takes(datapath) {
            continue;
        }
        if datapath.polls_busily() && wanted.is_empty() {
            println!(
                "{name:<20} 50 droplets       SKIPPED: fifty that poll take turns on one processor for minutes; name it to \
                 measure them"
            );
        } else {
            is_kept &= judge(name, "50 droplets", Some(FIFTY_WITHIN), || fifty(datapath));
        }
    }
    Ok(if is_kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints how long something takes, and whether that is what is asked, if anything is.
fn judge(
    name: &str,
    what: &str,
    asked: Option<f64>,
    measure: impl FnMut() -> anyhow::Result<f64>,
) -> bool {
    let rounds: anyhow::Result<Vec<f64>> = std::iter::repeat_with(measure).take(ROUNDS).collect();
    let measured = rounds.and_then(|rounds| {
        let all: Vec<String> = rounds.iter().map(|it| format!("{it:.3}")).collect();
        Ok((median(rounds)?, all.join(", ")))
    });
    let (is_kept, said) = match (measured, asked) {
        (Err(error), _) => (false, format!("FAILED: {error:#}")),
        (Ok((took, all)), None) => (true, format!("{took:7.3} s ({all})  nothing is asked")),
        (Ok((took, all)), Some(asked)) => {
            let is_kept = took <= asked;
            let verdict = if is_kept { "kept" } else { "MISSED" };
            let said = format!("{took:7.3} s ({all})  at most {asked} s: {verdict}");
            (is_kept, said)
        }
    };
    println!("{name:<20} {what:<17} {said}");
    is_kept
}

/// From nothing to an overlay of fifty droplets, namespaces and devices included.
fn fifty(datapath: &dyn Datapath) -> anyhow::Result<f64> {
    let (hosts, bouncers, dividers) = DROPLETS;
    let parameters = Parameters::new(100, 100)?.with_droplets(hosts, bouncers, dividers)?;
    let topology = catalogue::find("fan", parameters)?;
    let placement = Placement::choose()?;
    let began = Instant::now();
    let lab = OverlayLab::of(&topology)?;
    let overlay = Overlay::install(datapath, &topology, &lab, placement)?;
    let took = began.elapsed().as_secs_f64();
    Box::new(overlay).stop()?;
    Ok(took)
}

/// A bouncer that knows all endpoints of its network, on ports that are there.
fn one(datapath: &dyn Datapath) -> anyhow::Result<f64> {
    let topology = catalogue::find("hop", Parameters::new(ENDPOINTS as u32 - 1, 1)?)?;
    let droplet = topology.under_test().context("no droplet is under test")?;
    let provision = topology.provision(droplet);
    let known = provision.endpoints.len();
    ensure!(known == ENDPOINTS, "the droplet knows {known} endpoints");
    let placement = Placement::choose()?;
    match datapath.ports() {
        PortType::Rings => {
            let (uplink, _tester) = ring::port(RING);
            let endpoints = Vec::new();
            let ports = DropletPorts::Rings { uplink, endpoints };
            installed(datapath, ports, &provision, placement.datapath)
        }
        PortType::Veth => {
            let lab = VethLab::new(0)?;
            installed(datapath, lab.ports(), &provision, placement.datapath)
        }
        PortType::VhostUser => on_vhost_user(datapath, &topology, &provision, placement),
        PortType::Detached => anyhow::bail!("it is made for no ports"),
    }
}

/// With a tester, which has the memory.
fn on_vhost_user(
    datapath: &dyn Datapath,
    topology: &Topology,
    provision: &Provision,
    placement: Placement,
) -> anyhow::Result<f64> {
    let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
    let lab = VhostUserLab::new(0)?;
    let _tester = DpdkTester::launch(&lab, &workload, false, placement.tester)?;
    let ports = DropletPorts::VhostUser(lab.ports().clone());
    installed(datapath, ports, provision, placement.datapath)
}

fn installed(
    datapath: &dyn Datapath,
    ports: DropletPorts,
    provision: &Provision,
    cpu: Cpu,
) -> anyhow::Result<f64> {
    let began = Instant::now();
    let running = datapath.install(ports, provision, cpu)?;
    let took = began.elapsed().as_secs_f64();
    running.stop()?;
    Ok(took)
}
