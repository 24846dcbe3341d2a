//! The sources that callers name: any bytes are such a name, and each name has a [`Source`] of its own.
//!
//! A route holds a number, not a name. Loads of the database take their numbers from the same sequence, so a named
//! source is never confused with a load. A name keeps its number until the table is emptied, or until more than
//! [`MAX_NAMES`] names or [`MAX_BYTES`] bytes of names are known; then the least recently used name is forgotten. A
//! name that is used again after that is a new source.

use hashbrown::HashMap;

use crate::entry::Source;

/// The greatest number of known names.
const MAX_NAMES: usize = 1000;
/// The greatest number of bytes that the names have together. The newest name is known even if it alone is longer.
const MAX_BYTES: usize = 1 << 20;

#[derive(Default)]
pub(crate) struct NamedSources {
    sources: HashMap<Box<[u8]>, NamedSource>,
    bytes: usize,
    /// The number of calls of [`NamedSources::get_or_insert_with`].
    uses: u64,
}

struct NamedSource {
    source: Source,
    last_use: u64,
}

impl NamedSources {
    pub(crate) fn get(&self, name: &[u8]) -> Option<Source> {
        self.sources.get(name).map(|named| named.source)
    }

    /// The source of this name, which is `new` if the name is not known.
    pub(crate) fn get_or_insert_with(&mut self, name: &[u8], new: impl FnOnce() -> Source) -> Source {
        self.uses += 1;
        if let Some(named) = self.sources.get_mut(name) {
            named.last_use = self.uses;
            return named.source;
        }
        while self.sources.len() >= MAX_NAMES || (self.bytes + name.len() > MAX_BYTES && !self.sources.is_empty()) {
            self.forget_least_recently_used();
        }
        let source = new();
        self.bytes += name.len();
        self.sources.insert(name.into(), NamedSource { source, last_use: self.uses });
        source
    }

    /// Forgets all names, when no routes are left.
    pub(crate) fn clear(&mut self) {
        (self.sources, self.bytes) = (HashMap::new(), 0);
    }

    fn forget_least_recently_used(&mut self) {
        let oldest = self.sources.iter().min_by_key(|(_, named)| named.last_use).map(|(name, _)| name.clone());
        if let Some(name) = oldest {
            self.bytes -= name.len();
            self.sources.remove(&name);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// The number of the source of `name`, which is `new` if the name is not known.
    fn number(sources: &mut NamedSources, name: &[u8], new: u32) -> u32 {
        sources.get_or_insert_with(name, || Source(NonZeroU32::new(new).unwrap())).0.get()
    }

    #[test]
    fn a_name_keeps_its_number_and_no_two_names_share_one() {
        let mut sources = NamedSources::default();
        assert_eq!(sources.get(b"a"), None);
        assert_eq!((number(&mut sources, b"a", 1), number(&mut sources, b"", 2)), (1, 2));
        assert_eq!((number(&mut sources, b"a", 3), number(&mut sources, b"", 3)), (1, 2));
        assert_eq!(sources.get(b"a").unwrap().0.get(), 1);
        sources.clear();
        assert_eq!(number(&mut sources, b"a", 3), 3);
    }

    #[test]
    fn the_least_recently_used_of_too_many_names_is_forgotten() {
        let mut sources = NamedSources::default();
        for new in 1..=MAX_NAMES as u32 {
            number(&mut sources, &new.to_le_bytes(), new);
        }
        assert_eq!(number(&mut sources, &1u32.to_le_bytes(), 5000), 1);
        assert_eq!(number(&mut sources, b"one more", 5001), 5001);
        assert_eq!(sources.get(&2u32.to_le_bytes()), None);
        assert_eq!((sources.sources.len(), number(&mut sources, &1u32.to_le_bytes(), 5002)), (MAX_NAMES, 1));
    }

    #[test]
    fn the_names_are_bounded_together() {
        let mut sources = NamedSources::default();
        number(&mut sources, &[1; MAX_BYTES / 2], 1);
        number(&mut sources, &[2; MAX_BYTES / 2], 2);
        number(&mut sources, &[3; MAX_BYTES / 2], 3);
        assert_eq!((sources.sources.len(), sources.bytes), (2, MAX_BYTES));
        number(&mut sources, &[4; MAX_BYTES * 2], 4);
        assert_eq!((sources.sources.len(), sources.bytes), (1, MAX_BYTES * 2));
        number(&mut sources, b"short", 5);
        assert_eq!((sources.sources.len(), sources.bytes), (1, 5));
    }
}
