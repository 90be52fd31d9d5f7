//! Reading the inner frame.
//!
//! Mizar takes every inner IPv4 header for 20 bytes long and reads ports in later fragments. Here the
//! header's own length counts, and a later fragment has no ports; for packets without options and
//! fragments, which is all that Mizar's vectors hold, the two agree.

use crate::flow::FlowKey;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::verdict::Transport;
use mizar_wire::{Be16, Ipv4, Mac, Vni, arp, ethernet, ipv4, tcp, udp};

/// What an inner frame is.
pub enum Packet {
    /// IPv4.
    Ip(Ip),
    /// Address resolution for IPv4 over Ethernet.
    Arp(Arp),
}

/// An inner IPv4 packet.
#[derive(Clone, Copy)]
pub struct Ip {
    /// Its flow.
    pub flow: FlowKey,
    /// Its time to live.
    pub ttl: u8,
    /// Its TCP or UDP header.
    pub transport: Transport,
    /// Ethernet source.
    pub src_mac: Mac,
    /// Ethernet destination.
    pub dst_mac: Mac,
}

/// An inner ARP message.
#[derive(Clone, Copy)]
pub struct Arp {
    /// A request, otherwise a reply.
    pub is_request: bool,
    /// Protocol address of the sender.
    pub sender: Ipv4,
    /// Protocol address of the target.
    pub target: Ipv4,
}

/// Reads the inner frame that starts at byte `at` of `frame`.
///
/// # Errors
/// `truncated_ethernet` if there is no room for an Ethernet header; another [`Reason`] for what follows.
#[inline(always)]
pub fn read<F: Frame>(
    frame: &F,
    at: usize,
    vni: Vni,
    truncated_ethernet: Reason,
) -> Result<Packet, Reason> {
    let ethernet: &ethernet::Header = frame.get(at).ok_or(truncated_ethernet)?;
    let (ethertype, src_mac, dst_mac) = (ethernet.ethertype, ethernet.src, ethernet.dst);
    if ethertype == ethernet::IPV4 {
        read_ip(frame, at, vni, src_mac, dst_mac).map(Packet::Ip)
    } else if ethertype == ethernet::ARP {
        read_arp(frame, at).map(Packet::Arp)
    } else {
        Err(Reason::UnsupportedProtocol)
    }
}

#[inline(always)]
fn read_ip<F: Frame>(
    frame: &F,
    at: usize,
    vni: Vni,
    src_mac: Mac,
    dst_mac: Mac,
) -> Result<Ip, Reason> {
    let ip: &ipv4::Header = frame
        .get(at + ethernet::LEN)
        .ok_or(Reason::TruncatedInnerIp)?;
    let version_ihl = ip.version_ihl;
    if version_ihl >> 4 != 4 || version_ihl & 0x0f < 5 {
        return Err(Reason::MalformedInnerIp);
    }
    let (protocol, ttl, src, dst) = (ip.protocol, ip.ttl, ip.src, ip.dst);
    let (mut src_port, mut dst_port, mut transport) =
        (Be16::default(), Be16::default(), Transport::None);
    if !ip.is_later_fragment() {
        let transport_at = ethernet::LEN + ip.header_len();
        match protocol {
            ipv4::TCP => {
                let tcp: &tcp::Header = frame
                    .get(at + transport_at)
                    .ok_or(Reason::TruncatedTransport)?;
                (src_port, dst_port) = (tcp.src, tcp.dst);
                transport = Transport::Tcp;
            }
            ipv4::UDP => {
                let udp: &udp::Header = frame
                    .get(at + transport_at)
                    .ok_or(Reason::TruncatedTransport)?;
                (src_port, dst_port) = (udp.src, udp.dst);
                transport = Transport::Udp;
            }
            _ => {}
        }
    }
    let flow = FlowKey::new(vni, protocol, src, dst, src_port, dst_port);
    Ok(Ip {
        flow,
        ttl,
        transport,
        src_mac,
        dst_mac,
    })
}

#[inline(always)]
fn read_arp<F: Frame>(frame: &F, at: usize) -> Result<Arp, Reason> {
    let header: &arp::Header = frame.get(at + ethernet::LEN).ok_or(Reason::TruncatedArp)?;
    let operation = header.operation;
    if header.hardware != arp::ETHERNET
        || header.protocol != arp::IPV4
        || (operation != arp::REQUEST && operation != arp::REPLY)
    {
        return Err(Reason::UnsupportedArp);
    }
    let addresses: &arp::Addresses = frame
        .get(at + ethernet::LEN + arp::HEADER_LEN)
        .ok_or(Reason::TruncatedArp)?;
    Ok(Arp {
        is_request: operation == arp::REQUEST,
        sender: addresses.sender_ip,
        target: addresses.target_ip,
    })
}
