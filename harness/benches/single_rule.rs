//! What the pipeline costs on a switch: `ovs-xdp` in `encap`, against the same switch with one rule written by hand
//! that puts the same outer headers on. Asked: 0.95 of its rate.
//!
//! One after the other, since each polls, and would take the processor from the other. On a machine that is shared the
//! rate under overload swings more than the two differ; the cycles that the polling thread takes for a packet at a load
//! that both carry swing less.
//!
//! Needs root and Open vSwitch: `sudo cargo bench --package harness --bench single_rule`.

mod common;

use anyhow::Context;
use common::median;
use datapath_api::{Datapath, DropletPorts, Running};
use datapath_ovs_xdp::OVS_XDP;
use harness::environment::Placement;
use harness::lab::VethLab;
use harness::search::Pps;
use harness::tester::{FrameSize, Tester, VethTester, Workload};
use mizar_wire::Ipv4;
use netdev::Awake;
use ovs_adapter::droplet::{Io, install_rules};
use ovs_adapter::flow::{Action, Field, Match, Priority, Rule, Table, Value};
use ovs_adapter::program::{NAMESPACE, POD, RETURN, SCALED, Tunnel, endpoint_port};
use std::time::Duration;
use topologies::catalogue;
use topologies::provision::Provision;
use topologies::topology::Parameters;

/// Rounds; odd, so that there is a median.
const ROUNDS: usize = 9;
const TRIAL: Duration = Duration::from_millis(500);
/// Somewhat more than either carries.
const OVERLOAD: f64 = 1.2e6;
/// Clearly less.
const CALM: f64 = 0.1e6;
const ASKED: f64 = 0.95;

/// Everything an agent puts in front, as constants.
fn by_hand(provision: &Provision) -> anyhow::Result<Rule> {
    let attachment = provision.attachments.first().context("no endpoint")?;
    let next = provision.direct_paths.first().context("no direct path")?;
    let number = |ip: Ipv4| Value::from(ip.to_bits());
    let host = Value::from_bytes(
        &[
            &provision.host.ip.octets()[..],
            &provision.host.mac.octets(),
        ]
        .concat(),
    );
    // The class of the catalogue's endpoints: DSCP 10.
    let tunnel = Tunnel::of_class(10 << 2);
    Ok(Rule {
        table: Table(0),
        priority: Priority(1),
        cookie: ovs_adapter::program::cookie::ENCAPSULATED,
        idle_timeout: 0,
        hard_timeout: 0,
        matches: Match::all().with(Field::InPort, endpoint_port(attachment.port).0),
        actions: vec![
            Action::set(Field::TunnelId, attachment.vni.get()),
            Action::set(RETURN, host << 8),
            Action::set(SCALED, Value::ZERO),
            Action::set(POD, attachment.pod_label.swap_bytes()),
            Action::set(NAMESPACE, attachment.namespace_label.swap_bytes()),
            Action::set(Field::TunnelDst, number(next.host.ip)),
            Action::Output(tunnel.number),
        ],
    })
}

/// What one of the two does.
struct Speed {
    /// Frames per second under overload.
    rate: f64,
    /// Cycles of the polling thread for a packet, at a load that it carries.
    cycles: f64,
}

fn speed(
    workload: &Workload,
    placement: &Placement,
    install: impl FnOnce(&VethLab) -> anyhow::Result<Box<dyn Running>>,
) -> anyhow::Result<Speed> {
    let lab = VethLab::new(1)?;
    let mut tester = VethTester::new(lab.tester(), workload, false, placement.tester_cpus())?;
    let mut running = install(&lab)?;
    // The first packets make the flow.
    tester.trial(Pps::new(CALM)?, TRIAL, false)?;
    let mut counted = || -> anyhow::Result<_> { running.counters()?.switch.context("no counters") };
    let before = counted()?;
    tester.trial(Pps::new(CALM)?, TRIAL, false)?;
    let calm = counted()?.since(&before).context("another switch")?;
    let report = tester.trial(Pps::new(OVERLOAD)?, TRIAL, false)?;
    Ok(Speed {
        rate: report.arrived.received as f64 / TRIAL.as_secs_f64(),
        cycles: calm.cycles_per_packet().context("no packet")?,
    })
}

fn main() -> anyhow::Result<()> {
    let missing = OVS_XDP.probe();
    if !missing.is_empty() {
        for missing in missing {
            println!("skipped: needs {missing}");
        }
        return Ok(());
    }
    let placement = Placement::choose()?;
    let _awake = Awake::hold()?;
    let topology = catalogue::find("encap", Parameters::default())?;
    let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
    let provision = topology.provision(topology.under_test().context("no droplet is under test")?);
    let rule = by_hand(&provision)?;
    let (mut rates, mut cycles) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let single = speed(&workload, &placement, |lab| {
            let DropletPorts::Veth(ports) = lab.ports() else {
                anyhow::bail!("the lab has other ports");
            };
            let rules = vec![rule.clone()];
            Ok(install_rules(
                Io::Xdp,
                &ports,
                &provision,
                rules,
                placement.datapath,
            )?)
        })?;
        let pipeline = speed(&workload, &placement, |lab| {
            Ok(OVS_XDP.install(lab.ports(), &provision, placement.datapath)?)
        })?;
        println!(
            "one rule {:.3} Mpps, {:.0} cycles; pipeline {:.3} Mpps, {:.0} cycles; ratio {:.2} and {:.2}",
            single.rate / 1e6,
            single.cycles,
            pipeline.rate / 1e6,
            pipeline.cycles,
            pipeline.rate / single.rate,
            single.cycles / pipeline.cycles,
        );
        rates.push(pipeline.rate / single.rate);
        cycles.push(single.cycles / pipeline.cycles);
    }
    println!(
        "medians of {ROUNDS}: {:.2} by rate, {:.2} by cycles, asked {ASKED:.2}",
        median(rates)?,
        median(cycles)?
    );
    Ok(())
}
