//! Access lists: a denied packet has no way into a network, and what is wrong in a list is said.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test helper fails by panicking"
)]

use topologies::catalogue;
use topologies::frame::{self, FrameLen};
use topologies::oracle::{End, OverlayOracle};
use topologies::provision::{Extensions, Port};
use topologies::topology::{DirectPathState, Parameters, Topology, Transport};
use topologies::traffic::Flow;

const SHORTCUT: &str = include_str!("../testdata/shortcut.toml");
/// The divider's place among the droplets of the file.
const DIVIDER: usize = 3;

/// Whether the file's list lets `flow` into the network amber.
fn is_allowed(flow: &Flow) -> bool {
    let [a, b, c, _] = flow.src_ip.octets();
    let from_amber = a == 10 && b & !3 == 4;
    let to_neighbour = flow.dst_ip.octets()[..3] == [10, 4, 128];
    match flow.transport {
        _ if from_amber => true,
        Transport::Tcp if to_neighbour => false,
        _ if [a, b, c] != [10, 0, 0] => false,
        Transport::Udp => (7..=4000).contains(&flow.dst_port),
        Transport::Tcp => flow.dst_port == 80,
    }
}

/// The file, and one of its endpoints that moves away from a direct path.
fn shortcut() -> Topology {
    let moves = "\n[[events]]\nkind = \"migration\"\nendpoints = \"server\"\nto = \"bouncer\"\n";
    let text = format!("{SHORTCUT}{moves}");
    Topology::parse("shortcut.toml", &text, Parameters::default()).unwrap()
}

/// What became of packets.
#[derive(Default)]
struct Count {
    allowed: u32,
    denied: u32,
    denied_beside_the_divider: u32,
}

/// Sends what the list lets through and what it does not, twice, since the first packet may open a way for the next one; none
/// that is denied may come in, and all others do, or may get lost on a way that is stale.
fn send(oracle: &mut OverlayOracle, topology: &Topology, may_be_lost: bool, count: &mut Count) {
    for direction in topology.traffic() {
        let Port::Endpoint(port) = direction.ingress else {
            panic!("an overlay's flows begin at endpoints");
        };
        let first = direction.flows.flow(0);
        let transports = [Transport::Udp, Transport::Tcp].into_iter().cycle();
        for transport in transports.take(4) {
            for dst_port in [0, 6, 7, 79, 80, 81, 4000, 4001, u16::MAX] {
                let flow = Flow {
                    transport,
                    dst_port,
                    ..first
                };
                let journey = oracle.inject(port, &frame::inner(&flow, FrameLen::MIN));
                let came = matches!(journey.end, End::Delivered { .. });
                let is_right = came == is_allowed(&flow) || !came && may_be_lost;
                let state = topology.direct_path();
                assert!(is_right, "{flow:?}, {state:?}: {journey:?}");
                count.allowed += u32::from(came);
                let is_denied = !is_allowed(&flow);
                count.denied += u32::from(is_denied);
                let beside = is_denied && !journey.way.contains(&DIVIDER);
                count.denied_beside_the_divider += u32::from(beside);
            }
        }
    }
}

#[test]
fn what_is_denied_comes_in_by_no_way() {
    for extensions in [Extensions::default(), Extensions::ALL] {
        let topology = shortcut().with_extensions(extensions);
        let (mut count, mut after_the_event) = (Count::default(), Count::default());
        for state in [DirectPathState::Cold, DirectPathState::Warm] {
            let topology = topology.clone().in_state(state);
            let mut oracle = OverlayOracle::new(&topology);
            send(&mut oracle, &topology, false, &mut count);
            let moved = topology.after(&topology.events()[0]);
            oracle.update(&moved);
            // Mizar as it is follows a stale direct path for good.
            let may_be_lost = !extensions.invalidation;
            send(&mut oracle, &moved, may_be_lost, &mut after_the_event);
        }
        // Otherwise the topology has no such ways, and nothing was shown.
        for count in [count, after_the_event] {
            let Count {
                allowed, denied, ..
            } = count;
            assert!(
                denied > 0 && allowed > 0,
                "{denied} denied, {allowed} allowed"
            );
            assert!(count.denied_beside_the_divider > 0);
        }
    }
}

