//! A bucket of the index: one cache line with the hashes and entry indexes of up to seven names.
//!
//! ```text
//! word 0        a byte for each slot: 0 if the slot is free, else the upper seven bits of the hash and a bit that is
//!               set; and a byte that is 1 if the bucket overflows
//! word 1 to 7   slots: the hash in the lower half, the entry's index in the upper half
//! ```
//!
//! The bytes of word 0 are the *tags*; a lookup compares all of them with a name's tag at once. If a bucket needs more
//! than seven slots, its last slot holds the number of an *overflow bucket* with the same layout. A slot's hash rules
//! out most other names without a read of their entries, and is enough to move the slot to another bucket.

use crate::entries::EntryIndex;
use crate::hashed_name::NameHash;
use crate::sync::{AtomicU64, Ordering};

/// The number of slots of a bucket.
pub(crate) const SLOTS: usize = 7;

/// The number of an overflow bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverflowNumber(pub(crate) u32);

/// A name's hash and the index of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) hash: NameHash,
    pub(crate) entry: EntryIndex,
}

impl Slot {
    #[inline]
    fn from_word(word: u64) -> Slot {
        Slot { hash: NameHash(word as u32), entry: EntryIndex((word >> 32) as u32) }
    }

    fn to_word(self) -> u64 {
        u64::from(self.entry.0) << 32 | u64::from(self.hash.0)
    }
}

/// The first word of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tags(u64);

impl Tags {
    const LOWEST_BITS: u64 = 0x0001_0101_0101_0101;
    const HIGHEST_BITS: u64 = 0x0080_8080_8080_8080;
    const OVERFLOWS: u64 = 1 << 56;
    /// The tag of a free slot.
    const FREE: u8 = 0;
    /// A bit that is set in each tag of a slot that is in use.
    const IN_USE: u8 = 1;

    /// The tag of a slot with this hash.
    #[inline]
    fn tag_of(hash: NameHash) -> u8 {
        (hash.0 >> 24) as u8 | Tags::IN_USE
    }

    fn with(self, slot: usize, tag: u8) -> Tags {
        Tags(self.0 | u64::from(tag) << (8 * slot))
    }

    fn get(self, slot: usize) -> u8 {
        (self.0 >> (8 * slot)) as u8
    }

    /// The slots with this tag. The first one is right; others may have another tag, but none is missing.
    #[inline]
    fn matches(self, tag: u8) -> MatchingSlots {
        // A byte is zero where the tags are equal. Subtracting one from it borrows, which shows in its highest bit.
        let different = self.0 ^ (u64::from(tag) * Tags::LOWEST_BITS);
        MatchingSlots(different.wrapping_sub(Tags::LOWEST_BITS) & !different & Tags::HIGHEST_BITS)
    }

    #[inline]
    fn overflows(self) -> bool {
        self.0 & Tags::OVERFLOWS != 0
    }

    /// The number of slots for names: in a bucket that overflows, the last slot is not for a name.
    fn name_slots(self) -> usize {
        if self.overflows() { SLOTS - 1 } else { SLOTS }
    }
}

/// The numbers of some slots in ascending order, as set bits.
struct MatchingSlots(u64);

impl Iterator for MatchingSlots {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let slot = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0.wrapping_sub(1);
        (slot < SLOTS).then_some(slot)
    }
}

/// The words of a bucket or of an overflow bucket.
#[derive(Clone, Copy)]
pub(crate) struct Bucket<'a>(pub(crate) &'a [AtomicU64; 1 + SLOTS]);

impl<'a> Bucket<'a> {
    #[inline]
    fn tags(self) -> Tags {
        Tags(self.0[0].load(Ordering::Relaxed))
    }

    /// The content of a slot that is in use.
    #[inline]
    fn slot(self, number: usize) -> Slot {
        Slot::from_word(self.0[1 + number].load(Ordering::Relaxed))
    }

