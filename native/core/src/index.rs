//! From a name's key to its place: a hash table that grows by one bucket at a time.
//!
//! It is linear hashing (Litwin, *Linear hashing: a new tool for file and table addressing*, 1980): a key's
//! lowest bits are the number of its bucket, and when there are more than [`FILL`] entries a bucket, one bucket
//! is added, with those of an older bucket that belong there by one bit more. So no addition ever moves more
//! than a few slots, and no table is ever replaced by a larger one, which lookups that take no lock could not
//! bear.
//!
//! A bucket is one cache line ([`line`](crate::line)); where it is too small it goes on in another one, as one
//! entry of twenty or so does.
//!
//! Memory: 64 bytes for 4 to 5 entries.

use crate::entries::Place;
use crate::line::{Key, Line, SLOTS, Slot, fill, slot, tags};
use crate::sync::{AtomicU64, Ordering};
use crate::versions::{STRIPES, Versions};
use crate::words::Words;

/// Entries a bucket on average, halves of them: nine. In a model eight entries, so that a bucket goes on before it
/// is split.
const FILL: usize = if cfg!(loom) { 16 } else { 9 };

/// Addresses for so many buckets: 4 GiB, for 300 million entries.
#[cfg(not(loom))]
const BUCKETS: usize = 1 << 26;
#[cfg(loom)]
const BUCKETS: usize = 4;

/// Addresses for so many lines that go on.
#[cfg(not(loom))]
const MORE: usize = BUCKETS / 4;
#[cfg(loom)]
const MORE: usize = 4;

/// Lines for going on that are kept ready: more than one change can need.
const READY: usize = 2;

/// How many buckets there are, and in its upper half the bits that tell all of them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(u64);

impl Size {
    fn new(count: usize) -> Size {
        Size((((count as u64).next_power_of_two() - 1) << 32) | count as u64)
    }

    fn count(self) -> usize {
        self.0 as u32 as usize
    }
}

impl Key {
    /// Which version stands for this key. Keys of one bucket have the same one, however many buckets there are: both
    /// go by the lowest bits, and there are never fewer buckets than versions.
    #[inline]
    pub(crate) fn stripe(self) -> usize {
        self.0 as usize
    }

    /// The bucket of this key when there are so many: those that are not split yet are found by one bit less.
    #[inline]
    fn bucket(self, Size(size): Size) -> usize {
        let (mask, count) = ((size >> 32) as u32, size as u32);
        let bucket = self.0 & mask;
        (if bucket < count { bucket } else { bucket & (mask >> 1) }) as usize
    }
}

/// The index, as lookups read it.
pub(crate) struct Index {
    buckets: Words,
    more: Words,
    /// A [`Size`].
    size: AtomicU64,
}

/// What only writers need to know of it.
pub(crate) struct Shelf {
    entries: usize,
    /// Free lines for going on.
    ready: Vec<u32>,
    /// The first such line that was never used.
    next: u32,
    /// What is being moved.
    slots: Vec<Slot>,
}

impl Shelf {
    pub(crate) fn new() -> Shelf {
        Shelf { entries: 0, ready: Vec::new(), next: 0, slots: Vec::new() }
    }
}

impl Index {
    pub(crate) fn new() -> Index {
        let words = |lines| Words::new(lines * size_of::<Line>() / size_of::<u64>());
        let index = Index { buckets: words(BUCKETS), more: words(MORE), size: AtomicU64::new(0) };
        index.clear();
        index
    }

    /// What `is` says of the first place with this key of which it says something. Late readers may be asked
    /// about any place.
    #[inline]
    pub(crate) fn find<R>(&self, key: Key, is: impl Fn(Place) -> Option<R>) -> Option<R> {
        let mut line = self.buckets.line(key.bucket(self.size()))?;
        // Lines never go on in a circle, and a late reader that is led about arrives when writers pause.
        loop {
            let tags = tags(line);
            for slot in tags.matches(key.tag()).map(|number| slot(line, number)) {
                if slot.key() == key
                    && let Some(found) = is(slot.place())
                {
                    return Some(found);
                }
            }
            if !tags.goes_on() {
                return None;
            }
            line = self.more.line(slot(line, SLOTS - 1).place() as usize)?;
        }
    }

    /// Reads where this key's slot will be read soon: then the processor need not wait for it then.
    #[inline]
    pub(crate) fn touch(&self, key: Key) -> u64 {
        self.buckets.line(key.bucket(self.size())).map_or(0, |line| tags(line).0)
    }

    #[inline]
    fn size(&self) -> Size {
        Size(self.size.load(Ordering::Relaxed))
    }

