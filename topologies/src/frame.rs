//! Frames of a direction's flows, as they enter the droplet under test.

use crate::oracle::source_port;
use crate::provision::Host;
use crate::topology::Transport;
use crate::traffic::{Direction, Flow};
use mizar_wire::{Be16, Be32, Vni, ethernet, geneve, ipv4, tcp, udp};
use zerocopy::IntoBytes;

/// TTL of inner and outer headers that are built here.
const TTL: u8 = 64;
/// The UDP checksum of the outer header: none.
const NO_CHECKSUM: Be16 = Be16::new(0);

/// The length of an Ethernet frame without its check sequence: 60 to 1514 bytes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct FrameLen(u16);

/// A length that no Ethernet frame has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("frame length {0}: expected 60 to 1514 bytes, without the frame check sequence")]
pub struct FrameLenError(u16);

impl FrameLen {
    /// The shortest frame.
    pub const MIN: Self = Self(60);
    /// The longest frame without VLAN tags and jumbo payload.
    pub const MAX: Self = Self(1514);

    /// The length in bytes.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl TryFrom<u16> for FrameLen {
    type Error = FrameLenError;

    fn try_from(length: u16) -> Result<Self, Self::Error> {
        if (Self::MIN.0..=Self::MAX.0).contains(&length) {
            Ok(Self(length))
        } else {
            Err(FrameLenError(length))
        }
    }
}

impl From<FrameLen> for u16 {
    fn from(length: FrameLen) -> Self {
        length.0
    }
}

impl std::fmt::Display for FrameLen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Bytes in front of the payload of an inner frame.
pub fn payload_offset(transport: Transport) -> usize {
    ethernet::LEN
        + ipv4::LEN
        + match transport {
            Transport::Udp => udp::LEN,
            Transport::Tcp => tcp::LEN,
        }
}

/// An inner frame of a flow: payload a counting pattern, checksums valid.
pub fn inner(flow: &Flow, length: FrameLen) -> Vec<u8> {
    let payload_len = length.get() - payload_offset(flow.transport);
    let payload: Vec<u8> = (0..payload_len).map(|index| index as u8).collect();
    inner_with_payload(flow, &payload)
}

/// An inner frame of a flow around `payload`, which must leave room for the headers in 65,535 bytes.
pub fn inner_with_payload(flow: &Flow, payload: &[u8]) -> Vec<u8> {
    let ethernet = ethernet::Header {
        dst: flow.dst_mac,
        src: flow.src_mac,
        ethertype: ethernet::IPV4,
    };
    let protocol = match flow.transport {
        Transport::Udp => ipv4::UDP,
        Transport::Tcp => ipv4::TCP,
    };
    let segment = segment(flow, protocol, payload);
    let mut ip = ipv4::Header {
        version_ihl: ipv4::VERSION_IHL,
        total_length: length16(ipv4::LEN + segment.len()),
        ttl: TTL,
        protocol,
        src: flow.src_ip,
        dst: flow.dst_ip,
        ..Default::default()
    };
    ip.checksum = ip.expected_checksum();
    [ethernet.as_bytes(), ip.as_bytes(), &segment].concat()
}

/// TCP or UDP header and payload.
fn segment(flow: &Flow, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (mut segment, checksum_at) = match flow.transport {
        Transport::Udp => {
            let header = udp::Header {
                src: Be16::new(flow.src_port),
                dst: Be16::new(flow.dst_port),
                length: length16(udp::LEN + payload.len()),
                checksum: Be16::new(0),
            };
            ([header.as_bytes(), payload].concat(), 6)
        }
        Transport::Tcp => {
            let header = tcp::Header {
                src: Be16::new(flow.src_port),
                dst: Be16::new(flow.dst_port),
                sequence: Be32::new(1),
                acknowledgement: Be32::new(1),
                // Five words of header; ACK and PSH, so that it looks like data of a connection.
                offset_flags: Be16::new(0x5018),
                window: Be16::new(u16::MAX),
                ..Default::default()
            };
            ([header.as_bytes(), payload].concat(), 16)
        }
    };
    let checksum = match (transport_checksum(flow, protocol, &segment), flow.transport) {
        // A UDP checksum of zero would say that there is none (RFC 768).
        (0, Transport::Udp) => 0xffff,
        (checksum, _) => checksum,
    };
    if let Some(place) = segment.get_mut(checksum_at..checksum_at + 2) {
        place.copy_from_slice(&checksum.to_be_bytes());
    }
    segment
}

/// The checksum over pseudo header, header and payload, with the checksum field still zero.
fn transport_checksum(flow: &Flow, protocol: u8, segment: &[u8]) -> u16 {
    let [protocol_word, length] =
        [u16::from(protocol), length16(segment.len()).get()].map(u16::to_be_bytes);
    let pseudo = [
        &flow.src_ip.octets()[..],
        &flow.dst_ip.octets(),
        &protocol_word,
        &length,
    ];
    let sum: u64 = pseudo
        .into_iter()
        .chain([segment])
        .flat_map(|octets| octets.chunks(2))
        .map(|pair| match pair {
            [high, low] => u64::from(u16::from_be_bytes([*high, *low])),
            [high] => u64::from(*high) << 8,
            _ => 0,
        })
        .sum();
    mizar_wire::checksum::fold(sum)
}

