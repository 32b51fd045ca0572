//! A map that forgets its oldest entries.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// At most `capacity` entries; a new one takes the place of the one that was
/// inserted the longest ago.
pub(super) struct Recent<K, V> {
    entries: HashMap<K, (u64, V)>,
    by_age: BTreeMap<u64, K>,
    inserted: u64,
    capacity: usize,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            inserted: 0,
            capacity,
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let age = self.inserted;
        self.inserted += 1;
        if let Some((former, _)) = self.entries.insert(key.clone(), (age, value)) {
            self.by_age.remove(&former);
        }
        self.by_age.insert(age, key);
        if self.entries.len() > self.capacity
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_entry_makes_room() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        recent.insert("b", 2);
        recent.insert("a", 3);
        recent.insert("c", 4);
        assert_eq!(recent.get(&"a"), Some(&3));
        assert_eq!(recent.get(&"b"), None);
        assert_eq!(recent.get(&"c"), Some(&4));
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = Recent::new(3);
        for key in 0..1_000 {
            recent.insert(key, key);
            recent.insert(key % 5, key);
        }
        assert_eq!((recent.entries.len(), recent.by_age.len()), (3, 3));
    }
}
