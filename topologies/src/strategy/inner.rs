//! Random inner frames.

use super::world::PORTS;
use super::{Conversation, Pool};
use mizar_wire::{Ipv4, checksum};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Fields of an inner IPv4 header that may be out of the ordinary.
#[derive(Debug, Clone)]
struct Header {
    version: u8,
    words: u8,
    ttl: u8,
    flags_fragment: u16,
    protocol: u8,
    src: Ipv4,
    dst: Ipv4,
    src_port: u16,
    dst_port: u16,
    options: Vec<u8>,
}

/// Addresses and ports: of a favourite conversation, or any.
fn ends(pool: &Pool) -> impl Strategy<Value = (Ipv4, Ipv4, u16, u16)> + Clone + use<> {
    let other = (
        select(pool.overlay.clone()),
        select(pool.overlay.clone()),
        port(),
        port(),
    );
    let favourite = (select(pool.favourites.clone()), any::<bool>()).prop_map(|(between, back)| {
        let Conversation { client, server } = between;
        let (client_port, server_port) = (Conversation::CLIENT_PORT, Conversation::SERVER_PORT);
        if back {
            (server, client, server_port, client_port)
        } else {
            (client, server, client_port, server_port)
        }
    });
    prop_oneof![1 => other, 1 => favourite]
}

/// An inner frame: IPv4, ARP or neither.
pub(super) fn inner(pool: &Pool) -> impl Strategy<Value = Vec<u8>> + Clone + use<> {
    let payload = prop_oneof![
        8 => ip(pool).prop_map(|ip| (0x0800_u16, ip)),
        3 => arp(pool).prop_map(|arp| (0x0806, arp)),
        1 => (prop_oneof![Just(0x86dd_u16), any::<u16>()], vec(any::<u8>(), 0..60)),
    ];
    (mac(), mac(), payload).prop_map(|(dst, src, (ethertype, payload))| {
        [&dst[..], &src, &ethertype.to_be_bytes(), &payload].concat()
    })
}

fn mac() -> impl Strategy<Value = [u8; 6]> + Clone {
    prop_oneof![
        3 => any::<u8>().prop_map(|last| [2, 0, 0x0a, 0, 0, last]),
        1 => Just([0xff; 6]),
    ]
}

fn port() -> impl Strategy<Value = u16> + Clone {
    prop_oneof![8 => select(PORTS.to_vec()), 1 => any::<u16>()]
}

fn header(pool: &Pool) -> impl Strategy<Value = Header> + Clone + use<> {
    (
        prop_oneof![40 => Just(4_u8), 1 => 0..16_u8],
        prop_oneof![30 => Just(5_u8), 3 => 6..16_u8, 1 => 0..5_u8],
        prop_oneof![6 => Just(64_u8), 1 => 0..4_u8],
        prop_oneof![
            12 => select(vec![0_u16, 0x4000]),
            1 => Just(0x2000_u16),
            1 => Just(0x2010_u16),
            1 => Just(0x00b9_u16),
        ],
        prop_oneof![4 => Just(6_u8), 5 => Just(17_u8), 2 => Just(1_u8), 1 => any::<u8>()],
        ends(pool),
        vec(any::<u8>(), 40),
    )
        .prop_map(
            |(version, words, ttl, flags_fragment, protocol, ends, options)| {
                let (src, dst, src_port, dst_port) = ends;
                Header {
                    version,
                    words,
                    ttl,
                    flags_fragment,
                    protocol,
                    src,
                    dst,
                    src_port,
                    dst_port,
                    options,
                }
            },
        )
}

fn ip(pool: &Pool) -> impl Strategy<Value = Vec<u8>> + Clone + use<> {
    let has_checksum = prop::bool::weighted(0.8);
    (header(pool), has_checksum, vec(any::<u8>(), 0..40)).prop_map(
        |(header, has_checksum, payload)| {
            let segment = segment(&header, has_checksum, &payload);
            let options = usize::from(header.words.saturating_sub(5)) * 4;
            let mut packet = vec![header.version << 4 | header.words, 0];
            packet.extend(((20 + options + segment.len()) as u16).to_be_bytes());
            packet.extend([0x12, 0x34]);
            packet.extend(header.flags_fragment.to_be_bytes());
            packet.extend([header.ttl, header.protocol, 0, 0]);
            packet.extend(header.src.octets());
            packet.extend(header.dst.octets());
            packet.extend(&header.options[..options]);
            let sum = checksum_of(&packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            packet.extend(segment);
            packet
        },
    )
}

/// A transport header and payload, for the protocols that have one here.
fn segment(header: &Header, has_checksum: bool, payload: &[u8]) -> Vec<u8> {
    let ports = [header.src_port, header.dst_port]
        .map(u16::to_be_bytes)
        .concat();
    let (mut segment, checksum_at) = match header.protocol {
        6 => {
            let fixed = [0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0];
            ([&ports[..], &fixed, payload].concat(), 16)
        }
        17 => {
            let length = (8 + payload.len() as u16).to_be_bytes();
            ([&ports[..], &length, &[0, 0], payload].concat(), 6)
        }
        _ => return payload.to_vec(),
    };
    if has_checksum {
        let length = (segment.len() as u16).to_be_bytes();
        let pseudo = [
            &header.src.octets()[..],
            &header.dst.octets(),
            &[0, header.protocol],
            &length,
            &segment,
        ]
        .concat();
        let sum = match checksum_of(&pseudo) {
            0 if header.protocol == 17 => 0xffff,
            sum => sum,
        };
        segment[checksum_at..checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    segment
}

pub(super) fn checksum_of(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or_default();
        u64::from(u16::from_be_bytes([pair[0], low]))
    });
    checksum::fold(words.sum())
}

fn arp(pool: &Pool) -> impl Strategy<Value = Vec<u8>> + Clone + use<> {
    (
        prop_oneof![30 => Just(1_u16), 1 => any::<u16>()],
        prop_oneof![30 => Just(0x0800_u16), 1 => any::<u16>()],
        prop_oneof![15 => Just(1_u16), 8 => Just(2_u16), 1 => any::<u16>()],
        mac(),
        select(pool.overlay.clone()),
        mac(),
        select(pool.overlay.clone()),
        vec(any::<u8>(), 0..20),
    )
        .prop_map(
            |(hardware, protocol, operation, sha, spa, tha, tpa, padding)| {
                let mut packet = [hardware, protocol].map(u16::to_be_bytes).concat();
                packet.extend([6, 4]);
                packet.extend(operation.to_be_bytes());
                packet.extend(sha);
                packet.extend(spa.octets());
                packet.extend(tha);
                packet.extend(tpa.octets());
                packet.extend(padding);
                packet
            },
        )
}
