//! All entries, found by name or by place.
//!
//! Entries lie in chunks and never move: a *place* is good for as long as its entry lives, so a
//! listing can be read in parts, and whoever was there throughout is listed once. The index maps a
//! name's hash to a place. It is cut into [`SEGMENTS`] small hash tables, which grow one at a time:
//! no insertion ever stops to move a million of them.
//!
//! Memory for N domains of up to 54 bytes: 64 N for the entries, 6 N to 11.5 N for the index.
//! Places of removed domains are used again; memory is not given back before the table is emptied.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::entry::Entry;

/// How many small tables make the index. At ten million domains each holds ten thousand places, and
/// growing one takes well under a millisecond.
const SEGMENTS: usize = 1024;

/// Entries a chunk.
const CHUNK: usize = 1024;

/// Where an entry lies. Never more than four thousand million.
type Place = u32;

pub(crate) struct Entries {
    chunks: Vec<Box<[Option<Entry>; CHUNK]>>,
    /// Places below `end` that are free.
    vacant: Vec<Place>,
    /// The first place that was never used.
    end: Place,
    index: Box<[HashTable<Place>]>,
    /// Seeded at random: the names come from tenants, who must not choose the collisions.
    hashing: RandomState,
}

impl Entries {
    pub(crate) fn new() -> Entries {
        Entries {
            chunks: Vec::new(),
            vacant: Vec::new(),
            end: 0,
            index: (0..SEGMENTS).map(|_| HashTable::new()).collect(),
            hashing: RandomState::default(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Entry> {
        let hash = hash(&self.hashing, name);
        let place = self.index[segment(hash)].find(hash, |&place| entry(&self.chunks, place).name() == name)?;
        Some(entry(&self.chunks, *place))
    }

    pub(crate) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Entry> {
        let hash = hash(&self.hashing, name);
        let place = self.index[segment(hash)].find(hash, |&place| entry(&self.chunks, place).name() == name)?;
        let (chunk, offset) = split(*place);
        self.chunks[chunk][offset].as_mut()
    }

    /// Adds an entry whose name is not there yet (the caller looked).
    pub(crate) fn insert(&mut self, new: Entry) {
        let hash_of_new = hash(&self.hashing, new.name());
        let place = self.take_place();
        let (chunk, offset) = split(place);
        self.chunks[chunk][offset] = Some(new);
        let (chunks, hashing) = (&self.chunks, &self.hashing);
        self.index[segment(hash_of_new)]
            .insert_unique(hash_of_new, place, |&place| hash(hashing, entry(chunks, place).name()));
    }

    /// Takes out the entry with this name.
    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<Entry> {
        let hash = hash(&self.hashing, name);
        let chunks = &self.chunks;
        let found = self.index[segment(hash)].find_entry(hash, |&place| entry(chunks, place).name() == name);
        let (place, _) = found.ok()?.remove();
        self.vacant.push(place);
        let (chunk, offset) = split(place);
        self.chunks[chunk][offset].take()
    }

    /// The places `from..to` that hold an entry, `to` not being past the end.
    pub(crate) fn range(&self, from: Place, to: Place) -> impl Iterator<Item = (Place, &Entry)> {
        (from..to.min(self.end)).filter_map(|place| {
            let (chunk, offset) = split(place);
            self.chunks[chunk][offset].as_ref().map(|entry| (place, entry))
        })
    }

    /// The first place that was never used.
    pub(crate) fn end(&self) -> Place {
        self.end
    }

    fn take_place(&mut self) -> Place {
        if let Some(place) = self.vacant.pop() {
            return place;
        }
        let place = self.end;
        if split(place).0 == self.chunks.len() {
            self.chunks.push(Box::new([const { None }; CHUNK]));
        }
        // Four thousand million entries are 256 GiB; the machine ends first.
        self.end = place.checked_add(1).expect("places are 32 bits");
        place
    }
}

#[inline]
fn split(place: Place) -> (usize, usize) {
    (place as usize / CHUNK, place as usize % CHUNK)
}

#[inline]
fn entry(chunks: &[Box<[Option<Entry>; CHUNK]>], place: Place) -> &Entry {
    let (chunk, offset) = split(place);
    // The index names a place from when its entry is written until just before it is taken out.
    chunks[chunk][offset].as_ref().expect("an indexed place holds an entry")
}

#[inline]
fn hash(hashing: &RandomState, name: &[u8]) -> u64 {
    let mut hasher = hashing.build_hasher();
    hasher.write(name);
    hasher.finish()
}

/// The index's small tables use a hash's lowest and highest bits, so this takes some in between.
#[inline]
fn segment(hash: u64) -> usize {
    (hash >> 40) as usize % SEGMENTS
}
