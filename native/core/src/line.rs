//! A line of the index: a cache line that holds up to seven entries' keys and places.
//!
//! ```text
//! word 0        a byte for each slot: 0 where it is free, or the upper seven bits of its key and a bit that is set;
//!               and a byte that is 1 where the line goes on
//! word 1 to 7   slots: the key in the lower half, the place in the upper one
//! ```
//!
//! The bytes of word 0 are compared with a name's all at once. Where there are more than seven entries, the last
//! slot holds the number of a line that goes on. A key tells most other names apart without reading their
//! entries, and can be moved without reading any.

use crate::entries::Place;
use crate::sync::{AtomicU64, Ordering};

/// Slots of a line.
pub(crate) const SLOTS: usize = 7;

/// Half of a name's hash: which bucket it belongs to, and what tells it from others there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) u32);

impl Key {
    #[inline]
    fn tag(self) -> u8 {
        (self.0 >> 24) as u8 | Tags::TAKEN
    }
}

/// Which of the lines that others go on in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Further(pub(crate) u32);

/// An entry's key and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) place: Place,
}

impl Slot {
    #[inline]
    fn from_word(word: u64) -> Slot {
        Slot { key: Key(word as u32), place: Place((word >> 32) as u32) }
    }

    fn to_word(self) -> u64 {
        u64::from(self.place.0) << 32 | u64::from(self.key.0)
    }
}

/// The first word of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tags(u64);

impl Tags {
    const ONES: u64 = 0x0001_0101_0101_0101;
    const HIGHEST: u64 = 0x0080_8080_8080_8080;
    const GOES_ON: u64 = 1 << 56;
    const FREE: u8 = 0;
    /// A bit of each tag of a slot that is not free.
    const TAKEN: u8 = 1;

    fn with(self, slot: usize, tag: u8) -> Tags {
        Tags(self.0 | u64::from(tag) << (8 * slot))
    }

    fn at(self, slot: usize) -> u8 {
        (self.0 >> (8 * slot)) as u8
    }

    /// The slots that have this tag, as set bits; perhaps some more after the first one, but never fewer.
    #[inline]
    fn matches(self, tag: u8) -> Matches {
        // A byte is zero where the tags are the same. Taking one away from it borrows, which shows in its highest bit.
        let different = self.0 ^ (u64::from(tag) * Tags::ONES);
        Matches(different.wrapping_sub(Tags::ONES) & !different & Tags::HIGHEST)
    }

    #[inline]
    fn goes_on(self) -> bool {
        self.0 & Tags::GOES_ON != 0
    }

    /// How many slots may hold entries: where the line goes on, the last one does not.
    fn slots(self) -> usize {
        if self.goes_on() { SLOTS - 1 } else { SLOTS }
    }
}

/// Some slots of a line, from the first to the last.
struct Matches(u64);

impl Iterator for Matches {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let slot = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0.wrapping_sub(1);
        (slot < SLOTS).then_some(slot)
    }
}

/// A line.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a>(pub(crate) &'a [AtomicU64; 1 + SLOTS]);

impl<'a> Line<'a> {
    #[inline]
    fn tags(self) -> Tags {
        Tags(self.0[0].load(Ordering::Relaxed))
    }

    /// What is in a slot that is not free.
    #[inline]
    fn slot(self, number: usize) -> Slot {
        Slot::from_word(self.0[1 + number].load(Ordering::Relaxed))
    }

    /// What `is` says of the first place with this key of which it says something, or else where the line goes on, if
    /// it does.
    #[inline]
    pub(crate) fn find<R>(self, key: Key, is: impl Fn(Place) -> Option<R>) -> Result<R, Option<Further>> {
        let tags = self.tags();
        for slot in tags.matches(key.tag()).map(|number| self.slot(number)) {
            if slot.key == key
                && let Some(found) = is(slot.place)
            {
                return Ok(found);
            }
        }
        Err(self.goes_on(tags))
    }

    #[inline]
    fn goes_on(self, tags: Tags) -> Option<Further> {
        tags.goes_on().then(|| Further((self.0[SLOTS].load(Ordering::Relaxed) >> 32) as u32))
    }

    /// Where the line goes on, if it does.
    pub(crate) fn further(self) -> Option<Further> {
        self.goes_on(self.tags())
    }

    /// All that is in it.
    pub(crate) fn entries(self) -> impl Iterator<Item = Slot> + use<'a> {
        let tags = self.tags();
        (0..tags.slots()).filter(move |&number| tags.at(number) != Tags::FREE).map(move |number| self.slot(number))
    }

    /// Puts an entry into a free slot, if there is one.
    pub(crate) fn add(self, slot: Slot) -> bool {
        let tags = self.tags();
        // The first match is always right.
        let Some(free) = tags.matches(Tags::FREE).next().filter(|&free| free < tags.slots()) else { return false };
        self.0[1 + free].store(slot.to_word(), Ordering::Relaxed);
        self.0[0].store(tags.with(free, slot.key.tag()).0, Ordering::Relaxed);
        true
    }

    /// Writes the whole line: what is in it, and where it goes on.
    pub(crate) fn fill(self, entries: impl Iterator<Item = Slot>, further: Option<Further>) {
        let mut tags = Tags(0);
        for (number, slot) in entries.enumerate() {
            self.0[1 + number].store(slot.to_word(), Ordering::Relaxed);
            tags = tags.with(number, slot.key.tag());
        }
        if let Some(Further(number)) = further {
            self.0[SLOTS].store(u64::from(number) << 32, Ordering::Relaxed);
            tags.0 |= Tags::GOES_ON;
        }
        self.0[0].store(tags.0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A slot that is not found would be a domain that is not found; one too many costs a comparison.
    #[test]
    fn the_matches_of_a_tag_are_all_slots_that_have_it_and_the_first_one_is_right() {
        let mut random = 1u64;
        for _ in 0..100_000 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            // Few values, so that many are the same, and those beside a borrow: 0, 1, 0x7f, 0x80, 0xfe, 0xff.
            let tag = |number: usize| [0, 1, 0x7f, 0x80, 0xfe, 0xff, 2, 3][(random >> (7 * number + 5)) as usize % 8];
            let tags = (0..SLOTS).fold(Tags(random & Tags::GOES_ON), |tags, slot| tags.with(slot, tag(slot)));
            let matches: Vec<usize> = tags.matches(tag(0)).collect();
            let wanted: Vec<usize> = (0..SLOTS).filter(|&slot| tag(slot) == tag(0)).collect();
            assert!(wanted.iter().all(|slot| matches.contains(slot)) && matches[0] == wanted[0], "{tags:x?}");
            assert!(matches.is_sorted() && matches.iter().all(|&slot| slot < SLOTS));
        }
    }

    /// Whatever the numbers are: no number of a place, a key or a line means that nothing is there.
    #[test]
    fn no_number_means_a_free_slot() {
        let words = std::array::from_fn(|_| AtomicU64::new(0));
        let line = Line(&words);
        let nought = Slot { key: Key(0), place: Place(0) };
        for full in 0..SLOTS {
            assert_eq!(line.entries().collect::<Vec<_>>(), vec![nought; full]);
            assert!(line.add(nought));
        }
        assert!(!line.add(nought) && line.further().is_none());
        line.fill([nought; SLOTS - 1].into_iter(), Some(Further(0)));
        assert_eq!((line.further(), line.entries().count(), line.add(nought)), (Some(Further(0)), SLOTS - 1, false));
    }
}
