//! Every built-in topology works: frames of its flows go through the oracle and leave where they must.

use std::collections::BTreeSet;
use topologies::catalogue::{self, ENTRIES, OVERLAYS};
use topologies::frame::{FrameLen, Outer, encapsulation, inner};
use topologies::oracle::{End, Journey, Oracle, Outcome, OverlayOracle, source_port};
use topologies::provision::{Cidr, Port};
use topologies::topology::{DirectPathState, Parameters, Topology, Transport};
use topologies::traffic::{Direction, Flow};
use zerocopy::IntoBytes;

/// Feeds the droplet under test frames of flows all over the flow space.
#[expect(clippy::panic, reason = "it is a part of tests")]
fn push(topology: &Topology, oracle: &mut Oracle, direction: &Direction, length: FrameLen) {
    let count = direction.flows.count();
    for index in (0..count).step_by(count.div_ceil(50) as usize) {
        let frame = direction.frame(index, length);
        let what = format!("{} {} flow {index}", topology.name(), direction.name);
        match oracle.inject(direction.ingress, &frame) {
            Outcome::Forward { port, frame: out } => {
                assert_eq!(port, direction.egress, "{what}");
                let outer = 114;
                let expected = length.get() + if direction.encapsulated_out { outer } else { 0 };
                assert_eq!(out.len(), expected, "{what}");
                let inner = &out[out.len() - length.get()..];
                assert_eq!(
                    inner,
                    &frame[frame.len() - length.get()..],
                    "{what}: inner frame"
                );
            }
            other => panic!("{what}: {other:02x?}"),
        }
    }
}

#[test]
fn flows_leave_where_the_topology_says() {
    let sizes = [(1, 1), (1, 1000), (100, 10_000), (40_000, 1_000_000)];
    for (endpoints, flows) in sizes {
        let parameters = Parameters::new(endpoints, flows).unwrap();
        for entry in ENTRIES {
            let topology = entry.load(parameters).unwrap();
            let mut oracle = Oracle::new(&topology.provision(topology.under_test().unwrap()));
            assert!(!topology.traffic().is_empty());
            for direction in topology.traffic() {
                assert_eq!(direction.flows.count(), flows);
                push(&topology, &mut oracle, &direction, FrameLen::MIN);
                let shuffled = Direction {
                    flows: direction.flows.shuffled(3),
                    ..direction.clone()
                };
                push(&topology, &mut oracle, &shuffled, FrameLen::MAX);
            }
        }
    }
}

/// From endpoint to endpoint: the droplets that a flow comes by, of those in the topology, and what is left of it there.
#[test]
fn overlays_carry_flows_to_their_endpoint() {
    let cold = DirectPathState::Cold;
    let warm = DirectPathState::Warm;
    let expected: &[(&str, DirectPathState, &[&str])] = &[
        ("direct", warm, &["left", "right"]),
        ("bounce", cold, &["left", "bouncer", "right"]),
        ("bounce", warm, &["left", "right"]),
        (
            "inter-network",
            cold,
            &["left", "green-bouncer", "divider", "amber-bouncer", "right"],
        ),
        ("inter-network", warm, &["left", "divider", "right"]),
        (
            "guarded",
            cold,
            &["left", "green-bouncer", "divider", "amber-bouncer", "right"],
        ),
        ("guarded", warm, &["left", "divider", "right"]),
        (
            "mixed",
            cold,
            &["left", "green-bouncer", "divider", "amber-bouncer", "right"],
        ),
        ("mixed", warm, &["left", "divider", "right"]),
        // By one of several, of which the number differs.
        (
            "fan",
            cold,
            &[
                "green-host",
                "green-bouncer",
                "divider",
                "amber-bouncer",
                "amber-host",
            ],
        ),
        ("fan", warm, &["green-host", "divider", "amber-host"]),
    ];
    let mut tried = Vec::new();
    for entry in OVERLAYS {
        for (endpoints, flows) in [(1, 1), (100, 1000), (10_000, 10_000)] {
            let topology = entry
                .load(Parameters::new(endpoints, flows).unwrap())
                .unwrap();
            assert!(topology.under_test().is_none());
            for state in topology.direct_path_states() {
                let topology = topology.clone().in_state(*state);
                let way = expected
                    .iter()
                    .find(|it| (it.0, it.1) == (entry.name, *state));
                carry(&topology, way.unwrap().2);
                tried.push((entry.name, *state));
            }
        }
    }
    assert!(expected.iter().all(|it| tried.contains(&(it.0, it.1))));
}

