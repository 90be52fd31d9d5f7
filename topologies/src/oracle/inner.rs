//! The inner packet: what is read from it, and how flows are rewritten.

use super::bytes::{
    checksum, ip_at, put_ip, put_mac, put_u16, reaches, u8_at, u16_at, updated_checksum,
};
use super::{Step, abort, drop_frame};
use mizar_wire::{Ipv4, Mac};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;

/// What tells flows apart. Ports are zero where the packet has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    pub protocol: u8,
    pub src: Ipv4,
    pub dst: Ipv4,
    pub src_port: u16,
    pub dst_port: u16,
}

impl Tuple {
    /// The tuple of the opposite direction.
    pub fn reversed(self) -> Self {
        Self {
            protocol: self.protocol,
            src: self.dst,
            dst: self.src,
            src_port: self.dst_port,
            dst_port: self.src_port,
        }
    }

    /// Whether policy and connection tracking look at it.
    pub fn is_tracked(self) -> bool {
        matches!(self.protocol, TCP | UDP)
    }
}

/// What a flow is rewritten to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub src: Ipv4,
    pub dst: Ipv4,
    pub src_port: u16,
    pub dst_port: u16,
    pub src_mac: Mac,
    pub dst_mac: Mac,
}

/// An inner packet that Mizar forwards.
#[derive(Debug, Clone, Copy)]
pub enum Inner {
    Ipv4(Ip),
    Arp(Arp),
}

/// An inner IPv4 packet, by offsets into its frame.
#[derive(Debug, Clone, Copy)]
pub struct Ip {
    /// Of its Ethernet header.
    pub ethernet: usize,
    /// Of its IP header.
    pub header: usize,
    /// Of its TCP or UDP header, where it has one.
    pub transport: Option<usize>,
    pub ttl: u8,
    pub tuple: Tuple,
}

/// An inner ARP packet, by offsets into its frame.
#[derive(Debug, Clone, Copy)]
pub struct Arp {
    pub ethernet: usize,
    pub operation: usize,
    pub sender_mac: usize,
    pub sender_ip: usize,
    pub target_mac: usize,
    pub target_ip: usize,
    pub is_request: bool,
}

/// Reads the inner packet whose Ethernet header lies at `ethernet`.
pub fn parse(frame: &[u8], ethernet: usize) -> Step<Inner> {
    if !reaches(frame, ethernet, 14) {
        return Err(abort("inner Ethernet header truncated"));
    }
    match u16_at(frame, ethernet + 12) {
        ETHERTYPE_IPV4 => parse_ipv4(frame, ethernet).map(Inner::Ipv4),
        ETHERTYPE_ARP => parse_arp(frame, ethernet).map(Inner::Arp),
        _ => Err(drop_frame("inner packet is neither IPv4 nor ARP")),
    }
}

fn parse_ipv4(frame: &[u8], ethernet: usize) -> Step<Ip> {
    let header = ethernet + 14;
    if !reaches(frame, header, 20) {
        return Err(abort("inner IPv4 header truncated"));
    }
    let version = u8_at(frame, header) >> 4;
    let header_len = usize::from(u8_at(frame, header) & 0x0f) * 4;
    if version != 4 || header_len < 20 {
        return Err(abort("inner IPv4 header malformed"));
    }
    let is_later_fragment = u16_at(frame, header + 6) & 0x1fff != 0;
    let protocol = u8_at(frame, header + 9);
    // A later fragment carries no transport header: nothing beyond the IP header is looked at.
    let needed = match protocol {
        _ if is_later_fragment => None,
        TCP => Some(20),
        UDP => Some(8),
        _ => None,
    };
    let transport = match needed {
        Some(needed) if !reaches(frame, header + header_len, needed) => {
            return Err(abort("inner transport header truncated"));
        }
        Some(_) => Some(header + header_len),
        None => None,
    };
    Ok(Ip {
        ethernet,
        header,
        transport,
        ttl: u8_at(frame, header + 8),
        tuple: Tuple {
            protocol,
            src: ip_at(frame, header + 12),
            dst: ip_at(frame, header + 16),
            src_port: transport.map_or(0, |at| u16_at(frame, at)),
            dst_port: transport.map_or(0, |at| u16_at(frame, at + 2)),
        },
    })
}

