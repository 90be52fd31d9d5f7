//! Ethernet II.

use crate::{Be16, Mac};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// EtherType of IPv4.
pub const IPV4: Be16 = Be16::new(0x0800);
/// EtherType of ARP.
pub const ARP: Be16 = Be16::new(0x0806);

/// The Ethernet II header; the frame check sequence is never visible to a datapath here.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// Destination address.
    pub dst: Mac,
    /// Source address.
    pub src: Mac,
    /// Protocol of the payload.
    pub ethertype: Be16,
}

/// Bytes of the header.
pub const LEN: usize = size_of::<Header>();