#[test]
fn sizes_set_how_many_droplets_there_are() {
    let fan = OVERLAYS.iter().find(|entry| entry.name == "fan").unwrap();
    for (hosts, bouncers, dividers) in [(1, 1, 1), (23, 1, 2), (128, 128, 128)] {
        let parameters = Parameters::new(1000, 1000).unwrap();
        let parameters = parameters.with_droplets(hosts, bouncers, dividers).unwrap();
        let topology = fan.load(parameters).unwrap();
        let droplets = topology.droplets();
        assert_eq!(droplets.len() as u32, 2 * hosts + 2 * bouncers + dividers);
        let last = topology
            .droplet(&format!("green-bouncer-{bouncers}"))
            .unwrap();
        assert_eq!(last.host.ip.octets(), [172, 16, 3, bouncers as u8]);
        assert_eq!(
            last.host.mac.octets(),
            [2, 0, 0xac, 0x10, 3, bouncers as u8]
        );
        let host = topology.provision(topology.droplet("green-host-1").unwrap());
        assert_eq!(host.attachments[0].bouncers.len() as u32, bouncers);
        assert_eq!(host.vpcs[0].dividers.len() as u32, dividers);
        carry(
            &topology,
            &[
                "green-host",
                "green-bouncer",
                "divider",
                "amber-bouncer",
                "amber-host",
            ],
        );
    }
    let error = Parameters::default().with_droplets(2, 129, 2).unwrap_err();
    assert_eq!(error.to_string(), "bouncers = 129: expected 1 to 128");
}

#[test]
fn usual_sizes_spread_over_every_droplet_of_a_fan() {
    let fan = OVERLAYS.iter().find(|entry| entry.name == "fan").unwrap();
    let usual = fan.load(Parameters::default()).unwrap().usual();
    let parameters = Parameters::new(usual.endpoints.get(), usual.flows.get()).unwrap();
    let topology = fan.load(parameters).unwrap();
    let cold = topology.in_state(DirectPathState::Cold);
    let mut overlay = OverlayOracle::new(&cold);
    let mut crossed = BTreeSet::new();
    for direction in cold.traffic() {
        let Port::Endpoint(ingress) = direction.ingress else {
            unreachable!("from endpoint to endpoint");
        };
        for index in 0..direction.flows.count() {
            let frame = direction.frame(index, FrameLen::MIN);
            crossed.extend(overlay.inject(ingress, &frame).way);
        }
    }
    assert_eq!(crossed.len(), cold.droplets().len());
}

fn carry(topology: &Topology, expected: &[&str]) {
    let mut overlay = OverlayOracle::new(topology);
    let traffic = topology.traffic();
    assert!(!traffic.is_empty());
    for direction in traffic {
        let Port::Endpoint(ingress) = direction.ingress else {
            unreachable!("from endpoint to endpoint");
        };
        let count = direction.flows.count();
        for index in (0..count).step_by(count.div_ceil(50) as usize) {
            let frame = direction.frame(index, FrameLen::MIN);
            let Journey { way, end } = overlay.inject(ingress, &frame);
            let what = format!("{} {} flow {index}", topology.name(), direction.name);
            let End::Delivered { port, frame: got } = end else {
                unreachable!("{what}: {end:?} after {way:?}");
            };
            assert_eq!(Port::Endpoint(port), direction.egress, "{what}");
            assert_eq!(
                got, frame,
                "{what}: every flow's frames bear their destination's address"
            );
            let names = way.iter().map(|at| topology.droplets()[*at].name.as_str());
            assert_eq!(way.len(), expected.len(), "{what}");
            assert!(
                names
                    .zip(expected)
                    .all(|(name, role)| name.starts_with(role)),
                "{what}: {way:?}"
            );
        }
    }
}

