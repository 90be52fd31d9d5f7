//! The Internet Protocol, version 4 (RFC 791).

use crate::{Be16, Ipv4, checksum};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;

/// Version 4 and a header of five words: no options.
pub const VERSION_IHL: u8 = 0x45;

/// The header without options.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// Version in the upper, header length in 32-bit words in the lower four bits.
    pub version_ihl: u8,
    /// Type of service: DSCP in the upper six bits (RFC 2474).
    pub tos: u8,
    /// Bytes of header and payload.
    pub total_length: Be16,
    /// Identification.
    pub id: Be16,
    /// Flags in the upper three, fragment offset in the lower 13 bits.
    pub flags_fragment: Be16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Header checksum.
    pub checksum: Be16,
    /// Source address.
    pub src: Ipv4,
    /// Destination address.
    pub dst: Ipv4,
}

/// Bytes of the header without options.
pub const LEN: usize = size_of::<Header>();

/// Bits of [`Header::flags_fragment`] that are set in any fragment: more fragments, or an offset.
pub const FRAGMENT: Be16 = Be16::new(0x3fff);
/// Bits of [`Header::flags_fragment`] that hold the fragment offset.
pub const FRAGMENT_OFFSET: Be16 = Be16::new(0x1fff);

impl Header {
    /// Whether this is a fragment of a larger packet.
    #[inline(always)]
    pub const fn is_fragment(&self) -> bool {
        self.flags_fragment.raw() & FRAGMENT.raw() != 0
    }

    /// Whether this is a fragment other than the first, which carries no transport header.
    #[inline(always)]
    pub const fn is_later_fragment(&self) -> bool {
        self.flags_fragment.raw() & FRAGMENT_OFFSET.raw() != 0
    }

    /// Bytes of the header with its options, by its length field.
    #[inline(always)]
    pub const fn header_len(&self) -> usize {
        ((self.version_ihl & 0x0f) as usize) * 4
    }

    /// The sum over the header's words with the checksum field taken as zero, options left out.
    #[inline(always)]
    pub const fn sum(&self) -> u64 {
        (u16::from_ne_bytes([self.version_ihl, self.tos]) as u64)
            + self.total_length.raw() as u64
            + self.id.raw() as u64
            + self.flags_fragment.raw() as u64
            + (u16::from_ne_bytes([self.ttl, self.protocol]) as u64)
            + self.src.raw() as u64
            + self.dst.raw() as u64
    }

    /// The checksum that a header without options must carry.
    #[inline(always)]
    pub const fn expected_checksum(&self) -> Be16 {
        Be16::from_raw(checksum::fold(self.sum()))
    }
}
