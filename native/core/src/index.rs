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

use crate::arena::Arena;
use crate::entries::Place;
use crate::fault;
use crate::line::{Further, Key, Line, SLOTS, Slot};
use crate::seqlock::{STRIPES, StripedSeqLock};
use crate::sync::{AtomicU64, Ordering};

/// Entries a bucket on average, halves of them: nine. In a model eight entries, so that a bucket goes on before it
/// is split.
const FILL: usize = if cfg!(loom) { 8 } else { 9 };

/// Lines for going on that are kept ready: more than one change can need.
const READY: usize = 2;

/// How far a lookup follows the lines of a bucket. A bucket that needs more is not to be expected in the life of the
/// universe: a hundred names in a bucket that has five.
const HOPS: usize = 16;

/// How many buckets there are, and in its upper half the bits that tell all of them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(u64);

impl Size {
    fn new(count: u32) -> Size {
        Size(((u64::from(count).next_power_of_two() - 1) << 32) | u64::from(count))
    }

    fn count(self) -> u32 {
        self.0 as u32
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
    fn bucket(self, Size(size): Size) -> u32 {
        let (mask, count) = ((size >> 32) as u32, size as u32);
        let bucket = self.0 & mask;
        if bucket < count { bucket } else { bucket & (mask >> 1) }
    }
}

/// Lines that are found by their number.
struct Lines(Arena<{ 1 + SLOTS }, STRIPES>);

impl Lines {
    #[inline]
    fn get(&self, number: u32) -> Option<Line<'_>> {
        self.0.get(number).map(Line)
    }

    /// A line that is there from now on.
    fn reserve(&self, number: u32) -> Line<'_> {
        Line(self.0.reserve(number, 1).first_chunk().expect("a line has as many words"))
    }
}

/// What a lookup that follows a bucket's lines comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Searched<R> {
    Found(R),
    /// No place of which anything is to be said has this key.
    Nothing,
    /// It went on too far: most likely it is late, and was led about.
    Lost,
}

/// The index, as lookups read it.
pub(crate) struct Index {
    buckets: Lines,
    further: Lines,
    /// A [`Size`].
    size: AtomicU64,
}

