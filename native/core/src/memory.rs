//! Zeroed memory for atomic words, and the advice to the system about it.
//!
//! The system provides such a page when it is first written: words that are never used take no memory.
//!
//! In a table of a million domains a lookup mostly waits for memory, and a good part of that time goes into address
//! translation: sixty megabytes are 15,000 pages of 4 KiB, or 30 of 2 MiB. So large allocations ask Linux for huge
//! pages, which makes a hit an eighth faster. Small ones do not: a small table is to stay small. On other systems the
//! advice does nothing, and memory is not returned to the system, only reused when the table grows again.

use crate::sync::AtomicU64;

/// The size in bytes from which an allocation begins on a huge page's boundary and asks for huge pages.
#[cfg(not(loom))]
const HUGE_PAGE_THRESHOLD: usize = HUGE_PAGE;
#[cfg(not(loom))]
const HUGE_PAGE: usize = 2 << 20;
/// The alignment of smaller allocations.
#[cfg(not(loom))]
const CACHE_LINE: usize = 64;

/// Allocates at least `count` zeroed words. Also returns the index of the first aligned one, which `count - 1` others
/// follow. Panics when the system has no memory.
#[cfg(not(loom))]
pub(crate) fn zeroed(count: usize) -> (Box<[AtomicU64]>, usize) {
    let bytes = count * size_of::<AtomicU64>();
    let alignment = if bytes < HUGE_PAGE_THRESHOLD { CACHE_LINE } else { HUGE_PAGE };
    let words = bytemuck::allocation::try_zeroed_slice_box::<AtomicU64>(count + alignment / size_of::<AtomicU64>());
    let words = words.unwrap_or_else(|()| panic!("no memory for more domains: the system refused {bytes} bytes"));
    let begin = words.as_ptr().align_offset(alignment);
    if alignment == HUGE_PAGE {
        system::request_huge_pages(&words[begin..][..count]);
    }
    (words, begin)
}

#[cfg(loom)]
pub(crate) fn zeroed(count: usize) -> (Box<[AtomicU64]>, usize) {
    ((0..count).map(|_| AtomicU64::new(0)).collect(), 0)
}

/// Returns the memory of these words to the system where it accepts any. Afterwards each word is zero or unchanged, and
/// can be written again. There is one writer at a time.
pub(crate) fn release(words: &[AtomicU64]) {
    system::release(words);
}

#[cfg(all(target_os = "linux", not(loom)))]
mod system {
    use rustix::mm::{Advice, madvise};

    use super::AtomicU64;

    pub(super) fn request_huge_pages(words: &[AtomicU64]) {
        advise(words, Advice::LinuxHugepage);
    }

    pub(super) fn release(words: &[AtomicU64]) {
        advise(words, Advice::LinuxDontNeed);
    }

    /// Advises the system about all of its pages that hold nothing but these words.
    fn advise(words: &[AtomicU64], advice: Advice) {
        let page = rustix::param::page_size();
        let begin = words.as_ptr().cast::<u8>();
        let skipped = begin.align_offset(page);
        let Some(length) = size_of_val(words).checked_sub(skipped).map(|length| length / page * page) else { return };
        if length > 0 {
            // SAFETY: these bytes lie in `words` and in nothing else. They are private anonymous memory, like all
            // memory that an allocator returns, so they stay readable and writable. At most they become zero, which is
            // a valid value of an atomic word, and one that any thread may store at any time.
            let _ = unsafe { madvise(begin.wrapping_add(skipped).cast_mut().cast(), length, advice) };
        }
    }
}

#[cfg(not(all(target_os = "linux", not(loom))))]
mod system {
    use super::AtomicU64;

    #[cfg(not(loom))]
    pub(super) fn request_huge_pages(_words: &[AtomicU64]) {}

    pub(super) fn release(_words: &[AtomicU64]) {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Ordering;

    #[test]
    fn words_are_zeroed_and_aligned() {
        for (count, alignment) in [(1, CACHE_LINE), (1_000, CACHE_LINE), (HUGE_PAGE_THRESHOLD / 8, HUGE_PAGE)] {
            let (words, begin) = zeroed(count);
            let aligned = &words[begin..][..count];
            assert_eq!(aligned.as_ptr().align_offset(alignment), 0);
            assert!(aligned.iter().all(|word| word.load(Ordering::Relaxed) == 0));
        }
    }

    #[test]
    fn released_words_can_be_written_again() {
        let (words, _) = zeroed(HUGE_PAGE_THRESHOLD);
        words.iter().for_each(|word| word.store(1, Ordering::Relaxed));
        release(&words);
        assert!(words.iter().all(|word| word.load(Ordering::Relaxed) <= 1));
        words.iter().for_each(|word| word.store(2, Ordering::Relaxed));
        assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 2));
    }
}
