//! The hash by which Mizar picks bouncers, dividers, backends and source ports.

use mizar_wire::Ipv4;

/// The initial value that Mizar hashes with.
pub const SEED: u32 = 0xdead_beef;

/// `JHASH_INITVAL` of Linux.
const INITIAL: u32 = 0xdead_beef;

/// Bob Jenkins' lookup3 over two words, as Linux has it in `include/linux/jhash.h`.
pub fn jhash_2words(first: u32, second: u32, seed: u32) -> u32 {
    let start = seed.wrapping_add(INITIAL).wrapping_add(2 << 2);
    let mut a = first.wrapping_add(start);
    let mut b = second.wrapping_add(start);
    let mut c = start;
    // __jhash_final
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

/// The hash of a pair of addresses, which enter as they lie in a little-endian machine's memory.
pub(super) fn pair(src: Ipv4, dst: Ipv4) -> u32 {
    jhash_2words(little_endian(src), little_endian(dst), SEED)
}

/// The hash of an address and a port, for picking a backend.
pub(super) fn address_and_port(src: Ipv4, port: u16) -> u32 {
    let port = u16::from_le_bytes(port.to_be_bytes());
    jhash_2words(little_endian(src), u32::from(port), SEED)
}

/// Which of `count` bouncers or dividers packets from `src` to `dst` go by; nothing if there is none.
pub fn bouncer_index(src: Ipv4, dst: Ipv4, count: usize) -> Option<usize> {
    index(pair(src, dst), count)
}

/// `hash` modulo `count`.
pub(super) fn index(hash: u32, count: usize) -> Option<usize> {
    (hash as usize).checked_rem(count)
}

fn little_endian(ip: Ipv4) -> u32 {
    u32::from_le_bytes(ip.octets())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_enter_as_they_lie_in_memory() {
        let ip = |last| Ipv4::from_octets([10, 0, 0, last]);
        assert_eq!(
            pair(ip(1), ip(2)),
            jhash_2words(0x0100_000a, 0x0200_000a, SEED)
        );
        assert_eq!(
            address_and_port(ip(1), 80),
            jhash_2words(0x0100_000a, 0x5000, SEED)
        );
    }

    #[test]
    fn nothing_is_picked_from_nothing() {
        assert_eq!(index(5, 0), None);
        assert_eq!(index(5, 3), Some(2));
    }
}