    /// The first `Some` that `matches` returns for the entries with this hash. If it returns none, the number of the
    /// overflow bucket to search next, if there is one.
    #[inline]
    pub(crate) fn find<R>(
        self,
        hash: NameHash,
        matches: impl Fn(EntryIndex) -> Option<R>,
    ) -> Result<R, Option<OverflowNumber>> {
        let tags = self.tags();
        for slot in tags.matches(Tags::tag_of(hash)).map(|number| self.slot(number)) {
            if slot.hash == hash
                && let Some(found) = matches(slot.entry)
            {
                return Ok(found);
            }
        }
        Err(self.overflow_for(tags))
    }

    #[inline]
    fn overflow_for(self, tags: Tags) -> Option<OverflowNumber> {
        tags.overflows().then(|| OverflowNumber((self.0[SLOTS].load(Ordering::Relaxed) >> 32) as u32))
    }

    /// The number of the overflow bucket, if this bucket overflows.
    pub(crate) fn overflow(self) -> Option<OverflowNumber> {
        self.overflow_for(self.tags())
    }

    /// Reads the tags, so that the processor has the bucket in its cache soon.
    #[inline]
    pub(crate) fn prefetch(self) -> u64 {
        self.tags().0
    }

    /// The slots that are in use for names.
    pub(crate) fn slots(self) -> impl Iterator<Item = Slot> + use<'a> {
        let tags = self.tags();
        (0..tags.name_slots())
            .filter(move |&number| tags.get(number) != Tags::FREE)
            .map(move |number| self.slot(number))
    }

    /// Writes to a free slot. Returns `false` if there is none.
    pub(crate) fn add(self, slot: Slot) -> bool {
        let tags = self.tags();
        // The first match is always right.
        let Some(free) = tags.matches(Tags::FREE).next().filter(|&free| free < tags.name_slots()) else { return false };
        self.0[1 + free].store(slot.to_word(), Ordering::Relaxed);
        self.0[0].store(tags.with(free, Tags::tag_of(slot.hash)).0, Ordering::Relaxed);
        true
    }

    /// Replaces the content of the whole bucket.
    pub(crate) fn fill(self, slots: impl Iterator<Item = Slot>, overflow: Option<OverflowNumber>) {
        let mut tags = Tags(0);
        for (number, slot) in slots.enumerate() {
            self.0[1 + number].store(slot.to_word(), Ordering::Relaxed);
            tags = tags.with(number, Tags::tag_of(slot.hash));
        }
        if let Some(OverflowNumber(number)) = overflow {
            self.0[SLOTS].store(u64::from(number) << 32, Ordering::Relaxed);
            tags.0 |= Tags::OVERFLOWS;
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
            let tags = (0..SLOTS).fold(Tags(random & Tags::OVERFLOWS), |tags, slot| tags.with(slot, tag(slot)));
            let matches: Vec<usize> = tags.matches(tag(0)).collect();
            let wanted: Vec<usize> = (0..SLOTS).filter(|&slot| tag(slot) == tag(0)).collect();
            assert!(wanted.iter().all(|slot| matches.contains(slot)) && matches[0] == wanted[0], "{tags:x?}");
            assert!(matches.is_sorted() && matches.iter().all(|&slot| slot < SLOTS));
        }
    }

    /// No index, hash or bucket number means a free slot: not even zero does.
    #[test]
    fn no_number_means_a_free_slot() {
        let words = std::array::from_fn(|_| AtomicU64::new(0));
        let bucket = Bucket(&words);
        let zero = Slot { hash: NameHash(0), entry: EntryIndex(0) };
        for full in 0..SLOTS {
            assert_eq!(bucket.slots().collect::<Vec<_>>(), vec![zero; full]);
            assert!(bucket.add(zero));
        }
        assert!(!bucket.add(zero) && bucket.overflow().is_none());
        bucket.fill([zero; SLOTS - 1].into_iter(), Some(OverflowNumber(0)));
        let overflow = Some(OverflowNumber(0));
        assert_eq!((bucket.overflow(), bucket.slots().count(), bucket.add(zero)), (overflow, SLOTS - 1, false));
    }
}
