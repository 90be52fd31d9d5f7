//! Frames that a difference puts outside the contract.

use super::packet::{self, OPTIONS, header, inner_at, inner_behind, inner_ip, is_overlay, layout};
use super::{Difference, choice};
use mizar_wire::geneve::{self, Layout, OptionHeader};
use mizar_wire::{Be16, Ipv4, ethernet, ipv4, tcp, udp};
use topologies::provision::{EndpointKind, Port, Provision, Rules};

/// Whether `difference` puts the frame outside the contract.
pub fn holds(difference: Difference, provision: &Provision, port: Port, frame: &[u8]) -> bool {
    match difference {
        Difference::Parsing => {
            is_unusual(provision, port, frame)
                || policed(provision, port, frame).is_some_and(|ip| ip.src == ip.dst)
        }
        Difference::OuterTimeToLive => is_spent(provision, port, frame),
        Difference::Neighbours => {
            port == Port::Uplink
                && (return_host(frame).is_some_and(|host| !is_known(provision, host))
                    || claims_address(provision, frame))
        }
        Difference::ScaledEndpoints => {
            let is_scaled = |address: Ipv4| {
                provision
                    .endpoints
                    .iter()
                    .any(|endpoint| endpoint.kind == EndpointKind::Scaled && endpoint.ip == address)
            };
            port == Port::Uplink && packet::is_modify(frame)
                || inner_ip(frame, port).is_some_and(|ip| is_scaled(ip.dst))
        }
        Difference::Tracking => policed(provision, port, frame)
            .is_some_and(|ip| ip.is_fragment() || has_wrong_checksum(frame, port, ip)),
        Difference::InnerChecksums => {
            inner_ip(frame, port).is_some_and(|ip| ip.checksum != ip.expected_checksum())
        }
        Difference::BouncerChoice => choice::for_arrived(provision, port, frame)
            .into_iter()
            .any(|group| is_unequal(provision, group)),
        Difference::Runts => frame.len() < ethernet::LEN,
        _ => false,
    }
}

/// Whether members of a group of several are not all reached alike: one is this very droplet, or one's Ethernet address
/// is not known.
fn is_unequal(provision: &Provision, group: &[Ipv4]) -> bool {
    let is_other = |ip: &Ipv4| *ip == provision.host.ip || provision.mac_of(*ip).is_none();
    group.len() > 1 && group.iter().any(is_other)
}

/// The inner header of a TCP or UDP packet that comes from an endpoint to which policy applies, or goes to one.
fn policed(provision: &Provision, port: Port, frame: &[u8]) -> Option<ipv4::Header> {
    let ip = inner_ip(frame, port)?;
    let vni = packet::vni(provision, port, frame)?;
    let applies = |rules: &Rules| packet::is_among(&rules.enforced, vni, [ip.src, ip.dst]);
    let is_judged = matches!(ip.protocol, ipv4::TCP | ipv4::UDP);
    (is_judged && (applies(&provision.ingress) || applies(&provision.egress))).then_some(ip)
}

/// Whether an agent never makes such a frame, and parsers may take it in different ways.
fn is_unusual(provision: &Provision, port: Port, frame: &[u8]) -> bool {
    if port != Port::Uplink {
        return is_unusual_inside(frame);
    }
    let Some(ethernet) = header::<ethernet::Header>(frame, 0) else {
        return true;
    };
    if is_vlan(ethernet.ethertype) {
        return true;
    }
    if ethernet.ethertype != ethernet::IPV4 {
        return false;
    }
    let Some(ip) = header::<ipv4::Header>(frame, ethernet::LEN) else {
        return true;
    };
    let whole = ip.total_length.get() as usize == frame.len() - ethernet::LEN;
    if !whole || ip.version_ihl != ipv4::VERSION_IHL || frame.len() < OPTIONS {
        return true;
    }
    if !is_overlay(provision, frame) {
        return false;
    }
    ethernet.dst != provision.host.mac
        || ip.checksum != ip.expected_checksum()
        || !has_usual_options(provision, frame)
        || is_unusual_inside(frame.get(inner_behind(frame)..).unwrap_or_default())
}

fn has_usual_options(provision: &Provision, frame: &[u8]) -> bool {
    let (Some(udp), Some(geneve)) = (
        header::<udp::Header>(frame, ethernet::LEN + ipv4::LEN),
        header::<geneve::Header>(frame, OPTIONS - geneve::LEN),
    ) else {
        return false;
    };
    let layout = layout(frame);
    let outside = udp.checksum == Be16::new(0)
        && usize::from(udp.length.get()) == frame.len() - ethernet::LEN - ipv4::LEN
        && usize::from(geneve.version_options) == layout.options_len() / 4
        && geneve.protocol == geneve::ETHERNET;
    let option = |at: usize| header::<OptionHeader>(frame, OPTIONS + at);
    let is = |at: usize, kind: u8, length: u8| {
        option(at).is_some_and(|option| {
            option.class == geneve::CLASS && (option.kind, option.length) == (kind, length)
        })
    };
    // What follows an option of length zero would be read as options, too.
    let is_zero = |at: usize, len: usize| {
        frame
            .get(OPTIONS + at + 4..OPTIONS + at + len)
            .is_some_and(|data| data.iter().all(|byte| *byte == 0))
    };
    let has_labels =
        |at: usize| is(at, geneve::POD_LABEL, 1) && is(at + 8, geneve::NAMESPACE_LABEL, 1);
    if layout == Layout::Short {
        let is_read = provision.extensions.has_short_header();
        return outside && is_read && geneve.flags == 0 && has_labels(32);
    }
    // With a critical option the header says so, and else it does not.
    let came_back = is(0, geneve::RETURNED, 3) && geneve.flags == geneve::CRITICAL;
    let has_return = is(0, geneve::RETURN_TO_SENDER, 3) || is(0, 0, 0) && is_zero(0, 16);
    outside
        && (came_back || has_return && geneve.flags == 0)
        && (is(16, geneve::SCALED_ENDPOINT, 7) || is(16, 0, 0) && is_zero(16, 48 - 16))
        && has_labels(48)
}