#[test]
fn a_denied_packet_ends_at_the_divider() {
    let guarded = catalogue::find("guarded", Parameters::default()).unwrap();
    for (state, hops) in [(DirectPathState::Cold, 3), (DirectPathState::Warm, 2)] {
        let topology = guarded.clone().in_state(state);
        let direction = topology.traffic().remove(0);
        let Port::Endpoint(port) = direction.ingress else {
            panic!("an overlay's flows begin at endpoints");
        };
        let flow = Flow {
            dst_port: 1024,
            ..direction.flows.flow(0)
        };
        let mut oracle = OverlayOracle::new(&topology);
        let journey = oracle.inject(port, &frame::inner(&flow, FrameLen::MIN));
        assert!(matches!(journey.end, End::At(_)), "{journey:?}");
        assert_eq!(journey.way.len(), hops, "{journey:?}");
        let last = journey.way.last().copied().unwrap();
        assert_eq!(topology.droplets()[last].name, "divider");
    }
}

#[test]
fn what_is_wrong_in_a_list_is_said() {
    let message = |from: &str, to: &str| {
        assert!(SHORTCUT.contains(from), "{from}");
        let text = SHORTCUT.replacen(from, to, 1);
        let parsed = Topology::parse("wrong.toml", &text, Parameters::default());
        parsed.unwrap_err().to_string()
    };
    for (from, to, says) in [
        (
            "network = \"amber\"\ndefault",
            "network = \"red\"\ndefault",
            "network \"red\" is not defined; expected one of: green, amber",
        ),
        (
            "default = \"deny\"",
            "default = \"maybe\"",
            "unknown variant `maybe`",
        ),
        (
            "ports = \"7-4000\"",
            "ports = \"4000-7\"",
            "`4000-7` is no port and no range of them",
        ),
        ("ports = \"80\"", "ports = \"http\"", "`http` is no port"),
        ("ports = \"80\"", "ports = \"65536\"", "`65536` is no port"),
        (
            "protocol = \"udp\", ports",
            "ports",
            "ports means nothing without `protocol`",
        ),
        (
            "protocol = \"udp\", ports",
            "protocol = \"icmp\", ports",
            "ports means nothing without `protocol`",
        ),
        (
            "from = \"10.0.0.0/24\"",
            "from = \"10.0.0.0/33\"",
            "is not a prefix",
        ),
        (
            "protocol = \"tcp\" }",
            "protocol = \"tcp\", count = \"hosts\" }",
            "a count of endpoints or droplets means nothing for rules",
        ),
        (
            "protocol = \"tcp\" }",
            "protocol = \"tcp\", count = 999, from = \"10.64.0.0/32\" }",
            "rules of an access list",
        ),
        (
            "cidr = \"10.0.0.0/16\"",
            "cidr = \"10.0.0.0/13\"",
            "network \"amber\" has an access list and shares addresses with \"green\"",
        ),
        (
            "ports = \"7-4000\"",
            "ports = \"8-4000\"",
            "the access list of network \"amber\" denies these flows",
        ),
    ] {
        let message = message(from, to);
        assert!(message.contains(says), "{message}");
        assert!(message.starts_with("wrong.toml:"), "{message}");
    }
}

#[test]
fn networks_without_lists_may_lie_in_one_another() {
    let (before, behind) = (SHORTCUT.find("[[acls]]"), SHORTCUT.find("[[flows]]"));
    let without = [&SHORTCUT[..before.unwrap()], &SHORTCUT[behind.unwrap()..]].concat();
    let nested = without.replacen("10.0.0.0/16", "10.0.0.0/13", 1);
    Topology::parse("nested.toml", &nested, Parameters::default()).unwrap();
}

