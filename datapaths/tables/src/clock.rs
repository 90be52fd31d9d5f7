//! A bounded map that evicts by second chance.

use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::hash::Hash;

/// Holds up to a fixed number of entries. A full map evicts the first entry that was not looked up since
/// the hand last passed it, as the kernel's LRU hash map does in spirit: cheap to look up, which exact
/// recency would not be.
///
/// What was looked up is noted outside the entries, in a byte for each, so that the hand walks along consecutive
/// memory. In the entries it would miss the processor's caches at every step.
#[derive(Debug, Clone)]
pub(crate) struct Clock<K, V> {
    slots: HashMap<K, Slot<V>, FxBuildHasher>,
    /// Keys by place, and whether they were looked up since the hand passed.
    ring: Vec<K>,
    referenced: Vec<bool>,
    hand: usize,
    capacity: usize,
}

#[derive(Debug, Clone)]
struct Slot<V> {
    value: V,
    /// Place in the ring.
    at: u32,
}

impl<K: Copy + Eq + Hash, V: Copy> Clock<K, V> {
    pub fn new(capacity: usize) -> Self {
        Self {
            slots: HashMap::default(),
            ring: Vec::new(),
            referenced: Vec::new(),
            hand: 0,
            capacity: capacity.clamp(1, u32::MAX as usize),
        }
    }

    #[inline(always)]
    pub fn get(&mut self, key: &K) -> Option<V> {
        let slot = self.slots.get(key)?;
        if let Some(referenced) = self.referenced.get_mut(slot.at as usize) {
            *referenced = true;
        }
        Some(slot.value)
    }

    pub fn set(&mut self, key: &K, value: V) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.value = value;
            self.referenced[slot.at as usize] = true;
            return;
        }
        let at = if self.ring.len() < self.capacity {
            self.ring.push(*key);
            self.referenced.push(false);
            self.ring.len() - 1
        } else {
            let freed = self.evict();
            self.ring[freed] = *key;
            freed
        };
        let at = at as u32;
        self.slots.insert(*key, Slot { value, at });
    }

    pub fn remove(&mut self, key: &K) {
        let Some(slot) = self.slots.remove(key) else {
            return;
        };
        let at = slot.at as usize;
        self.ring.swap_remove(at);
        self.referenced.swap_remove(at);
        // The last one took its place.
        if let Some(slot) = self.ring.get(at).and_then(|key| self.slots.get_mut(key)) {
            slot.at = at as u32;
        }
        if self.hand >= self.ring.len() {
            self.hand = 0;
        }
    }

    /// Takes out one entry and returns its place in the ring.
    fn evict(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.ring.len();
            if !std::mem::take(&mut self.referenced[at]) {
                self.slots.remove(&self.ring[at]);
                return at;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.slots.iter().map(|(key, slot)| (key, &slot.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_removed_makes_room_and_harms_no_other() {
        let mut cache = Clock::new(3);
        (0..3).for_each(|key| cache.set(&key, key * 10));
        cache.remove(&0);
        cache.remove(&7);
        assert_eq!(
            (cache.get(&0), cache.get(&1), cache.get(&2)),
            (None, Some(10), Some(20))
        );
        cache.set(&3, 30);
        assert_eq!(
            (cache.get(&1), cache.get(&2), cache.get(&3)),
            (Some(10), Some(20), Some(30))
        );
        (1..4).for_each(|key| cache.remove(&key));
        assert!(cache.is_empty());
        cache.set(&4, 40);
        assert_eq!(cache.get(&4), Some(40));
    }

    #[test]
    fn what_is_used_survives_what_is_not() {
        let mut cache = Clock::new(3);
        for key in 0..3 {
            cache.set(&key, key * 10);
        }
        assert_eq!(cache.get(&0), Some(0));
        cache.set(&3, 30);
        assert_eq!(
            cache.get(&0),
            Some(0),
            "looked up, so it had a second chance"
        );
        assert_eq!(cache.get(&1), None, "the first one never looked up");
        assert_eq!(cache.get(&3), Some(30));
    }

    proptest! {
        #[test]
        fn never_holds_more_than_its_capacity_and_never_lies(
            capacity in 1usize..8,
            operations in proptest::collection::vec((any::<bool>(), 0u8..16, any::<u8>()), 0..200),
        ) {
            let mut cache = Clock::new(capacity);
            let mut model = HashMap::new();
            for (set, key, value) in operations {
                if set {
                    cache.set(&key, value);
                    model.insert(key, value);
                    prop_assert_eq!(cache.get(&key), Some(value));
                } else if let Some(found) = cache.get(&key) {
                    prop_assert_eq!(Some(&found), model.get(&key));
                }
                prop_assert!(cache.iter().count() <= capacity);
                prop_assert_eq!(cache.iter().count(), cache.ring.len());
            }
        }
    }
}
