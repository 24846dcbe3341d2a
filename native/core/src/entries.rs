//! All entries, found by name or by place.
//!
//! Entries lie in chunks and never move: a *place* is good for as long as its entry lives, so a
//! listing can be read in parts, and whoever was there throughout is listed once. The index maps a
//! name's hash to a place. It is cut into [`SEGMENTS`] small hash tables, which grow one at a time:
//! no insertion ever stops to move a million of them.
//!
//! Beside a place the index keeps half of the name's hash: enough to grow without reading the
//! entries again, which would be a cache miss each.
//!
//! Memory for N domains of up to 54 bytes: 64 N for the entries, 10 N to 21 N for the index. Places
//! of removed domains are used again; memory is not given back before the table is emptied.

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

/// What the index keeps of an entry.
struct Key {
    place: Place,
    hash: Half,
}

/// Half of a hash: the 25 lowest bits, which find a bucket, and the 7 highest, which tell most
/// names in a bucket apart. A small table of more than 2^25 buckets would still be right, but slow.
#[derive(Clone, Copy)]
struct Half(u32);

impl Half {
    const LOW: u64 = (1 << 25) - 1;

    #[inline]
    fn of(hash: u64) -> Half {
        Half((hash & Half::LOW) as u32 | (hash >> 57 << 25) as u32)
    }

    /// A hash for the index that is the same whether the name is at hand or only this half.
    #[inline]
    fn widen(self) -> u64 {
        (u64::from(self.0) & Half::LOW) | (u64::from(self.0) >> 25 << 57)
    }
}

pub(crate) struct Entries {
    chunks: Vec<Box<[Option<Entry>; CHUNK]>>,
    /// Places below `end` that are free.
    vacant: Vec<Place>,
    /// The first place that was never used.
    end: Place,
    index: Box<[HashTable<Key>]>,
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
        let (segment, half) = self.find(name);
        let key = self.index[segment].find(half.widen(), |key| entry(&self.chunks, key.place).name() == name)?;
        Some(entry(&self.chunks, key.place))
    }

    pub(crate) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Entry> {
        let (segment, half) = self.find(name);
        let key = self.index[segment].find(half.widen(), |key| entry(&self.chunks, key.place).name() == name)?;
        let (chunk, offset) = split(key.place);
        self.chunks[chunk][offset].as_mut()
    }

    /// Adds an entry whose name is not there yet (the caller looked).
    pub(crate) fn insert(&mut self, new: Entry) {
        let (segment, hash) = self.find(new.name());
        let place = self.take_place();
        let (chunk, offset) = split(place);
        self.chunks[chunk][offset] = Some(new);
        self.index[segment].insert_unique(hash.widen(), Key { place, hash }, |key| key.hash.widen());
    }

    /// Takes out the entry with this name.
    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<Entry> {
        let (segment, half) = self.find(name);
        let chunks = &self.chunks;
        let found = self.index[segment].find_entry(half.widen(), |key| entry(chunks, key.place).name() == name);
        let (Key { place, .. }, _) = found.ok()?.remove();
        self.vacant.push(place);
        let (chunk, offset) = split(place);
        self.chunks[chunk][offset].take()
    }

    /// The small table that knows this name, if any does, and the hash to ask it by. The small
    /// tables use a hash's ends, so the choice among them is by some bits in between.
    #[inline]
    fn find(&self, name: &[u8]) -> (usize, Half) {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(name);
        let hash = hasher.finish();
        ((hash >> 40) as usize % SEGMENTS, Half::of(hash))
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
