//! `bench dump-flows`.

use super::arguments::{DumpFlows, Format};
use super::{Outcome, end_with_the_reader, print_json};
use crate::environment::Placement;
use crate::lab::VethLab;
use crate::registry;
use crate::search::Pps;
use crate::tester::{FrameSize, Tester, VethTester, Workload};
use anyhow::{Context, bail};
use datapath_api::{Datapath, PortType};
use std::time::Duration;
use topologies::catalogue;
use topologies::topology::{Parameters, Topology};

/// How long frames are sent, and how many a second: few, so that none is lost for being among too many without a flow.
const TRAFFIC: Duration = Duration::from_millis(500);
const RATE: f64 = 20_000.0;
/// How long the datapath has for what it does in the background.
const PAUSE: Duration = Duration::from_millis(500);

pub fn run(arguments: &DumpFlows, format: Format) -> anyhow::Result<Outcome> {
    let mut datapaths = registry::select(std::slice::from_ref(&arguments.datapath))?;
    let datapath = datapaths.pop().context("there is no such datapath")?;
    let missing = datapath.probe();
    if !missing.is_empty() {
        for missing in missing {
            eprintln!("{} cannot run here: needs {missing}", datapath.name());
        }
        return Ok(Outcome::RequiredMissing);
    }
    let parameters = Parameters::new(1, arguments.flows)?;
    let topology = catalogue::find(&arguments.topology, parameters)?;
    let flows = flows(datapath.as_ref(), &topology)?;
    // Everything is taken down by now.
    end_with_the_reader();
    match format {
        Format::Json => print_json(&flows)?,
        Format::Text => flows.iter().for_each(|flow| println!("{flow}")),
    }
    Ok(Outcome::Good)
}

/// The flows that a droplet has while frames of the topology come.
fn flows(datapath: &dyn Datapath, topology: &Topology) -> anyhow::Result<Vec<String>> {
    if datapath.ports() != PortType::Veth {
        bail!(
            "{} has its ports on {}; flows can be shown of datapaths on veth",
            datapath.name(),
            datapath.ports()
        );
    }
    let placement = Placement::choose()?;
    let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
    let droplet = topology.under_test().with_context(|| {
        let name = topology.name();
        format!(
            "{name} has no droplet under test; expected a topology of one droplet, see `bench list`"
        )
    })?;
    let provision = topology.provision(droplet);
    let lab = VethLab::new(provision.endpoint_ports().max(1))?;
    let mut tester = VethTester::new(lab.tester(), &workload, false, placement.tester_cpus())?;
    let mut running = datapath.install(lab.ports(), &provision, placement.datapath)?;
    tester.trial(Pps::new(RATE)?, TRAFFIC, false)?;
    std::thread::sleep(PAUSE);
    let flows = running.flows();
    running.stop()?;
    let no_flows = || {
        format!(
            "{} has no table of flows to show; datapaths with Open vSwitch or eBPF have one",
            datapath.name()
        )
    };
    flows?.with_context(no_flows)
}
