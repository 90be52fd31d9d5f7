//! Packets of direct paths with the short header: who sends them, what they mean, and that they come back with all options.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, where a failure is one of the test"
)]

use topologies::catalogue;
use topologies::frame::FrameLen;
use topologies::oracle::{End, Oracle, Outcome, OverlayOracle};
use topologies::provision::{Extensions, Port};
use topologies::topology::{DirectPathState, Droplet, EventKind, Parameters, Topology};

const BOUNCE: &str = include_str!("../src/catalogue/bounce.toml");
const INTER_NETWORK: &str = include_str!("../src/catalogue/inter-network.toml");

/// A topology whose droplets have all extensions, and whose flows have found their direct paths.
fn extended(text: &str) -> Topology {
    let topology = Topology::parse("some.toml", text, Parameters::default()).unwrap();
    topology
        .with_extensions(Extensions::ALL)
        .in_state(DirectPathState::Warm)
}

/// The first droplet's first frame, as its oracle sends it to the underlay, and the frame itself.
fn sent(topology: &Topology) -> (Vec<u8>, Vec<u8>) {
    let direction = topology.traffic().remove(0);
    let Port::Endpoint(ingress) = direction.ingress else {
        panic!("an overlay's flows begin at endpoints");
    };
    let (droplet, port) = topology.endpoint_ports()[usize::from(ingress.0)];
    let frame = direction.frame(0, FrameLen::MIN);
    let mut oracle = Oracle::new(&topology.provision(&topology.droplets()[droplet]));
    match oracle.inject(Port::Endpoint(port), &frame) {
        Outcome::Forward {
            port: Port::Uplink,
            frame: sent,
        } => (sent, frame),
        other => panic!("{other:?}"),
    }
}

fn receiver<'a>(topology: &'a Topology, sent: &[u8]) -> &'a Droplet {
    let droplets = topology.droplets();
    let is_it = |it: &&Droplet| it.host.ip.octets() == sent[30..34];
    droplets.iter().find(is_it).unwrap()
}

#[test]
fn an_agent_leaves_return_to_sender_out_on_a_direct_path() {
    let topology = extended(BOUNCE);
    let (sent, frame) = sent(&topology);
    assert_eq!(sent.len(), frame.len() + 98);
    // IPv4 and UDP lengths, and 12 words of options.
    let length = |at: usize| usize::from(u16::from_be_bytes([sent[at], sent[at + 1]]));
    assert_eq!(length(16), sent.len() - 14);
    assert_eq!(length(38), sent.len() - 34);
    assert_eq!(sent[42], 12);
    let options = [
        &[0x11, 0x01, 0x4a, 7][..],
        &[0; 28],
        &[0x11, 0x01, 0x50, 1, 0, 0, 0, 0],
        &[0x11, 0x01, 0x51, 1, 0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(sent[50..98], options);
    assert_eq!(sent[98..], frame);

    // Its receiver learns from it what it would from return-to-sender.
    let mut provision = topology.provision(receiver(&topology, &sent));
    provision.direct_paths.clear();
    let mut oracle = Oracle::new(&provision);
    let outcome = oracle.inject(Port::Uplink, &sent);
    assert!(
        matches!(&outcome, Outcome::Forward { port: Port::Endpoint(_), frame: got } if *got == frame)
    );
    let [path] = oracle.direct_paths()[..] else {
        panic!("{:?}", oracle.direct_paths());
    };
    assert_eq!(path.host.ip.octets(), sent[26..30]);
    assert_eq!(path.host.mac.octets(), sent[6..12]);
    assert_eq!(path.ip.octets(), frame[26..30]);
}

#[test]
fn what_is_not_hosted_there_comes_back_with_all_options() {
    let topology = extended(BOUNCE);
    let (sent, _) = sent(&topology);
    let host = receiver(&topology, &sent);
    let mut provision = topology.provision(host);
    provision.endpoints.clear();
    let outcome = Oracle::new(&provision).inject(Port::Uplink, &sent);
    let Outcome::Forward {
        port: Port::Uplink,
        frame: back,
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(back.len(), sent.len() + 16);
    // To the sender's addresses, with the longer lengths.
    assert_eq!((&back[..6], &back[30..34]), (&sent[6..12], &sent[26..30]));
    let length = |at: usize| usize::from(u16::from_be_bytes([back[at], back[at + 1]]));
    assert_eq!(length(16), back.len() - 14);
    assert_eq!(length(38), back.len() - 34);
    assert_eq!(back[42..44], [16, 0x40]);
    let option = [
        &[0x11, 0x01, 0xc8, 3, 0][..],
        &host.host.ip.octets(),
        &host.host.mac.octets(),
        &[0],
    ]
    .concat();
    assert_eq!(back[50..66], option);
    let unused = [&[0x11, 0x01][..], &[0; 30]].concat();
    assert_eq!((&back[66..98], &back[98..]), (&unused[..], &sent[82..]));
}

#[test]
fn whom_nobody_says_it_of_gets_all_options() {
    // A stock droplet is told of no extension, and nobody is told that it reads the short header.
    let stock = BOUNCE.replace("[[droplets]]\n", "[[droplets]]\nstock = true\n");
    let topology = extended(&stock);
    for droplet in topology.droplets() {
        let provision = topology.provision(droplet);
        assert_eq!(provision.extensions, Extensions::default());
        assert!(provision.short_header_hosts.is_empty());
    }
    let (to_stock, frame) = sent(&topology);
    assert_eq!(to_stock.len(), frame.len() + 114);

    // Between networks the direct path leads to the divider, which sends the packet on.
    let (to_divider, frame) = sent(&extended(INTER_NETWORK));
    assert_eq!(to_divider.len(), frame.len() + 114);
}

/// A packet with the short header that finds nobody gets to the endpoint's new host all the same.
#[test]
fn a_stale_path_heals() {
    for name in ["bounce", "inter-network"] {
        let topology = catalogue::find(name, Parameters::default()).unwrap();
        let topology = topology
            .with_extensions(Extensions::ALL)
            .in_state(DirectPathState::Warm);
        let mut events = topology.events().iter();
        let migration = events.find(|event| event.kind == EventKind::Migration);
        let direction = topology.traffic().remove(0);
        let Port::Endpoint(ingress) = direction.ingress else {
            panic!("an overlay's flows begin at endpoints");
        };
        let frame = direction.frame(0, FrameLen::MIN);
        let mut oracle = OverlayOracle::new(&topology);
        let before = oracle.inject(ingress, &frame);
        oracle.update(&topology.after(migration.unwrap()));
        let first = oracle.inject(ingress, &frame);
        let second = oracle.inject(ingress, &frame);
        for journey in [&before, &first, &second] {
            assert!(matches!(journey.end, End::Delivered { .. }), "{journey:?}");
        }
        assert!(first.way.len() > second.way.len(), "{name}: {first:?}");
    }
}