fn is_vlan(ethertype: Be16) -> bool {
    matches!(ethertype.get(), 0x8100 | 0x88a8 | 0x9100)
}

fn is_unusual_inside(frame: &[u8]) -> bool {
    let Some(ethernet) = header::<ethernet::Header>(frame, 0) else {
        return true;
    };
    let left = frame.len() - ethernet::LEN;
    if is_vlan(ethernet.ethertype) {
        return true;
    }
    if ethernet.ethertype == ethernet::ARP {
        // Lengths of hardware and protocol addresses.
        let lengths = frame.get(ethernet::LEN + 4..ethernet::LEN + 6);
        return left < 28 || lengths != Some(&[6, 4]);
    }
    if ethernet.ethertype != ethernet::IPV4 {
        return false;
    }
    let Some(ip) = header::<ipv4::Header>(frame, ethernet::LEN) else {
        return true;
    };
    let (total, own) = (usize::from(ip.total_length.get()), ip.header_len());
    if ip.version_ihl >> 4 != 4 || own < ipv4::LEN || total < own || total > left {
        return true;
    }
    let transport = total - own;
    !ip.is_later_fragment()
        && match ip.protocol {
            ipv4::TCP => transport < size_of::<tcp::Header>() || has_bad_offset(frame, own, total),
            ipv4::UDP => transport < udp::LEN,
            _ => false,
        }
}

/// Whether TCP's header claims to be longer than the packet, or shorter than it can be.
fn has_bad_offset(frame: &[u8], own: usize, total: usize) -> bool {
    let offset = frame
        .get(ethernet::LEN + own + 12)
        .map_or(0, |byte| usize::from(byte >> 4) * 4);
    offset < size_of::<tcp::Header>() || own + offset > total
}

/// Whether the time to live ends here: outside, or of a packet that comes back to this very droplet.
fn is_spent(provision: &Provision, port: Port, frame: &[u8]) -> bool {
    if port == Port::Uplink {
        is_overlay(provision, frame)
            && header::<ipv4::Header>(frame, ethernet::LEN).is_some_and(|ip| ip.ttl == 1)
    } else {
        inner_ip(frame, port).is_some_and(|ip| ip.ttl <= 1)
    }
}

/// The droplet that return-to-sender names, or would name where the header is short.
fn return_host(frame: &[u8]) -> Option<(Ipv4, mizar_wire::Mac)> {
    if layout(frame) == Layout::Short {
        let ethernet = header::<ethernet::Header>(frame, 0)?;
        let ip = header::<ipv4::Header>(frame, ethernet::LEN)?;
        return Some((ip.src, ethernet.src));
    }
    let option: geneve::ReturnToSender = header(frame, OPTIONS)?;
    option.is_present().then(|| (option.ip(), option.mac()))
}

fn is_known(provision: &Provision, (ip, mac): (Ipv4, mizar_wire::Mac)) -> bool {
    provision.mac_of(ip) == Some(mac)
}

/// Whether the frame comes from a known droplet by another Ethernet address: a switch would believe it.
fn claims_address(provision: &Provision, frame: &[u8]) -> bool {
    let ethernet = header::<ethernet::Header>(frame, 0);
    let ip = header::<ipv4::Header>(frame, ethernet::LEN);
    ethernet.zip(ip).is_some_and(|(ethernet, ip)| {
        let by_path = provision.direct_paths.iter().map(|path| path.host);
        let known = provision.mac_of(ip.src).or_else(|| {
            let mut paths = by_path.filter(|host| host.ip == ip.src);
            paths.next().map(|host| host.mac)
        });
        is_overlay(provision, frame) && known.is_some_and(|mac| mac != ethernet.src)
    })
}

/// Whether the switch would find a checksum wrong: of IPv4, TCP or UDP.
fn has_wrong_checksum(frame: &[u8], port: Port, ip: ipv4::Header) -> bool {
    let from = inner_at(port, frame) + ethernet::LEN;
    let (own, total) = (ip.header_len(), usize::from(ip.total_length.get()));
    let Some(segment) = frame.get(from + own..from + total) else {
        return true;
    };
    let words = |bytes: &[u8]| -> u64 {
        bytes
            .chunks(2)
            .map(|pair| {
                u64::from(u16::from_be_bytes([
                    pair[0],
                    pair.get(1).copied().unwrap_or(0),
                ]))
            })
            .sum()
    };
    let header_sum = words(frame.get(from..from + own).unwrap_or_default());
    if mizar_wire::checksum::fold(header_sum) != 0 {
        return true;
    }
    let is_unchecked = ip.protocol == ipv4::UDP && segment.get(6..8) == Some(&[0, 0]);
    if !matches!(ip.protocol, ipv4::TCP | ipv4::UDP) || is_unchecked {
        return false;
    }
    let pseudo = words(&ip.src.octets())
        + words(&ip.dst.octets())
        + u64::from(ip.protocol)
        + segment.len() as u64;
    mizar_wire::checksum::fold(pseudo + words(segment)) != 0
}