/// What only writers need to know of it.
pub(crate) struct Shelf {
    entries: usize,
    /// Free lines for going on.
    ready: Vec<Further>,
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
        Index {
            buckets: Lines(Arena::new()),
            further: Lines(Arena::new()),
            size: AtomicU64::new(Size::new(STRIPES as u32).0),
        }
    }

    /// What `is` says of the first place with this key of which it says something. Late readers may be asked
    /// about any place.
    #[inline]
    pub(crate) fn find<R>(&self, key: Key, is: impl Fn(Place) -> Option<R>) -> Searched<R> {
        self.search(key, HOPS, is)
    }

    /// As [`Index::find`], however far the bucket goes on, while nobody writes: it goes on in no circle then.
    pub(crate) fn find_alone<R>(&self, _shelf: &Shelf, key: Key, is: impl Fn(Place) -> Option<R>) -> Option<R> {
        match self.search(key, usize::MAX, is) {
            Searched::Found(found) => Some(found),
            Searched::Nothing | Searched::Lost => None,
        }
    }

    #[inline]
    fn search<R>(&self, key: Key, hops: usize, is: impl Fn(Place) -> Option<R>) -> Searched<R> {
        // There is none in an index that was never written to, or for a reader that is late.
        let Some(line) = self.buckets.get(key.bucket(self.size())) else { return Searched::Nothing };
        match line.find(key, &is) {
            Ok(found) => Searched::Found(found),
            Err(None) => Searched::Nothing,
            Err(Some(further)) => self.search_further(further, key, hops, is),
        }
    }

    #[cold]
    #[inline(never)]
    fn search_further<R>(
        &self,
        mut further: Further,
        key: Key,
        hops: usize,
        is: impl Fn(Place) -> Option<R>,
    ) -> Searched<R> {
        for _ in 0..hops {
            let Some(line) = self.further.get(further.0) else { return Searched::Nothing };
            match line.find(key, &is) {
                Ok(found) => return Searched::Found(found),
                Err(None) => return Searched::Nothing,
                Err(Some(next)) => further = next,
            }
        }
        Searched::Lost
    }

    /// Reads where this key's slot will be read soon: then the processor need not wait for it then.
    #[inline]
    pub(crate) fn touch(&self, key: Key) -> u64 {
        self.buckets.get(key.bucket(self.size())).map_or(0, |line| line.0[0].load(Ordering::Relaxed))
    }

    #[inline]
    fn size(&self) -> Size {
        Size(self.size.load(Ordering::Relaxed))
    }

    /// The line of the bucket that this key belongs to.
    fn bucket(&self, key: Key) -> Line<'_> {
        self.buckets.reserve(key.bucket(self.size()))
    }

    /// Asks the system for all memory that the addition of an entry may need, so that it is there when that begins.
    pub(crate) fn make_ready(&self, shelf: &mut Shelf) {
        while shelf.ready.len() < READY {
            fault::point();
            self.further.reserve(shelf.next);
            shelf.ready.push(Further(shelf.next));
            shelf.next += 1;
        }
        self.buckets.reserve(self.size().count());
    }

    /// Adds an entry, and then perhaps a bucket, after [`Index::make_ready`].
    pub(crate) fn insert(&self, shelf: &mut Shelf, versions: &StripedSeqLock, key: Key, place: Place) {
        let (bucket, new) = (self.bucket(key), Slot { key, place });
        versions.write(key.stripe(), || {
            if !bucket.add(new) {
                self.take_all(shelf, bucket);
                fault::point();
                shelf.slots.push(new);
                self.put(shelf, bucket, |_| true);
                shelf.slots.clear();
            }
            fault::point();
        });
        fault::point();
        shelf.entries += 1;
        if shelf.entries * 2 > self.size().count() as usize * FILL {
            self.split(shelf, versions);
        }
    }

    /// Takes the entry at this place out, which is there.
    pub(crate) fn remove(&self, shelf: &mut Shelf, versions: &StripedSeqLock, key: Key, place: Place) {
        let bucket = self.bucket(key);
        versions.write(key.stripe(), || {
            self.take_all(shelf, bucket);
            fault::point();
            self.put(shelf, bucket, |slot| slot.place != place);
            fault::point();
        });
        fault::point();
        shelf.slots.clear();
        shelf.entries -= 1;
    }

    /// Adds a bucket.
    fn split(&self, shelf: &mut Shelf, versions: &StripedSeqLock) {
        let (new, size) = (self.size().count(), Size::new(self.size().count() + 1));
        // Of all keys that belong to the new bucket, the one that has no other bits. They are in one bucket now.
        let key = Key(new);
        let (from, to) = (self.bucket(key), self.buckets.reserve(new));
        versions.write(key.stripe(), || {
            self.take_all(shelf, from);
            fault::point();
            self.size.store(size.0, Ordering::Relaxed);
            fault::point();
            self.put(shelf, to, |slot| slot.key.bucket(size) == new);
            fault::point();
            self.put(shelf, from, |slot| slot.key.bucket(size) != new);
        });
        shelf.slots.clear();
    }

    /// Takes all slots of a bucket. The lines in which it went on are free.
    fn take_all(&self, shelf: &mut Shelf, bucket: Line) {
        let mut line = bucket;
        loop {
            shelf.slots.extend(line.entries());
            let Some(further) = line.further() else { return };
            shelf.ready.push(further);
            line = self.further.reserve(further.0);
        }
    }

    /// Puts those of the slots that were taken that belong to it into a bucket; what it had before is gone.
    fn put(&self, shelf: &mut Shelf, bucket: Line, belongs: impl Fn(Slot) -> bool) {
        let mut rest = shelf.slots.iter().copied().filter(|&slot| belongs(slot)).count();
        let mut slots = shelf.slots.iter().copied().filter(|&slot| belongs(slot));
        let mut line = bucket;
        while rest > SLOTS {
            let next = shelf.ready.pop().expect("lines were made ready");
            line.fill(slots.by_ref().take(SLOTS - 1), Some(next));
            fault::point();
            rest -= SLOTS - 1;
            line = self.further.reserve(next.0);
        }
        line.fill(slots, None);
    }

    /// Forgets everything. The caller sees to it that nobody reads meanwhile, and begins with a new [`Shelf`].
    pub(crate) fn clear(&self) {
        (0..STRIPES as u32).for_each(|bucket| self.buckets.reserve(bucket).fill(std::iter::empty(), None));
        self.size.store(Size::new(STRIPES as u32).0, Ordering::Relaxed);
    }

    /// How many bytes its lines take.
    pub(crate) fn bytes(&self, shelf: &Shelf) -> usize {
        (self.size().count() as usize + shelf.next as usize) * size_of::<[AtomicU64; 1 + SLOTS]>()
    }

    /// Nobody reads it any more but those who are late: gives its memory back.
    pub(crate) fn give_back(&self) {
        self.buckets.0.give_back();
        self.further.0.give_back();
    }
}