/// Whoever claims to send from within comes no further than its own host; Mizar, which has no lists, lets everybody.
#[test]
fn who_only_claims_to_be_within_stays_outside() {
    let guarded = Topology::parse("shortcut.toml", SHORTCUT, Parameters::default()).unwrap();
    let open = guarded.clone().without_access_lists();
    let neighbour = "10.4.128.1".parse::<std::net::Ipv4Addr>().unwrap().into();
    for (topology, comes) in [(&guarded, false), (&open, true)] {
        for state in [DirectPathState::Cold, DirectPathState::Warm] {
            let topology = topology.clone().in_state(state);
            let from_client = topology.traffic().remove(1);
            let flow = from_client.flows.flow(0);
            let Port::Endpoint(port) = from_client.ingress else {
                panic!("an overlay's flows begin at endpoints");
            };
            // Nobody's address, and that of an endpoint at another port of the same host.
            let nobody = guarded.claimed_within(flow.dst_ip).unwrap();
            for src_ip in [nobody, neighbour] {
                let inner = frame::inner(&Flow { src_ip, ..flow }, FrameLen::MIN);
                let journey = OverlayOracle::new(&topology).inject(port, &inner);
                let came = matches!(journey.end, End::Delivered { .. });
                assert_eq!(came, comes, "{src_ip}: {journey:?}");
                assert_eq!(journey.way.len() == 1, !comes, "{src_ip}: {journey:?}");
            }
        }
    }
}

/// A service, to whose address the list lets this in, and its servers, to whose addresses it lets everything in.
fn service(access: &str) -> Topology {
    let text = format!(
        r#"
description = "A client, and a service in another network"
direct_path = "cold"
droplets = [
    {{ name = "left", ip = "172.16.0.1", mac = "02:00:00:00:00:01" }},
    {{ name = "right", ip = "172.16.0.2", mac = "02:00:00:00:00:02" }},
    {{ name = "green-bouncer", ip = "172.16.0.3", mac = "02:00:00:00:00:03" }},
    {{ name = "amber-bouncer", ip = "172.16.0.4", mac = "02:00:00:00:00:04" }},
    {{ name = "divider", ip = "172.16.0.5", mac = "02:00:00:00:00:05" }},
]
vpcs = [{{ name = "blue", vni = 7, dividers = ["divider"] }}]
networks = [
    {{ name = "green", vpc = "blue", cidr = "10.0.0.0/24", bouncers = ["green-bouncer"] }},
    {{ name = "amber", vpc = "blue", cidr = "10.0.1.0/24", bouncers = ["amber-bouncer"] }},
]
endpoints = [
    {{ name = "client", network = "green", ip = "10.0.0.2", mac = "02:00:0a:00:00:02", droplet = "left" }},
    {{ name = "servers", network = "amber", ip = "10.0.1.16", mac = "02:00:0a:00:01:10", count = 2, droplet = "right" }},
    {{ name = "service", network = "amber", ip = "10.0.1.9", mac = "02:00:0a:00:01:09", kind = "scaled", backends = "servers" }},
]
flows = [{{ from = "client", to = "servers" }}]
[[acls]]
network = "amber"
default = "allow"
rules = [{{ access = "{access}", to = "10.0.1.9/32" }}]
"#
    );
    Topology::parse("service.toml", &text, Parameters::default())
        .unwrap_or_else(|error| unreachable!("{error}"))
}

/// The host of a client rewrites the packets of a flow that it knows: none bears the service's address behind it.
#[test]
fn a_service_that_is_denied_is_denied_to_flows_that_it_knew() {
    let allowed = service("allow");
    let direction = allowed.traffic().remove(0);
    let Port::Endpoint(port) = direction.ingress else {
        panic!("an overlay's flows begin at endpoints");
    };
    let to_server = direction.flows.flow(0);
    let to_service = Flow {
        dst_ip: "10.0.1.9".parse::<std::net::Ipv4Addr>().unwrap().into(),
        ..to_server
    };
    let mut oracle = OverlayOracle::new(&allowed);
    let comes = |oracle: &mut OverlayOracle, flow: &Flow| {
        let journey = oracle.inject(port, &frame::inner(flow, FrameLen::MIN));
        matches!(journey.end, End::Delivered { .. })
    };
    for _ in 0..2 {
        assert!(comes(&mut oracle, &to_service));
    }
    oracle.update(&service("deny"));
    assert!(!comes(&mut oracle, &to_service));
    assert!(comes(&mut oracle, &to_server));
    oracle.update(&allowed);
    assert!(comes(&mut oracle, &to_service));
}
