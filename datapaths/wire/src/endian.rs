//! Big-endian integers with an alignment of two bytes.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A 16-bit integer in network byte order.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Be16(u16);

impl Be16 {
    /// Stores `value`, given in host order.
    #[inline(always)]
    pub const fn new(value: u16) -> Self {
        Self(value.to_be())
    }

    /// The value in host order.
    #[inline(always)]
    pub const fn get(self) -> u16 {
        u16::from_be(self.0)
    }

    /// The value as it lies in memory: what a byte-order neutral table key or checksum wants.
    #[inline(always)]
    pub const fn raw(self) -> u16 {
        self.0
    }

    /// The inverse of [`Be16::raw`].
    #[inline(always)]
    pub const fn from_raw(raw: u16) -> Self {
        Self(raw)
    }
}

impl core::fmt::Debug for Be16 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.get().fmt(f)
    }
}

/// A 32-bit integer in network byte order, aligned to two bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Be32([u16; 2]);

impl Be32 {
    /// Stores `value`, given in host order.
    #[inline(always)]
    pub const fn new(value: u32) -> Self {
        Self::from_raw(value.to_be())
    }

    /// The value in host order.
    #[inline(always)]
    pub const fn get(self) -> u32 {
        u32::from_be(self.raw())
    }

    /// The value as it lies in memory.
    #[inline(always)]
    pub const fn raw(self) -> u32 {
        if cfg!(target_endian = "little") {
            self.0[0] as u32 | (self.0[1] as u32) << 16
        } else {
            (self.0[0] as u32) << 16 | self.0[1] as u32
        }
    }

    /// The inverse of [`Be32::raw`].
    #[inline(always)]
    pub const fn from_raw(raw: u32) -> Self {
        if cfg!(target_endian = "little") {
            Self([raw as u16, (raw >> 16) as u16])
        } else {
            Self([(raw >> 16) as u16, raw as u16])
        }
    }
}

impl core::fmt::Debug for Be32 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_in_network_byte_order() {
        assert_eq!(Be16::new(0x1234).as_bytes(), &[0x12, 0x34]);
        assert_eq!(Be32::new(0x1234_5678).as_bytes(), &[0x12, 0x34, 0x56, 0x78]);
        assert_eq!(Be32::new(0x1234_5678).get(), 0x1234_5678);
        assert_eq!(align_of::<Be32>(), 2);
    }
}