/// The frames built here for tests are those that the oracle's agent sends: two encoders agree.
#[test]
fn built_outer_headers_are_those_of_an_agent() {
    let topology = catalogue::find("encap", Parameters::new(10, 100).unwrap()).unwrap();
    let direction = &topology.traffic()[0];
    let mut oracle = Oracle::new(&topology.provision(topology.under_test().unwrap()));
    for index in 0..100 {
        let flow = direction.flows.flow(index);
        let inner = inner(&flow, FrameLen::MIN);
        let outer = Outer {
            src: topology.under_test().unwrap().host,
            dst: topology.droplet("right").unwrap().host,
            return_to_sender: topology.under_test().unwrap().host,
            vni: direction.vni,
            src_port: source_port(flow.src_ip, flow.dst_ip),
            pod_label: 0,
            namespace_label: 0,
        };
        let mut built = encapsulation(&outer, inner.len());
        // Premium, high: DSCP 10.
        built.ipv4.tos = 10 << 2;
        built.ipv4.checksum = built.ipv4.expected_checksum();
        let expected = [built.as_bytes(), &inner].concat();
        let outcome = oracle.inject(direction.ingress, &inner);
        assert_eq!(
            outcome,
            Outcome::Forward {
                port: Port::Uplink,
                frame: expected
            }
        );
    }
}

#[test]
fn inner_frames_are_valid() {
    let topology = catalogue::find("encap", Parameters::default()).unwrap();
    let flow = topology.traffic()[0].flows.flow(0);
    for transport in [Transport::Udp, Transport::Tcp] {
        for length in (60..=1514).step_by(7) {
            let length = FrameLen::try_from(length).unwrap();
            let frame = inner(&Flow { transport, ..flow }, length);
            assert_eq!(frame.len(), length.get());
            let sum = |octets: &[u8]| -> u64 {
                let word = |pair: &[u8]| {
                    u64::from(u16::from_be_bytes([
                        pair[0],
                        pair.get(1).copied().unwrap_or(0),
                    ]))
                };
                octets.chunks(2).map(word).sum()
            };
            let fold = mizar_wire::checksum::fold;
            assert_eq!(fold(sum(&frame[14..34])), 0);
            let pseudo = sum(&frame[26..34]) + u64::from(frame[23]) + frame.len() as u64 - 34;
            assert_eq!(
                fold(pseudo + sum(&frame[34..])),
                0,
                "{transport:?} {length}"
            );
        }
    }
    assert!(FrameLen::try_from(59).is_err());
    assert!(FrameLen::try_from(1515).is_err());
}

#[test]
fn directions_are_derived_from_roles() {
    let directions = |name: &str| {
        catalogue::find(name, Parameters::default())
            .unwrap()
            .traffic()
    };
    let endpoint = |port: Port| matches!(port, Port::Endpoint(_));
    for (name, expected) in [
        ("encap", vec![(true, false)]),
        ("decap", vec![(false, true)]),
        ("vtep", vec![(true, false), (false, true)]),
        ("hop", vec![(false, false)]),
        ("divide", vec![(false, false)]),
    ] {
        let found: Vec<(bool, bool)> = directions(name)
            .iter()
            .map(|direction| (endpoint(direction.ingress), endpoint(direction.egress)))
            .collect();
        assert_eq!(found, expected, "{name}");
        for direction in directions(name) {
            assert_eq!(direction.encapsulated_in, direction.outer.is_some());
            assert_eq!(direction.encapsulated_in, direction.ingress == Port::Uplink);
            assert_eq!(direction.encapsulated_out, direction.egress == Port::Uplink);
        }
    }
    let divide = &directions("divide")[0];
    let (src, _) = divide.outer_hosts(&divide.flows.flow(0)).unwrap();
    assert_eq!(
        src.ip.to_string(),
        "172.16.0.3",
        "the bouncer of the source network"
    );
}

