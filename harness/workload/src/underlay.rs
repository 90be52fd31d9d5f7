//! The underlay between droplets, as its BPF program and the program that loads it share it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// As many droplets as one underlay joins.
pub const DROPLETS: u32 = 512;
/// The type of an option in place of return-to-sender that says nothing, as stock switches write it.
pub const BLANK_RETURN: u8 = 0x4e;
/// Bits of a word.
const BITS: u32 = u64::BITS;

/// A port of the underlay, at which one droplet is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct UnderlayPort {
    /// The droplets that packets of this one do not reach: a bit for each.
    pub cut: [u64; (DROPLETS / BITS) as usize],
    /// The droplet's number.
    pub droplet: u32,
    /// Whether a droplet is here.
    pub active: u8,
    /// Whether packets from here lose their return-to-sender option, so that nobody learns a direct path from them.
    pub blank_return: u8,
    /// Whether it is kept when the last packet went from here to each droplet.
    pub timed: u8,
    /// Whether the ages of the tester's frames are summed up when they go from here to each droplet.
    pub aged: u8,
}

impl UnderlayPort {
    /// Whether packets from here reach a droplet.
    #[inline(always)]
    pub const fn reaches(&self, droplet: u32) -> bool {
        let word = self.cut[(droplet % DROPLETS / BITS) as usize];
        word >> (droplet % BITS) & 1 == 0
    }

    /// Cuts the way to a droplet, or mends it.
    pub const fn set_cut(&mut self, droplet: u32, cut: bool) {
        let word = &mut self.cut[(droplet % DROPLETS / BITS) as usize];
        let bit = 1 << (droplet % BITS);
        *word = if cut { *word | bit } else { *word & !bit };
    }
}

/// What became of a packet of a droplet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// It goes to a droplet, or would if nothing was cut.
    To(u32),
    /// Nobody has the address that it goes to.
    Nobody,
    /// It was cut off.
    Cut,
}

/// As many places as there are for counts of one droplet's packets.
const PLACES: u32 = DROPLETS + 2;

impl Crossing {
    /// As many places as there are for all counts.
    pub const ALL: u32 = Self::places(DROPLETS);

    /// As many as there are for counts of the first so many droplets.
    pub const fn places(droplets: u32) -> u32 {
        droplets * PLACES
    }

    /// Where packets from this droplet are counted, of which this became.
    #[inline(always)]
    pub const fn place(self, from: u32) -> u32 {
        let place = match self {
            Self::To(droplet) => droplet % DROPLETS,
            Self::Nobody => DROPLETS,
            Self::Cut => DROPLETS + 1,
        };
        (from % DROPLETS) * PLACES + place
    }
}

/// An Ethernet address as the key of a map.
#[inline(always)]
pub const fn key(address: [u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = address;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_crossing_has_a_place_of_its_own() {
        let mut places = HashSet::new();
        for from in 0..DROPLETS {
            for to in 0..DROPLETS {
                assert!(places.insert(Crossing::To(to).place(from)));
            }
            assert!(places.insert(Crossing::Nobody.place(from)));
            assert!(places.insert(Crossing::Cut.place(from)));
        }
        assert!(places.iter().all(|place| *place < Crossing::ALL));
        assert!(Crossing::Cut.place(4) < Crossing::places(5));
    }

    #[test]
    fn what_is_cut_is_not_reached() {
        for cut in [3, 64, DROPLETS - 1] {
            let mut port = UnderlayPort::default();
            port.set_cut(cut, true);
            let unreached = |port: &UnderlayPort| -> Vec<u32> {
                (0..DROPLETS).filter(|it| !port.reaches(*it)).collect()
            };
            assert_eq!(unreached(&port), [cut]);
            port.set_cut(cut, false);
            assert!(unreached(&port).is_empty());
        }
    }
}
