//! Changes the index: adds and removes names, and splits buckets.
//!
//! Each change of a bucket happens inside [`StripedSeqLock::write`], so a lookup reads the bucket as it was before or
//! as it is afterwards.

use crate::bucket::{Bucket, OverflowNumber, SLOTS, Slot};
use crate::entries::EntryIndex;
use crate::fault::fault_point;
use crate::hashed_name::NameHash;
use crate::index::{BucketCount, Index};
use crate::seqlock::{STRIPES, StripedSeqLock};
use crate::sync::AtomicU64;

/// How many names there are for two buckets before one is added. In a model there are eight, so that a bucket overflows
/// before it is split.
const NAMES_PER_TWO_BUCKETS: usize = if cfg!(loom) { 8 } else { 9 };

/// How many free overflow buckets there are before a change begins: as many as one change can need.
const FREE_OVERFLOWS: usize = 2;

/// What the writer knows of an index. It changes the index that it was created for, and no other.
pub(crate) struct IndexWriter {
    names: usize,
    free_overflows: Vec<OverflowNumber>,
    /// The first overflow bucket that was never used.
    next_overflow: u32,
    /// The slots that are being moved, empty between changes.
    moving: Vec<Slot>,
}

impl IndexWriter {
    /// The writer of an empty index.
    pub(crate) fn new() -> IndexWriter {
        IndexWriter { names: 0, free_overflows: Vec::new(), next_overflow: 0, moving: Vec::new() }
    }

    /// Empties an index that no lookup reads meanwhile, and returns its writer.
    pub(crate) fn clear(index: &Index) -> IndexWriter {
        (0..STRIPES as u32).for_each(|bucket| index.buckets.reserve(bucket).fill(std::iter::empty(), None));
        index.set_count(BucketCount::new(STRIPES as u32));
        IndexWriter::new()
    }

    /// The bucket of this hash.
    fn bucket<'a>(&self, index: &'a Index, hash: NameHash) -> Bucket<'a> {
        index.buckets.reserve(index.count().bucket_of(hash))
    }

    /// Allocates all memory that an addition may need, so that the addition itself allocates none.
    pub(crate) fn reserve(&mut self, index: &Index) {
        while self.free_overflows.len() < FREE_OVERFLOWS {
            fault_point();
            index.overflow.reserve(self.next_overflow);
            self.free_overflows.push(OverflowNumber(self.next_overflow));
            self.next_overflow += 1;
        }
        index.buckets.reserve(index.count().get());
    }

    /// Adds a name, and perhaps a bucket, after [`IndexWriter::reserve`].
    pub(crate) fn insert(&mut self, index: &Index, seqlock: &StripedSeqLock, hash: NameHash, entry: EntryIndex) {
        let (bucket, slot) = (self.bucket(index, hash), Slot { hash, entry });
        seqlock.write(hash.stripe(), || {
            if !bucket.add(slot) {
                self.take_slots(index, bucket);
                fault_point();
                self.moving.push(slot);
                self.put_slots(index, bucket, |_| true);
                self.moving.clear();
            }
            fault_point();
        });
        fault_point();
        self.names += 1;
        if self.names * 2 > index.count().get() as usize * NAMES_PER_TWO_BUCKETS {
            self.add_bucket(index, seqlock);
        }
    }

    /// Removes the name with this entry, which must be there.
    pub(crate) fn remove(&mut self, index: &Index, seqlock: &StripedSeqLock, hash: NameHash, entry: EntryIndex) {
        let bucket = self.bucket(index, hash);
        seqlock.write(hash.stripe(), || {
            self.take_slots(index, bucket);
            fault_point();
            self.put_slots(index, bucket, |slot| slot.entry != entry);
            fault_point();
        });
        fault_point();
        self.moving.clear();
        self.names -= 1;
    }

    /// Adds a bucket, and moves to it the names that belong there.
    fn add_bucket(&mut self, index: &Index, seqlock: &StripedSeqLock) {
        let (new, count) = (index.count().get(), BucketCount::new(index.count().get() + 1));
        // One of the hashes that belong to the new bucket. Until now they all belong to the same older one.
        let hash = NameHash(new);
        let (from, to) = (self.bucket(index, hash), index.buckets.reserve(new));
        seqlock.write(hash.stripe(), || {
            self.take_slots(index, from);
            fault_point();
            index.set_count(count);
            fault_point();
            self.put_slots(index, to, |slot| count.bucket_of(slot.hash) == new);
            fault_point();
            self.put_slots(index, from, |slot| count.bucket_of(slot.hash) != new);
        });
        self.moving.clear();
    }

    /// Reads all slots of a bucket and frees its overflow buckets.
    fn take_slots<'a>(&mut self, index: &'a Index, mut bucket: Bucket<'a>) {
        loop {
            self.moving.extend(bucket.slots());
            let Some(overflow) = bucket.overflow() else { return };
            self.free_overflows.push(overflow);
            bucket = index.overflow.reserve(overflow.0);
        }
    }

    /// Fills a bucket with those of the moving slots that belong to it. Its old content is lost.
    fn put_slots<'a>(&mut self, index: &'a Index, mut bucket: Bucket<'a>, belongs: impl Fn(Slot) -> bool) {
        let mut slots = self.moving.iter().copied().filter(|&slot| belongs(slot));
        let mut rest = slots.clone().count();
        while rest > SLOTS {
            let next = self.free_overflows.pop().expect("overflow buckets were reserved");
            bucket.fill(slots.by_ref().take(SLOTS - 1), Some(next));
            fault_point();
            rest -= SLOTS - 1;
            bucket = index.overflow.reserve(next.0);
        }
        bucket.fill(slots, None);
    }

    /// The bytes that the buckets take.
    pub(crate) fn bytes(&self, index: &Index) -> usize {
        (index.count().get() as usize + self.next_overflow as usize) * size_of::<[AtomicU64; 1 + SLOTS]>()
    }
}
