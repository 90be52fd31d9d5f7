use super::{Difference, allow, excuse};
use mizar_wire::{Ipv4, Mac, Vni};
use topologies::frame::{FrameLen, Outer, encapsulated, inner};
use topologies::oracle::Outcome;
use topologies::provision::{
    Attachment, Cidr, Class, DirectPath, Endpoint, EndpointKind, EndpointPort, Host, Network, Port,
    Priority, Provision, Vpc,
};
use topologies::topology::Transport;
use topologies::traffic::Flow;
use topologies::vectors::Expected;

const VNI: u32 = 7;
const ENDPOINT: Port = Port::Endpoint(EndpointPort(0));
const CHOICE: &[Difference] = &[Difference::BouncerChoice];
const TRACKING: &[Difference] = &[Difference::Tracking];

/// Droplet `number` of the underlay; the one under test is zero.
fn host(number: u8) -> Host {
    Host {
        ip: Ipv4::from_octets([192, 0, 2, number]),
        mac: Mac::new([2, 0, 192, 0, 2, number]),
    }
}

fn hosts(numbers: &[u8]) -> Vec<Ipv4> {
    numbers.iter().map(|number| host(*number).ip).collect()
}

/// Address `number` of network `network`.
fn address(network: u8, number: u8) -> Ipv4 {
    Ipv4::from_octets([10, 0, network, number])
}

fn vni() -> Vni {
    Vni::new(VNI).unwrap()
}

/// An endpoint of network 1, which bouncers 1 and 2 serve; networks 2 and 3 with bouncers 3 and 4, and 4 and 5; and
/// dividers 6 and 7. All droplets up to 9 are known.
fn provision() -> Provision {
    let network = |number: u8, bouncers: &[u8]| Network {
        vni: vni(),
        cidr: Cidr::new(address(number, 0), 24).unwrap(),
        bouncers: hosts(bouncers),
    };
    let mut provision = Provision::new(host(0));
    provision.substrate = (0..10).map(host).collect();
    provision.attachments = vec![Attachment {
        port: EndpointPort(0),
        vni: vni(),
        ip: address(1, 1),
        mac: Mac::new([2, 0, 10, 0, 1, 1]),
        bouncers: hosts(&[1, 2]),
        pod_label: 0,
        namespace_label: 0,
        class: (Class::Premium, Priority::High),
    }];
    provision.networks = vec![network(2, &[3, 4]), network(3, &[4, 5])];
    provision.vpcs = vec![Vpc {
        vni: vni(),
        dividers: hosts(&[6, 7]),
    }];
    provision
}

/// A packet from the endpoint of network 1.
fn plain(transport: Transport, to: Ipv4) -> Vec<u8> {
    let flow = Flow {
        transport,
        src_ip: address(1, 1),
        src_mac: Mac::new([2, 0, 10, 0, 1, 1]),
        dst_ip: to,
        dst_mac: Mac::new([2, 0, 10, 0, 9, 9]),
        src_port: 1_000,
        dst_port: 2_000,
    };
    inner(&flow, FrameLen::MIN)
}

fn udp(to: Ipv4) -> Vec<u8> {
    plain(Transport::Udp, to)
}

/// `inner` on its way from one droplet to another.
fn between(from: u8, to: u8, inner: &[u8]) -> Vec<u8> {
    let outer = Outer {
        src: host(from),
        dst: host(to),
        return_to_sender: host(from),
        vni: vni(),
        src_port: 5_000,
        pod_label: 0,
        namespace_label: 0,
    };
    encapsulated(&outer, inner)
}

/// Whether the choice of droplet `got` in place of `wanted` is lawful for what arrived at `port`.
fn may_go_to(provision: &Provision, port: Port, inner: &[u8], wanted: u8, got: u8) -> bool {
    let sent = |to| {
        let mut frame = between(0, to, inner);
        if port == Port::Uplink {
            // As a hop leaves it.
            frame[22] -= 1;
        }
        Outcome::Forward {
            port: Port::Uplink,
            frame,
        }
    };
    let (wanted, mut got) = (Expected::from(sent(wanted)), sent(got));
    if let Outcome::Forward { frame, .. } = &mut got {
        write_checksum(frame);
    }
    allow(CHOICE, provision, port, wanted, &got).matches(&got)
}

fn write_checksum(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let words = frame[14..34].chunks(2);
    let sum = words.map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]])));
    let checksum = mizar_wire::checksum::fold(sum.sum());
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

#[test]
fn a_hop_picks_among_bouncers_of_the_destinations_network() {
    let provision = provision();
    let may = |to, wanted, got| may_go_to(&provision, Port::Uplink, &udp(to), wanted, got);
    assert!(may(address(2, 9), 3, 4));
    assert!(may(address(3, 9), 4, 5));
    // Both are bouncers of one network, and not of this packet's.
    assert!(!may(address(2, 9), 4, 5));
    assert!(!may(address(2, 9), 3, 6));
    // Dividers are for what is in no network.
    assert!(may(address(9, 9), 6, 7));
    assert!(!may(address(2, 9), 6, 7));
    assert!(!may(address(9, 9), 3, 4));
}