    /// The line of the bucket that this key belongs to.
    fn bucket(&self, key: Key) -> &Line {
        self.buckets.reserve_line(key.bucket(self.size()))
    }

    /// Adds an entry, and then perhaps a bucket.
    pub(crate) fn insert(&self, shelf: &mut Shelf, versions: &Versions, key: Key, place: Place) {
        let (bucket, new) = (self.bucket(key), Slot::new(key, place));
        self.make_ready(shelf);
        versions.write(key.stripe(), || match (0..SLOTS).find(|&number| slot(bucket, number) == Slot(0)) {
            Some(free) => {
                bucket[1 + free].store(new.0, Ordering::Relaxed);
                bucket[0].store(tags(bucket).with(free, key.tag()).0, Ordering::Relaxed);
            }
            None => {
                self.take_all(shelf, bucket);
                shelf.slots.push(new);
                self.put(shelf, bucket, |_| true);
                shelf.slots.clear();
            }
        });
        shelf.entries += 1;
        if shelf.entries * 2 > self.size().count() * FILL {
            self.split(shelf, versions);
        }
    }

    /// Takes the entry at this place out, which is there.
    pub(crate) fn remove(&self, shelf: &mut Shelf, versions: &Versions, key: Key, place: Place) {
        let bucket = self.bucket(key);
        versions.write(key.stripe(), || {
            self.take_all(shelf, bucket);
            self.put(shelf, bucket, |slot| slot.place() != place);
        });
        shelf.slots.clear();
        shelf.entries -= 1;
    }

    /// Adds a bucket.
    fn split(&self, shelf: &mut Shelf, versions: &Versions) {
        let (new, size) = (self.size().count(), Size::new(self.size().count() + 1));
        // Of all keys that belong to the new bucket, the one that has no other bits. They are in one bucket now.
        let key = Key(new as u32);
        let (from, to) = (self.bucket(key), self.buckets.reserve_line(new));
        versions.write(key.stripe(), || {
            self.take_all(shelf, from);
            self.size.store(size.0, Ordering::Relaxed);
            self.put(shelf, to, |slot| slot.key().bucket(size) == new);
            self.put(shelf, from, |slot| slot.key().bucket(size) != new);
        });
        shelf.slots.clear();
    }

    /// Takes all slots of a bucket. The lines in which it went on are free.
    fn take_all(&self, shelf: &mut Shelf, bucket: &Line) {
        let mut line = bucket;
        while tags(line).goes_on() {
            let next = slot(line, SLOTS - 1).place();
            shelf.slots.extend((0..SLOTS - 1).map(|number| slot(line, number)));
            shelf.ready.push(next);
            line = self.more.reserve_line(next as usize);
        }
        shelf.slots.extend((0..SLOTS).map(|number| slot(line, number)).filter(|&slot| slot != Slot(0)));
    }

    /// Puts those of the slots that were taken that belong to it into a bucket; what it had before is gone.
    fn put(&self, shelf: &mut Shelf, bucket: &Line, belongs: impl Fn(Slot) -> bool) {
        let mut rest = shelf.slots.iter().copied().filter(|&slot| belongs(slot)).count();
        let mut slots = shelf.slots.iter().copied().filter(|&slot| belongs(slot));
        let mut line = bucket;
        while rest > SLOTS {
            let next = shelf.ready.pop().expect("lines were made ready");
            fill(line, slots.by_ref().take(SLOTS - 1), Some(next));
            rest -= SLOTS - 1;
            line = self.more.reserve_line(next as usize);
        }
        fill(line, slots, None);
    }

    /// What may ask the system for memory is done before a change begins.
    fn make_ready(&self, shelf: &mut Shelf) {
        while shelf.ready.len() < READY {
            self.more.reserve_line(shelf.next as usize);
            shelf.ready.push(shelf.next);
            shelf.next += 1;
        }
    }

    /// Forgets everything. The caller sees to it that nobody reads meanwhile, and begins with a new [`Shelf`].
    pub(crate) fn clear(&self) {
        (0..STRIPES).for_each(|bucket| fill(self.buckets.reserve_line(bucket), std::iter::empty(), None));
        self.size.store(Size::new(STRIPES).0, Ordering::Relaxed);
    }

    /// How many bytes its lines take.
    pub(crate) fn bytes(&self, shelf: &Shelf) -> usize {
        (self.size().count() + shelf.next as usize) * size_of::<Line>()
    }

    /// Gives the memory of what is not used back.
    pub(crate) fn give_back(&self, shelf: &Shelf) {
        self.buckets.give_back(self.size().count() * (1 + SLOTS));
        self.more.give_back(shelf.next as usize * (1 + SLOTS));
    }
}
