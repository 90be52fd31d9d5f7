//! IPv4 addresses as they lie in a packet.

use crate::Be32;
use core::net::Ipv4Addr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An IPv4 address in network byte order, aligned to two bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[cfg_attr(
    feature = "std",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "Ipv4Addr", into = "Ipv4Addr")
)]
#[repr(transparent)]
pub struct Ipv4(Be32);

impl Ipv4 {
    /// The address as it lies in memory: the form in which Mizar hashes addresses, and a table key.
    #[inline(always)]
    pub const fn raw(self) -> u32 {
        self.0.raw()
    }

    /// The inverse of [`Ipv4::raw`].
    #[inline(always)]
    pub const fn from_raw(raw: u32) -> Self {
        Self(Be32::from_raw(raw))
    }

    /// The address as a number in host order: 10.0.0.1 is 0x0a000001.
    #[inline(always)]
    pub const fn to_bits(self) -> u32 {
        self.0.get()
    }

    /// The address with these octets, in transmission order.
    #[inline(always)]
    pub const fn from_octets(octets: [u8; 4]) -> Self {
        Self::from_raw(u32::from_ne_bytes(octets))
    }

    /// The octets in transmission order.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 4] {
        self.raw().to_ne_bytes()
    }
}

impl From<Ipv4Addr> for Ipv4 {
    #[inline(always)]
    fn from(address: Ipv4Addr) -> Self {
        Self::from_octets(address.octets())
    }
}

impl From<Ipv4> for Ipv4Addr {
    #[inline(always)]
    fn from(address: Ipv4) -> Self {
        Self::from(address.octets())
    }
}

impl core::fmt::Display for Ipv4 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ipv4Addr::from(*self).fmt(f)
    }
}

impl core::fmt::Debug for Ipv4 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
