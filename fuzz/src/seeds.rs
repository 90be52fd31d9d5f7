//! Inputs to start from: what golden vectors feed, and flows of the rich world.

use crate::rich;
use mizar_wire::{Ipv4, arp, ethernet};
use std::collections::BTreeSet;
use topologies::frame::{self, FrameLen};
use topologies::topology::Transport;
use topologies::vectors::{self, Program};
use zerocopy::IntoBytes;

/// The rich worlds: with policies, and without.
const RICH: [u8; 2] = [0, 85];

/// Seeds of the target `agent`.
pub fn agent() -> BTreeSet<Vec<u8>> {
    let rich = inner_frames()
        .into_iter()
        .flat_map(|frame| RICH.map(|world| seed(world, &frame)));
    golden(Program::Agent).into_iter().chain(rich).collect()
}

/// Seeds of the target `transit`.
pub fn transit() -> BTreeSet<Vec<u8>> {
    let service = rich::flow(Transport::Udp, rich::ip(0, 2), rich::ip(0, 100));
    let rich = inner_frames()
        .iter()
        .map(|inner| rich::arriving(2, inner))
        .chain([rich::modify(&service, rich::ip(0, 4))])
        .flat_map(|frame| RICH.map(|world| seed(world, &frame)))
        .collect::<Vec<_>>();
    golden(Program::Transit).into_iter().chain(rich).collect()
}

/// The frames of the golden vectors, each in its vector's world.
fn golden(program: Program) -> Vec<Vec<u8>> {
    let vectors = vectors::parse(vectors::BUILT_IN).unwrap_or_default();
    vectors
        .iter()
        .zip(1..)
        .filter(|(vector, _)| vector.program == program)
        .flat_map(|(vector, world)| {
            vector
                .steps
                .iter()
                .map(move |step| seed(world, &step.input))
        })
        .collect()
}

fn seed(world: u8, frame: &[u8]) -> Vec<u8> {
    [&[world], frame].concat()
}

/// Between endpoints of every kind: TCP, UDP and ARP requests.
fn inner_frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let near = [2, 3].map(|last| rich::ip(0, last));
    let far = [1, 4, 5, 100, 101, 102, 103].map(|last| rich::ip(0, last));
    let others = [
        rich::ip(1, 7),
        rich::ip(1, 8),
        rich::ip(1, 9),
        rich::ip(2, 1),
        rich::ip(9, 9),
    ];
    for src in near {
        for dst in far.into_iter().chain(others) {
            for transport in [Transport::Udp, Transport::Tcp] {
                for (src, dst) in [(src, dst), (dst, src)] {
                    let flow = rich::flow(transport, src, dst);
                    frames.push(frame::inner(&flow, FrameLen::MIN));
                }
            }
            frames.push(arp_request(src, dst));
        }
    }
    frames
}

fn arp_request(sender: Ipv4, target: Ipv4) -> Vec<u8> {
    let flow = rich::flow(Transport::Udp, sender, target);
    let ethernet = ethernet::Header {
        dst: mizar_wire::Mac::BROADCAST,
        src: flow.src_mac,
        ethertype: ethernet::ARP,
    };
    let header = arp::Header {
        hardware: arp::ETHERNET,
        protocol: arp::IPV4,
        hardware_len: 6,
        protocol_len: 4,
        operation: arp::REQUEST,
    };
    let addresses = arp::Addresses {
        sender_mac: flow.src_mac,
        sender_ip: sender,
        target_ip: target,
        ..Default::default()
    };
    [ethernet.as_bytes(), header.as_bytes(), addresses.as_bytes()].concat()
}
