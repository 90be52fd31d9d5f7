//! The User Datagram Protocol (RFC 768).

use crate::Be16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The UDP header.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// Source port.
    pub src: Be16,
    /// Destination port.
    pub dst: Be16,
    /// Bytes of header and payload.
    pub length: Be16,
    /// Checksum; zero means that there is none.
    pub checksum: Be16,
}

/// Bytes of the header.
pub const LEN: usize = size_of::<Header>();
