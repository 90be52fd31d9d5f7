//! Access lists: a denied packet has no way into a network, and what is wrong in a list is said.

use topologies::catalogue;
use topologies::frame::{self, FrameLen};
use topologies::oracle::{End, OverlayOracle};
use topologies::provision::Port;
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

#[test]
fn what_is_denied_comes_in_by_no_way() {
    let topology = Topology::parse("shortcut.toml", SHORTCUT, Parameters::default()).unwrap();
    let (mut denied_beside_the_divider, mut denied, mut allowed) = (0, 0, 0);
    for state in [DirectPathState::Cold, DirectPathState::Warm] {
        let topology = topology.clone().in_state(state);
        let mut oracle = OverlayOracle::new(&topology);
        for direction in topology.traffic() {
            let Port::Endpoint(port) = direction.ingress else {
                panic!("an overlay's flows begin at endpoints");
            };
            let first = direction.flows.flow(0);
            for transport in [Transport::Udp, Transport::Tcp] {
                for dst_port in [0, 6, 7, 79, 80, 81, 4000, 4001, u16::MAX] {
                    let flow = Flow {
                        transport,
                        dst_port,
                        ..first
                    };
                    let inner = frame::inner(&flow, FrameLen::MIN);
                    let journey = oracle.inject(port, &inner);
                    let came = matches!(journey.end, End::Delivered { .. });
                    assert_eq!(came, is_allowed(&flow), "{flow:?}, {state:?}: {journey:?}");
                    allowed += u32::from(came);
                    denied += u32::from(!came);
                    let beside = !came && !journey.way.contains(&DIVIDER);
                    denied_beside_the_divider += u32::from(beside);
                }
            }
        }
    }
    // Otherwise the topology has no such ways, and nothing was shown.
    assert!(
        denied > 0 && allowed > 0,
        "{denied} denied, {allowed} allowed"
    );
    assert!(denied_beside_the_divider > 0);
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
