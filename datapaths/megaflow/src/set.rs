//! Actions that change bytes of a frame, and keep checksums as right as they were.

use crate::flow::OPERAND;
use crate::key::ip;
use mizar_wire::checksum::Change;
use mizar_wire::frame::Frame;
use mizar_wire::{Be16, Ipv4, Mac, arp, ethernet, ipv4, tcp, udp};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Operands of [`crate::flow::operation::SET_ETHERNET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ethernet {
    /// Destination.
    pub dst: Mac,
    /// Source.
    pub src: Mac,
    rest: [u16; 6],
}

/// Operands of [`crate::flow::operation::SET_IP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ip {
    /// Source.
    pub src: Ipv4,
    /// Destination.
    pub dst: Ipv4,
    /// Type of service.
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
    rest: [u16; 7],
}

/// Operands of [`crate::flow::operation::SET_PORTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ports {
    /// Source.
    pub src: Be16,
    /// Destination.
    pub dst: Be16,
    rest: [u16; 10],
}

/// Operands of [`crate::flow::operation::SET_ARP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Arp {
    /// Protocol address of the sender.
    pub sender_ip: Ipv4,
    /// Protocol address of the target.
    pub target_ip: Ipv4,
    /// Hardware address of the sender.
    pub sender: Mac,
    /// Hardware address of the target.
    pub target: Mac,
    /// Operation.
    pub operation: Be16,
    rest: u16,
}

/// What operands have in common: a layout that fills a step's.
pub trait Operand: FromBytes + IntoBytes + Immutable + KnownLayout + Copy {
    /// In a step's bytes.
    fn to_bytes(self) -> [u8; OPERAND] {
        const { assert!(size_of::<Self>() == OPERAND) };
        let mut bytes = [0; OPERAND];
        // Of one size.
        let _ = self.write_to(&mut bytes);
        bytes
    }
}

macro_rules! operand {
    ($($name:ident),*) => {$(
        const _: () = assert!(size_of::<$name>() == OPERAND);

        impl Operand for $name {}

        impl $name {
            /// Nothing; as a mask, nothing is written.
            pub const NONE: Self = zerocopy::transmute!([0u8; OPERAND]);

            /// From a step's bytes.
            #[inline(always)]
            pub fn of(bytes: &[u8; OPERAND]) -> Self {
                zerocopy::transmute!(*bytes)
            }
        }
    )*};
}

operand!(Ethernet, Ip, Ports, Arp);

#[inline(always)]
fn mac(old: Mac, value: Mac, mask: Mac) -> Mac {
    let (old, value, mask) = (old.octets(), value.octets(), mask.octets());
    let mut new = [0; 6];
    let mut at = 0;
    while at < 6 {
        new[at] = old[at] & !mask[at] | value[at] & mask[at];
        at += 1;
    }
    Mac::new(new)
}

#[inline(always)]
fn address(old: Ipv4, value: Ipv4, mask: Ipv4) -> Ipv4 {
    Ipv4::from_raw(old.raw() & !mask.raw() | value.raw() & mask.raw())
}

#[inline(always)]
fn half(old: Be16, value: Be16, mask: Be16) -> Be16 {
    Be16::from_raw(old.raw() & !mask.raw() | value.raw() & mask.raw())
}

/// Carries [`crate::flow::operation::SET_ETHERNET`] out.
#[inline(always)]
pub fn ethernet<F: Frame>(
    frame: &mut F,
    value: &[u8; OPERAND],
    mask: &[u8; OPERAND],
) -> Option<()> {
    let (value, mask) = (Ethernet::of(value), Ethernet::of(mask));
    let header: &mut ethernet::Header = frame.get_mut(0)?;
    header.dst = mac(header.dst, value.dst, mask.dst);
    header.src = mac(header.src, value.src, mask.src);
    Some(())
}

