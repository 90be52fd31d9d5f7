//! A droplet that is everything at once: host, bouncer and divider, with endpoints of every kind, policies,
//! and tables that lack something here and there.

use mizar_wire::geneve::{FlowTarget, ScaledEndpoint};
use mizar_wire::{Be16, Ipv4, Mac, Vni};
use topologies::frame::{self, FrameLen, Outer};
use topologies::provision::{
    Attachment, Cidr, CidrRule, Class, DirectPath, Endpoint, EndpointKind, EndpointPort, Host,
    LabelRule, Network, PolicySet, Port, PortRule, Priority, Provision, Rules, Vpc,
};
use topologies::topology::Transport;
use topologies::traffic::Flow;
use zerocopy::IntoBytes;

/// The VPC that has nearly everything, one without dividers, one whose divider has no Ethernet address.
pub const VNIS: [u32; 3] = [7, 0x00ab_cdef, 9];
/// Labels of pods and namespaces that policies name.
const LABELS: [u32; 2] = [77, 0x0102_0304];
/// Where the scaled-endpoint option starts.
const SCALED_ENDPOINT_AT: usize = 66;

pub const CLIENT_PORT: u16 = 40_000;
pub const SERVER_PORT: u16 = 7;

fn vni(index: usize) -> Vni {
    VNIS.get(index)
        .and_then(|number| Vni::new(*number))
        .unwrap_or_default()
}

/// Overlay address 10.0.`network`.`last`.
pub fn ip(network: u8, last: u8) -> Ipv4 {
    Ipv4::from_octets([10, 0, network, last])
}

fn mac(last: u8) -> Mac {
    Mac::new([2, 0, 0x0a, 0, 0, last])
}

/// Droplet `last`; 1 is the one under test, 2 to 5 are known, others are not.
pub fn droplet(last: u8) -> Host {
    Host {
        ip: underlay(last),
        mac: Mac::new([2, 0xaa, 0, 0, 0, last]),
    }
}

fn underlay(last: u8) -> Ipv4 {
    Ipv4::from_octets([192, 168, 0, last])
}

pub fn provision() -> Provision {
    let mut world = Provision::new(droplet(1));
    world.substrate = (1..=5).map(droplet).collect();
    world.endpoints = endpoints();
    world.attachments = vec![
        attachment(0, 0, 2, &[2, 1, 3], (Class::Premium, Priority::High)),
        attachment(1, 0, 3, &[1, 2], (Class::Expedited, Priority::Low)),
        attachment(2, 1, 2, &[], (Class::BestEffort, Priority::Medium)),
        attachment(3, 2, 2, &[9], (Class::BestEffort, Priority::High)),
    ];
    let network = |prefix: u8, bouncers: &[u8]| Network {
        vni: vni(0),
        cidr: cidr(ip(prefix, 0), 24),
        bouncers: bouncers.iter().copied().map(underlay).collect(),
    };
    world.networks = vec![network(1, &[2, 3]), network(2, &[]), network(3, &[9])];
    world.vpcs = [(0, &[3_u8, 4][..]), (1, &[]), (2, &[9])]
        .map(|(index, dividers)| Vpc {
            vni: vni(index),
            dividers: dividers.iter().copied().map(underlay).collect(),
        })
        .into();
    // The last one leads back to the droplet itself.
    world.direct_paths = [
        (0, ip(1, 7), 4),
        (0, ip(9, 9), 5),
        (1, ip(1, 7), 2),
        (0, ip(1, 8), 1),
    ]
    .map(|(index, ip, host)| DirectPath {
        vni: vni(index),
        ip,
        host: droplet(host),
    })
    .into();
    world.ingress = rules(true);
    world.egress = rules(false);
    world
}

fn endpoints() -> Vec<Endpoint> {
    let simple = |network: usize, last: u8, port: Option<u16>, hosts: &[u8]| Endpoint {
        vni: vni(network),
        ip: ip(0, last),
        mac: mac(last),
        kind: EndpointKind::Simple,
        port: port.map(EndpointPort),
        hosts: hosts.iter().copied().map(underlay).collect(),
    };
    let scaled = |last: u8, backends: &[Ipv4]| Endpoint {
        kind: EndpointKind::Scaled,
        hosts: backends.to_vec(),
        ..simple(0, last, None, &[])
    };
    let gateway = |last: u8, hosts: &[u8]| Endpoint {
        kind: EndpointKind::Gateway,
        ..simple(0, last, None, hosts)
    };
    vec![
        gateway(1, &[3]),
        simple(0, 2, Some(0), &[1]),
        simple(0, 3, Some(1), &[1]),
        simple(0, 4, None, &[2]),
        // Without a host, and with one whose Ethernet address is not known.
        simple(0, 5, None, &[]),
        simple(0, 6, None, &[9]),
        scaled(100, &[ip(0, 2), ip(0, 4), ip(1, 9)]),
        scaled(101, &[]),
        scaled(102, &[ip(0, 100)]),
        Endpoint {
            port: Some(EndpointPort(0)),
            ..scaled(103, &[ip(0, 4)])
        },
        gateway(104, &[]),
        simple(1, 2, Some(2), &[1]),
        simple(2, 2, Some(3), &[1]),
    ]
}

