//! How long it takes until droplets forward: fifty of an overlay, and one that knows as many endpoints as Mizar declares.
//! Asked: at most 10 s for the fifty, and at most 1 s for the endpoints where the core forwards.
//!
//! Needs root: `sudo cargo bench --package harness --bench bring_up`.

mod common;

use anyhow::Context;
use common::median;
use datapath_api::{Datapath, Running};
use harness::environment::Placement;
use harness::lab::{OverlayLab, VethLab};
use harness::overlay::Overlay;
use harness::registry;
use std::time::Instant;
use topologies::catalogue;
use topologies::topology::Parameters;

/// Rounds; odd, so that there is a median.
const ROUNDS: usize = 3;
/// 2 x 23 hosts, a bouncer for each network, two dividers.
const DROPLETS: (u32, u32, u32) = (23, 1, 2);

fn main() -> anyhow::Result<()> {
    for entry in registry::all() {
        let datapath = entry.datapath.as_ref();
        if !Overlay::takes(datapath) || !datapath.probe().is_empty() {
            continue;
        }
        let endpoints = seconds(|| one(datapath))?;
        println!(
            "{:<20} 65,536 endpoints  {endpoints:6.3} s",
            datapath.name()
        );
        if datapath.polls_busily() {
            // So many that spin would only wait for each other.
            continue;
        }
        let fifty = seconds(|| fifty(datapath))?;
        println!("{:<20} 50 droplets       {fifty:6.3} s", datapath.name());
    }
    Ok(())
}

fn seconds(mut measure: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| measure())
        .collect::<anyhow::Result<_>>()?;
    median(rounds)
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
    let topology = catalogue::find("hop", Parameters::new(65_536, 1)?)?;
    let droplet = topology.under_test().context("no droplet is under test")?;
    let provision = topology.provision(droplet);
    let lab = VethLab::new(0)?;
    let cpu = Placement::choose()?.datapath;
    let began = Instant::now();
    let running = datapath.install(lab.ports(), &provision, cpu)?;
    let took = began.elapsed().as_secs_f64();
    running.stop()?;
    Ok(took)
}
