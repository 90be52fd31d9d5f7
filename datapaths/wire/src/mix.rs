//! Mixing bits for tables in memory: nothing on the wire depends on it.

/// Odd factors that mix well: those of `splitmix64`, by D. Stafford.
pub const FACTORS: [u64; 2] = [0x94d0_49bb_1331_11eb, 0xbf58_476d_1ce4_e5b9];

/// Mixes a sum so that its upper bits depend on all bits: those of a product do, lower ones on few.
#[inline(always)]
pub const fn upper(sum: u64, factor: u64) -> u64 {
    (sum ^ sum >> 32).wrapping_mul(factor)
}
