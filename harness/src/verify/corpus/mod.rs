//! Frames to try a datapath with, made for a topology.
//!
//! The order is fixed: flows first, so that there is state; then everything that may be wrong with a
//! frame; then the flows again, which must not have suffered.

mod damage;
mod patch;
mod short;

use mizar_wire::geneve;
use topologies::frame::{self, FrameLen, Outer};
use topologies::oracle::source_port;
use topologies::provision::{EndpointPort, Host, Port};
use topologies::topology::{Topology, Transport};
use topologies::traffic::{Direction, Flow};

/// Lengths of inner frames: the shortest, an odd one, and the longest among them.
const LENGTHS: [u16; 6] = [60, 61, 64, 128, 594, 1514];
/// Flows that come again in other forms, at the most: with the other protocol, as replies, by ARP.
const VARIED: u32 = 16;
/// Destination ports that are tried where there are access lists, at the most.
const MOST_PORTS: usize = 64;
/// Prefixes that lists name which are tried, at the most.
const MOST_PREFIXES: usize = 8;
/// Where the flags of the Geneve header are, and type and flags of return-to-sender.
const GENEVE_FLAGS: usize = 43;
const OPTION_TYPE: usize = 52;
const OPTION_FLAGS: usize = 54;
/// The order in which flows are taken, so that a few of them are spread over all endpoints.
const ORDER: u64 = 1;

/// A frame, and where it enters the droplet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is.
    pub name: String,
    /// Where it enters.
    pub port: Port,
    /// The frame.
    pub frame: Vec<u8>,
}

/// Frames of a topology's flows that nothing is wrong with, in the forms that flows come in.
pub fn sound(topology: &Topology, here: Host, flows: u32) -> Vec<Case> {
    let mut cases = Vec::new();
    for direction in topology.traffic() {
        all_flows(&mut cases, &direction, flows);
        for way in ways(topology, here, &direction) {
            for index in 0..way.flows(flows) {
                way.varied_flow(&mut cases, index);
            }
            by_direct_paths(&mut cases, topology, here, &way);
            short::sound(&mut cases, topology, here, &way);
        }
    }
    cases
}

/// Frames of flows that access lists of `lists` judge, and of such as they may judge in another way.
pub fn judged(topology: &Topology, lists: &Topology, flows: u32) -> Vec<Case> {
    let mut cases = Vec::new();
    for direction in topology.traffic() {
        all_flows(&mut cases, &direction, flows);
        around_access_lists(&mut cases, lists, &direction);
    }
    cases
}

/// The frames for a topology with this droplet under test.
pub fn corpus(topology: &Topology, here: Host, flows: u32) -> Vec<Case> {
    let mut cases = Vec::new();
    let traffic = topology.traffic();
    for direction in &traffic {
        all_flows(&mut cases, direction, flows);
    }
    let ways: Vec<Way> = traffic
        .iter()
        .flat_map(|direction| ways(topology, here, direction))
        .collect();
    for way in &ways {
        for index in 0..way.flows(flows.min(VARIED)) {
            way.varied_flow(&mut cases, index);
        }
    }
    for direction in &traffic {
        around_access_lists(&mut cases, topology, direction);
    }
    for way in &ways {
        by_direct_paths(&mut cases, topology, here, way);
        short::sound(&mut cases, topology, here, way);
        short::damaged(&mut cases, here, way);
        patch::patched(&mut cases, way);
        damage::truncated(&mut cases, way);
    }
    damage::random(&mut cases, &ways);
    for direction in &traffic {
        all_flows(&mut cases, direction, flows.min(VARIED));
    }
    cases
}

/// Frames of a flow that came by a direct path of each droplet, and such that came back from each.
fn by_direct_paths(cases: &mut Vec<Case>, topology: &Topology, here: Host, way: &Way) {
    let flow = way.flow(0);
    let Some(outer) = way.outer(&flow).filter(|_| way.is_encapsulated()) else {
        return;
    };
    let others = topology.droplets().iter().map(|droplet| droplet.host);
    for other in others {
        let outer = Outer {
            dst: here,
            return_to_sender: other,
            ..outer
        };
        for (what, kind, flags, critical) in [
            (
                "by a direct path of",
                geneve::RETURN_TO_SENDER,
                geneve::DIRECT_PATH,
                0,
            ),
            ("back from", geneve::RETURNED, 0, geneve::CRITICAL),
        ] {
            let mut frame = frame::encapsulated(&outer, &frame::inner(&flow, FrameLen::MIN));
            for (at, byte) in [
                (GENEVE_FLAGS, critical),
                (OPTION_TYPE, kind),
                (OPTION_FLAGS, flags),
            ] {
                patch::put(&mut frame, at, &[byte]);
            }
            cases.push(way.case(&format!("{what} {}", other.ip), frame));
        }
    }
}

/// Frames of a direction's flows, as they enter when it is measured.
fn all_flows(cases: &mut Vec<Case>, direction: &Direction, flows: u32) {
    let space = direction.flows.shuffled(ORDER);
    for index in 0..flows.min(space.count()) {
        let flow = space.flow(index);
        for length in lengths() {
            let inner = frame::inner(&flow, length);
            let frame = match direction.outer_fields(&flow) {
                Some(outer) => frame::encapsulated(&outer, &inner),
                None => inner,
            };
            cases.push(Case {
                name: format!("{}, flow {index} of {length} bytes", direction.name),
                port: direction.ingress,
                frame,
            });
        }
    }
}

