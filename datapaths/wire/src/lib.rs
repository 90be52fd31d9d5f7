//! What a Mizar overlay packet looks like on the wire.
//!
//! One module a protocol, each with a `Header` whose fields are big-endian types; the newtypes ([`Mac`],
//! [`Ipv4`], [`Vni`]) that keep addresses apart; the [`checksum`] arithmetic of RFC 1071 and RFC 1624; and access to a
//! [`frame`] with every bound proven.
//! The crate compiles natively and to BPF: no allocation, no panics.
//!
//! Every header has an alignment of two bytes. Ethernet frames start at an even address on every
//! datapath here, so that 16-bit loads are always aligned, and BPF, which cannot load an unaligned word
//! in one instruction, needs half the loads of a byte-wise layout.

#![cfg_attr(not(feature = "std"), no_std)]

pub mod arp;
pub mod checksum;
mod endian;
pub mod ethernet;
pub mod frame;
pub mod geneve;
mod ip;
pub mod ipv4;
mod mac;
pub mod mix;
pub mod tcp;
pub mod udp;
mod vni;

pub use endian::{Be16, Be32};
pub use ip::Ipv4;
pub use mac::Mac;
#[cfg(feature = "std")]
pub use mac::MacError;
pub use vni::Vni;
#[cfg(feature = "std")]
pub use vni::VniError;

/// What every header type here can do: be read from, and written to, bytes at an even address.
pub trait Header:
    zerocopy::FromBytes + zerocopy::IntoBytes + zerocopy::KnownLayout + zerocopy::Immutable + Copy
{
}

impl<T> Header for T where
    T: zerocopy::FromBytes
        + zerocopy::IntoBytes
        + zerocopy::KnownLayout
        + zerocopy::Immutable
        + Copy
{
}
