//! The Transmission Control Protocol (RFC 9293), as far as a forwarder reads it.

use crate::{Be16, Be32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The TCP header without options.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// Source port.
    pub src: Be16,
    /// Destination port.
    pub dst: Be16,
    /// Sequence number.
    pub sequence: Be32,
    /// Acknowledgement number.
    pub acknowledgement: Be32,
    /// Data offset in the upper four bits, flags in the lower eight.
    pub offset_flags: Be16,
    /// Window.
    pub window: Be16,
    /// Checksum.
    pub checksum: Be16,
    /// Urgent pointer.
    pub urgent: Be16,
}

/// Bytes of the header without options.
pub const LEN: usize = size_of::<Header>();
