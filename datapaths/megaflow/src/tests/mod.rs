//! What tests share.

extern crate std;

use mizar_wire::frame::Slice;
use mizar_wire::{Be16, Be32, Ipv4, Mac, checksum, ethernet, geneve, ipv4, tcp, udp};
use std::vec::Vec;
use zerocopy::IntoBytes;

pub const HERE: Mac = Mac::new([2, 0, 0, 0, 0, 1]);
pub const THERE: Mac = Mac::new([2, 0, 0, 0, 0, 2]);

/// The frame in `bytes`. Without any, it may be said to be anywhere, so at an even address.
pub fn frame(bytes: &mut [u8]) -> Slice<'_> {
    if bytes.is_empty() {
        let none: &mut [u16] = &mut [];
        return Slice::new(none.as_mut_bytes()).unwrap();
    }
    Slice::new(bytes).unwrap()
}

fn ethernet(ethertype: Be16) -> Vec<u8> {
    let header = ethernet::Header {
        dst: THERE,
        src: HERE,
        ethertype,
    };
    header.as_bytes().to_vec()
}

/// An IPv4 packet with right checksums.
pub fn packet(protocol: u8, transport: &[u8]) -> Vec<u8> {
    let mut ip = ipv4::Header {
        version_ihl: ipv4::VERSION_IHL,
        tos: 3,
        total_length: Be16::new((ipv4::LEN + transport.len()) as u16),
        ttl: 61,
        protocol,
        src: Ipv4::from_octets([10, 0, 0, 2]),
        dst: Ipv4::from_octets([10, 0, 0, 3]),
        ..ipv4::Header::default()
    };
    ip.checksum = ip.expected_checksum();
    [&ethernet(ethernet::IPV4), ip.as_bytes(), transport].concat()
}

/// A UDP packet with some data.
pub fn udp_packet() -> Vec<u8> {
    let data = [1, 2, 3, 4, 5, 6];
    let header = udp::Header {
        src: Be16::new(1234),
        dst: Be16::new(80),
        length: Be16::new((udp::LEN + data.len()) as u16),
        checksum: Be16::new(0),
    };
    with_checksum(packet(ipv4::UDP, &[header.as_bytes(), &data].concat()), 6)
}

/// A TCP packet.
pub fn tcp_packet() -> Vec<u8> {
    let header = tcp::Header {
        src: Be16::new(1234),
        dst: Be16::new(80),
        sequence: Be32::new(7),
        offset_flags: Be16::new(0x5012),
        ..tcp::Header::default()
    };
    with_checksum(packet(ipv4::TCP, header.as_bytes()), 16)
}

/// The sum over the transport header, its data and the pseudo header (RFC 768): zero if the checksum is right.
pub fn transport_sum(packet: &[u8]) -> u16 {
    let transport = &packet[ethernet::LEN + ipv4::LEN..];
    let word = |pair: &[u8]| u64::from(u16::from_ne_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    let addresses = packet[ethernet::LEN + 12..ethernet::LEN + 20]
        .chunks(2)
        .map(word);
    let rest = [0, packet[ethernet::LEN + 9]];
    let len = (transport.len() as u16).to_be_bytes();
    let pseudo = addresses.chain([word(&rest), word(&len)]);
    checksum::fold(pseudo.chain(transport.chunks(2).map(word)).sum())
}

/// The same packet with the right checksum at this byte of its transport header.
fn with_checksum(mut packet: Vec<u8>, at: usize) -> Vec<u8> {
    let at = ethernet::LEN + ipv4::LEN + at;
    packet[at..at + 2].fill(0);
    let sum = transport_sum(&packet).to_ne_bytes();
    packet[at..at + 2].copy_from_slice(&sum);
    packet
}

/// A packet that came by a tunnel, with all options.
pub fn encapsulated(inner: &[u8]) -> Vec<u8> {
    let udp_length = udp::LEN + geneve::LEN + geneve::OPTIONS_LEN + inner.len();
    let mut ipv4 = ipv4::Header {
        version_ihl: ipv4::VERSION_IHL,
        total_length: Be16::new((ipv4::LEN + udp_length) as u16),
        ttl: 64,
        tos: 2,
        protocol: ipv4::UDP,
        src: Ipv4::from_octets([172, 16, 0, 1]),
        dst: Ipv4::from_octets([172, 16, 0, 2]),
        ..ipv4::Header::default()
    };
    ipv4.checksum = ipv4.expected_checksum();
    let outer = geneve::Encapsulation {
        ethernet: ethernet::Header {
            dst: THERE,
            src: HERE,
            ethertype: ethernet::IPV4,
        },
        ipv4,
        udp: udp::Header {
            dst: geneve::PORT,
            length: Be16::new(udp_length as u16),
            ..udp::Header::default()
        },
        geneve: geneve::Header {
            version_options: (geneve::OPTIONS_LEN / 4) as u8,
            flags: 0,
            protocol: geneve::ETHERNET,
            vni_reserved: Be32::new(0x1000 << 8),
        },
        options: geneve::Options {
            return_to_sender: geneve::ReturnToSender::new(ipv4.src, HERE),
            scaled_endpoint: geneve::ScaledEndpoint::absent(),
            pod: geneve::Label::new(geneve::POD_LABEL, 7),
            namespace: geneve::Label::new(geneve::NAMESPACE_LABEL, 9),
        },
    };
    [outer.as_bytes(), inner].concat()
}
