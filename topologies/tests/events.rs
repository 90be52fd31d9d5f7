//! Events: what is wrong in one is said, and what a topology is after one.

use topologies::catalogue;
use topologies::frame::{FrameLen, inner_with_payload};
use topologies::oracle::{End, Oracle, Outcome, OverlayOracle};
use topologies::provision::{EndpointPort, Extensions, Port};
use topologies::topology::{DirectPathState, EventKind, Parameters, Topology, Transport};
use topologies::traffic::Flow;

/// The built-in topology `bounce` with one place changed.
fn changed(from: &str, to: &str) -> Result<Topology, String> {
    let mut overlays = catalogue::OVERLAYS.iter();
    let bounce = overlays.find(|it| it.name == "bounce");
    let bounce = bounce.ok_or("there is no such topology")?;
    assert!(bounce.text.contains(from), "{from}");
    let text = bounce.text.replacen(from, to, 1);
    Topology::parse("wrong.toml", &text, Parameters::default()).map_err(|it| it.to_string())
}

#[test]
fn what_is_wrong_in_an_event_is_said() {
    let migration = "kind = \"migration\"\nendpoints = \"servers\"\nto = \"bouncer\"";
    let deletion = "kind = \"deletion\"\nendpoints = \"servers\"";
    let failure = "kind = \"failure\"\ndroplet = \"right\"\nto = \"bouncer\"";
    for (from, to, says) in [
        (
            migration,
            "kind = \"eviction\"",
            "unknown variant `eviction`",
        ),
        (
            migration,
            "kind = \"migration\"\nendpoints = \"servers\"",
            "a migration lacks `endpoints` and `to`",
        ),
        (
            migration,
            "kind = \"migration\"\nendpoints = \"nobody\"\nto = \"bouncer\"",
            "endpoint \"nobody\" is not defined",
        ),
        (
            migration,
            "kind = \"migration\"\nendpoints = \"servers\"\nto = \"nowhere\"",
            "droplet \"nowhere\" is not defined",
        ),
        (
            deletion,
            "kind = \"deletion\"",
            "a deletion lacks `endpoints`",
        ),
        (
            deletion,
            "kind = \"deletion\"\nendpoints = \"servers\"\nto = \"bouncer\"",
            "to means nothing for endpoints that are deleted",
        ),
        (
            deletion,
            "kind = \"deletion\"\nendpoints = \"servers\"\ndroplet = \"right\"",
            "droplet means nothing for endpoints",
        ),
        (
            failure,
            "kind = \"failure\"\ndroplet = \"right\"",
            "a failure lacks `droplet` and `to`",
        ),
        (
            failure,
            "kind = \"failure\"\ndroplet = \"right\"\nto = \"bouncer\"\nendpoints = \"servers\"",
            "endpoints means nothing for a droplet that fails",
        ),
        (
            "mac = \"02:00:ac:10:00:01\"",
            "mac = \"02:00:ac:10:00:01\"\nunder_test = true",
            "means nothing for a droplet alone",
        ),
    ] {
        let message = changed(from, to).unwrap_err();
        assert!(message.contains(says), "{message}");
        assert!(message.starts_with("wrong.toml:"), "{message}");
    }
    // The client would stay on its port, but behind the servers there is another.
    let other = "[[endpoints]]\nname = \"client\"";
    let before = "[[endpoints]]\nname = \"idle\"\nnetwork = \"green\"\nip = \"10.1.0.1\"\nmac = \"02:00:0a:01:00:01\"\ndroplet = \"right\"\n\n";
    let moved = changed(other, &format!("{before}{other}")).unwrap();
    assert_eq!(moved.events().len(), 3);
    let to_left = "kind = \"migration\"\nendpoints = \"idle\"\nto = \"left\"";
    let text = catalogue::OVERLAYS
        .iter()
        .find(|it| it.name == "bounce")
        .unwrap()
        .text;
    let text = text
        .replacen(other, &format!("{before}{other}"), 1)
        .replacen(migration, to_left, 1);
    let error = Topology::parse("wrong.toml", &text, Parameters::default()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("\"client\" would come to another port"),
        "{message}"
    );
}

