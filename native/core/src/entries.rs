//! All entries, found by index, and the allocator that decides where new ones lie.
//!
//! An entry never moves, so its [`EntryIndex`] is valid for as long as the entry exists. A listing can therefore be
//! read in parts, and lists each domain that exists throughout exactly once.
//!
//! An index counts units of 16 bytes. An entry takes as many units as its name needs, and lies in a slab of 4 KiB whose
//! entries all have the same size; a slab keeps that size until the table is emptied. The indexes of removed entries
//! are used again by entries of the same size. Memory is returned to the system only when the table is emptied.
//!
//! Units without an entry are zero, so a listing skips them.

use crate::arena::Arena;
use crate::entry::{Entry, Header, MAX_WORDS, clear, words_for};
use crate::sync::AtomicU64;

/// Where an entry lies, in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryIndex(pub(crate) u32);

const WORDS_PER_UNIT: usize = 2;

#[cfg(not(loom))]
const UNITS_PER_SLAB: u32 = 256;
#[cfg(loom)]
const UNITS_PER_SLAB: u32 = 4;

/// The number of units in the arena's first page. A page holds whole slabs.
const FIRST_PAGE_UNITS: usize = if cfg!(loom) { UNITS_PER_SLAB as usize } else { 16 * UNITS_PER_SLAB as usize };

/// The number of possible sizes of an entry, in units and from 0 on. The longest name has 250 bytes.
const SIZES: usize = units_for(250) + 1;

const fn units_for(length: usize) -> usize {
    words_for(length).div_ceil(WORDS_PER_UNIT)
}

/// The entries, as lookups read them.
pub(crate) struct Entries(Arena<WORDS_PER_UNIT, FIRST_PAGE_UNITS>);

impl Entries {
    pub(crate) fn new() -> Entries {
        Entries(Arena::new())
    }

    /// The words from an index on: those of the entry there, and of what follows it. A late lookup may ask for an index
    /// that was never used.
    #[inline]
    pub(crate) fn get(&self, index: EntryIndex) -> Option<&[AtomicU64; MAX_WORDS]> {
        self.0.get(index.0)
    }

    /// The words of an entry of this size in units. Allocates their memory if need be.
    fn words(&self, index: EntryIndex, size: usize) -> &[AtomicU64] {
        self.0.reserve(index.0, size)
    }

    /// Returns all memory to the system. Only late lookups may still read the entries.
    pub(crate) fn release_memory(&self) {
        self.0.release_memory();
    }
}

/// Knows which indexes are in use. Belongs to the writer.
pub(crate) struct EntryAllocator {
    /// The size of the entries in each slab.
    slab_sizes: Vec<u8>,
    /// The free indexes, by the size of the entry.
    free: [Vec<EntryIndex>; SIZES],
}

impl EntryAllocator {
    /// An allocator for which no index is in use.
    pub(crate) fn new() -> EntryAllocator {
        EntryAllocator { slab_sizes: Vec::new(), free: [const { Vec::new() }; SIZES] }
    }

    /// Ensures that an index for a name of this length is free. Allocates memory if need be.
    pub(crate) fn reserve(&mut self, entries: &Entries, length: usize) {
        let size = units_for(length);
        if self.free[size].is_empty() {
            self.add_slab(entries, size);
        }
    }

    /// Takes an index for a name of this length, after [`EntryAllocator::reserve`]. The entry's words are zero.
    pub(crate) fn allocate<'a>(&mut self, entries: &'a Entries, length: usize) -> (EntryIndex, &'a [AtomicU64]) {
        let size = units_for(length);
        let index = self.free[size].pop().expect("an index was reserved");
        (index, entries.words(index, size))
    }

    /// Clears the entry at this index, whose name has this length, and frees the index.
    pub(crate) fn free(&mut self, entries: &Entries, index: EntryIndex, length: usize) {
        let size = units_for(length);
        clear(entries.words(index, size));
        self.free[size].push(index);
    }

    fn add_slab(&mut self, entries: &Entries, size: usize) {
        let begin = u32::try_from(self.slab_sizes.len()).ok().and_then(|slab| slab.checked_mul(UNITS_PER_SLAB));
        let begin = EntryIndex(begin.expect("no room for more domains: their names fill 64 GiB"));
        // Entries from before the table was emptied may still be here.
        clear(entries.words(begin, UNITS_PER_SLAB as usize));
        self.slab_sizes.push(size as u8);
        self.free[size].extend(indexes_of_slab(begin, size as u8).rev());
    }

    /// The entries from one index to before another one.
    pub(crate) fn range<'a>(
        &'a self,
        entries: &'a Entries,
        from: EntryIndex,
        to: EntryIndex,
    ) -> impl Iterator<Item = (EntryIndex, Entry<'a>)> {
        let last_slab = (to.0.div_ceil(UNITS_PER_SLAB) as usize).min(self.slab_sizes.len());
        let slabs = (from.0 / UNITS_PER_SLAB) as usize..last_slab;
        let indexes = slabs.flat_map(|slab| self.indexes(slab).zip(std::iter::repeat(self.slab_sizes[slab])));
        indexes.filter(move |(index, _)| (from..to).contains(index)).filter_map(|(index, size)| {
            let words = entries.words(index, usize::from(size));
            let header = Header::load(words);
            header.length().map(|_| (index, Entry { header, words }))
        })
    }

    /// Finds the free indexes again: those without an entry. This is correct wherever a change was interrupted.
    pub(crate) fn rebuild_free_lists(&mut self, entries: &Entries) {
        self.free.iter_mut().for_each(Vec::clear);
        for slab in (0..self.slab_sizes.len()).rev() {
            let size = self.slab_sizes[slab];
            for index in self.indexes(slab).rev() {
                if Header::load(entries.words(index, usize::from(size))).length().is_none() {
                    self.free[usize::from(size)].push(index);
                }
            }
        }
    }

    /// The bytes that the slabs and this allocator take.
    pub(crate) fn bytes(&self) -> usize {
        let free: usize = self.free.iter().map(Vec::capacity).sum();
        let slabs = self.end().0 as usize * WORDS_PER_UNIT * size_of::<AtomicU64>();
        slabs + self.slab_sizes.capacity() + free * size_of::<EntryIndex>()
    }

    fn indexes(&self, slab: usize) -> impl DoubleEndedIterator<Item = EntryIndex> + use<> {
        // `add_slab` checked that this does not overflow.
        indexes_of_slab(EntryIndex(slab as u32 * UNITS_PER_SLAB), self.slab_sizes[slab])
    }

    /// The index after the last slab.
    pub(crate) fn end(&self) -> EntryIndex {
        EntryIndex(self.slab_sizes.len() as u32 * UNITS_PER_SLAB)
    }
}

/// The indexes in a slab that begins here and holds entries of this size.
fn indexes_of_slab(begin: EntryIndex, size: u8) -> impl DoubleEndedIterator<Item = EntryIndex> {
    let count = UNITS_PER_SLAB.checked_div(u32::from(size)).unwrap_or(0);
    (0..count).map(move |number| EntryIndex(begin.0 + number * u32::from(size)))
}