fn attachment(
    port: u16,
    index: usize,
    last: u8,
    bouncers: &[u8],
    class: (Class, Priority),
) -> Attachment {
    Attachment {
        port: EndpointPort(port),
        vni: vni(index),
        ip: ip(0, last),
        mac: mac(last),
        bouncers: bouncers.iter().copied().map(underlay).collect(),
        pod_label: LABELS[0],
        namespace_label: LABELS[1],
        class,
    }
}

fn cidr(address: Ipv4, length: u8) -> Cidr {
    // Lengths are written here; none is above 32.
    Cidr::new(address, length).unwrap_or_else(|| unreachable!("prefix length {length}"))
}

/// Policy of one direction, for 10.0.0.3 and 10.0.0.4 in the first VPC.
fn rules(is_ingress: bool) -> Rules {
    let local = [ip(0, 3), ip(0, 4)];
    let port = |local: Ipv4, protocol: u8, port: u16, policies: u64| PortRule {
        vni: vni(0),
        local,
        protocol,
        port,
        policies: PolicySet(policies),
    };
    let prefix = |remote: Ipv4, length: u8, policies: u64| CidrRule {
        vni: vni(0),
        local: local[0],
        remote: cidr(remote, length),
        policies: PolicySet(policies),
    };
    let label = |pod: u32, namespace: u32, policies: u64| LabelRule {
        vni: vni(0),
        pod,
        namespace,
        policies: PolicySet(policies),
    };
    Rules {
        enforced: local.iter().map(|ip| (vni(0), *ip)).collect(),
        ports: vec![
            port(local[0], 17, SERVER_PORT, 0b0001),
            port(local[0], 6, SERVER_PORT, 0b0010),
            port(local[0], 17, 53, 1 << 63),
            port(local[0], 0, 0, 0b1000),
            port(local[1], 0, 0, 0b0100),
        ],
        cidr_primary: vec![prefix(ip(0, 0), 24, 0b0011), prefix(ip(0, 4), 32, 0b0001)],
        cidr_supplementary: vec![prefix(ip(0, 0), 8, 0b1010)],
        cidr_except: vec![prefix(ip(1, 0), 24, 0b1000), prefix(ip(2, 0), 24, 0b0010)],
        // Egress policy knows no labels.
        labels: if is_ingress {
            vec![
                label(LABELS[0], 0, 1 << 63),
                label(0, LABELS[1], 0b0100),
                label(LABELS[0], LABELS[1], 0b1000),
            ]
        } else {
            Vec::new()
        },
    }
}

/// A flow between two endpoints; ports are those of a client and its server.
pub fn flow(transport: Transport, src: Ipv4, dst: Ipv4) -> Flow {
    let [.., src_last] = src.octets();
    let [.., dst_last] = dst.octets();
    Flow {
        transport,
        src_ip: src,
        src_mac: mac(src_last),
        dst_ip: dst,
        dst_mac: mac(dst_last),
        src_port: CLIENT_PORT,
        dst_port: SERVER_PORT,
    }
}

/// An inner frame in the first VPC as it arrives from droplet `from`.
pub fn arriving(from: u8, inner: &[u8]) -> Vec<u8> {
    let outer = Outer {
        src: droplet(from),
        dst: droplet(1),
        return_to_sender: droplet(from),
        vni: vni(0),
        src_port: 40_000,
        pod_label: LABELS[0],
        namespace_label: LABELS[1],
    };
    frame::encapsulated(&outer, inner)
}

/// A message to the source's host: rewrite `flow` to `backend`.
pub fn modify(flow: &Flow, backend: Ipv4) -> Vec<u8> {
    let mut frame = arriving(2, &frame::inner(flow, FrameLen::MIN));
    let target = FlowTarget {
        src: flow.src_ip,
        dst: backend,
        src_port: Be16::new(flow.src_port),
        dst_port: Be16::new(flow.dst_port),
        src_mac: flow.src_mac,
        dst_mac: flow.dst_mac,
    };
    let option = ScaledEndpoint::modify(&target);
    if let Some(place) = frame.get_mut(SCALED_ENDPOINT_AT..SCALED_ENDPOINT_AT + 32) {
        place.copy_from_slice(option.as_bytes());
    }
    frame
}

/// What happened before an input: flows were rewritten, judged and learned.
pub fn past() -> Vec<(Port, Vec<u8>)> {
    let mut past = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let to_service = flow(transport, ip(0, 2), ip(0, 100));
        past.push((Port::Uplink, modify(&to_service, ip(0, 4))));
        let out = frame::inner(&flow(transport, ip(0, 3), ip(0, 4)), FrameLen::MIN);
        past.push((Port::Endpoint(EndpointPort(1)), out));
        let denied = frame::inner(&flow(transport, ip(0, 3), ip(2, 4)), FrameLen::MIN);
        past.push((Port::Endpoint(EndpointPort(1)), denied));
        let learned = frame::inner(&flow(transport, ip(1, 20), ip(0, 2)), FrameLen::MIN);
        past.push((Port::Uplink, arriving(4, &learned)));
        let divided = frame::inner(&flow(transport, ip(7, 20), ip(1, 30)), FrameLen::MIN);
        past.push((Port::Uplink, arriving(5, &divided)));
    }
    past
}
