//! Longest-prefix match on an IPv4 address, within an exact part of the key.

use mizar_wire::Ipv4;
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::hash::Hash;

/// Entries of one prefix length, by exact part and masked address.
type Masked<E, V> = HashMap<(E, u32), V, FxBuildHasher>;

/// A hash table per prefix length in use, longest first. Networks have few distinct lengths, so that a
/// lookup is one or two probes.
#[derive(Debug, Clone)]
pub(crate) struct PrefixTable<E, V> {
    lengths: Vec<(u32, Masked<E, V>)>,
}

impl<E: Copy + Eq + Hash, V> PrefixTable<E, V> {
    pub fn new() -> Self {
        Self {
            lengths: Vec::new(),
        }
    }

    /// Enters a prefix of `length` bits, 0 to 32.
    pub fn insert(&mut self, exact: E, address: Ipv4, length: u8, value: V) {
        let mask = u32::MAX
            .checked_shl(32 - u32::from(length.min(32)))
            .unwrap_or(0);
        let at = match self.lengths.binary_search_by(|(known, _)| mask.cmp(known)) {
            Ok(at) => at,
            Err(at) => {
                self.lengths.insert(at, (mask, HashMap::default()));
                at
            }
        };
        self.lengths[at]
            .1
            .insert((exact, address.to_bits() & mask), value);
    }

    #[inline(always)]
    pub fn get(&self, exact: E, address: Ipv4) -> Option<&V> {
        let bits = address.to_bits();
        self.lengths
            .iter()
            .find_map(|(mask, table)| table.get(&(exact, bits & mask)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use topologies::provision::Cidr;

    proptest! {
        #[test]
        fn agrees_with_linear_search(
            prefixes in proptest::collection::vec((0u8..2, any::<u32>(), 0u8..=32), 0..20),
            probes in proptest::collection::vec((0u8..2, any::<u32>()), 0..20),
        ) {
            // Few distinct addresses, so that prefixes nest.
            let address = |bits: u32| Ipv4::from_octets((bits & 0xf000_000f).to_be_bytes());
            let mut table = PrefixTable::new();
            let mut list: Vec<(u8, Cidr, usize)> = Vec::new();
            for (index, (exact, bits, length)) in prefixes.iter().enumerate() {
                let cidr = Cidr::new(address(*bits), *length).unwrap();
                table.insert(*exact, cidr.address(), *length, index);
                list.retain(|(e, c, _)| (e, c) != (exact, &cidr));
                list.push((*exact, cidr, index));
            }
            for (exact, bits) in probes {
                let expected = list
                    .iter()
                    .filter(|(e, c, _)| *e == exact && c.contains(address(bits)))
                    .max_by_key(|(_, c, _)| c.length())
                    .map(|(_, _, index)| *index);
                prop_assert_eq!(table.get(exact, address(bits)).copied(), expected);
            }
        }
    }
}
