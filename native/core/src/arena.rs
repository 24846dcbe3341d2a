//! Items that are found by their number and never move, however many become of them: what lookups that take no lock
//! can read while a writer adds to it.
//!
//! A lookup may still read an item's words when they are another item's already ([`versions`](crate::seqlock)). That is
//! harmless as long as they are words of the same arena, which stay where they are until it goes.
//!
//! Items lie in *pages*. The first one has `FIRST` items, and each one after it as many as all before it together, and
//! `FIRST` more: so a few pages hold any number of items, an item's page is computed from its number, and no addresses
//! are reserved for items that are not there.

use std::sync::OnceLock;

use crate::memory;
use crate::sync::AtomicU64;

/// Words that may be read behind the last item of a page, since whoever reads an item may not know how long it is.
const BEHIND: usize = if cfg!(loom) { 2 } else { 32 };

/// In a model so many pages are made beforehand, and no more, so that what it explores is not how they are made.
#[cfg(loom)]
const MODELLED: usize = 2;

/// Pages are found by the number of bits of a number: a model's stack has no room for more than it needs.
const PAGES: usize = if cfg!(loom) { 6 } else { usize::BITS as usize };

/// Items of `WIDTH` words, of which `FIRST`, a power of two, are in the first page.
pub(crate) struct Arena<const WIDTH: usize, const FIRST: usize> {
    /// A page is found by the number of bits of the numbers of its items, after `FIRST` was added to them.
    pages: [OnceLock<Page>; PAGES],
}

/// The items whose numbers have as many bits.
struct Page {
    words: Box<[AtomicU64]>,
    /// Where the item of number 0 would begin, before all words most often: so a place is computed in one step.
    nought: usize,
}

impl<const WIDTH: usize, const FIRST: usize> Arena<WIDTH, FIRST> {
    /// No items at all.
    pub(crate) fn new() -> Self {
        let arena = Arena { pages: [const { OnceLock::new() }; PAGES] };
        #[cfg(loom)]
        (0..MODELLED).for_each(|page| _ = arena.reserve(((FIRST << page) - FIRST) as u32, 1));
        arena
    }

    /// The `N` words from the beginning of an item on; nothing where there is no such item. A lookup that is late may
    /// ask for any number.
    #[inline]
    pub(crate) fn get<const N: usize>(&self, number: u32) -> Option<&[AtomicU64; N]> {
        const { assert!(N <= WIDTH + BEHIND) };
        let page = self.pages.get((number as usize + FIRST).ilog2() as usize)?.get()?;
        let from = page.place(number, WIDTH);
        page.words.get(from..)?.first_chunk()
    }

    /// The words of `count` items of one page, the first of which is this one. They are there from now on: asks the
    /// system for memory where there is none yet, and panics where it refuses. One writer at a time.
    pub(crate) fn reserve(&self, number: u32, count: usize) -> &[AtomicU64] {
        let bits = (number as usize + FIRST).ilog2();
        let page = self.pages[bits as usize].get_or_init(|| Page::new((1 << bits) - FIRST, 1 << bits, WIDTH));
        &page.words[page.place(number, WIDTH)..][..count * WIDTH]
    }

    /// Gives the memory of all items back. They are zero from now on, or what they were.
    pub(crate) fn give_back(&self) {
        self.pages.iter().filter_map(OnceLock::get).for_each(|page| memory::give_back(&page.words));
    }
}

impl Page {
    /// Of so many items, of which this is the number of the first.
    fn new(first: usize, items: usize, width: usize) -> Page {
        let (words, begin) = memory::zeroed(items * width + BEHIND);
        Page { words, nought: begin.wrapping_sub(first * width) }
    }

    /// Where an item begins, or, where a number is no item's, anywhere.
    #[inline]
    fn place(&self, number: u32, width: usize) -> usize {
        self.nought.wrapping_add(number as usize * width)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Ordering;

    type Some = Arena<2, 4>;

    #[test]
    fn items_have_words_of_their_own_and_stay_where_they_are() {
        let arena = Some::new();
        for number in 0..10_000 {
            let [one, two] = arena.reserve(number, 1) else { panic!("an item of two words") };
            assert_eq!((one.swap(u64::from(number) + 1, Ordering::Relaxed), two.load(Ordering::Relaxed)), (0, 0));
        }
        for number in 0..10_000 {
            let [one, two]: &[_; 2] = arena.get(number).unwrap();
            assert_eq!((one.load(Ordering::Relaxed), two.load(Ordering::Relaxed)), (u64::from(number) + 1, 0));
            assert!(std::ptr::eq(one, &arena.reserve(number, 1)[0]));
        }
    }

    #[test]
    fn items_that_are_not_there_are_nothing_and_cost_nothing() {
        let arena = Some::new();
        assert!([0, 1, u32::MAX].iter().all(|&number| arena.get::<2>(number).is_none()));
        arena.reserve(4, 8);
        assert_eq!(arena.pages.iter().filter(|page| page.get().is_some()).count(), 1);
        assert!(arena.get::<2>(3).is_none() && arena.get::<2>(4).is_some() && arena.get::<2>(12).is_none());
        assert!(arena.get::<34>(11).is_some(), "the last one, and what may be read behind it");
    }

    #[test]
    fn what_was_given_back_can_be_used_again() {
        let arena = Arena::<8, 1024>::new();
        arena.reserve(100_000, 1)[7].store(1, Ordering::Relaxed);
        arena.give_back();
        arena.reserve(100_000, 1)[7].store(2, Ordering::Relaxed);
        assert_eq!(arena.get::<8>(100_000).unwrap()[7].load(Ordering::Relaxed), 2);
    }
}