/// Carries [`crate::flow::operation::SET_IP`] out.
#[inline(always)]
pub fn ip_header<F: Frame>(
    frame: &mut F,
    value: &[u8; OPERAND],
    mask: &[u8; OPERAND],
) -> Option<()> {
    let (value, mask) = (Ip::of(value), Ip::of(mask));
    let (_, len) = ip(frame, 0)?;
    let header: &mut ipv4::Header = frame.get_mut(ethernet::LEN)?;
    let src = address(header.src, value.src, mask.src);
    let dst = address(header.dst, value.dst, mask.dst);
    let tos = header.tos & !mask.tos | value.tos & mask.tos;
    let ttl = header.ttl & !mask.ttl | value.ttl & mask.ttl;
    let addresses = Change::new()
        .word(header.src.raw(), src.raw())
        .word(header.dst.raw(), dst.raw());
    let pair = |first: u8, second: u8| u16::from_ne_bytes([first, second]);
    let change = addresses
        .half(
            pair(header.version_ihl, header.tos),
            pair(header.version_ihl, tos),
        )
        .half(
            pair(header.ttl, header.protocol),
            pair(ttl, header.protocol),
        );
    let has_changed = (header.src, header.dst) != (src, dst);
    header.checksum = Be16::from_raw(change.apply(header.checksum.raw()));
    (header.src, header.dst, header.tos, header.ttl) = (src, dst, tos, ttl);
    let (protocol, own) = (header.protocol, header.header_len());
    let is_later = header.is_later_fragment();
    if has_changed && !is_later {
        mend(frame, protocol, ethernet::LEN + own, len - own, addresses);
    }
    Some(())
}

/// Carries [`crate::flow::operation::SET_PORTS`] out.
#[inline(always)]
pub fn ports<F: Frame>(frame: &mut F, value: &[u8; OPERAND], mask: &[u8; OPERAND]) -> Option<()> {
    let (value, mask) = (Ports::of(value), Ports::of(mask));
    let (header, len) = ip(frame, 0)?;
    if header.is_later_fragment() {
        return Some(());
    }
    let (protocol, own) = (header.protocol, header.header_len());
    let at = ethernet::LEN + own;
    if !matches!(protocol, ipv4::TCP | ipv4::UDP) {
        return Some(());
    }
    // TCP and UDP begin alike: with the two ports.
    let [src, dst]: &mut [Be16; 2] = frame.get_mut(at)?;
    let new = [
        half(*src, value.src, mask.src),
        half(*dst, value.dst, mask.dst),
    ];
    let change = Change::new()
        .half(src.raw(), new[0].raw())
        .half(dst.raw(), new[1].raw());
    [*src, *dst] = new;
    mend(frame, protocol, at, len - own, change);
    Some(())
}

/// Mends the checksum of a transport header of `left` bytes with its data.
#[inline(always)]
fn mend<F: Frame>(frame: &mut F, protocol: u8, at: usize, left: usize, change: Change) {
    match protocol {
        ipv4::TCP if left >= tcp::LEN => {
            if let Some(tcp) = frame.get_mut::<tcp::Header>(at) {
                tcp.checksum = Be16::from_raw(change.apply(tcp.checksum.raw()));
            }
        }
        ipv4::UDP if left >= udp::LEN => {
            if let Some(udp) = frame.get_mut::<udp::Header>(at) {
                // RFC 768: zero means no checksum; a computed zero is sent as all ones.
                if udp.checksum.raw() != 0 {
                    let checksum = change.apply(udp.checksum.raw());
                    udp.checksum = Be16::from_raw(if checksum == 0 { 0xffff } else { checksum });
                }
            }
        }
        _ => {}
    }
}

/// Carries [`crate::flow::operation::SET_ARP`] out.
#[inline(always)]
pub fn arp<F: Frame>(frame: &mut F, value: &[u8; OPERAND], mask: &[u8; OPERAND]) -> Option<()> {
    let (value, mask) = (Arp::of(value), Arp::of(mask));
    let header: &mut arp::Header = frame.get_mut(ethernet::LEN)?;
    header.operation = half(header.operation, value.operation, mask.operation);
    let addresses: &mut arp::Addresses = frame.get_mut(ethernet::LEN + arp::HEADER_LEN)?;
    *addresses = arp::Addresses {
        sender_mac: mac(addresses.sender_mac, value.sender, mask.sender),
        sender_ip: address(addresses.sender_ip, value.sender_ip, mask.sender_ip),
        target_mac: mac(addresses.target_mac, value.target, mask.target),
        target_ip: address(addresses.target_ip, value.target_ip, mask.target_ip),
    };
    Some(())
}

#[cfg(test)]
#[path = "tests/set.rs"]
mod tests;
