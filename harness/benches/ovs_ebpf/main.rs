//! How fast the eBPF datapath behind Open vSwitch is, next to what it is to be compared with, in turns within one run.
//!
//! - `forward`: one flow `in_port -> output`, against a program at the same hook that only redirects (at tc: two look-ups in
//!   arrays and `bpf_redirect`; at XDP: the null forward). Asked at tc: 0.8 of its rate.
//! - `overlay`: whole datapaths in topologies. Asked in encap and decap: 2.0 times `ovs-xdp` for `ovs-ebpf`, 0.7 of
//!   `kernel-xdp` for `ovs-ebpf-xdp`.
//! - `flows`: 1, 1,000 and 100,000 flows under 1, 8 and 32 masks, as a chart.
//! - `setup`: flows that are set up in a second while more come than can be. Asked of `ovs-ebpf-core`: 100,000.
//!
//! Needs root, the BPF programs and Open vSwitch: `sudo cargo bench --package harness --bench ovs_ebpf [-- PART]`.

#[path = "../common/mod.rs"]
mod common;
mod flow;
#[path = "../common/turns.rs"]
mod turns;

use anyhow::Context;
use common::median;
use datapath_api::{Datapath, DropletPorts, Running, VethPorts};
use datapath_kernel_xdp::KernelXdp;
use datapath_openflow::PROACTIVE;
use datapath_ovs_ebpf::object::Hook;
use datapath_ovs_ebpf::{OVS_EBPF, OVS_EBPF_CORE, OVS_EBPF_XDP};
use datapath_ovs_xdp::OVS_XDP;
use flow::{Flows, Forwarder};
use harness::environment::Placement;
use harness::lab::VethLab;
use harness::search::Pps;
use harness::tester::{FrameSize, NullForward, Tester, TesterCpus, VethTester, Workload};
use netdev::{Awake, Cpu, Tid};
use std::any::Any;
use std::time::{Duration, Instant};
use topologies::catalogue;
use topologies::topology::{Parameters, Topology};

/// Trials of each; odd, so that there is a median.
const ROUNDS: usize = 11;
const TRIAL: Duration = Duration::from_millis(200);
/// More than any datapath forwards here.
const LOAD: f64 = 8e6;
/// Somewhat more than one that polls forwards: it would not get to run with much more.
const LOAD_OF_A_SWITCH: f64 = 1.5e6;
/// What every datapath forwards, so that its flows are set up.
const WARM: f64 = 20_000.0;
const WARM_UP: Duration = Duration::from_millis(500);
/// More new flows a second than any datapath sets up.
const NEW: f64 = 250_000.0;

/// A datapath in a lab of its own, stopped while others are measured.
struct Candidate {
    name: String,
    // Dropped in this order.
    running: Option<Box<dyn Running>>,
    forwarder: Option<Box<dyn Any>>,
    tester: VethTester,
    load: Pps,
    /// One that polls takes the processor from others.
    polls: Option<Tid>,
    _lab: VethLab,
}

/// Whose processor the sinks have.
#[derive(Clone, Copy)]
enum Sinks {
    /// The datapath's: this is always the limit then, and the sinks' share of it the same for all.
    WithTheDatapath,
    /// The tester's, as when datapaths are measured: sinks go before a thread that polls, which would get no turn.
    WithTheTester,
}

