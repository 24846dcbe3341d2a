//! A cache line of the index: up to seven entries' keys and places.
//!
//! ```text
//! word 0        a byte for each slot, its key's upper eight bits; and one that says whether the line goes on
//! word 1 to 7   slots: the key in the lower half, the place in the upper one; 0 is free
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
    pub(crate) fn tag(self) -> u8 {
        (self.0 >> 24) as u8
    }
}

/// An entry's key and place as one word; 0 is a free slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u64);

impl Slot {
    pub(crate) fn new(key: Key, place: Place) -> Slot {
        Slot(u64::from(place) << 32 | u64::from(key.0))
    }

    #[inline]
    pub(crate) fn key(self) -> Key {
        Key(self.0 as u32)
    }

    #[inline]
    pub(crate) fn place(self) -> Place {
        (self.0 >> 32) as u32
    }
}

/// The first word of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tags(pub(crate) u64);

impl Tags {
    const ONES: u64 = 0x0001_0101_0101_0101;
    const HIGHEST: u64 = 0x0080_8080_8080_8080;
    const GOES_ON: u64 = 1 << 56;

    pub(crate) fn with(self, slot: usize, tag: u8) -> Tags {
        Tags(self.0 | u64::from(tag) << (8 * slot))
    }

    /// The slots that have this tag, as set bits; perhaps some more, but never fewer.
    #[inline]
    pub(crate) fn matches(self, tag: u8) -> Matches {
        // A byte is zero where the tags are the same. Taking one away from it borrows, which shows in its highest bit.
        let different = self.0 ^ (u64::from(tag) * Tags::ONES);
        Matches(different.wrapping_sub(Tags::ONES) & !different & Tags::HIGHEST)
    }

    #[inline]
    pub(crate) fn goes_on(self) -> bool {
        self.0 & Tags::GOES_ON != 0
    }
}

/// Some slots of a line, from the first to the last.
pub(crate) struct Matches(u64);

impl Iterator for Matches {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let slot = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0.wrapping_sub(1);
        (slot < SLOTS).then_some(slot)
    }
}

pub(crate) type Line = [AtomicU64; 1 + SLOTS];

#[inline]
pub(crate) fn tags(line: &Line) -> Tags {
    Tags(line[0].load(Ordering::Relaxed))
}

#[inline]
pub(crate) fn slot(line: &Line, number: usize) -> Slot {
    Slot(line[1 + number].load(Ordering::Relaxed))
}

/// Writes a whole line, and where it goes on.
pub(crate) fn fill(line: &Line, slots: impl Iterator<Item = Slot>, next: Option<u32>) {
    let (mut words, mut tags) = ([0; SLOTS], Tags(0));
    for (number, slot) in slots.enumerate() {
        words[number] = slot.0;
        tags = tags.with(number, slot.key().tag());
    }
    if let Some(next) = next {
        words[SLOTS - 1] = Slot::new(Key(0), next).0;
        tags.0 |= Tags::GOES_ON;
    }
    line[0].store(tags.0, Ordering::Relaxed);
    line[1..].iter().zip(words).for_each(|(word, slot)| word.store(slot, Ordering::Relaxed));
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A slot that is not found would be a domain that is not found; one too many costs a comparison.
    #[test]
    fn the_matches_of_a_tag_are_all_slots_that_have_it() {
        let mut random = 1u64;
        for _ in 0..100_000 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            // Few values, so that many are the same, and those beside a borrow: 0, 1, 0x7f, 0x80, 0xfe, 0xff.
            let tag = |number: usize| [0, 1, 0x7f, 0x80, 0xfe, 0xff, 2, 3][(random >> (8 * number + 5)) as usize % 8];
            let tags = (0..SLOTS).fold(Tags(random & Tags::GOES_ON), |tags, slot| tags.with(slot, tag(slot)));
            let matches: Vec<usize> = tags.matches(tag(0)).collect();
            let wanted = (0..SLOTS).filter(|&slot| tag(slot) == tag(0));
            assert!(wanted.clone().all(|slot| matches.contains(&slot)), "{tags:x?}");
            assert!(matches.is_sorted() && matches.iter().all(|&slot| slot < SLOTS));
        }
    }
}
