//! Numbered items that never move, so that lookups can read them without a lock while a writer adds more.
//!
//! A lookup may read the words of an item that a writer has replaced meanwhile; [`seqlock`](crate::seqlock) discards
//! what it read. That is harmless as long as the words still belong to the arena, and they do until the arena is
//! dropped.
//!
//! Items lie in *pages*. The first page has `FIRST` items, and each later page has `FIRST` more than all pages before
//! it together. So a few pages hold any number of items, the page of an item is computed from its number, and no
//! addresses are reserved for items that do not exist.

use std::sync::OnceLock;

use crate::memory;
use crate::sync::AtomicU64;

/// Readable words after the last item of a page: a lookup that reads an item may not know its length.
const PADDING: usize = if cfg!(loom) { 2 } else { 32 };

/// A model creates this many pages in advance, and no others, so that loom does not explore their creation.
#[cfg(loom)]
const MODEL_PAGES: usize = 2;

/// One page for each number of bits that an item's number can have. The stack of a loom thread is small, so a model has
/// only as many as it needs.
const PAGES: usize = if cfg!(loom) { 6 } else { usize::BITS as usize };

/// Items of `WIDTH` words, of which `FIRST`, a power of two, are in the first page.
pub(crate) struct Arena<const WIDTH: usize, const FIRST: usize> {
    /// The index of an item's page is the number of bits of `number + FIRST`.
    pages: [OnceLock<Page>; PAGES],
}

struct Page {
    words: Box<[AtomicU64]>,
    /// The index that item 0 would have in `words`, usually before the beginning: with it an item's index takes one
    /// multiplication and one addition.
    origin: usize,
}

impl<const WIDTH: usize, const FIRST: usize> Arena<WIDTH, FIRST> {
    /// An arena without items.
    pub(crate) fn new() -> Self {
        let arena = Arena { pages: [const { OnceLock::new() }; PAGES] };
        #[cfg(loom)]
        (0..MODEL_PAGES).for_each(|page| _ = arena.reserve(((FIRST << page) - FIRST) as u32, 1));
        arena
    }

    /// The first `N` words from the beginning of an item, or `None` if the item does not exist. A late lookup may ask
    /// for any number.
    #[inline]
    pub(crate) fn get<const N: usize>(&self, number: u32) -> Option<&[AtomicU64; N]> {
        const { assert!(N <= WIDTH + PADDING) };
        let page = self.pages.get((number as usize + FIRST).ilog2() as usize)?.get()?;
        let from = page.index(number, WIDTH);
        page.words.get(from..)?.first_chunk()
    }

    /// The words of `count` items from this one on, which must be on one page. Allocates the page if it does not exist,
    /// and panics when the system has no memory. There is one writer at a time.
    pub(crate) fn reserve(&self, number: u32, count: usize) -> &[AtomicU64] {
        let bits = (number as usize + FIRST).ilog2();
        let page = self.pages[bits as usize].get_or_init(|| Page::new((1 << bits) - FIRST, 1 << bits, WIDTH));
        &page.words[page.index(number, WIDTH)..][..count * WIDTH]
    }

    /// Returns the memory of all items to the system. Afterwards each word is zero or unchanged.
    pub(crate) fn release_memory(&self) {
        self.pages.iter().filter_map(OnceLock::get).for_each(|page| memory::release(&page.words));
    }
}

impl Page {
    /// A page of `items` items, of which the first has the number `first`.
    fn new(first: usize, items: usize, width: usize) -> Page {
        let (words, begin) = memory::zeroed(items * width + PADDING);
        Page { words, origin: begin.wrapping_sub(first * width) }
    }

    /// The index of an item's first word. For the number of an item on another page it may be any number.
    #[inline]
    fn index(&self, number: u32, width: usize) -> usize {
        self.origin.wrapping_add(number as usize * width)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Ordering;

    type SmallArena = Arena<2, 4>;

    #[test]
    fn items_have_words_of_their_own_and_do_not_move() {
        let arena = SmallArena::new();
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
    fn items_that_do_not_exist_are_none_and_take_no_memory() {
        let arena = SmallArena::new();
        assert!([0, 1, u32::MAX].iter().all(|&number| arena.get::<2>(number).is_none()));
        arena.reserve(4, 8);
        assert_eq!(arena.pages.iter().filter(|page| page.get().is_some()).count(), 1);
        assert!(arena.get::<2>(3).is_none() && arena.get::<2>(4).is_some() && arena.get::<2>(12).is_none());
        assert!(arena.get::<34>(11).is_some(), "the last item and the padding");
    }

    #[test]
    fn released_memory_can_be_used_again() {
        let arena = Arena::<8, 1024>::new();
        arena.reserve(100_000, 1)[7].store(1, Ordering::Relaxed);
        arena.release_memory();
        arena.reserve(100_000, 1)[7].store(2, Ordering::Relaxed);
        assert_eq!(arena.get::<8>(100_000).unwrap()[7].load(Ordering::Relaxed), 2);
    }
}
