//! Sources that callers name: any bytes stand for one, and each name gets a number of its own.
//!
//! A route has room for a number ([`Source`]), and the loads of the database take theirs from the same sequence, so a
//! caller's name is never taken for a load. A name keeps its number until the table is emptied, or until more than
//! [`NAMES`] names or [`BYTES`] bytes of them are known: then the name that was not used for the longest time is
//! forgotten. Should it be used again, it is another source than before.

use hashbrown::HashMap;

use crate::entry::Source;

/// How many names are known at most.
const NAMES: usize = 1000;
/// How many bytes they may have together; the newest name is known however long it is.
const BYTES: usize = 1 << 20;

#[derive(Default)]
pub(crate) struct Sources {
    numbers: HashMap<Box<[u8]>, Known>,
    bytes: usize,
    /// Counts uses.
    uses: u64,
}

struct Known {
    source: Source,
    last_use: u64,
}

impl Sources {
    /// The number of this name, if it has one.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Source> {
        self.numbers.get(name).map(|known| known.source)
    }

    /// The number of this name, which is `new` where it has none yet.
    pub(crate) fn number(&mut self, name: &[u8], new: impl FnOnce() -> Source) -> Source {
        self.uses += 1;
        if let Some(known) = self.numbers.get_mut(name) {
            known.last_use = self.uses;
            return known.source;
        }
        while self.numbers.len() >= NAMES || (self.bytes + name.len() > BYTES && !self.numbers.is_empty()) {
            self.forget_oldest();
        }
        let source = new();
        self.bytes += name.len();
        self.numbers.insert(name.into(), Known { source, last_use: self.uses });
        source
    }

    /// Forgets all names: no route is from any of them.
    pub(crate) fn clear(&mut self) {
        (self.numbers, self.bytes) = (HashMap::new(), 0);
    }

    fn forget_oldest(&mut self) {
        let oldest = self.numbers.iter().min_by_key(|(_, known)| known.last_use).map(|(name, _)| name.clone());
        if let Some(name) = oldest {
            self.bytes -= name.len();
            self.numbers.remove(&name);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// The number of `name`; a new one is `new`.
    fn number(sources: &mut Sources, name: &[u8], new: u32) -> u32 {
        sources.number(name, || Source(NonZeroU32::new(new).unwrap())).0.get()
    }

    #[test]
    fn a_name_keeps_its_number_and_no_two_share_one() {
        let mut sources = Sources::default();
        assert_eq!(sources.get(b"a"), None);
        assert_eq!((number(&mut sources, b"a", 1), number(&mut sources, b"", 2)), (1, 2));
        assert_eq!((number(&mut sources, b"a", 3), number(&mut sources, b"", 3)), (1, 2));
        assert_eq!(sources.get(b"a").unwrap().0.get(), 1);
        sources.clear();
        assert_eq!(number(&mut sources, b"a", 3), 3);
    }

    #[test]
    fn of_too_many_names_the_one_not_used_for_longest_is_forgotten() {
        let mut sources = Sources::default();
        for new in 1..=NAMES as u32 {
            number(&mut sources, &new.to_le_bytes(), new);
        }
        assert_eq!(number(&mut sources, &1u32.to_le_bytes(), 5000), 1);
        assert_eq!(number(&mut sources, b"one more", 5001), 5001);
        assert_eq!(sources.get(&2u32.to_le_bytes()), None);
        assert_eq!((sources.numbers.len(), number(&mut sources, &1u32.to_le_bytes(), 5002)), (NAMES, 1));
    }

    #[test]
    fn long_names_are_bounded_together() {
        let mut sources = Sources::default();
        number(&mut sources, &[1; BYTES / 2], 1);
        number(&mut sources, &[2; BYTES / 2], 2);
        number(&mut sources, &[3; BYTES / 2], 3);
        assert_eq!((sources.numbers.len(), sources.bytes), (2, BYTES));
        number(&mut sources, &[4; BYTES * 2], 4);
        assert_eq!((sources.numbers.len(), sources.bytes), (1, BYTES * 2));
        number(&mut sources, b"short", 5);
        assert_eq!((sources.numbers.len(), sources.bytes), (1, 5));
    }
}
