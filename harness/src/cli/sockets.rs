//! `bench sockets`.

use super::Outcome;
use super::arguments::{Format, Sockets};
use super::measure::{
    announce, check_required, command, default_folder, in_states, interrupted, progress,
};
use crate::overlay::Overlay;
use crate::sockets::mtu::Mtus;
use crate::sockets::{self, Ends, Plan};
use crate::{registry, sockets::Trouble};
use anyhow::{Context, bail};
use topologies::catalogue;
use topologies::topology::{Parameters, Topology};

pub fn run(arguments: &Sockets, format: Format) -> anyhow::Result<Outcome> {
    let datapaths = registry::select(&arguments.datapaths)?;
    let mtus = Mtus::new(arguments.endpoint_mtu, arguments.underlay_mtu)?;
    let topology = topology(arguments)?;
    if let Some(outcome) = check_required(&arguments.require)? {
        return Ok(outcome);
    }
    if format == Format::Text {
        announce(&datapaths);
    }
    let is_measured = |datapath: &dyn datapath_api::Datapath| {
        Overlay::takes(datapath) && datapath.probe().is_empty()
    };
    if !datapaths.iter().any(|it| is_measured(it.as_ref())) {
        bail!(
            "none of the datapaths asked for can run here with endpoints on veth ports; `bench list` tells ports, and \
             `bench doctor` says what is missing"
        );
    }
    let others = datapaths.iter().filter(|it| !Overlay::takes(it.as_ref()));
    let others: Vec<_> = others.map(|datapath| datapath.name()).collect();
    if format == Format::Text && !others.is_empty() {
        println!(
            "Not measured, since endpoints are on veth ports: {}\n",
            others.join(", ")
        );
    }
    let folder = arguments.out.clone().unwrap_or_else(default_folder);
    let plan = Plan {
        profile: arguments.profile,
        datapaths,
        topology,
        mtus,
        streams: arguments.streams,
        command: command(),
    };
    let interrupted = interrupted()?;
    let bar = progress(format);
    let summary = sockets::run(&plan, &folder, bar.as_ref(), &interrupted)
        .with_context(|| format!("measuring into {}", folder.display()))?;
    super::report::print_sockets(&folder, format)?;
    Ok(summary.into())
}

/// The topology, in the states that it is to be measured in.
fn topology(arguments: &Sockets) -> anyhow::Result<Topology> {
    let topology = catalogue::find(&arguments.topology, Parameters::default())?;
    // Before its states, since one of a single droplet may have either.
    Ends::of(&topology).map_err(|trouble: Trouble| anyhow::anyhow!("{trouble}"))?;
    match arguments.direct_path {
        None => Ok(topology),
        only => {
            let states = in_states(topology, only)?;
            states
                .into_iter()
                .next()
                .context("no state of the direct path")
        }
    }
}
