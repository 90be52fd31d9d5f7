//! What a packet costs on vhost-user ports: the core in bursts and in `capsule`'s pipelines, against Open vSwitch on DPDK
//! and a null forward. Asked of the core in bursts: half the cycles of `ovs-dpdk`.
//!
//! Cycles are those of rounds that found packets, under overload, so that bursts are full. All candidates are there at
//! once and all but one are stopped: trials of a fifth of a second take turns, so that a disturbance of the machine hits
//! all of them alike.
//!
//! Needs root, DPDK and Open vSwitch on it: `cargo xtask build && sudo cargo bench --package harness --bench vhost_user`.
//! After `--` may come the beginning of the cases wanted, as `encap,1`.

mod common;
#[path = "common/turns.rs"]
mod turns;

use anyhow::Context;
use common::median;
use datapath_api::{Datapath, DropletPorts, Polling, Running};
use datapath_mizar_dpdk::{Devices, Engine, MizarDpdk};
use datapath_ovs_dpdk::OVS_DPDK;
use harness::environment::Placement;
use harness::lab::VhostUserLab;
use harness::search::Pps;
use harness::tester::{DpdkTester, FrameSize, NullForward, Tester, Workload};
use netdev::{Awake, Tid};
use std::time::Duration;
use topologies::catalogue;
use topologies::topology::{Parameters, Topology};

/// Rounds; odd, so that there is a median.
const ROUNDS: usize = 15;
const TRIAL: Duration = Duration::from_millis(200);
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

/// A datapath between ports with a tester of their own.
struct Candidate {
    tester: DpdkTester,
    running: Box<dyn Running>,
    /// Of both.
    threads: Vec<Tid>,
    _lab: VhostUserLab,
}

impl Candidate {
    /// Deploys a datapath, or the null forward, lets its flows be set up, and stops it.
    fn new(
        datapath: Option<&dyn Datapath>,
        topology: &Topology,
        placement: &Placement,
    ) -> anyhow::Result<Self> {
        let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
        let provision =
            topology.provision(topology.under_test().context("no droplet is under test")?);
        let null = NullForward {
            paths: workload.paths.clone(),
        };
        let lab = VhostUserLab::new(1)?;
        let waiting = DpdkTester::launch(&lab, &workload, datapath.is_none(), placement.tester)?;
        let of_tester = Tid::of_process(waiting.pid())?;
        let ports = DropletPorts::VhostUser(lab.ports().clone());
        let running = datapath
            .unwrap_or(&null)
            .install(ports, &provision, placement.datapath)?;
        let mut candidate = Self {
            tester: waiting.connected()?,
            threads: running.threads().into_iter().chain(of_tester).collect(),
            running,
            _lab: lab,
        };
        // The first packets make flows, of which a switch makes some 15,000 a second.
        candidate.tester.trial(Pps::new(WARM)?, WARM_UP, false)?;
        // Some threads were there for the start alone.
        let is_there = |thread: &Tid| thread.pause_process(false).is_ok();
        candidate.threads.retain(is_there);
        candidate.pause(true)?;
        Ok(candidate)
    }

    fn pause(&self, pause: bool) -> anyhow::Result<()> {
        for thread in &self.threads {
            thread.pause_process(pause)?;
        }
        Ok(())
    }

    fn speed(&mut self) -> anyhow::Result<Speed> {
        self.pause(false)?;
        // The time it was stopped falls into the first of these.
        self.tester.trial(Pps::new(OVERLOAD)?, TRIAL, false)?;
        let before = self.polled()?;
        let report = self.tester.trial(Pps::new(OVERLOAD)?, TRIAL, false)?;
        let polled = self.polled()?.since(before).context("another datapath")?;
        self.pause(true)?;
        Ok(Speed {
            cycles: polled.cycles_per_frame().context("no packet")?,
            rate: report.arrived.received as f64 / TRIAL.as_secs_f64(),
        })
    }

    fn polled(&mut self) -> anyhow::Result<Polling> {
        let polling = self.running.counters()?.polling;
        Ok(*polling.context("it does not poll")?)
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        // A stopped process does not end when asked. If it is gone already, so much the better.
        let _ = self.pause(false);
    }
}

fn main() -> anyhow::Result<()> {
    let mizar = |engine| MizarDpdk {
        engine,
        devices: Devices::VhostUser,
    };
    let (burst, capsule) = (mizar(Engine::Burst), mizar(Engine::Capsule));
    let datapaths: [&dyn Datapath; 3] = [&burst, &capsule, &OVS_DPDK];
    let missing: Vec<_> = datapaths
        .into_iter()
        .flat_map(|datapath| datapath.probe())
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
        "medians of cycles per packet (Mpps that came back); the ratio is burst to ovs-dpdk within a round, asked {ASKED:.2}"
    );
    let wanted = std::env::args()
        .skip(1)
        .find(|given| !given.starts_with('-'));
    for (name, flows, endpoints) in CASES {
        let case = format!("{name},{flows},{endpoints}");
        if !case.starts_with(wanted.as_deref().unwrap_or_default()) {
            continue;
        }
        let topology = catalogue::find(name, Parameters::new(flows, endpoints)?)?;
        let mut candidates = [
            None,
            Some(datapaths[0]),
            Some(datapaths[1]),
            Some(datapaths[2]),
        ]
        .into_iter()
        .map(|datapath| Candidate::new(datapath, &topology, &placement))
        .collect::<anyhow::Result<Vec<_>>>()?;
        let rounds = turns::rounds(&mut candidates, ROUNDS, Candidate::speed)?;
        print!("{case}:");
        for (index, name) in ["null", "burst", "capsule", "ovs-dpdk"]
            .into_iter()
            .enumerate()
        {
            let of =
                |value: fn(&Speed) -> f64| median(rounds.iter().map(|round| value(&round[index])));
            let (cycles, rate) = (of(|speed| speed.cycles)?, of(|speed| speed.rate)?);
            print!(" {name} {cycles:.0} ({:.2}),", rate / 1e6);
        }
        let ratios = rounds.iter().map(|round| round[1].cycles / round[3].cycles);
        let ratio = median(ratios)?;
        let verdict = if ratio <= ASKED { "met" } else { "missed" };
        println!(" ratio {ratio:.2}, {verdict}");
    }
    Ok(())
}
