//! Whole frames of packet-ins, and what the switch calls their parts.

use crate::flow::packet::Packet;
use crate::flow::{Field, Value};
use crate::openflow::PacketIn;
use crate::program::{BLANK, NAMESPACE, POD, RETURN, RETURNED, SCALED, SHORT};
use mizar_wire::geneve::{self, ENCAPSULATION_LEN, Layout, OptionHeader, ShortOptions};
use mizar_wire::{Be16, Be32, Ipv4, ethernet, ipv4, udp};
use topologies::provision::Host;
use zerocopy::{FromBytes, IntoBytes};

/// Where options start.
const OPTIONS: usize = ENCAPSULATION_LEN - geneve::OPTIONS_LEN;
/// Outer time to live of a frame made anew: the switch does not say which one it came with.
const TTL: u8 = 64;

/// Options in their order: where each starts behind the first, which field it is, and its type.
const FULL: [(usize, Field, u8); 4] = [
    (0, RETURN, geneve::RETURN_TO_SENDER),
    (16, SCALED, geneve::SCALED_ENDPOINT),
    (48, POD, geneve::POD_LABEL),
    (56, NAMESPACE, geneve::NAMESPACE_LABEL),
];
/// Those of the short header.
const OF_SHORT: [(usize, Field, u8); 3] = [
    (0, SHORT, geneve::SHORT_HEADER),
    (32, POD, geneve::POD_LABEL),
    (40, NAMESPACE, geneve::NAMESPACE_LABEL),
];

const fn options(layout: Layout) -> &'static [(usize, Field, u8)] {
    match layout {
        Layout::Full => &FULL,
        Layout::Short => &OF_SHORT,
    }
}

/// A value of the packet's metadata; what is not there is zero.
pub fn metadata(packet: &PacketIn, field: Field) -> Value {
    packet
        .metadata
        .get(field)
        .map_or(Value::ZERO, |masked| masked.value)
}

/// The underlay address of who sent a packet that arrived.
pub fn sender(packet: &PacketIn) -> Ipv4 {
    let ip = metadata(packet, Field::TunnelSrc).low_u64() as u32;
    Ipv4::from_octets(ip.to_be_bytes())
}

/// The frame as it arrived from `from` at the uplink of `host`, with outer headers made from the packet's metadata.
pub fn with_outer_headers(packet: &PacketIn, from: Host, host: Host) -> Vec<u8> {
    let number = |field| metadata(packet, field).low_u64() as u32;
    let layout = match packet.metadata.get(SHORT) {
        Some(_) => Layout::Short,
        None => Layout::Full,
    };
    let outer = layout.encapsulation_len();
    let udp_length = (outer - ethernet::LEN - ipv4::LEN + packet.frame.len()) as u16;
    let mut ip = ipv4::Header {
        version_ihl: ipv4::VERSION_IHL,
        tos: 0,
        total_length: Be16::new(udp_length.saturating_add(ipv4::LEN as u16)),
        id: Be16::new(0),
        flags_fragment: Be16::new(0),
        ttl: TTL,
        protocol: ipv4::UDP,
        checksum: Be16::new(0),
        src: from.ip,
        dst: host.ip,
    };
    ip.checksum = ip.expected_checksum();
    let ethernet = ethernet::Header {
        dst: host.mac,
        src: from.mac,
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
        version_options: (layout.options_len() / 4) as u8,
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
    for (_, field, kind) in options(layout) {
        let (field, kind) = match *field {
            RETURN if came_back => (RETURNED, geneve::RETURNED),
            field => (field, *kind),
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
    let is_short = header.options_len() == geneve::SHORT_OPTIONS_LEN
        && at::<ShortOptions>(frame, OPTIONS)?.are_meant();
    let layout = if is_short {
        Layout::Short
    } else {
        Layout::Full
    };
    for &(offset, field, kind) in options(layout) {
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