/// What is deployed in a lab.
enum What<'a> {
    Datapath(&'a dyn Datapath),
    Forwarder(&'a dyn Fn(&VethPorts, Cpu) -> anyhow::Result<Forwarder>),
}

impl Candidate {
    fn new(
        name: &str,
        what: &What<'_>,
        topology: &Topology,
        placement: &Placement,
        sinks: Sinks,
    ) -> anyhow::Result<Self> {
        let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
        let provision =
            topology.provision(topology.under_test().context("no droplet is under test")?);
        let lab = VethLab::new(1)?;
        let cpus = match sinks {
            Sinks::WithTheDatapath => TesterCpus {
                generator: placement.tester,
                sinks: placement.datapath,
            },
            Sinks::WithTheTester => placement.tester_cpus(),
        };
        let is_unchanged = matches!(what, What::Forwarder(_)) || name == "null forward";
        let tester = VethTester::new(lab.tester(), &workload, is_unchanged, cpus)?;
        let (mut running, mut forwarder, mut polls) = (None, None, None);
        match what {
            What::Datapath(datapath) => {
                let installed = datapath.install(lab.ports(), &provision, placement.datapath)?;
                if datapath.polls_busily() {
                    polls = installed.threads().first().copied();
                }
                running = Some(installed);
            }
            What::Forwarder(make) => {
                let DropletPorts::Veth(ports) = lab.ports() else {
                    anyhow::bail!("the lab has other ports");
                };
                let made = make(&ports, placement.datapath)?;
                forwarder = Some(Box::new(made) as Box<dyn Any>);
            }
        }
        let mut candidate = Self {
            name: name.to_owned(),
            running,
            forwarder,
            tester,
            load: Pps::new(if polls.is_some() {
                LOAD_OF_A_SWITCH
            } else {
                LOAD
            })?,
            polls,
            _lab: lab,
        };
        candidate.tester.trial(Pps::new(WARM)?, WARM_UP, false)?;
        candidate.pause(true)?;
        Ok(candidate)
    }

    fn pause(&self, pause: bool) -> anyhow::Result<()> {
        if let Some(thread) = self.polls {
            thread.pause_process(pause)?;
        }
        Ok(())
    }

    /// Frames per second that came back.
    fn speed(&mut self) -> anyhow::Result<f64> {
        self.pause(false)?;
        if self.polls.is_some() {
            // The time that it was stopped falls into this one.
            self.tester.trial(self.load, TRIAL, false)?;
        }
        let report = self.tester.trial(self.load, TRIAL, false)?;
        self.pause(true)?;
        Ok(report.arrived.received as f64 / TRIAL.as_secs_f64())
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        // A stopped process does not end when asked.
        let _ = self.pause(false);
        drop(self.running.take());
        drop(self.forwarder.take());
    }
}

/// Medians of the rate in Mpps, and of its ratio to that of another candidate.
fn medians(rounds: &[Vec<f64>], of: usize, to: usize) -> anyhow::Result<(f64, f64)> {
    Ok((
        median(rounds.iter().map(|round| round[of] / 1e6))?,
        median(rounds.iter().map(|round| round[of] / round[to]))?,
    ))
}

fn forward(placement: &Placement) -> anyhow::Result<()> {
    println!("one flow in_port -> output, against programs that only redirect");
    let topology = catalogue::find("encap", Parameters::default())?;
    let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
    let null = NullForward {
        paths: workload.paths.clone(),
    };
    let plain = |ports: &VethPorts, cpu| Forwarder::plain(ports, cpu);
    let at = |hook| {
        move |ports: &VethPorts, cpu| Forwarder::new(ports, hook, &Flows::of_the_port(), cpu)
    };
    let (tc, xdp) = (at(Hook::Tc), at(Hook::Xdp));
    for (name, other, flow, asked) in [
        (
            "tc",
            What::Forwarder(&plain),
            What::Forwarder(&tc),
            Some(0.8),
        ),
        ("XDP", What::Datapath(&null), What::Forwarder(&xdp), None),
    ] {
        let plain_name = if asked.is_some() {
            "plain redirect"
        } else {
            "null forward"
        };
        let mut pair = [
            Candidate::new(
                plain_name,
                &other,
                &topology,
                placement,
                Sinks::WithTheDatapath,
            )?,
            Candidate::new("flow", &flow, &topology, placement, Sinks::WithTheDatapath)?,
        ];
        let rounds = turns::rounds(&mut pair, ROUNDS, Candidate::speed)?;
        for (index, candidate) in pair.iter().enumerate() {
            let (rate, ratio) = medians(&rounds, index, 0)?;
            println!(
                "  {name:<4} {:<16} {rate:.2} Mpps, {ratio:.2}{}",
                candidate.name,
                verdict(ratio, asked.filter(|_| index > 0))
            );
        }
    }
    Ok(())
}

fn verdict(ratio: f64, asked: Option<f64>) -> String {
    asked.map_or_else(String::new, |asked| {
        let met = if ratio >= asked { "met" } else { "missed" };
        format!(", asked {asked:.2}: {met}")
    })
}

fn overlay(placement: &Placement) -> anyhow::Result<()> {
    let kernel_xdp = KernelXdp::default();
    let plain = |ports: &VethPorts, cpu| Forwarder::plain(ports, cpu);
    let plain = What::Forwarder(&plain);
    type Asked<'a> = (&'a str, &'a What<'a>, Option<f64>);
    let [kernel_xdp, at_xdp, at_tc, by_core, switch] = [
        &kernel_xdp as &dyn Datapath,
        &OVS_EBPF_XDP,
        &OVS_EBPF,
        &OVS_EBPF_CORE,
        &OVS_XDP,
    ]
    .map(What::Datapath);
    let by_kernel: [Asked<'_>; 4] = [
        ("kernel-xdp", &kernel_xdp, None),
        ("ovs-ebpf-xdp", &at_xdp, Some(0.7)),
        ("ovs-ebpf", &at_tc, None),
        ("ovs-ebpf-core", &by_core, None),
    ];
    // What no datapath at tc can exceed is among them.
    let by_switch: [Asked<'_>; 5] = [
        ("ovs-xdp", &switch, None),
        ("plain redirect", &plain, None),
        ("ovs-ebpf", &at_tc, Some(2.0)),
        ("ovs-ebpf-core", &by_core, None),
        ("ovs-ebpf-xdp", &at_xdp, None),
    ];
    for (sinks, layout, datapaths) in [
        (Sinks::WithTheDatapath, "the datapath's", &by_kernel[..]),
        (Sinks::WithTheTester, "the tester's", &by_switch[..]),
    ] {
        println!("whole datapaths, one flow, sinks on {layout} processor: ratios to the first");
        for name in ["encap", "decap", "hop"] {
            let topology = catalogue::find(name, Parameters::default())?;
            // It sends what comes from the endpoint.
            let can_run = |of: &&Asked<'_>| of.0 != "plain redirect" || name == "encap";
            let datapaths: Vec<_> = datapaths.iter().filter(can_run).collect();
            let mut candidates = datapaths
                .iter()
                .map(|(name, what, _)| Candidate::new(name, what, &topology, placement, sinks))
                .collect::<anyhow::Result<Vec<_>>>()?;
            let rounds = turns::rounds(&mut candidates, ROUNDS, Candidate::speed)?;
            for (index, (candidate, (.., asked))) in candidates.iter().zip(datapaths).enumerate() {
                let (rate, ratio) = medians(&rounds, index, 0)?;
                let verdict = verdict(ratio, asked.filter(|_| name != "hop"));
                println!(
                    "  {name:<6} {:<14} {rate:.2} Mpps, {ratio:.2}{verdict}",
                    candidate.name
                );
            }
        }
    }
    Ok(())
}