/// Outer fields of an encapsulated frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer {
    /// The droplet that sent it.
    pub src: Host,
    /// The droplet that gets it.
    pub dst: Host,
    /// Whom the return-to-sender option names.
    pub return_to_sender: Host,
    /// The VPC.
    pub vni: Vni,
    /// UDP source port.
    pub src_port: u16,
    /// Label of the source's pod.
    pub pod_label: u32,
    /// Label of the source's namespace.
    pub namespace_label: u32,
}

/// The outer headers in front of an inner frame of `inner_len` bytes.
pub fn encapsulation(outer: &Outer, inner_len: usize) -> geneve::Encapsulation {
    let udp_len = udp::LEN + geneve::LEN + geneve::OPTIONS_LEN + inner_len;
    let mut headers = geneve::Encapsulation {
        ethernet: ethernet::Header {
            dst: outer.dst.mac,
            src: outer.src.mac,
            ethertype: ethernet::IPV4,
        },
        ipv4: ipv4::Header {
            version_ihl: ipv4::VERSION_IHL,
            total_length: length16(ipv4::LEN + udp_len),
            ttl: TTL,
            protocol: ipv4::UDP,
            src: outer.src.ip,
            dst: outer.dst.ip,
            ..Default::default()
        },
        udp: udp::Header {
            src: Be16::new(outer.src_port),
            dst: geneve::PORT,
            length: length16(udp_len),
            checksum: NO_CHECKSUM,
        },
        geneve: geneve::Header {
            version_options: (geneve::OPTIONS_LEN / 4) as u8,
            flags: 0,
            protocol: geneve::ETHERNET,
            vni_reserved: Be32::new(outer.vni.get() << 8),
        },
        options: geneve::Options {
            return_to_sender: geneve::ReturnToSender::new(
                outer.return_to_sender.ip,
                outer.return_to_sender.mac,
            ),
            scaled_endpoint: geneve::ScaledEndpoint::absent(),
            pod: geneve::Label::new(geneve::POD_LABEL, outer.pod_label),
            namespace: geneve::Label::new(geneve::NAMESPACE_LABEL, outer.namespace_label),
        },
    };
    headers.ipv4.checksum = headers.ipv4.expected_checksum();
    headers
}

/// Outer headers and inner frame.
pub fn encapsulated(outer: &Outer, inner: &[u8]) -> Vec<u8> {
    [encapsulation(outer, inner.len()).as_bytes(), inner].concat()
}

/// The same with the short header, which names `outer.src` as the sender and nobody else.
pub fn with_short_header(outer: &Outer, inner: &[u8]) -> Vec<u8> {
    let all = encapsulation(outer, inner.len());
    let shorter =
        |length: Be16| Be16::new(length.get() - size_of::<geneve::ReturnToSender>() as u16);
    let mut envelope = geneve::Envelope {
        ethernet: all.ethernet,
        ipv4: all.ipv4,
        udp: all.udp,
        geneve: all.geneve,
    };
    envelope.ipv4.total_length = shorter(all.ipv4.total_length);
    envelope.ipv4.checksum = envelope.ipv4.expected_checksum();
    envelope.udp.length = shorter(all.udp.length);
    envelope.geneve.version_options = (geneve::SHORT_OPTIONS_LEN / 4) as u8;
    let options = geneve::ShortOptions {
        first: geneve::ScaledEndpoint::short_header(),
        pod: all.options.pod,
        namespace: all.options.namespace,
    };
    [envelope.as_bytes(), options.as_bytes(), inner].concat()
}

impl Direction {
    /// Outer fields of a flow's frames as they enter, where they enter encapsulated.
    pub fn outer_fields(&self, flow: &Flow) -> Option<Outer> {
        let path = self.outer.as_ref()?;
        Some(Outer {
            src: path.src(&self.flows, flow),
            dst: path.here,
            return_to_sender: path.return_to_sender(&self.flows, flow),
            vni: self.vni,
            src_port: source_port(flow.src_ip, flow.dst_ip),
            pod_label: self.pod_label,
            namespace_label: self.namespace_label,
        })
    }

    /// A frame of flow `index` as it enters the droplet under test; `length` is that of the inner frame.
    pub fn frame(&self, index: u32, length: FrameLen) -> Vec<u8> {
        let flow = self.flows.flow(index);
        let inner = inner(&flow, length);
        match self.outer_fields(&flow) {
            Some(outer) => encapsulated(&outer, &inner),
            None => inner,
        }
    }
}

/// A length field; what does not fit, which no caller has, becomes the largest.
fn length16(length: usize) -> Be16 {
    Be16::new(u16::try_from(length).unwrap_or(u16::MAX))
}
