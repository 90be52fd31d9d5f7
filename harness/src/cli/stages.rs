//! `bench stages`.

use super::Outcome;
use super::arguments::{Format, Stages};
use super::measure::{announce, command, default_folder, interrupted, progress};
use crate::registry;
use crate::stages::{self, Plan};
use anyhow::{Context, bail};
use topologies::catalogue;
use topologies::topology::{DirectPathState, Parameters};

/// Fixes the order of a round where nobody asks for another.
const SEED: u64 = 1;

pub fn run(arguments: &Stages, format: Format) -> anyhow::Result<Outcome> {
    let datapaths = registry::select(&arguments.datapaths)?;
    let topology = catalogue::find(&arguments.topology, Parameters::default())?;
    let topology = topology.in_state(DirectPathState::Warm);
    if topology.under_test().is_none() {
        bail!(
            "topology {} has no droplet under test; give one that has, like vtep",
            topology.name()
        );
    }
    if !datapaths.iter().any(|it| it.probe().is_empty()) {
        bail!("none of the datapaths asked for can run here; `bench doctor` says what is missing");
    }
    if format == Format::Text && !arguments.datapaths.is_empty() {
        announce(&datapaths);
    }
    let folder = arguments.out.clone().unwrap_or_else(default_folder);
    let plan = Plan {
        datapaths,
        topology,
        rounds: arguments.rounds,
        seed: SEED,
        command: command(),
    };
    let interrupted = interrupted()?;
    let bar = progress(format);
    let summary = stages::run(&plan, &folder, bar.as_ref(), &interrupted)
        .with_context(|| format!("measuring into {}", folder.display()))?;
    if summary.results == 0 {
        bail!(
            "none of the datapaths asked for carries the core by itself: give kernel-xdp or reference"
        );
    }
    super::report::print_stages(&folder, format)?;
    Ok(summary.into())
}
