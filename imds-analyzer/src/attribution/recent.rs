//! A map of bounded size that forgets what was not used for the longest time.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// What an entry costs beside the memory that its value owns, bytes: two keys and
/// its places in both maps.
const ENTRY_BYTES: usize = 256;

/// Values that know what they cost.
pub(crate) trait Weight {
    /// Memory that the value owns on the heap, bytes; an estimate.
    fn heap_bytes(&self) -> usize;
}

/// Entries that cost at most `max_bytes` together; beyond, those that were neither
/// inserted nor asked for the longest are forgotten.
pub(crate) struct Recent<K, V> {
    entries: HashMap<K, Entry<V>>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
    bytes: usize,
    max_bytes: usize,
}

struct Entry<V> {
    used: u64,
    bytes: usize,
    value: V,
}

impl<K: Clone + Eq + Hash, V: Weight> Recent<K, V> {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            bytes: 0,
            max_bytes,
        }
    }

    /// The value of `key`, which counts as used now.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let entry = self.entries.get_mut(key)?;
        if let Some(key) = self.by_use.remove(&entry.used) {
            entry.used = self.uses;
            self.by_use.insert(self.uses, key);
            self.uses += 1;
        }
        Some(&entry.value)
    }

    /// Takes the value of `key` out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.used);
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        let entry = Entry {
            used: self.uses,
            bytes: ENTRY_BYTES + size_of::<V>() + value.heap_bytes(),
            value,
        };
        self.bytes += entry.bytes;
        self.by_use.insert(self.uses, key.clone());
        self.entries.insert(key, entry);
        self.uses += 1;
        while self.bytes > self.max_bytes
            && let Some((_, quietest)) = self.by_use.first_key_value()
        {
            let quietest = quietest.clone();
            self.remove(&quietest);
        }
    }
}

impl Weight for String {
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl<T: Weight> Weight for Option<T> {
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

impl<T: Weight> Weight for Vec<T> {
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(T::heap_bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry that costs this many bytes in all.
    struct Costs(usize);

    impl Weight for Costs {
        fn heap_bytes(&self) -> usize {
            self.0 - ENTRY_BYTES - size_of::<Self>()
        }
    }

    fn kept(recent: &Recent<u32, Costs>) -> Vec<u32> {
        let mut keys: Vec<u32> = recent.entries.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn entry_that_was_not_used_the_longest_makes_room() {
        let mut recent = Recent::new(3_000);
        for key in 1..=3 {
            recent.insert(key, Costs(1_000));
        }
        assert!(recent.get(&1).is_some());
        recent.insert(4, Costs(1_000));
        assert_eq!(kept(&recent), [1, 3, 4]);
    }

    #[test]
    fn replaced_value_gives_its_room_back() {
        let mut recent = Recent::new(3_000);
        recent.insert(1, Costs(2_000));
        recent.insert(1, Costs(1_000));
        recent.insert(2, Costs(2_000));
        assert_eq!(kept(&recent), [1, 2]);
    }

    #[test]
    fn heavy_entry_makes_several_go() {
        let mut recent = Recent::new(3_000);
        for key in 1..=3 {
            recent.insert(key, Costs(1_000));
        }
        recent.insert(4, Costs(2_000));
        assert_eq!(kept(&recent), [3, 4]);
    }

    #[test]
    fn entry_heavier_than_all_room_is_not_kept() {
        let mut recent = Recent::new(3_000);
        recent.insert(1, Costs(3_001));
        assert_eq!((kept(&recent), recent.bytes), (vec![], 0));
    }

    #[test]
    fn memory_is_bounded_and_both_maps_agree() {
        let mut recent = Recent::new(5_000);
        for key in 0..1_000 {
            recent.insert(key, Costs(500 + key as usize));
            recent.insert(key % 5, Costs(700));
            recent.get(&(key % 3));
            recent.remove(&(key % 7));
            assert!(recent.bytes <= 5_000);
            assert_eq!(recent.entries.len(), recent.by_use.len());
        }
        for key in 0..1_000 {
            recent.remove(&key);
        }
        assert_eq!((recent.bytes, recent.by_use.len()), (0, 0));
    }
}