/// A frame takes the whole way: each droplet's oracle gets what the one before it sent.
#[test]
fn a_cold_flow_crosses_every_role_and_warms_up() {
    let topology = catalogue::find("divide", Parameters::default()).unwrap();
    let direction = &topology.traffic()[0];
    let flow = direction.flows.flow(0);
    let mut oracles: Vec<(&str, Oracle)> = topology
        .droplets()
        .iter()
        .map(|droplet| {
            (
                droplet.name.as_str(),
                Oracle::new(&topology.provision(droplet)),
            )
        })
        .collect();
    let mut frame = inner(&flow, FrameLen::MIN);
    let client = topology
        .provision(topology.droplet("left").unwrap())
        .attachments[0]
        .port;
    let mut ingress = Port::Endpoint(client);
    let way = ["left", "green-bouncer", "divider", "amber-bouncer", "right"];
    for name in way {
        let oracle = &mut oracles
            .iter_mut()
            .find(|(other, _)| *other == name)
            .unwrap()
            .1;
        match oracle.inject(ingress, &frame) {
            Outcome::Forward { port, frame: out } => {
                assert_eq!(port == Port::Uplink, name != "right", "{name}");
                frame = out;
                ingress = Port::Uplink;
            }
            other => panic!("{name}: {other:02x?}"),
        }
        // What the divider gets is what the topology's direction builds, but for the TTL.
        if name == "green-bouncer" {
            let built = direction.frame(0, FrameLen::MIN);
            assert_eq!(frame[26..], built[26..], "as the divider gets it");
        }
    }
    assert_eq!(frame, inner(&flow, FrameLen::MIN));
    // The destination's host now knows the divider as the way back.
    let right = &oracles.iter().find(|(name, _)| *name == "right").unwrap().1;
    let divider = topology.droplet("divider").unwrap().host;
    assert_eq!(right.direct_paths()[0].host, divider);
}

#[test]
fn tables_follow_roles() {
    let parameters = Parameters::new(10, 1).unwrap();
    let provision = |topology: &str, droplet: &str| {
        let topology = catalogue::find(topology, parameters).unwrap();
        topology.provision(topology.droplet(droplet).unwrap())
    };
    let encap = provision("encap", "left");
    assert_eq!((encap.endpoints.len(), encap.direct_paths.len()), (1, 10));
    assert_eq!(encap.attachments[0].bouncers.len(), 1);
    let decap = provision("decap", "right");
    assert_eq!(decap.attachments.len(), 1, "all endpoints hang on one port");
    assert!(
        decap
            .endpoints
            .iter()
            .all(|endpoint| endpoint.port.is_some())
    );
    let hop = provision("hop", "bouncer");
    assert_eq!((hop.endpoints.len(), hop.direct_paths.len()), (11, 0));
    assert!(hop.endpoints.iter().all(|endpoint| endpoint.port.is_none()));
    let divide = provision("divide", "divider");
    assert_eq!((divide.endpoints.len(), divide.networks.len()), (0, 2));
}

const POLICED: &str = r#"
description = "Two hosts with servers, one with a client, and policy"
direct_path = "warm"
droplets = [
    { name = "a", ip = "172.16.0.1", mac = "02:00:00:00:00:01", under_test = true },
    { name = "b", ip = "172.16.0.2", mac = "02:00:00:00:00:02" },
    { name = "c", ip = "172.16.0.3", mac = "02:00:00:00:00:03" },
]
vpcs = [{ name = "blue", vni = 7, dividers = ["c"] }]

