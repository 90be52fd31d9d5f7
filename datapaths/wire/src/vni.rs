//! Virtual network identifiers.

/// A Geneve virtual network identifier: 24 bits (RFC 8926 section 3.4). In Mizar it names a VPC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(
    feature = "std",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "u32", into = "u32")
)]
#[repr(transparent)]
pub struct Vni(u32);

impl Vni {
    /// The largest identifier.
    pub const MAX: u32 = 0x00ff_ffff;

    /// The identifier `value`, or nothing if it needs more than 24 bits.
    #[inline(always)]
    pub const fn new(value: u32) -> Option<Self> {
        if value <= Self::MAX {
            Some(Self(value))
        } else {
            None
        }
    }

    /// The identifier in the upper 24 bits of a header word; the lower eight are reserved.
    #[inline(always)]
    pub const fn from_header_word(word: u32) -> Self {
        Self(word >> 8)
    }

    /// The identifier as a number.
    #[inline(always)]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl core::fmt::Display for Vni {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core::fmt::Debug for Vni {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that does not fit the 24 bits of a virtual network identifier.
#[cfg(feature = "std")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("virtual network identifier {0} is above {max}, the largest that 24 bits hold", max = Vni::MAX)]
pub struct VniError(u32);

#[cfg(feature = "std")]
impl TryFrom<u32> for Vni {
    type Error = VniError;

    fn try_from(value: u32) -> Result<Self, Self::Error> {
        Self::new(value).ok_or(VniError(value))
    }
}

#[cfg(feature = "std")]
impl From<Vni> for u32 {
    fn from(vni: Vni) -> Self {
        vni.0
    }
}
