//! A map from names to routes: an index, and the entries that it leads to.

use crate::entries::{Entries, EntryIndex};
use crate::entry::{self, Header};
use crate::hashed_name::HashedName;
use crate::index::{Index, Search};

pub(crate) struct RouteMap {
    pub(crate) index: Index,
    pub(crate) entries: Entries,
}

impl RouteMap {
    pub(crate) fn new() -> RouteMap {
        RouteMap { index: Index::new(), entries: Entries::new() }
    }

    /// Finds the route of this name. Only a lookup under the seqlock calls this, since a writer may be at work.
    #[inline]
    pub(crate) fn find(&self, HashedName { name, hash }: HashedName) -> Search<Header> {
        self.index.find(hash, |index| entry::header_of(name, self.entries.get(index)?))
    }

    /// Finds the route of this name and its entry, while no writer is at work.
    pub(crate) fn find_locked(&self, HashedName { name, hash }: HashedName) -> Option<(EntryIndex, Header)> {
        let found = |index| Some((index, entry::header_of(name, self.entries.get(index)?)?));
        self.index.find_locked(hash, found)
    }

    /// Returns all memory to the system. Only late lookups may still read the map.
    pub(crate) fn release_memory(&self) {
        self.index.release_memory();
        self.entries.release_memory();
    }
}