fn parse_arp(frame: &[u8], ethernet: usize) -> Step<Arp> {
    let header = ethernet + 14;
    if !reaches(frame, header, 8) {
        return Err(abort("inner ARP header truncated"));
    }
    let hardware = u16_at(frame, header);
    let protocol = u16_at(frame, header + 2);
    let operation = u16_at(frame, header + 6);
    if hardware != 1 || protocol != ETHERTYPE_IPV4 || !matches!(operation, 1 | 2) {
        return Err(drop_frame("ARP is no Ethernet/IPv4 request or reply"));
    }
    if !reaches(frame, header + 8, 20) {
        return Err(abort("inner ARP addresses truncated"));
    }
    Ok(Arp {
        ethernet,
        operation: header + 6,
        sender_mac: header + 8,
        sender_ip: header + 14,
        target_mac: header + 18,
        target_ip: header + 24,
        is_request: operation == 1,
    })
}

impl Arp {
    /// Sender and target: what ARP is forwarded by.
    pub fn addresses(self, frame: &[u8]) -> (Ipv4, Ipv4) {
        (ip_at(frame, self.sender_ip), ip_at(frame, self.target_ip))
    }
}

impl Ip {
    /// Rewrites ports and addresses to `target` and keeps the checksums right.
    pub fn rewrite(&mut self, frame: &mut [u8], target: &Target) {
        let address_bytes = |src: Ipv4, dst: Ipv4| [src.octets(), dst.octets()].concat();
        let old_addresses = address_bytes(self.tuple.src, self.tuple.dst);
        let new_addresses = address_bytes(target.src, target.dst);

        if let Some(transport) = self.transport {
            let port_bytes = |src: u16, dst: u16| [src.to_be_bytes(), dst.to_be_bytes()].concat();
            let old_ports = port_bytes(self.tuple.src_port, self.tuple.dst_port);
            let new_ports = port_bytes(target.src_port, target.dst_port);
            let is_udp = self.tuple.protocol == UDP;
            let at = transport + if is_udp { 6 } else { 16 };
            let old = u16_at(frame, at);
            // A UDP checksum of zero says that there is none (RFC 768).
            if !(is_udp && old == 0) {
                let new = updated_checksum(
                    old,
                    &[old_addresses.clone(), old_ports].concat(),
                    &[new_addresses.clone(), new_ports].concat(),
                );
                put_u16(frame, at, if is_udp && new == 0 { 0xffff } else { new });
            }
            put_u16(frame, transport, target.src_port);
            put_u16(frame, transport + 2, target.dst_port);
            self.tuple.src_port = target.src_port;
            self.tuple.dst_port = target.dst_port;
        }

        let at = self.header + 10;
        let old = u16_at(frame, at);
        put_ip(frame, self.header + 12, target.src);
        put_ip(frame, self.header + 16, target.dst);
        let new = if u8_at(frame, self.header) == 0x45 {
            // Mizar recomputes it, and so mends one that came in wrong.
            put_u16(frame, at, 0);
            checksum(frame.get(self.header..self.header + 20).unwrap_or_default())
        } else {
            // Mizar leaves options out of the sum; an update is right with and without them.
            updated_checksum(old, &old_addresses, &new_addresses)
        };
        put_u16(frame, at, new);
        self.tuple.src = target.src;
        self.tuple.dst = target.dst;
    }

    /// Overwrites the Ethernet destination address.
    pub fn set_dst_mac(self, frame: &mut [u8], mac: Mac) {
        put_mac(frame, self.ethernet, mac);
    }

    /// Overwrites the Ethernet source address.
    pub fn set_src_mac(self, frame: &mut [u8], mac: Mac) {
        put_mac(frame, self.ethernet + 6, mac);
    }
}