#[test]
fn frames_go_where_endpoints_are_after_an_event() {
    for name in ["bounce", "inter-network"] {
        let topology = catalogue::find(name, Parameters::new(8, 8).unwrap()).unwrap();
        let topology = topology.in_state(DirectPathState::Cold);
        let kinds: Vec<_> = topology.events().iter().map(|event| event.kind).collect();
        assert_eq!(
            kinds,
            [
                EventKind::Migration,
                EventKind::Deletion,
                EventKind::Failure
            ]
        );
        let direction = topology.traffic().remove(0);
        let Port::Endpoint(ingress) = direction.ingress else {
            panic!("an overlay's flows begin at endpoints");
        };
        for event in topology.events() {
            let after = topology.after(event);
            assert_eq!(after.endpoint_ports(), topology.endpoint_ports());
            let mut oracle = OverlayOracle::new(&topology);
            for flow in 0..8 {
                let frame = direction.frame(flow, FrameLen::MIN);
                let End::Delivered { port, .. } = oracle.inject(ingress, &frame).end else {
                    panic!("{name}: nothing was delivered before an event");
                };
                assert_eq!(Port::Endpoint(port), direction.egress);
            }
            oracle.update(&after);
            for flow in 0..8 {
                let journey = oracle.inject(ingress, &direction.frame(flow, FrameLen::MIN));
                let told = format!("{name}, {}: {journey:?}", topology.describe(event));
                match (event.kind, journey.end) {
                    (EventKind::Deletion, End::Delivered { .. }) => panic!("{told}"),
                    (EventKind::Deletion, _) => {}
                    (_, End::Delivered { port, .. }) => {
                        let egress = after.traffic().remove(0).egress;
                        assert_eq!(Port::Endpoint(port), egress, "{told}");
                        assert_ne!(egress, direction.egress, "{told}");
                    }
                    _ => panic!("{told}"),
                }
            }
        }
    }
}

/// The droplets' oracle of a topology whose flows have found their direct paths, after one of its events, and a frame of the
/// first flow by its port.
fn after_event(
    topology: &Topology,
    kind: EventKind,
) -> Option<(OverlayOracle, EndpointPort, Vec<u8>)> {
    let topology = topology.clone().in_state(DirectPathState::Warm);
    let direction = topology.traffic().remove(0);
    let Port::Endpoint(ingress) = direction.ingress else {
        return None;
    };
    let mut events = topology.events().iter();
    let event = events.find(|event| event.kind == kind)?;
    let mut oracle = OverlayOracle::new(&topology);
    oracle.update(&topology.after(event));
    Some((oracle, ingress, direction.frame(0, FrameLen::MIN)))
}

/// With invalidation the first packet to where an endpoint was comes back and gets there by a bouncer, and the next one
/// takes no way round by the old host. One to an endpoint that is nowhere ends at its bouncer.
#[test]
fn a_stale_direct_path_is_forgotten_where_droplets_invalidate() {
    for name in ["bounce", "inter-network"] {
        let topology = catalogue::find(name, Parameters::default()).unwrap();
        let topology = topology.with_extensions(Extensions {
            invalidation: true,
            ..Extensions::default()
        });
        let (mut oracle, ingress, frame) = after_event(&topology, EventKind::Migration).unwrap();
        let first = oracle.inject(ingress, &frame);
        let second = oracle.inject(ingress, &frame);
        for journey in [&first, &second] {
            assert!(matches!(journey.end, End::Delivered { .. }), "{journey:?}");
        }
        assert!(first.way.len() > second.way.len(), "{name}: {first:?}");
        assert!(second.way.len() <= 4, "{name}: {second:?}");

        let (mut oracle, ingress, frame) = after_event(&topology, EventKind::Deletion).unwrap();
        oracle.inject(ingress, &frame);
        let journey = oracle.inject(ingress, &frame);
        assert!(!matches!(journey.end, End::Delivered { .. }), "{journey:?}");
        assert!(journey.way.len() <= 3, "{name}: {:?}", journey.way);
    }
}

/// A dead host gives nothing back: droplets that are told of it pass over direct paths that lead there.
#[test]
fn direct_paths_to_a_dead_host_are_passed_over_where_health_is_checked() {
    for name in ["bounce", "inter-network"] {
        let topology = catalogue::find(name, Parameters::default()).unwrap();
        let dead = {
            let mut events = topology.events().iter();
            let failure = events
                .find(|event| event.kind == EventKind::Failure)
                .unwrap();
            failure.fails.unwrap()
        };
        for health_check in [false, true] {
            let topology = topology.clone().with_extensions(Extensions {
                health_check,
                ..Extensions::default()
            });
            let (mut oracle, ingress, frame) = after_event(&topology, EventKind::Failure).unwrap();
            let journey = oracle.inject(ingress, &frame);
            let goes_there = journey.way.contains(&dead);
            assert_eq!(goes_there, !health_check, "{name}: {journey:?}");
            let is_delivered = matches!(journey.end, End::Delivered { .. });
            assert_eq!(is_delivered, health_check, "{name}: {journey:?}");
        }
    }
}

