//! How reports name a topology under a workload.

use crate::overlay;
use crate::record::Scenario;
use crate::tester::FrameSize;
use topologies::topology::{DirectPathState, Parameters, Topology, Transport};

/// `both` if the topology is measured with the direct path and without.
pub(super) fn describe(topology: &Topology, size: FrameSize, both: bool) -> Scenario {
    let parameters = topology.parameters();
    let transports: Vec<Transport> = topology
        .traffic()
        .iter()
        .map(|direction| direction.flows.transport)
        .collect();
    let transport = match transports.first() {
        Some(first) if transports.iter().all(|other| other == first) => match first {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        },
        _ => "UDP and TCP",
    };
    let (endpoints, flows) = (parameters.endpoints(), parameters.flows());
    let plural = |count: u32, one: &str| {
        if count == 1 {
            format!("1-{one}")
        } else {
            format!("{count}-{one}s")
        }
    };
    let unit = if size == FrameSize::Imix { "" } else { "B" };
    let mut id = format!("{}/{size}{unit}/{}", topology.name(), plural(flows, "flow"));
    if endpoints > 1 {
        id = format!("{id}/{}", plural(endpoints, "endpoint"));
    }
    if transport != "UDP" {
        id = format!("{id}/{}", transport.replace(' ', "-"));
    }
    let usual = Parameters::default();
    let sizes = |it: Parameters| [it.hosts(), it.bouncers(), it.dividers()];
    if topology.under_test().is_none() && sizes(parameters) != sizes(usual) {
        id = format!(
            "{id}/{}",
            plural(topology.droplets().len() as u32, "droplet")
        );
    }
    let rules = topology.access_rules();
    if rules.is_some() && parameters.rules() != usual.rules() {
        id = format!("{id}/{}", plural(parameters.rules(), "vain-rule"));
    }
    let direct_path = both.then(|| topology.direct_path());
    match direct_path {
        Some(DirectPathState::Cold) => id += "/direct-path-off",
        Some(DirectPathState::Warm) => id += "/direct-path-on",
        None => {}
    }
    Scenario {
        id,
        topology: topology.name().to_owned(),
        summary: topology.description().to_owned(),
        endpoints,
        flows,
        frame: size.to_string(),
        transport: transport.to_owned(),
        rules,
        overlay: topology
            .under_test()
            .is_none()
            .then(|| overlay::describe(topology)),
        direct_path,
    }
}
