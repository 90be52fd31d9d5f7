//! Bytes of a frame, by offset, and Internet checksums over them.

use mizar_wire::{Ipv4, Mac};

/// `N` octets at `at`, if the frame reaches that far.
pub fn octets<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Whether the frame has `count` octets at `at`.
pub fn reaches(frame: &[u8], at: usize, count: usize) -> bool {
    frame.len() >= at + count
}

/// One octet; zero beyond the end, for callers that have checked the length.
pub fn u8_at(frame: &[u8], at: usize) -> u8 {
    frame.get(at).copied().unwrap_or_default()
}

/// A 16-bit number in network byte order; zero beyond the end.
pub fn u16_at(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(octets(frame, at).unwrap_or_default())
}

/// An address; zero beyond the end.
pub fn ip_at(frame: &[u8], at: usize) -> Ipv4 {
    Ipv4::from_octets(octets(frame, at).unwrap_or_default())
}

/// An Ethernet address; zero beyond the end.
pub fn mac_at(frame: &[u8], at: usize) -> Mac {
    Mac::new(octets(frame, at).unwrap_or_default())
}

/// Overwrites octets; nothing happens beyond the end.
pub fn put(frame: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}

/// Overwrites a 16-bit number in network byte order.
pub fn put_u16(frame: &mut [u8], at: usize, value: u16) {
    put(frame, at, &value.to_be_bytes());
}

/// Overwrites an address.
pub fn put_ip(frame: &mut [u8], at: usize, ip: Ipv4) {
    put(frame, at, &ip.octets());
}

/// Overwrites an Ethernet address.
pub fn put_mac(frame: &mut [u8], at: usize, mac: Mac) {
    put(frame, at, &mac.octets());
}

/// The ones' complement sum of 16-bit numbers (RFC 1071).
fn ones_complement_sum(words: impl IntoIterator<Item = u16>) -> u16 {
    words.into_iter().fold(0, |sum: u16, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

/// The 16-bit numbers of some octets; a last odd octet is padded with zero.
fn words(octets: &[u8]) -> impl Iterator<Item = u16> {
    octets
        .chunks(2)
        .map(|pair| u16::from_be_bytes([u8_at(pair, 0), pair.get(1).copied().unwrap_or_default()]))
}

/// The Internet checksum of some octets.
pub fn checksum(octets: &[u8]) -> u16 {
    !ones_complement_sum(words(octets))
}

/// The checksum after `old` octets under it were replaced by `new` ones (RFC 1624, equation 3).
pub fn updated_checksum(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    if old == new {
        return checksum;
    }
    let out = words(old).map(|word| !word);
    !ones_complement_sum(std::iter::once(!checksum).chain(out).chain(words(new)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn updating_agrees_with_computing(old in any::<[u8; 12]>(), new in any::<[u8; 12]>()) {
            // Packets are never zero throughout; such a sum has two representations.
            let packet = |part: &[u8]| [&[0x45, 1], part].concat();
            let updated = updated_checksum(checksum(&packet(&old)), &old, &new);
            prop_assert_eq!(updated, checksum(&packet(&new)));
        }
    }

    #[test]
    fn beyond_the_end_there_is_nothing() {
        let mut frame = vec![1, 2, 3];
        assert_eq!(octets::<4>(&frame, 0), None);
        assert_eq!(octets::<2>(&frame, usize::MAX), None);
        put(&mut frame, 2, &[9, 9]);
        assert_eq!(frame, [1, 2, 3]);
    }
}
