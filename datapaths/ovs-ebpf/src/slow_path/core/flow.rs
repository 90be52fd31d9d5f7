//! From what the core did with one packet to a flow for all like it.

use crate::notation::{Action, Match, Set};
use megaflow::flow::{OPERAND, operation};
use megaflow::key::{OPTIONS, fragment, holds};
use megaflow::set::{self, Ethernet, Ip, Operand, Ports};
use megaflow::{Key, tunnel};
use mizar_wire::frame::Slice;
use mizar_wire::geneve::{self, Encapsulation, Envelope};
use mizar_wire::{Be16, Be32, Ipv4, Mac, ethernet, ipv4};
use ovs_adapter::reactive::Kind;
use ovs_adapter::reactive::judge::{Judged, Leaves};
use zerocopy::{FromBytes, IntoBytes};

const ALL_MAC: Mac = Mac::new([0xff; 6]);
const ALL_IP: Ipv4 = Ipv4::from_raw(u32::MAX);
const ALL: Be16 = Be16::from_raw(u16::MAX);

/// What a packet with `key` asks for that stands for all that the core judges alike: everything that it may have looked at.
/// `None` where it may have looked at more than a key holds.
pub fn asks(key: &Key) -> Option<Match> {
    if key.eth_type != ethernet::IPV4 || key.fragment == fragment::ODD {
        return None;
    }
    let mut mask = Key {
        in_port: u32::MAX,
        eth_dst: ALL_MAC,
        eth_src: ALL_MAC,
        eth_type: ALL,
        protocol: u8::MAX,
        fragment: u8::MAX,
        ip_src: ALL_IP,
        ip_dst: ALL_IP,
        // It goes into outer headers.
        ttl: u8::MAX,
        ..Key::ZERO
    };
    if matches!(key.protocol, ipv4::TCP | ipv4::UDP) {
        (mask.src_port, mask.dst_port) = (ALL, ALL);
    }
    if key.tunnel_flags != 0 {
        if !holds(usize::from(key.options_len)) {
            return None;
        }
        mask.tunnel_flags = u16::MAX;
        (mask.tunnel_tos, mask.tunnel_ttl) = (u8::MAX, u8::MAX);
        (mask.tunnel_src, mask.tunnel_dst) = (ALL_IP, ALL_IP);
        // All bits that there are.
        mask.vni = 0x00ff_ffff;
        mask.options_len = u16::MAX;
        mask.options = [u64::MAX; OPTIONS / 8];
    }
    Some(Match { key: *key, mask })
}

/// What makes the inner frame `came` into what goes out of `port`: an inner frame, or one behind outer headers. `None` where
/// the programs cannot.
pub fn does(came: &[u8], leaves: &[u8], is_tunnelled: bool, port: u32) -> Option<Vec<Action>> {
    let (header, inner) = if is_tunnelled {
        let (header, inner) = leaves.split_at_checked(outer_len(leaves)?)?;
        (Some(header), inner)
    } else {
        (None, leaves)
    };
    let sets = changes(came, inner)?;
    if !is_made_by(&sets, came, inner) {
        return None;
    }
    let mut does: Vec<_> = sets.into_iter().map(Action::Set).collect();
    if let Some(header) = header {
        does.push(Action::Push(template(header)?));
    }
    does.push(Action::Output(port));
    Some(does)
}

/// As a flow would send it on: with outer headers that have nothing of those that came but addresses and options.
pub fn with_headers_anew(mut judged: Judged) -> Judged {
    if judged.kind == Kind::Forwarded
        && matches!(judged.leaves, Leaves::Uplink { .. })
        && let Ok((header, _)) = Encapsulation::mut_from_prefix(&mut judged.frame)
    {
        header.ipv4.id = Be16::default();
        header.ipv4.flags_fragment = Be16::default();
        header.ipv4.checksum = header.ipv4.expected_checksum();
        header.udp.checksum = Be16::default();
        // The options stay, and the flag says of one of them that it is critical.
        let is_critical = header.options.return_to_sender.is_returned();
        header.geneve.flags = if is_critical { geneve::CRITICAL } else { 0 };
        header.geneve.vni_reserved = Be32::new(header.geneve.vni().get() << 8);
    }
    judged
}

/// Bytes of the outer headers of a frame; `None` where the programs put none of that length in front.
pub fn outer_len(frame: &[u8]) -> Option<usize> {
    let (header, _) = Envelope::read_from_prefix(frame).ok()?;
    let options_len = header.geneve.options_len();
    holds(options_len).then_some(size_of::<Envelope>() + options_len)
}

