//! Changes a route map, by one writer at a time.
//!
//! [`RouteWriter`] is what the writer knows of a map. There is one for each map, so the code that has it is the only
//! writer. A [`WriteSession`] is one turn of that writer, and makes the changes.

use crate::entries::{EntryAllocator, EntryIndex};
use crate::entry::{self, Entry, Header, Origin};
use crate::fault::fault_point;
use crate::hashed_name::{HashedName, NameHasher};
use crate::host_types::HostTypeId;
use crate::index_writer::IndexWriter;
use crate::route_map::RouteMap;
use crate::seqlock::StripedSeqLock;

/// What the writer of a route map knows of it.
pub(crate) struct RouteWriter {
    entries: EntryAllocator,
    index: IndexWriter,
}

impl RouteWriter {
    /// The writer of an empty map.
    pub(crate) fn new() -> RouteWriter {
        RouteWriter { entries: EntryAllocator::new(), index: IndexWriter::new() }
    }

    /// The entries from one index to before another one.
    pub(crate) fn range<'a>(
        &'a self,
        map: &'a RouteMap,
        from: EntryIndex,
        to: EntryIndex,
    ) -> impl Iterator<Item = (EntryIndex, Entry<'a>)> {
        self.entries.range(&map.entries, from, to)
    }

    /// The bytes that the entries take, and those that the index takes.
    pub(crate) fn bytes(&self, map: &RouteMap) -> (usize, usize) {
        (self.entries.bytes(), self.index.bytes(&map.index))
    }

    /// The index after the last entry.
    pub(crate) fn end(&self) -> EntryIndex {
        self.entries.end()
    }
}

/// One turn of a writer.
pub(crate) struct WriteSession<'a> {
    map: &'a RouteMap,
    seqlock: &'a StripedSeqLock,
    hasher: &'a NameHasher,
    writer: &'a mut RouteWriter,
}

impl<'a> WriteSession<'a> {
    pub(crate) fn begin(
        map: &'a RouteMap,
        seqlock: &'a StripedSeqLock,
        hasher: &'a NameHasher,
        writer: &'a mut RouteWriter,
    ) -> WriteSession<'a> {
        seqlock.begin_turn();
        WriteSession { map, seqlock, hasher, writer }
    }

    /// Empties a map that no lookup reads.
    pub(crate) fn clear(&mut self) {
        *self.writer = RouteWriter { entries: EntryAllocator::new(), index: IndexWriter::clear(&self.map.index) };
    }

    /// Adds a route for a name that has none. The caller has made sure of that.
    pub(crate) fn insert(&mut self, HashedName { name, hash }: HashedName, host_type: HostTypeId, origin: Origin) {
        let RouteMap { index, entries } = self.map;
        self.writer.entries.reserve(entries, name.len());
        fault_point();
        self.writer.index.reserve(index);
        let (entry, words) = self.writer.entries.allocate(entries, name.len());
        fault_point();
        // No lookup finds the entry until the index has it.
        entry::write(words, name, Header::new(name, host_type, origin));
        fault_point();
        self.writer.index.insert(index, self.seqlock, hash, entry);
    }

    /// Replaces the route in an entry with this header.
    pub(crate) fn set(&mut self, (entry, header): (EntryIndex, Header), host_type: HostTypeId, origin: Origin) {
        if let Some(words) = self.map.entries.get(entry) {
            header.with_route(host_type, origin).store(words);
        }
    }

    /// Removes the route with this name and this entry.
    pub(crate) fn remove(&mut self, HashedName { name, hash }: HashedName, entry: EntryIndex) {
        let RouteMap { index, entries } = self.map;
        self.writer.index.remove(index, self.seqlock, hash, entry);
        // A lookup that found the entry before that and reads it only now sees that its stripe's version has changed.
        self.writer.entries.free(entries, entry, name.len());
    }

    /// Rebuilds the index from the entries after an interrupted change, as one change: each route whose entry exists is
    /// found afterwards, and nothing else. Returns the header of each route.
    pub(crate) fn rebuild(&mut self) -> Vec<Header> {
        let RouteMap { index, entries } = self.map;
        self.seqlock.write_all(|| {
            let writer = &mut *self.writer;
            writer.index = IndexWriter::clear(index);
            writer.entries.rebuild_free_lists(entries);
            let mut name = Vec::new();
            let all = writer.entries.range(entries, EntryIndex(0), writer.entries.end());
            let headers = all.map(|(entry_index, entry)| {
                name.clear();
                entry.push_name(&mut name);
                writer.index.reserve(index);
                writer.index.insert(index, self.seqlock, self.hasher.hash(&name).hash, entry_index);
                entry.header
            });
            headers.collect()
        })
    }
}
