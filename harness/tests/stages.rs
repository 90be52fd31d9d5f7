//! Stages of datapaths that carry the core: what is measured is what the datapath does.

#[path = "common/missing.rs"]
mod missing;

use datapath_api::{Decision, Outcome, Stage, Stages};
use harness::environment::Placement;
use harness::registry;
use libtest_mimic::{Arguments, Failed, Trial};
use topologies::catalogue;
use topologies::frame::FrameLen;
use topologies::oracle::Oracle;
use topologies::topology::{DirectPathState, Parameters, Topology};

/// A test of the datapath of this name.
type Test = fn(&str) -> Result<(), Failed>;

fn main() {
    let mut trials = Vec::new();
    for name in ["kernel-xdp", "reference"] {
        let is_ignored = missing::lacks_something(name);
        let tests: [(&str, Test); 3] = [
            ("headers_are_those_of_the_oracle", headers),
            ("every_stage_runs", every_stage),
            ("what_gets_nowhere_is_no_figure", nowhere),
        ];
        for (what, test) in tests {
            let trial = Trial::test(format!("{name}::{what}"), move || test(name));
            trials.push(trial.with_ignored_flag(is_ignored));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn stages(name: &str, topology: &Topology) -> Result<Box<dyn Stages>, Failed> {
    let datapath = registry::select(&[name.to_owned()])?
        .pop()
        .ok_or("it is gone")?;
    let droplet = topology.under_test().ok_or("no droplet under test")?;
    let placement = Placement::choose()?;
    let provision = topology.provision(droplet);
    let stages = datapath.stages(&provision, placement.datapath, placement.sinks)?;
    Ok(stages.ok_or("it has no stages")?)
}

/// What a frame is when its headers are written is what the oracle makes of it, whichever way that was decided.
fn headers(name: &str) -> Result<(), Failed> {
    for topology in ["vtep", "hop", "divide"] {
        let topology = catalogue::find(topology, Parameters::default())?;
        let topology = topology.in_state(DirectPathState::Warm);
        let droplet = topology.under_test().ok_or("no droplet under test")?;
        let mut oracle = Oracle::new(&topology.provision(droplet));
        let mut stages = stages(name, &topology)?;
        for direction in topology.traffic() {
            let frame = direction.frame(0, FrameLen::MIN);
            let Outcome::Forward {
                frame: expected, ..
            } = oracle.inject(direction.ingress, &frame)
            else {
                return Err("the oracle sends it nowhere".into());
            };
            // What a divider decides follows from networks, which is not remembered.
            let is_established = stages.is_established(direction.ingress, &frame)?;
            if is_established != (topology.name() != "divide") {
                let is = format!("established: {is_established}");
                return Err(format!("{}: {is}", topology.name()).into());
            }
            for decision in Decision::ALL {
                if decision == Decision::Established && !is_established {
                    continue;
                }
                let written = stages.written(direction.ingress, decision, &frame)?;
                if written != expected {
                    let what = format!("{}, {decision}", topology.name());
                    return Err(format!("{what}: {written:x?}, expected {expected:x?}").into());
                }
            }
        }
    }
    Ok(())
}

fn every_stage(name: &str) -> Result<(), Failed> {
    let topology = catalogue::find("vtep", Parameters::default())?;
    let topology = topology.in_state(DirectPathState::Warm);
    let mut stages = stages(name, &topology)?;
    for direction in topology.traffic() {
        let frame = direction.frame(0, FrameLen::MIN);
        for decision in Decision::ALL {
            for stage in Stage::ALL {
                let took = stages.run(direction.ingress, decision, stage, &frame, 1_000);
                match (stages.has(decision, stage), took) {
                    (true, Ok(took)) if !took.is_zero() => {}
                    (false, Err(_)) => {}
                    (has, took) => {
                        return Err(format!("{decision}, {stage}: {has}, {took:?}").into());
                    }
                }
            }
        }
    }
    Ok(())
}

/// A frame that is refused before it gets as far as it should would be measured as a cheap one.
fn nowhere(name: &str) -> Result<(), Failed> {
    let topology = catalogue::find("vtep", Parameters::default())?;
    let topology = topology.in_state(DirectPathState::Warm);
    let mut stages = stages(name, &topology)?;
    for direction in topology.traffic() {
        let frame = direction.frame(0, FrameLen::MIN);
        let cut = frame.get(..20).ok_or("a short frame")?;
        for stage in [Stage::Lookup, Stage::Headers] {
            let ran = stages.run(direction.ingress, Decision::Full, stage, cut, 1_000);
            if ran.is_ok() {
                return Err(format!("{stage} of a frame that was cut off: {ran:?}").into());
            }
        }
    }
    Ok(())
}