/// Flows that an access list may judge in another way than those that are measured; the last one claims to come from within.
pub fn variants(topology: &Topology, flow: &Flow) -> impl Iterator<Item = Flow> + use<> {
    let ports = topology.acl_ports().into_iter().take(MOST_PORTS);
    let flow = *flow;
    let others = ports.flat_map(move |dst_port| {
        [Transport::Udp, Transport::Tcp].map(|transport| Flow {
            transport,
            dst_port,
            ..flow
        })
    });
    let from_within = topology.claimed_within(flow.dst_ip);
    others.chain(from_within.map(|src_ip| Flow { src_ip, ..flow }))
}

/// Flows that come from an edge of what an access list names, or go there.
fn at_edges(topology: &Topology, flow: &Flow) -> impl Iterator<Item = Flow> + use<> {
    let flow = *flow;
    let addresses = topology.acl_addresses(MOST_PREFIXES).into_iter();
    addresses.flat_map(move |address| {
        let (from, to) = (
            Flow {
                src_ip: address,
                ..flow
            },
            Flow {
                dst_ip: address,
                ..flow
            },
        );
        [from, to]
    })
}

fn around_access_lists(cases: &mut Vec<Case>, topology: &Topology, direction: &Direction) {
    let flow = direction.flows.flow(0);
    for flow in variants(topology, &flow).chain(at_edges(topology, &flow)) {
        let inner = frame::inner(&flow, FrameLen::MIN);
        let frame = match direction.outer_fields(&flow) {
            Some(outer) => frame::encapsulated(&outer, &inner),
            None => inner,
        };
        cases.push(Case {
            name: format!(
                "{}, {:?} from {} to {}, port {}",
                direction.name, flow.transport, flow.src_ip, flow.dst_ip, flow.dst_port
            ),
            port: direction.ingress,
            frame,
        });
    }
}

fn lengths() -> impl Iterator<Item = FrameLen> {
    LENGTHS
        .into_iter()
        .filter_map(|length| FrameLen::try_from(length).ok())
}

/// A way by which frames of a direction, or replies to them, may enter the droplet.
pub struct Way<'a> {
    name: String,
    direction: &'a Direction,
    is_reply: bool,
    port: Port,
    /// The droplet that sends to this one, and this one.
    hosts: Option<(Host, Host)>,
}

/// The ways of a direction: frames of its flows and replies, from the endpoint where one is attached, and
/// encapsulated by another droplet.
fn ways<'a>(topology: &Topology, here: Host, direction: &'a Direction) -> Vec<Way<'a>> {
    let peer = topology
        .droplets()
        .iter()
        .map(|droplet| droplet.host)
        .find(|host| *host != here)
        .unwrap_or(here);
    let mut ways = Vec::new();
    for (what, is_reply, port) in [
        ("frames", false, direction.ingress),
        ("replies", true, direction.egress),
    ] {
        if port != Port::Uplink {
            ways.push(Way {
                name: format!("{}, {what} from the endpoint", direction.name),
                direction,
                is_reply,
                port,
                hosts: None,
            });
        }
        ways.push(Way {
            name: format!("{}, {what} from the underlay", direction.name),
            direction,
            is_reply,
            port: Port::Uplink,
            hosts: Some((peer, here)),
        });
    }
    ways
}

impl Way<'_> {
    fn flows(&self, most: u32) -> u32 {
        most.min(self.direction.flows.count())
    }

    /// Flow `index`, or its reply.
    fn flow(&self, index: u32) -> Flow {
        let flow = self.direction.flows.shuffled(ORDER).flow(index);
        if !self.is_reply {
            return flow;
        }
        Flow {
            transport: flow.transport,
            src_ip: flow.dst_ip,
            src_mac: flow.dst_mac,
            dst_ip: flow.src_ip,
            dst_mac: flow.src_mac,
            src_port: flow.dst_port,
            dst_port: flow.src_port,
        }
    }

    /// Outer headers, where frames enter with them.
    fn outer(&self, flow: &Flow) -> Option<Outer> {
        let usual = (!self.is_reply)
            .then(|| self.direction.outer_fields(flow))
            .flatten();
        usual.or_else(|| {
            let (src, dst) = self.hosts?;
            Some(Outer {
                src,
                dst,
                return_to_sender: src,
                vni: self.direction.vni,
                src_port: source_port(flow.src_ip, flow.dst_ip),
                pod_label: self.direction.pod_label,
                namespace_label: self.direction.namespace_label,
            })
        })
    }

    /// Whether frames enter with outer headers.
    fn is_encapsulated(&self) -> bool {
        self.hosts.is_some()
    }

    /// The frame as it enters around `inner`, a frame of `flow`.
    fn wrap(&self, flow: &Flow, inner: &[u8]) -> Vec<u8> {
        match self.outer(flow) {
            Some(outer) if self.is_encapsulated() => frame::encapsulated(&outer, inner),
            _ => inner.to_vec(),
        }
    }

    fn case(&self, what: &str, frame: Vec<u8>) -> Case {
        Case {
            name: format!("{}: {what}", self.name),
            port: self.port,
            frame,
        }
    }

    /// A flow over both protocols, and what its source asks by ARP.
    fn varied_flow(&self, cases: &mut Vec<Case>, index: u32) {
        let flow = self.flow(index);
        for transport in [Transport::Udp, Transport::Tcp] {
            let flow = Flow { transport, ..flow };
            let inner = frame::inner(&flow, FrameLen::MIN);
            let what = match transport {
                Transport::Udp => "UDP",
                Transport::Tcp => "TCP",
            };
            let what = format!("flow {index} over {what}");
            cases.push(self.case(&what, self.wrap(&flow, &inner)));
        }
        for (what, arp) in patch::arp_messages(&flow) {
            let what = format!("flow {index}, ARP {what}");
            cases.push(self.case(&what, self.wrap(&flow, &arp)));
        }
    }
}

/// A port that no topology attaches an endpoint to.
const UNATTACHED: Port = Port::Endpoint(EndpointPort(4_000));
