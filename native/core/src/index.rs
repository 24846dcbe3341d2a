//! From a name's hash to its entry: a hash table that grows by one bucket at a time.
//!
//! It is linear hashing (Litwin, *Linear hashing: a new tool for file and table addressing*, 1980): the lowest bits of
//! a hash are the number of its bucket. When the buckets are too full, one is added, and takes over those names of one
//! older bucket that belong to it by one more bit. So an addition moves no more than a few slots, and the table is
//! never replaced by a larger one, which would be in the way of lookups that take no lock.
//!
//! A [`Bucket`] is one cache line. One of twenty or so is full and has an overflow bucket. The memory is 64 bytes for 4
//! to 5 names.
//!
//! This file has what lookups read; [`index_writer`](crate::index_writer) changes it.

use crate::arena::Arena;
use crate::bucket::{Bucket, OverflowNumber, SLOTS};
use crate::entries::EntryIndex;
use crate::hashed_name::NameHash;
use crate::seqlock::STRIPES;
use crate::sync::{AtomicU64, Ordering};

/// The number of overflow buckets that a lookup follows. With random hashes a bucket never needs more: that would be a
/// hundred names in a bucket that has five on average.
const MAX_OVERFLOWS: usize = 16;

/// The number of buckets, and in the upper half the bits that tell all of them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BucketCount(u64);

impl BucketCount {
    pub(crate) fn new(count: u32) -> BucketCount {
        BucketCount(((u64::from(count).next_power_of_two() - 1) << 32) | u64::from(count))
    }

    pub(crate) fn get(self) -> u32 {
        self.0 as u32
    }

    /// The number of the bucket of this hash. A bucket that does not exist yet is still part of one with one bit less.
    #[inline]
    pub(crate) fn bucket_of(self, hash: NameHash) -> u32 {
        let mask = (self.0 >> 32) as u32;
        let bucket = hash.0 & mask;
        if bucket < self.get() { bucket } else { bucket & (mask >> 1) }
    }
}

/// Numbered buckets.
pub(crate) struct Buckets(Arena<{ 1 + SLOTS }, STRIPES>);

impl Buckets {
    fn new() -> Buckets {
        Buckets(Arena::new())
    }

    #[inline]
    fn get(&self, number: u32) -> Option<Bucket<'_>> {
        self.0.get(number).map(Bucket)
    }

    /// The bucket of this number. Allocates its memory if need be.
    pub(crate) fn reserve(&self, number: u32) -> Bucket<'_> {
        Bucket(self.0.reserve(number, 1).first_chunk().expect("a bucket has 1 + SLOTS words"))
    }
}

/// The result of a search.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Search<R> {
    Found(R),
    NotFound,
    /// There were too many overflow buckets: most likely the lookup is late, and followed numbers that mean something
    /// else by now.
    GaveUp,
}

/// The index, as lookups read it.
pub(crate) struct Index {
    pub(crate) buckets: Buckets,
    pub(crate) overflow: Buckets,
    /// A [`BucketCount`].
    count: AtomicU64,
}

impl Index {
    pub(crate) fn new() -> Index {
        let count = AtomicU64::new(BucketCount::new(STRIPES as u32).0);
        Index { buckets: Buckets::new(), overflow: Buckets::new(), count }
    }

    #[inline]
    pub(crate) fn count(&self) -> BucketCount {
        BucketCount(self.count.load(Ordering::Relaxed))
    }

    pub(crate) fn set_count(&self, count: BucketCount) {
        self.count.store(count.0, Ordering::Relaxed);
    }

    /// The first `Some` that `matches` returns for the entries with this hash. A late lookup may call it with any
    /// index.
    #[inline]
    pub(crate) fn find<R>(&self, hash: NameHash, matches: impl Fn(EntryIndex) -> Option<R>) -> Search<R> {
        self.search(hash, MAX_OVERFLOWS, matches)
    }

    /// Like [`Index::find`], with any number of overflow buckets: only while no writer runs, when they form no circle.
    pub(crate) fn find_locked<R>(&self, hash: NameHash, matches: impl Fn(EntryIndex) -> Option<R>) -> Option<R> {
        match self.search(hash, usize::MAX, matches) {
            Search::Found(found) => Some(found),
            Search::NotFound | Search::GaveUp => None,
        }
    }

    #[inline]
    fn search<R>(&self, hash: NameHash, max_overflows: usize, matches: impl Fn(EntryIndex) -> Option<R>) -> Search<R> {
        // There is no bucket in an index that was never written, and perhaps none for a late lookup.
        let Some(bucket) = self.buckets.get(self.count().bucket_of(hash)) else { return Search::NotFound };
        match bucket.find(hash, &matches) {
            Ok(found) => Search::Found(found),
            Err(None) => Search::NotFound,
            Err(Some(overflow)) => self.search_overflow(overflow, hash, max_overflows, matches),
        }
    }

    #[cold]
    #[inline(never)]
    fn search_overflow<R>(
        &self,
        mut overflow: OverflowNumber,
        hash: NameHash,
        max_overflows: usize,
        matches: impl Fn(EntryIndex) -> Option<R>,
    ) -> Search<R> {
        for _ in 0..max_overflows {
            let Some(bucket) = self.overflow.get(overflow.0) else { return Search::NotFound };
            match bucket.find(hash, &matches) {
                Ok(found) => return Search::Found(found),
                Err(None) => return Search::NotFound,
                Err(Some(next)) => overflow = next,
            }
        }
        Search::GaveUp
    }

    /// Reads the bucket that a change of this name reads first, so that the processor has it in its cache soon.
    #[inline]
    pub(crate) fn prefetch(&self, hash: NameHash) -> u64 {
        self.buckets.get(self.count().bucket_of(hash)).map_or(0, Bucket::prefetch)
    }

    /// Returns all memory to the system. Only late lookups may still read the index.
    pub(crate) fn release_memory(&self) {
        self.buckets.0.release_memory();
        self.overflow.0.release_memory();
    }
}
