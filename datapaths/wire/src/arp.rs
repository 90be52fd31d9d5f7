//! Address resolution for IPv4 over Ethernet (RFC 826).

use crate::{Be16, Ipv4, Mac, ethernet};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Hardware type of Ethernet.
pub const ETHERNET: Be16 = Be16::new(1);
/// Protocol type of IPv4.
pub const IPV4: Be16 = ethernet::IPV4;
/// Operation: request.
pub const REQUEST: Be16 = Be16::new(1);
/// Operation: reply.
pub const REPLY: Be16 = Be16::new(2);

/// The part that has the same size for every hardware and protocol.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// Hardware type.
    pub hardware: Be16,
    /// Protocol type.
    pub protocol: Be16,
    /// Bytes of a hardware address.
    pub hardware_len: u8,
    /// Bytes of a protocol address.
    pub protocol_len: u8,
    /// Request or reply.
    pub operation: Be16,
}

/// The addresses, for Ethernet and IPv4.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Addresses {
    /// Hardware address of the sender.
    pub sender_mac: Mac,
    /// Protocol address of the sender.
    pub sender_ip: Ipv4,
    /// Hardware address of the target.
    pub target_mac: Mac,
    /// Protocol address of the target.
    pub target_ip: Ipv4,
}

/// Bytes of [`Header`].
pub const HEADER_LEN: usize = size_of::<Header>();
