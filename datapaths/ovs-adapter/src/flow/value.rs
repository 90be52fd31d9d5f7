//! Numbers as wide as the widest field.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitXor, Not, Shl, Shr};

/// An unsigned number of 256 bits: the value of a field, right-aligned, or a mask of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Value {
    high: u128,
    low: u128,
}

impl Value {
    /// Zero.
    pub const ZERO: Self = Self { high: 0, low: 0 };

    /// The lowest `bits` bits set, 0 to 256.
    pub const fn ones(bits: u16) -> Self {
        const fn half(bits: u16) -> u128 {
            if bits == 0 {
                0
            } else if bits >= 128 {
                u128::MAX
            } else {
                u128::MAX >> (128 - bits as u32)
            }
        }
        Self {
            high: half(bits.saturating_sub(128)),
            low: half(bits),
        }
    }

    /// The number that these bytes are in network order; of more than 32 the last 32 count.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        bytes
            .iter()
            .fold(Self::ZERO, |value, byte| value << 8 | Self::from(*byte))
    }

    /// Its lowest `N` bytes in network order.
    pub fn bytes<const N: usize>(self) -> [u8; N] {
        let all: [u8; 32] = std::array::from_fn(|index| {
            let half = if index < 16 { self.high } else { self.low };
            half.to_be_bytes()[index % 16]
        });
        std::array::from_fn(|index| (32 + index).checked_sub(N).map_or(0, |from| all[from]))
    }

    /// Its lowest `len` bytes in network order, 32 at the most.
    pub fn to_vec(self, len: usize) -> Vec<u8> {
        let all = self.bytes::<32>();
        all[32 - len.min(32)..].to_vec()
    }

    /// Its lowest 64 bits.
    pub const fn low_u64(self) -> u64 {
        self.low as u64
    }

    /// Whether it is zero.
    pub const fn is_zero(self) -> bool {
        self.high == 0 && self.low == 0
    }
}

impl<T: Into<u128>> From<T> for Value {
    fn from(low: T) -> Self {
        Self {
            high: 0,
            low: low.into(),
        }
    }
}

impl BitAnd for Value {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self {
            high: self.high & other.high,
            low: self.low & other.low,
        }
    }
}

impl BitOr for Value {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self {
            high: self.high | other.high,
            low: self.low | other.low,
        }
    }
}

impl BitXor for Value {
    type Output = Self;
    fn bitxor(self, other: Self) -> Self {
        Self {
            high: self.high ^ other.high,
            low: self.low ^ other.low,
        }
    }
}

impl Not for Value {
    type Output = Self;
    fn not(self) -> Self {
        Self {
            high: !self.high,
            low: !self.low,
        }
    }
}

impl Shl<u16> for Value {
    type Output = Self;
    fn shl(self, bits: u16) -> Self {
        match u32::from(bits) {
            0 => self,
            bits @ 1..128 => Self {
                high: self.high << bits | self.low >> (128 - bits),
                low: self.low << bits,
            },
            bits @ 128..256 => Self {
                high: self.low << (bits - 128),
                low: 0,
            },
            _ => Self::ZERO,
        }
    }
}

impl Shr<u16> for Value {
    type Output = Self;
    fn shr(self, bits: u16) -> Self {
        match u32::from(bits) {
            0 => self,
            bits @ 1..128 => Self {
                high: self.high >> bits,
                low: self.low >> bits | self.high << (128 - bits),
            },
            bits @ 128..256 => Self {
                high: 0,
                low: self.high >> (bits - 128),
            },
            _ => Self::ZERO,
        }
    }
}

impl fmt::LowerHex for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.high == 0 {
            return fmt::LowerHex::fmt(&self.low, f);
        }
        if f.alternate() {
            f.write_str("0x")?;
        }
        write!(f, "{:x}{:032x}", self.high, self.low)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_in_and_out() {
        let bytes: [u8; 28] = std::array::from_fn(|index| index as u8 + 1);
        let value = Value::from_bytes(&bytes);
        assert_eq!(value.bytes::<28>(), bytes);
        assert_eq!(value.to_vec(28), bytes);
        assert_eq!((value >> 216).low_u64(), 1);
        assert_eq!((value & Value::ones(8)).low_u64(), 28);
        assert_eq!(value.bytes::<40>()[..12], [0; 12]);
        assert_eq!(Value::from_bytes(&[1; 33]), Value::from_bytes(&[1; 32]));
    }

    #[test]
    fn shifts_cross_the_middle() {
        for by in 0..=256 {
            let ones = Value::ones(256);
            assert_eq!(ones >> by, Value::ones(256 - by), "{by}");
            assert_eq!(ones << by, !Value::ones(by), "{by}");
        }
        assert_eq!(
            format!("{:#x}", Value::from(1u8) << 132),
            format!("0x1{}", "0".repeat(33))
        );
    }
}
