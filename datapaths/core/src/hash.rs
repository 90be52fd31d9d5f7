//! The hash by which Mizar picks bouncers, dividers, backends and outer source ports.

/// Mizar's seed.
const SEED: u32 = 0xdead_beef;
/// `JHASH_INITVAL` of include/linux/jhash.h.
const INITIAL: u32 = 0xdead_beef;

/// `jhash_2words` of include/linux/jhash.h with Mizar's seed. Addresses go in as they lie in memory on a
/// little-endian machine.
#[inline(always)]
pub const fn pair(first: u32, second: u32) -> u32 {
    let initial = SEED.wrapping_add(INITIAL).wrapping_add(2 << 2);
    let mut a = first.wrapping_add(initial);
    let mut b = second.wrapping_add(initial);
    let mut c = initial;
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

/// The UDP source port, in host order, that Mizar derives from a hash: 1024 to 6552.
#[inline(always)]
pub const fn source_port(hash: u32) -> u16 {
    1024 + (hash % 5529) as u16
}
