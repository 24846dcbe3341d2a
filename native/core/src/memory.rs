//! Zeroed memory for atomic words, and what the system is told about it.
//!
//! The system provides such memory when it is first written to: words that are never used take none.
//!
//! At a million domains a lookup's time is waiting for memory, and a good part of that is finding out where
//! the memory is: sixty megabytes are 15,000 pages of 4 KiB, or 30 of 2 MiB. So Linux is asked for huge
//! pages where there are many words (a small table is to stay small): hits take an eighth less time then.
//! Elsewhere this changes nothing, nor does giving memory back: it is used again when the table grows anew.

use crate::sync::AtomicU64;

/// Bytes from which on words begin at a huge page's boundary, and the system is asked for such pages.
#[cfg(not(loom))]
const MUCH: usize = HUGE_PAGE;
#[cfg(not(loom))]
const HUGE_PAGE: usize = 2 << 20;
/// Words begin at a cache line's boundary at least.
#[cfg(not(loom))]
const LINE: usize = 64;

/// At least so many words, which are zero, and the first one of them that lies at a boundary: so many follow it.
/// Panics where the system has no memory.
#[cfg(not(loom))]
pub(crate) fn zeroed(count: usize) -> (Box<[AtomicU64]>, usize) {
    let bytes = count * size_of::<AtomicU64>();
    let boundary = if bytes < MUCH { LINE } else { HUGE_PAGE };
    let words = bytemuck::allocation::try_zeroed_slice_box::<AtomicU64>(count + boundary / size_of::<AtomicU64>());
    let words = words.unwrap_or_else(|()| panic!("no memory for more domains: the system refused {bytes} bytes"));
    let begin = words.as_ptr().align_offset(boundary);
    if boundary == HUGE_PAGE {
        system::want_huge_pages(&words[begin..][..count]);
    }
    (words, begin)
}

#[cfg(loom)]
pub(crate) fn zeroed(count: usize) -> (Box<[AtomicU64]>, usize) {
    ((0..count).map(|_| AtomicU64::new(0)).collect(), 0)
}

/// Gives the memory of these words back to the system, as far as it takes any back. They are zero then, or what they
/// were, and can be written again. One writer at a time.
pub(crate) fn give_back(words: &[AtomicU64]) {
    system::give_back(words);
}

#[cfg(all(target_os = "linux", not(loom)))]
mod system {
    use rustix::mm::{Advice, madvise};

    use super::AtomicU64;

    pub(super) fn want_huge_pages(words: &[AtomicU64]) {
        advise(words, Advice::LinuxHugepage);
    }

    pub(super) fn give_back(words: &[AtomicU64]) {
        advise(words, Advice::LinuxDontNeed);
    }

    /// Says so of all of the system's pages that hold nothing but these words.
    fn advise(words: &[AtomicU64], advice: Advice) {
        let page = rustix::param::page_size();
        let begin = words.as_ptr().cast::<u8>();
        let skipped = begin.align_offset(page);
        let Some(length) = size_of_val(words).checked_sub(skipped).map(|length| length / page * page) else { return };
        if length > 0 {
            // SAFETY: these bytes are in `words` and in nothing else, and are private and anonymous memory, as all is
            // that an allocator gives out: they stay readable and writable. What changes is, at most, that they are
            // zero: a valid value of an atomic word, which others may store at any time.
            let _ = unsafe { madvise(begin.wrapping_add(skipped).cast_mut().cast(), length, advice) };
        }
    }
}

#[cfg(not(all(target_os = "linux", not(loom))))]
mod system {
    use super::AtomicU64;

    #[cfg(not(loom))]
    pub(super) fn want_huge_pages(_words: &[AtomicU64]) {}

    pub(super) fn give_back(_words: &[AtomicU64]) {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Ordering;

    #[test]
    fn words_are_zero_at_first_and_begin_at_a_boundary() {
        for (count, boundary) in [(1, LINE), (1_000, LINE), (MUCH / 8, HUGE_PAGE)] {
            let (words, begin) = zeroed(count);
            let wanted = &words[begin..][..count];
            assert_eq!(wanted.as_ptr().align_offset(boundary), 0);
            assert!(wanted.iter().all(|word| word.load(Ordering::Relaxed) == 0));
        }
    }

    #[test]
    fn words_that_were_given_back_can_be_written_again() {
        let (words, _) = zeroed(MUCH);
        words.iter().for_each(|word| word.store(1, Ordering::Relaxed));
        give_back(&words);
        assert!(words.iter().all(|word| word.load(Ordering::Relaxed) <= 1));
        words.iter().for_each(|word| word.store(2, Ordering::Relaxed));
        assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 2));
    }
}
