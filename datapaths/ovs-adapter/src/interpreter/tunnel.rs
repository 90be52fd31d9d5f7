//! Outer headers, as the switch takes them apart and puts them together.

use crate::flow::packet::Packet;
use crate::flow::{Field, Value};
use crate::program::{self, Tunnel};
use mizar_wire::geneve::{self, OptionHeader};
use mizar_wire::{Be16, Be32, Ipv4, ethernet, ipv4, udp};
use topologies::provision::Host;
use zerocopy::{FromBytes, IntoBytes};

const OPTIONS: usize = ethernet::LEN + ipv4::LEN + udp::LEN + geneve::LEN;

/// The inner packet with its tunnel metadata; `None` if this is no Geneve packet for `host`.
pub fn take_apart(frame: &[u8], host: Host, tunnels: &[Tunnel]) -> Option<Packet> {
    let (ethernet, rest) = ethernet::Header::read_from_prefix(frame).ok()?;
    let (ip, rest) = ipv4::Header::read_from_prefix(rest).ok()?;
    let (udp, rest) = udp::Header::read_from_prefix(rest).ok()?;
    let (header, options) = geneve::Header::read_from_prefix(rest).ok()?;
    let is_ours = ethernet.ethertype == ethernet::IPV4
        && ethernet.dst == host.mac
        && ip.version_ihl == ipv4::VERSION_IHL
        && ip.protocol == ipv4::UDP
        && !ip.is_fragment()
        && ip.dst == host.ip
        && udp.dst == geneve::PORT
        && header.protocol == geneve::ETHERNET;
    if !is_ours {
        return None;
    }
    let inner = frame.get(OPTIONS + header.options_len()..)?;
    let vni = header.vni().get();
    let receiver = tunnels
        .iter()
        .find(|tunnel| tunnel.receives == Some(vni))
        .unwrap_or(&Tunnel::TRANSIT);
    let mut packet = Packet::new(inner).arrived_at(receiver.number);
    packet.write(Field::TunnelId.whole(), vni.into());
    packet.write(Field::TunnelSrc.whole(), ip.src.to_bits().into());
    packet.write(Field::TunnelDst.whole(), ip.dst.to_bits().into());
    let mut options = options.get(..header.options_len())?;
    while let Ok((option, rest)) = OptionHeader::read_from_prefix(options) {
        let len = usize::from(option.length & 0x1f) * 4;
        let data = rest.get(..len)?;
        let known = program::options()
            .into_iter()
            .find(|known| known.class == option.class.get() && known.kind == option.kind);
        if let Some(known) = known {
            let field = Field::Option(known.index);
            // Of another length it is refused with its packet.
            (usize::from(known.length) == len).then_some(())?;
            packet.write(field.whole(), Value::from_bytes(data));
        }
        options = rest.get(len..)?;
    }
    Some(packet)
}

/// The droplet that a frame comes from, by its outer headers.
pub fn sender(frame: &[u8]) -> Option<Host> {
    let (ethernet, rest) = ethernet::Header::read_from_prefix(frame).ok()?;
    let (ip, _) = ipv4::Header::read_from_prefix(rest).ok()?;
    Some(Host {
        ip: ip.src,
        mac: ethernet.src,
    })
}

/// The frame that leaves by the uplink, if the next droplet is a neighbour.
pub fn put_together(
    packet: &Packet,
    tunnel: &Tunnel,
    host: Host,
    neighbours: &[Host],
) -> Option<Vec<u8>> {
    let read = |field: Field| packet.read(field.whole()).low_u64();
    let next = Ipv4::from_octets((read(Field::TunnelDst) as u32).to_be_bytes());
    // A switch sends nothing to itself by the wire.
    let next = neighbours
        .iter()
        .find(|neighbour| neighbour.ip == next && next != host.ip)?;
    let mut options = Vec::new();
    let mut flags = 0;
    for known in program::options() {
        let field = Field::Option(known.index);
        if packet.has(field) {
            if known.kind & 0x80 != 0 {
                flags = geneve::CRITICAL;
            }
            let header = OptionHeader {
                class: Be16::new(known.class),
                kind: known.kind,
                length: known.length / 4,
            };
            options.extend_from_slice(header.as_bytes());
            let data = packet.read(field.whole()).to_vec(usize::from(known.length));
            options.extend_from_slice(&data);
        }
    }
    let is_ip = read(Field::EthType) == 0x0800;
    let ttl = if is_ip { read(Field::IpTtl) as u8 } else { 64 };
    // `tnl_port_send` of OVS's ofproto/tunnel.c: the inner packet's ECN bits, but never "congestion experienced".
    let ecn = match packet.frame.get(15).map_or(0, |tos| tos & 3) {
        _ if !is_ip => 0,
        3 => 2,
        ecn => ecn,
    };
    let udp_length = udp::LEN + geneve::LEN + options.len() + packet.frame.len();
    let mut ip = ipv4::Header {
        version_ihl: ipv4::VERSION_IHL,
        tos: tunnel.tos | ecn,
        total_length: Be16::new(u16::try_from(ipv4::LEN + udp_length).ok()?),
        id: Be16::new(0),
        flags_fragment: Be16::new(0),
        ttl,
        protocol: ipv4::UDP,
        checksum: Be16::new(0),
        src: host.ip,
        dst: next.ip,
    };
    ip.checksum = ip.expected_checksum();
    let ethernet = ethernet::Header {
        dst: next.mac,
        src: host.mac,
        ethertype: ethernet::IPV4,
    };
    let udp = udp::Header {
        // The switch's own hash.
        src: Be16::new(0x8000),
        dst: geneve::PORT,
        length: Be16::new(udp_length as u16),
        checksum: Be16::new(0),
    };
    let geneve = geneve::Header {
        version_options: (options.len() / 4) as u8,
        flags,
        protocol: geneve::ETHERNET,
        vni_reserved: Be32::new((read(Field::TunnelId) as u32) << 8),
    };
    Some(
        [
            ethernet.as_bytes(),
            ip.as_bytes(),
            udp.as_bytes(),
            geneve.as_bytes(),
            &options,
            &packet.frame,
        ]
        .concat(),
    )
}
