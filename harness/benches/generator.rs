//! How much of a bare loop over live frames, which only redirects, the generator reaches. Needs root and the
//! BPF programs: `sudo cargo bench --package harness --bench generator`.

use anyhow::Context;
use datapath_api::{Datapath, Missing};
use harness::environment::Placement;
use harness::lab::VethLab;
use harness::tester::{FrameSize, NullForward, Workload, bare_and_generator};
use std::time::Duration;
use topologies::catalogue;
use topologies::topology::Parameters;

/// Pairs of measurements; odd, so that there is a median.
const ROUNDS: usize = 7;

fn main() -> anyhow::Result<()> {
    if let Some(missing) = Missing::privileges() {
        println!("skipped: needs {missing}");
        return Ok(());
    }
    let placement = Placement::choose()?;
    // A bouncer's frames come and go by the uplink, which is where the bare loop sends.
    let topology = catalogue::find("hop", Parameters::default())?;
    let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
    let provision = topology.provision(topology.under_test().context("no droplet is under test")?);
    // Without paths, everything is dropped on the datapath's processor.
    let dropper = NullForward { paths: Vec::new() };
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let lab = VethLab::new(0)?;
        let _running = dropper.install(lab.ports(), &provision, placement.datapath)?;
        let time = Duration::from_millis(500);
        let (bare, generator) = bare_and_generator(&lab, &workload, time, placement.tester_cpus())?;
        println!(
            "round {round}: bare {:.3} Mpps, generator {:.3} Mpps, ratio {:.3}",
            bare / 1e6,
            generator / 1e6,
            generator / bare
        );
        ratios.push(generator / bare);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ROUNDS / 2).context("no round")?;
    println!("median ratio {median:.3}");
    Ok(())
}