/// Outer headers without what differs between packets.
fn template(header: &[u8]) -> Option<Vec<u8>> {
    let mut header = header.to_vec();
    let (envelope, _) = Envelope::mut_from_prefix(&mut header).ok()?;
    envelope.ipv4.total_length = Be16::default();
    envelope.ipv4.checksum = Be16::default();
    envelope.udp.src = Be16::default();
    envelope.udp.length = Be16::default();
    Some(header)
}

/// What differs between two frames of IPv4, as changes of headers.
fn changes(before: &[u8], after: &[u8]) -> Option<Vec<Set>> {
    let mut sets = Vec::new();
    if before == after {
        return Some(sets);
    }
    let mut set = |operation, value: [u8; OPERAND], mask: [u8; OPERAND]| {
        sets.push(Set {
            operation,
            value,
            mask,
        });
    };
    let ethernet = |frame| Some(ethernet::Header::read_from_prefix(frame).ok()?.0);
    let (old, new) = (ethernet(before)?, ethernet(after)?);
    if (old.dst, old.src) != (new.dst, new.src) {
        let (mut value, mut mask) = (Ethernet::NONE, Ethernet::NONE);
        (value.dst, value.src) = (new.dst, new.src);
        (mask.dst, mask.src) = (ALL_MAC, ALL_MAC);
        set(operation::SET_ETHERNET, value.to_bytes(), mask.to_bytes());
    }
    let ip = |frame: &[u8]| {
        let (ip, _) = ipv4::Header::read_from_prefix(frame.get(ethernet::LEN..)?).ok()?;
        Some(ip)
    };
    let (old, new) = (ip(before)?, ip(after)?);
    if (old.src, old.dst) != (new.src, new.dst) {
        let (mut value, mut mask) = (Ip::NONE, Ip::NONE);
        (value.src, value.dst) = (new.src, new.dst);
        (mask.src, mask.dst) = (ALL_IP, ALL_IP);
        set(operation::SET_IP, value.to_bytes(), mask.to_bytes());
    }
    if matches!(new.protocol, ipv4::TCP | ipv4::UDP) && !new.is_later_fragment() {
        // TCP and UDP begin alike: with the two ports.
        let at = ethernet::LEN + new.header_len();
        let ports = |frame: &[u8]| {
            let (ports, _) = <[Be16; 2]>::read_from_prefix(frame.get(at..)?).ok()?;
            Some(ports)
        };
        let (old, new) = (ports(before)?, ports(after)?);
        if old != new {
            let (mut value, mut mask) = (Ports::NONE, Ports::NONE);
            [value.src, value.dst] = new;
            [mask.src, mask.dst] = [ALL, ALL];
            set(operation::SET_PORTS, value.to_bytes(), mask.to_bytes());
        }
    }
    Some(sets)
}

/// Whether these changes make the one frame the other: the core may have done more than they say.
fn is_made_by(sets: &[Set], before: &[u8], after: &[u8]) -> bool {
    // Words, since a frame starts at an even address.
    let mut words = vec![0u32; before.len().div_ceil(4)];
    let Some(bytes) = words.as_mut_slice().as_mut_bytes().get_mut(..before.len()) else {
        return false;
    };
    bytes.copy_from_slice(before);
    let Ok(mut frame) = Slice::new(bytes) else {
        return false;
    };
    let is_done = sets.iter().all(|step| {
        let (value, mask) = (&step.value, &step.mask);
        match step.operation {
            operation::SET_ETHERNET => set::ethernet(&mut frame, value, mask),
            operation::SET_IP => set::ip_header(&mut frame, value, mask),
            operation::SET_PORTS => set::ports(&mut frame, value, mask),
            _ => None,
        }
        .is_some()
    });
    is_done && bytes == after
}

/// Where a frame with a key begins in the frame that came by a device.
pub fn inner_at(key: &Key) -> usize {
    if key.tunnel_flags == 0 {
        0
    } else {
        tunnel::SHORTEST + usize::from(key.options_len)
    }
}

/// Whether a packet came back from the end of a direct path: the next one may come from elsewhere.
pub fn came_back(frame: &[u8]) -> bool {
    Encapsulation::read_from_prefix(frame)
        .is_ok_and(|(header, _)| header.options.return_to_sender.is_returned())
}

/// Whether outer headers tell the next droplet to rewrite the packet's flow: another packet may say something else.
pub fn is_modify(frame: &[u8]) -> bool {
    Encapsulation::read_from_prefix(frame)
        .is_ok_and(|(header, _)| header.options.scaled_endpoint.is_modify())
}
