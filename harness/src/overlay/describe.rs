//! An overlay in words: its droplets, and the ways that packets take.

use crate::record::{OverlayDroplet, OverlayInfo};
use topologies::frame::FrameLen;
use topologies::oracle::OverlayOracle;
use topologies::provision::Port;
use topologies::topology::Topology;

/// Flows of each direction whose ways are looked at.
const FLOWS: u32 = 256;
/// The order in which flows are taken, so that a few of them are spread over all endpoints.
const ORDER: u64 = 1;

/// The droplets of `topology`, and the ways of its flows as the oracles have them.
pub fn describe(topology: &Topology) -> OverlayInfo {
    let mut oracle = OverlayOracle::new(topology);
    let mut ways = Vec::new();
    for mut direction in topology.traffic() {
        direction.flows = direction.flows.shuffled(ORDER);
        let Port::Endpoint(ingress) = direction.ingress else {
            continue;
        };
        for flow in 0..FLOWS.min(direction.flows.count()) {
            let frame = direction.frame(flow, FrameLen::MIN);
            let way = oracle.inject(ingress, &frame).way;
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
    }
    let droplets = topology.droplets().iter().zip(topology.stages());
    let droplet = |(droplet, stage): (&topologies::topology::Droplet, u8)| OverlayDroplet {
        name: droplet.name.clone(),
        datapath: droplet.datapath.clone(),
        stage,
    };
    OverlayInfo {
        droplets: droplets.map(droplet).collect(),
        ways,
    }
}
