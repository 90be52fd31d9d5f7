//! Outer headers: taken off, with what they say going into the key, and put in front.

use crate::key::{Key, OPTIONS, SHORT_OPTIONS};
use mizar_wire::frame::Frame;
use mizar_wire::{Be16, checksum, ethernet, geneve, ipv4, udp};

/// The outer UDP header has a checksum: `FLOW_TNL_F_CSUM` of OVS's lib/packets.h.
pub const CHECKSUM: u16 = 1 << 1;
/// There is a network identifier: `FLOW_TNL_F_KEY`.
pub const KEY: u16 = 1 << 2;
/// A control packet: `FLOW_TNL_F_OAM`.
pub const CONTROL: u16 = 1 << 3;

/// Where Geneve's options begin.
const OPTIONS_AT: usize = ethernet::LEN + ipv4::LEN + udp::LEN + geneve::LEN;
const CONTROL_FLAG: u8 = 0x80;

/// What becomes of a packet that shall come out of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes go.
    Strip(usize),
    /// It is none that is to be expected: what becomes of it others must say.
    Unknown,
}

/// Reads the outer headers of `frame` into `key`, which is of no packet yet.
///
/// As `netdev_geneve_pop_header` and `ip_extract_tnl_md` of OVS's lib/netdev-native-tnl.c; but lengths must agree with each
/// other, which nobody makes otherwise, and who is asked may care.
#[inline(always)]
pub fn take_off<F: Frame>(frame: &F, key: &mut Key) -> Taken {
    let len = frame.len();
    let Some(ip) = frame.get::<ipv4::Header>(ethernet::LEN) else {
        return Taken::Unknown;
    };
    if ip.version_ihl != ipv4::VERSION_IHL
        || ip.protocol != ipv4::UDP
        || ip.checksum != ip.expected_checksum()
        || ip.total_length.get() as usize != len - ethernet::LEN
    {
        return Taken::Unknown;
    }
    key.tunnel_src = ip.src;
    key.tunnel_dst = ip.dst;
    key.tunnel_tos = ip.tos;
    key.tunnel_ttl = ip.ttl;
    let Some(udp) = frame.get::<udp::Header>(ethernet::LEN + ipv4::LEN) else {
        return Taken::Unknown;
    };
    // A checksum covers the whole packet.
    if udp.checksum.raw() != 0 || udp.length.get() as usize != len - ethernet::LEN - ipv4::LEN {
        return Taken::Unknown;
    }
    let Some(header) = frame.get::<geneve::Header>(OPTIONS_AT - geneve::LEN) else {
        return Taken::Unknown;
    };
    if header.version_options >> 6 != 0 || header.protocol != geneve::ETHERNET {
        return Taken::Unknown;
    }
    key.tunnel_flags = KEY;
    if header.flags & CONTROL_FLAG != 0 {
        key.tunnel_flags |= CONTROL;
    }
    key.vni = header.vni().get();
    let options_len = header.options_len();
    key.options_len = options_len as u16;
    if OPTIONS_AT + options_len > len {
        return Taken::Unknown;
    }
    if options_len == OPTIONS {
        match frame.words(OPTIONS_AT) {
            Some(options) => key.options = options,
            None => return Taken::Unknown,
        }
    } else if options_len == SHORT_OPTIONS {
        const COUNT: usize = SHORT_OPTIONS / size_of::<u64>();
        let Some(options) = frame.words::<COUNT>(OPTIONS_AT) else {
            return Taken::Unknown;
        };
        let mut at = 0;
        while at < COUNT {
            key.options[at] = options[at];
            at += 1;
        }
    }
    Taken::Strip(OPTIONS_AT + options_len)
}

/// Bytes of outer headers that can be put in front.
pub const HEADER: usize = 128;
/// The fewest: those without options.
pub const SHORTEST: usize = OPTIONS_AT;

/// The port that a switch would choose by its own hash: `netdev_tnl_get_src_port` of OVS's lib/netdev-native-tnl.h,
/// whose range is 32768 to 61000.
#[inline(always)]
pub fn source_port(hash: u64) -> Be16 {
    const FIRST: u64 = 32_768;
    const COUNT: u64 = 61_000 - FIRST;
    // The upper 32 bits times a count, without a division.
    Be16::new((FIRST + (((hash >> 32) * COUNT) >> 32)) as u16)
}

/// Writes into outer headers, which are in front of `frame` as a flow has them, what differs between packets: lengths,
/// checksum, source port. `netdev_tnl_push_udp_header` of OVS's lib/netdev-native-tnl.c.
#[inline(always)]
pub fn complete<F: Frame>(frame: &mut F, source: Be16) -> Option<()> {
    let total = u16::try_from(frame.len().checked_sub(ethernet::LEN)?).ok()?;
    let ip: &mut ipv4::Header = frame.get_mut(ethernet::LEN)?;
    ip.total_length = Be16::new(total);
    ip.checksum = Be16::from_raw(checksum::fold(ip.sum()));
    let udp: &mut udp::Header = frame.get_mut(ethernet::LEN + ipv4::LEN)?;
    udp.src = source;
    udp.length = Be16::new(total.wrapping_sub(ipv4::LEN as u16));
    Some(())
}

#[cfg(test)]
#[path = "tests/tunnel.rs"]
mod tests;