[[networks]]
name = "green"
vpc = "blue"
cidr = "10.0.0.0/16"
bouncers = ["b", "c"]

[[endpoints]]
name = "client"
network = "green"
ip = "10.0.0.2"
mac = "02:00:0a:00:00:02"
droplet = "a"
pod_label = 5

[[endpoints]]
name = "servers"
network = "green"
ip = "10.0.1.0"
mac = "02:00:0a:00:01:00"
count = 7
droplets = ["b", "c"]

[[endpoints]]
name = "service"
network = "green"
ip = "10.0.0.9"
mac = "02:00:0a:00:00:09"
kind = "scaled"
backends = "servers"

[[policies]]
endpoints = "client"
enforce = ["ingress", "egress"]

[[policies.allow]]
direction = "egress"
protocol = "tcp"
port = 7
cidr = "10.0.0.0/8"

[[policies.allow]]
direction = "egress"
cidr = "10.0.1.0/24"
except = ["10.0.1.6/32"]

[[policies.allow]]
direction = "ingress"
pod_label = 9

[[policies]]
endpoints = "servers"
enforce = ["ingress"]

[[policies.allow]]
direction = "ingress"
pod_label = 5

[[flows]]
from = "client"
to = "servers"
protocol = "tcp"
"#;

#[test]
fn blocks_policies_and_scaled_endpoints_become_tables() {
    let parameters = Parameters::new(1, 7).unwrap();
    let topology = Topology::parse("policed.toml", POLICED, parameters).unwrap();
    assert_eq!(topology.name(), "policed");
    let [a, b, c] = ["a", "b", "c"].map(|name| topology.provision(topology.droplet(name).unwrap()));

    let hosted = |provision: &topologies::provision::Provision| {
        provision
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.port.is_some())
            .count()
    };
    assert_eq!((hosted(&a), hosted(&b), hosted(&c)), (1, 4, 3));
    let service = b
        .endpoints
        .iter()
        .find(|endpoint| endpoint.mac.octets()[5] == 9)
        .unwrap();
    assert_eq!(service.hosts.len(), 7, "backends, by overlay address");

    assert_eq!((a.egress.enforced.len(), a.ingress.enforced.len()), (1, 1));
    assert_eq!(a.egress.ports.len(), 2);
    assert_eq!(
        a.egress.cidr_primary[0].remote,
        "10.0.0.0/8".parse::<Cidr>().unwrap()
    );
    assert_eq!(
        a.egress.cidr_except[0].policies,
        a.egress.cidr_supplementary[0].policies
    );
    assert_eq!((b.ingress.enforced.len(), c.ingress.enforced.len()), (4, 3));
    // Numbers are unique in a VPC, so that labels of one endpoint's rules open no other's.
    let numbers: Vec<u64> = a
        .ingress
        .labels
        .iter()
        .map(|rule| rule.policies.0)
        .collect();
    assert_eq!(numbers, [1, 2]);

    let direction = &topology.traffic()[0];
    assert_eq!(direction.flows.transport, Transport::Tcp);
    let mut oracle = Oracle::new(&a);
    push(&topology, &mut oracle, direction, FrameLen::MIN);
}

#[test]
fn names_that_are_neither_built_in_nor_a_file_are_refused() {
    let error = catalogue::find("no-such", Parameters::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "topology `no-such` is neither built in (encap, decap, vtep, hop, divide, direct, bounce, inter-network, guarded, mixed, \
         fan) nor a file"
    );
}

#[test]
fn parameters_are_checked() {
    assert_eq!(
        Parameters::new(65_538, 1).unwrap_err().to_string(),
        "endpoints = 65538: expected 1 to 65537"
    );
    assert!(Parameters::new(1, 0).is_err());
    assert!(Parameters::new(65_537, 1_000_000).is_ok());
}