/// What Mizar does with a direct path to a host that knows the endpoint no more. Between networks the packet goes in circles
/// between the divider and that host: the reason why `bench` counts what the underlay carries.
#[test]
fn a_stale_direct_path_leads_nowhere() {
    for (name, hops) in [("bounce", 2), ("inter-network", 40)] {
        let topology = catalogue::find(name, Parameters::default()).unwrap();
        let topology = topology.in_state(DirectPathState::Warm);
        let direction = topology.traffic().remove(0);
        let Port::Endpoint(ingress) = direction.ingress else {
            panic!("an overlay's flows begin at endpoints");
        };
        let mut oracle = OverlayOracle::new(&topology);
        oracle.update(&topology.after(&topology.events()[0]));
        let journey = oracle.inject(ingress, &direction.frame(0, FrameLen::MIN));
        assert!(!matches!(journey.end, End::Delivered { .. }), "{journey:?}");
        assert!(journey.way.len() >= hops, "{name}: {:?}", journey.way);
    }
}

/// Probes get from each health endpoint to each other, in both states of the direct path, for droplets with and without
/// extensions, and those to a host that was found dead go there as well: so it can be found alive.
#[test]
fn health_endpoints_reach_each_other() {
    for (name, state) in [
        ("bounce", DirectPathState::Cold),
        ("bounce", DirectPathState::Warm),
        ("inter-network", DirectPathState::Warm),
        ("fan", DirectPathState::Cold),
    ] {
        for extensions in [Extensions::default(), Extensions::ALL] {
            let topology = catalogue::find(name, Parameters::default()).unwrap();
            let topology = topology.in_state(state).with_extensions(extensions);
            assert_eq!(topology.health_endpoint(0), None);
            let topology = topology.with_health_endpoints();
            let droplets = topology.droplets();
            let mut oracles: Vec<_> = droplets
                .iter()
                .map(|droplet| Oracle::new(&topology.provision(droplet)))
                .collect();
            for found_dead in [false, true] {
                for (from, to) in (0..droplets.len())
                    .flat_map(|from| (0..droplets.len()).map(move |to| (from, to)))
                    .filter(|(from, to)| from != to)
                {
                    let [near, far] = [from, to].map(|at| topology.health_endpoint(at).unwrap());
                    if found_dead {
                        let mut tables = topology.provision(&droplets[from]);
                        tables.unhealthy.push(far.host.ip);
                        oracles[from].update(&tables);
                    }
                    let flow = Flow {
                        transport: Transport::Udp,
                        src_ip: near.host.ip,
                        src_mac: near.host.mac,
                        dst_ip: far.host.ip,
                        dst_mac: far.host.mac,
                        src_port: 49_784,
                        dst_port: 7_784,
                    };
                    let probe = inner_with_payload(&flow, b"are you alive?");
                    let sent = oracles[from].inject(Port::Endpoint(near.port), &probe);
                    let Outcome::Forward {
                        port: Port::Uplink,
                        frame: packet,
                    } = sent
                    else {
                        panic!("{name}, {from} to {to}: {sent:?}");
                    };
                    assert_eq!(packet[..6], far.host.mac.octets());
                    let arrived = oracles[to].inject(Port::Uplink, &packet);
                    let delivered = Outcome::Forward {
                        port: Port::Endpoint(far.port),
                        frame: probe,
                    };
                    assert_eq!(arrived, delivered, "{name}, {from} to {to}");
                }
            }
        }
    }
}

/// A bouncer that knows as many endpoints as Mizar has room for gets no more; who fails is told by the control plane then.
#[test]
fn where_there_is_no_room_for_health_endpoints_there_are_none() {
    let parameters = Parameters::new(65_536, 1).unwrap();
    let topology = catalogue::find("bounce", parameters).unwrap();
    let topology = topology
        .with_extensions(Extensions::ALL)
        .with_health_endpoints();
    assert_eq!(topology.health_endpoint(0), None);
    let failure = topology
        .events()
        .iter()
        .find(|event| event.kind == EventKind::Failure);
    let after = topology.after(failure.unwrap());
    let told = after.provision(&after.droplets()[0]).unhealthy;
    assert_eq!(
        told,
        [topology.droplets()[failure.unwrap().fails.unwrap()].host.ip]
    );
}