#[test]
fn no_direct_path_leads_past_the_dividers_for_what_is_in_no_network() {
    let mut provision = provision();
    for to in [address(9, 9), address(2, 9)] {
        provision.direct_paths.push(DirectPath {
            vni: vni(),
            ip: to,
            host: host(6),
        });
    }
    let may = |to, wanted, got| may_go_to(&provision, Port::Uplink, &udp(to), wanted, got);
    assert!(may(address(9, 9), 6, 7));
    assert!(!may(address(2, 9), 3, 4));
}

#[test]
fn an_agent_picks_among_bouncers_of_its_own_network() {
    let provision = provision();
    let may = |wanted, got| may_go_to(&provision, ENDPOINT, &udp(address(2, 9)), wanted, got);
    assert!(may(1, 2));
    assert!(!may(3, 4));
    assert!(!may(6, 7));
}

#[test]
fn where_the_destination_is_known_nothing_is_picked() {
    let to = address(2, 9);
    let mut by_path = provision();
    by_path.direct_paths = vec![DirectPath {
        vni: vni(),
        ip: to,
        host: host(3),
    }];
    let mut by_table = provision();
    by_table.endpoints = vec![Endpoint {
        vni: vni(),
        ip: to,
        mac: Mac::new([2; 6]),
        kind: EndpointKind::Simple,
        port: None,
        hosts: hosts(&[3]),
    }];
    for provision in [&by_path, &by_table] {
        assert!(!may_go_to(provision, Port::Uplink, &udp(to), 3, 4));
    }
    by_path.direct_paths[0].host = host(1);
    assert!(!may_go_to(&by_path, ENDPOINT, &udp(to), 1, 2));
}

#[test]
fn only_packets_with_unequal_choices_are_excused() {
    let mut provision = provision();
    // The droplet is a bouncer of network 3, and one of network 2 is not known.
    provision.networks[1].bouncers = hosts(&[0, 5]);
    provision.networks[0].bouncers = hosts(&[3, 200]);
    let excused = |port, frame: &[u8]| excuse(CHOICE, &provision, port, frame).is_some();
    let arrives = |to| between(1, 0, &udp(to));
    assert!(excused(Port::Uplink, &arrives(address(2, 9))));
    assert!(excused(Port::Uplink, &arrives(address(3, 9))));
    assert!(!excused(Port::Uplink, &arrives(address(9, 9))));
    // The endpoint's own bouncers are equal, and none is this droplet.
    assert!(!excused(ENDPOINT, &udp(address(2, 9))));
    let elsewhere = between(1, 2, &udp(address(2, 9)));
    assert!(!excused(Port::Uplink, &elsewhere));
}

#[test]
fn what_the_droplet_bounces_for_itself_is_excused_as_a_hop_is() {
    let mut provision = provision();
    provision.networks[0].bouncers = hosts(&[3, 200]);
    provision.attachments[0].bouncers = hosts(&[0]);
    let excused = |to| excuse(CHOICE, &provision, ENDPOINT, &udp(to)).is_some();
    assert!(excused(address(2, 9)));
    assert!(!excused(address(3, 9)));
}

/// The inner frame with another byte in its payload, so that its checksum is wrong.
fn damaged(mut frame: Vec<u8>) -> Vec<u8> {
    *frame.last_mut().unwrap() ^= 1;
    frame
}

/// The inner frame as a first fragment, its IPv4 checksum right.
fn fragment(mut frame: Vec<u8>) -> Vec<u8> {
    frame[20] |= 0x20;
    write_checksum(&mut frame);
    frame
}

#[test]
fn tracking_excuses_what_policy_applies_to() {
    let (to, other) = (address(2, 9), address(2, 8));
    for transport in [Transport::Udp, Transport::Tcp] {
        let good = plain(transport, to);
        for bad in [damaged(good.clone()), fragment(good.clone())] {
            let excused = |enforced: (Vni, Ipv4), egress| {
                let mut provision = provision();
                let rules = if egress {
                    &mut provision.egress
                } else {
                    &mut provision.ingress
                };
                rules.enforced = vec![enforced];
                let of = |port, frame: &[u8]| excuse(TRACKING, &provision, port, frame).is_some();
                assert!(!of(ENDPOINT, &good) && !of(Port::Uplink, &between(1, 0, &good)));
                let by_both = [of(ENDPOINT, &bad), of(Port::Uplink, &between(1, 0, &bad))];
                assert_eq!(by_both[0], by_both[1]);
                by_both[0]
            };
            for egress in [false, true] {
                assert!(excused((vni(), to), egress));
                assert!(excused((vni(), address(1, 1)), egress));
                // Policy of others does not apply to this packet.
                assert!(!excused((vni(), other), egress));
                assert!(!excused((Vni::new(VNI + 1).unwrap(), to), egress));
            }
        }
    }
}

#[test]
fn tracking_excuses_only_what_is_tracked() {
    let mut provision = provision();
    provision.ingress.enforced = vec![(vni(), address(2, 9))];
    let mut icmp = fragment(udp(address(2, 9)));
    icmp[23] = 1;
    write_checksum(&mut icmp);
    assert_eq!(excuse(TRACKING, &provision, ENDPOINT, &icmp), None);
}