fn flows(placement: &Placement) -> anyhow::Result<()> {
    /// Characters of the longest bar.
    const BAR: f64 = 40.0;
    println!("flows under masks, output alone: Mpps");
    for (name, hook) in [("tc", Hook::Tc), ("XDP", Hook::Xdp)] {
        let mut cells = Vec::new();
        for count in [1, 1_000, 100_000] {
            let topology = catalogue::find("encap", Parameters::new(1, count)?)?;
            let makes = [1, 8, 32].map(|masks| {
                let topology = topology.clone();
                let make = move |ports: &VethPorts, cpu: Cpu| {
                    Forwarder::new(ports, hook, &Flows::of(&topology, count, masks)?, cpu)
                };
                (masks, make)
            });
            let mut candidates = makes
                .iter()
                .map(|(masks, make)| {
                    let name = format!("{count} flows, {masks} masks");
                    Candidate::new(
                        &name,
                        &What::Forwarder(make),
                        &topology,
                        placement,
                        Sinks::WithTheDatapath,
                    )
                })
                .collect::<anyhow::Result<Vec<_>>>()?;
            let rounds = turns::rounds(&mut candidates, ROUNDS, Candidate::speed)?;
            for (index, candidate) in candidates.iter().enumerate() {
                let (rate, _) = medians(&rounds, index, 0)?;
                cells.push((candidate.name.clone(), rate));
            }
        }
        let most = cells.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        for (cell, rate) in cells {
            let bar = "█".repeat((rate / most * BAR).round() as usize);
            println!("  {name:<4} {cell:<24} {rate:.2} Mpps {bar}");
        }
    }
    Ok(())
}

fn setup(placement: &Placement) -> anyhow::Result<()> {
    /// Each from another source to another destination: a switch makes one flow of all that differ in ports alone.
    const FLOWS: u32 = 50_000;
    const TIME: Duration = Duration::from_millis(250);
    println!("flows set up in a second, while {NEW} new ones come");
    let topology = catalogue::find("encap", Parameters::new(FLOWS, FLOWS)?)?;
    let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
    let provision = topology.provision(topology.under_test().context("no droplet is under test")?);
    for (datapath, asked) in [
        (&OVS_EBPF_CORE as &dyn Datapath, Some(100_000.0)),
        (&OVS_EBPF, None),
        (&PROACTIVE, None),
    ] {
        let mut rates = Vec::new();
        for _ in 0..3 {
            let lab = VethLab::new(1)?;
            let mut tester =
                VethTester::new(lab.tester(), &workload, false, placement.tester_cpus())?;
            let mut running = datapath.install(lab.ports(), &provision, placement.datapath)?;
            let mut flows = || -> anyhow::Result<f64> {
                let switch = running
                    .counters()?
                    .switch
                    .context("no counters of a switch")?;
                Ok(switch.flows.context("no count of flows")? as f64)
            };
            let before = flows()?;
            let began = Instant::now();
            tester.trial(Pps::new(NEW)?, TIME, false)?;
            // Those that are set up after the last one came take their time as well.
            let more = flows()? - before;
            rates.push(more / began.elapsed().as_secs_f64());
        }
        let rate = median(rates)?;
        println!(
            "  {:<14} {rate:>8.0}{}",
            datapath.name(),
            verdict(rate, asked)
        );
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let datapaths: [&dyn Datapath; 3] = [&OVS_EBPF, &OVS_EBPF_XDP, &OVS_XDP];
    let missing: Vec<_> = datapaths
        .iter()
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
    let wanted = std::env::args()
        .skip(1)
        .find(|given| !given.starts_with('-'));
    type Part = fn(&Placement) -> anyhow::Result<()>;
    let parts: [(&str, Part); 4] = [
        ("forward", forward),
        ("overlay", overlay),
        ("flows", flows),
        ("setup", setup),
    ];
    for (name, part) in parts {
        if wanted.as_ref().is_none_or(|wanted| wanted == name) {
            part(&placement)?;
        }
    }
    Ok(())
}
