//! Whole frames of packet-ins, and what the switch calls their parts.

use crate::flow::packet::Packet;
use crate::flow::{Field, Value};
use crate::openflow::PacketIn;
use crate::program::{BLANK, NAMESPACE, POD, RETURN, RETURNED, SCALED};
use mizar_wire::geneve::{self, ENCAPSULATION_LEN, OptionHeader};
use mizar_wire::{Be16, Be32, Ipv4, Mac, ethernet, ipv4, udp};
use topologies::provision::Host;
use zerocopy::{FromBytes, IntoBytes};

/// Where options start.
const OPTIONS: usize = ENCAPSULATION_LEN - geneve::OPTIONS_LEN;
/// Outer time to live of a frame made anew: the switch does not say which one it came with.
const TTL: u8 = 64;

/// Options in their order: where each starts behind the first, which field it is, and its type.
const LAYOUT: [(usize, Field, u8); 4] = [
    (0, RETURN, geneve::RETURN_TO_SENDER),
    (16, SCALED, geneve::SCALED_ENDPOINT),
    (48, POD, geneve::POD_LABEL),
    (56, NAMESPACE, geneve::NAMESPACE_LABEL),
];

/// A value of the packet's metadata; what is not there is zero.
pub fn metadata(packet: &PacketIn, field: Field) -> Value {
    packet
        .metadata
        .get(field)
        .map_or(Value::ZERO, |masked| masked.value)
}

/// The frame as it arrived at the uplink of `host`, with outer headers made from the packet's metadata.
pub fn with_outer_headers(packet: &PacketIn, host: Host) -> Vec<u8> {
    let number = |field| metadata(packet, field).low_u64() as u32;
    let udp_length = (ENCAPSULATION_LEN - ethernet::LEN - ipv4::LEN + packet.frame.len()) as u16;
    let mut ip = ipv4::Header {
        version_ihl: ipv4::VERSION_IHL,
        tos: 0,
        total_length: Be16::new(udp_length.saturating_add(ipv4::LEN as u16)),
        id: Be16::new(0),
        flags_fragment: Be16::new(0),
        ttl: TTL,
        protocol: ipv4::UDP,
        checksum: Be16::new(0),
        src: Ipv4::from_octets(number(Field::TunnelSrc).to_be_bytes()),
        dst: host.ip,
    };
    ip.checksum = ip.expected_checksum();
    let ethernet = ethernet::Header {
        dst: host.mac,
        // Who sent it is known by its underlay address.
        src: Mac::default(),
        ethertype: ethernet::IPV4,
    };
    let udp = udp::Header {
        src: geneve::PORT,
        dst: geneve::PORT,
        length: Be16::new(udp_length),
        checksum: Be16::new(0),
    };
    let came_back = packet.metadata.get(RETURNED).is_some();
    let header = geneve::Header {
        version_options: (geneve::OPTIONS_LEN / 4) as u8,
        flags: if came_back { geneve::CRITICAL } else { 0 },
        protocol: geneve::ETHERNET,
        vni_reserved: Be32::new(number(Field::TunnelId) << 8),
    };
    let mut frame = [
        ethernet.as_bytes(),
        ip.as_bytes(),
        udp.as_bytes(),
        header.as_bytes(),
    ]
    .concat();
    for (_, field, kind) in LAYOUT {
        let (field, kind) = match field {
            RETURN if came_back => (RETURNED, geneve::RETURNED),
            _ => (field, kind),
        };
        let present = packet.metadata.get(field);
        let len = usize::from(field.bits() / 8);
        let header = OptionHeader {
            class: geneve::CLASS,
            kind: if present.is_some() { kind } else { 0 },
            length: if present.is_some() {
                (len / 4) as u8
            } else {
                0
            },
        };
        frame.extend_from_slice(header.as_bytes());
        let data = present.map_or(Value::ZERO, |masked| masked.value);
        frame.extend_from_slice(&data.to_vec(len));
    }
    frame.extend_from_slice(&packet.frame);
    frame
}

/// The inner packet of a frame that leaves, with the metadata by which the switch makes its outer headers.
pub fn leaving(frame: &[u8]) -> Option<Packet> {
    let ip: ipv4::Header = at(frame, ethernet::LEN)?;
    let header: geneve::Header = at(frame, OPTIONS - geneve::LEN)?;
    let mut packet = Packet::new(frame.get(OPTIONS + header.options_len()..)?);
    packet.write(Field::TunnelId.whole(), header.vni().get().into());
    packet.write(Field::TunnelDst.whole(), ip.dst.to_bits().into());
    for (offset, field, kind) in LAYOUT {
        let len = usize::from(field.bits() / 8);
        let option: OptionHeader = at(frame, OPTIONS + offset)?;
        let from = OPTIONS + offset + size_of::<OptionHeader>();
        let data = Value::from_bytes(frame.get(from..from + len)?);
        let field = match field {
            RETURN if option.kind == geneve::RETURNED => RETURNED,
            // What says nothing keeps its place.
            RETURN if option.kind != kind => BLANK,
            _ => field,
        };
        packet.write(field.whole(), data);
    }
    Some(packet)
}

fn at<T: FromBytes + zerocopy::KnownLayout + zerocopy::Immutable>(
    frame: &[u8],
    from: usize,
) -> Option<T> {
    T::read_from_prefix(frame.get(from..)?)
        .ok()
        .map(|(header, _)| header)
}
