//! Memory for lookups: atomic words that never move and are never given to anybody else.
//!
//! A lookup takes no lock ([`versions`](crate::versions)), so it may still read a domain's words when they are
//! another domain's already. That is harmless as long as they are words of the same table. So words lie in one
//! long stretch of addresses that is reserved when the table is made and given back when it goes. Reserved
//! addresses cost nothing: they become usable, a step at a time, when a writer wants more, and the system
//! provides memory for them when they are first written to.
//!
//! At a million domains a lookup's time is waiting for memory, and a good part of that is finding out where
//! the memory is: sixty megabytes are 15,000 pages of 4 KiB, or 30 of 2 MiB. So the system is asked for huge
//! pages, beyond the first one (a small table is to stay small). Where it has none this changes nothing.

use crate::sync::AtomicU64;

/// Words that are found by their number.
pub(crate) struct Words(Stretch);

impl Words {
    /// None that can be used yet, and addresses for so many.
    pub(crate) fn new(limit: usize) -> Words {
        Words(Stretch::new(limit))
    }

    /// The `count` words from number `from` on; nothing where none were ever used, since a late reader may take
    /// nonsense for a number.
    #[inline]
    pub(crate) fn get(&self, from: usize, count: usize) -> Option<&[AtomicU64]> {
        self.0.words().get(from..from.checked_add(count)?)
    }

    /// The eight words that are the cache line of this number.
    #[inline]
    pub(crate) fn line(&self, number: usize) -> Option<&[AtomicU64; 8]> {
        self.0.words().as_chunks().0.get(number)
    }

    /// As [`Words::line`], of words that are there from now on. One writer at a time.
    pub(crate) fn reserve_line(&self, number: usize) -> &[AtomicU64; 8] {
        self.0.grow((number + 1) * 8);
        self.line(number).expect("the words are there")
    }

    /// As [`Words::get`], of words that are there from now on. One writer at a time.
    pub(crate) fn reserve(&self, from: usize, count: usize) -> &[AtomicU64] {
        self.0.grow(from + count);
        &self.0.words()[from..][..count]
    }

    /// Gives the memory of all words from number `from` on back to the system. They may read as zero from now
    /// on, and can be written again. One writer at a time.
    pub(crate) fn give_back(&self, from: usize) {
        self.0.give_back(from);
    }
}

#[cfg(not(loom))]
use mapped::Stretch;

#[cfg(not(loom))]
mod mapped {
    use std::ptr::{NonNull, null_mut};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

    use super::AtomicU64;

    const WORD: usize = size_of::<AtomicU64>();
    const HUGE_PAGE: usize = 2 << 20;
    /// Words that become usable at once: 8 MiB.
    const STEP: usize = (8 << 20) / WORD;

    /// Reserved addresses of which the first ones can be used.
    pub(super) struct Stretch {
        /// The mapping, in bytes.
        map: NonNull<u8>,
        length: usize,
        /// The first word, at a huge page's boundary.
        begin: NonNull<AtomicU64>,
        /// How many words can be used: never fewer than before.
        usable: AtomicUsize,
    }

    // SAFETY: the mapping belongs to no thread; its words are atomic, and what else changes is `usable`.
    unsafe impl Send for Stretch {}
    // SAFETY: as above.
    unsafe impl Sync for Stretch {}

    impl Stretch {
        /// Addresses for so many words, or fewer where the system limits them.
        pub(super) fn new(limit: usize) -> Stretch {
            let mut length = limit * WORD + HUGE_PAGE;
            loop {
                let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
                // SAFETY: a new mapping at addresses of the system's choice touches nobody's memory.
                match unsafe { mmap_anonymous(null_mut(), length, ProtFlags::empty(), flags) } {
                    Ok(map) => {
                        let map = NonNull::new(map.cast::<u8>()).expect("the system maps nothing at address 0");
                        // SAFETY: the mapping is longer than a huge page, so its first boundary lies in it.
                        let begin = unsafe { map.add(map.align_offset(HUGE_PAGE)) }.cast();
                        return Stretch { map, length, begin, usable: AtomicUsize::new(0) };
                    }
                    Err(error) if length < 2 * HUGE_PAGE => {
                        panic!(
                            "no addresses for the table of domains ({error}): raise the limit of address space (ulimit -v)"
                        )
                    }
                    Err(_) => length /= 2,
                }
            }
        }

        #[inline]
        pub(super) fn words(&self) -> &[AtomicU64] {
            let usable = self.usable.load(Ordering::Relaxed);
            // SAFETY: so many words from `begin` on are readable, writable and aligned until `self` goes, to which
            // the slice is bound. Any bytes are valid words, and nothing else refers to them: all access is atomic.
            unsafe { std::slice::from_raw_parts(self.begin.as_ptr(), usable) }
        }

        /// Makes the first `wanted` words usable.
        pub(super) fn grow(&self, wanted: usize) {
            let usable = self.usable.load(Ordering::Relaxed);
            if wanted <= usable {
                return;
            }
            let next = wanted.next_multiple_of(STEP);
            // SAFETY: both lie in the mapping, the one before the other.
            let reserved = self.length - unsafe { self.begin.cast::<u8>().offset_from(self.map) } as usize;
            let full = next * WORD > reserved;
            assert!(!full, "no room for more domains: the table got {reserved} bytes of addresses (see ulimit -v)");
            let (from, length) = (self.address(usable), (next - usable) * WORD);
            // SAFETY: these pages are part of the mapping, and nobody refers to them before `usable` says so.
            let done = unsafe { mprotect(from, length, MprotectFlags::READ | MprotectFlags::WRITE) };
            done.unwrap_or_else(|error| panic!("no memory for more domains: {error}"));
            self.want_huge_pages(usable.max(HUGE_PAGE / WORD), next);
            self.usable.store(next, Ordering::Release);
        }

        #[cfg(target_os = "linux")]
        fn want_huge_pages(&self, from: usize, to: usize) {
            use rustix::mm::{Advice, madvise};
            // SAFETY: these pages are part of the mapping; what they hold stays as it is.
            let _ = unsafe { madvise(self.address(from), (to - from) * WORD, Advice::LinuxHugepage) };
        }

        #[cfg(not(target_os = "linux"))]
        fn want_huge_pages(&self, _from: usize, _to: usize) {}

        #[cfg(target_os = "linux")]
        pub(super) fn give_back(&self, from: usize) {
            use rustix::mm::{Advice, madvise};
            let (from, to) = (from.next_multiple_of(HUGE_PAGE / WORD), self.usable.load(Ordering::Relaxed));
            if from < to {
                // SAFETY: these pages are part of the mapping, private and anonymous: they read as zeros afterwards,
                // which are valid words. Who reads them at the same time reads the old words or zeros.
                let _ = unsafe { madvise(self.address(from), (to - from) * WORD, Advice::LinuxDontNeed) };
            }
        }

        #[cfg(not(target_os = "linux"))]
        pub(super) fn give_back(&self, _from: usize) {}

        fn address(&self, word: usize) -> *mut std::ffi::c_void {
            // Wherever this leads, it is the system that is told, and it knows what is mapped.
            self.begin.as_ptr().wrapping_add(word).cast()
        }
    }

    impl Drop for Stretch {
        fn drop(&mut self) {
            // SAFETY: the whole mapping and nothing else, which nobody can refer to any more.
            let _ = unsafe { munmap(self.map.as_ptr().cast(), self.length) };
        }
    }
}

/// loom's words, made before the threads that a model starts.
#[cfg(loom)]
struct Stretch(Vec<AtomicU64>);

#[cfg(loom)]
impl Stretch {
    fn new(limit: usize) -> Stretch {
        Stretch((0..limit).map(|_| AtomicU64::new(0)).collect())
    }

    fn words(&self) -> &[AtomicU64] {
        &self.0
    }

    fn grow(&self, _wanted: usize) {}

    fn give_back(&self, _from: usize) {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Ordering;

    const MANY: usize = 10 << 20;

    #[test]
    fn words_stay_where_they_are_and_are_zero_at_first() {
        let words = Words::new(MANY);
        assert!(words.get(0, 1).is_none());
        let first = &words.reserve(0, 1)[0];
        first.store(1, Ordering::Relaxed);
        let last = &words.reserve(MANY - 1, 1)[0];
        assert_eq!(last.load(Ordering::Relaxed), 0);
        assert_eq!(words.get(0, 1).unwrap()[0].load(Ordering::Relaxed), 1);
        assert!(words.get(MANY - 1, 1).is_some() && words.get(MANY / 2, 1).is_some());
        assert!(words.get(2 * MANY, 1).is_none() && words.get(usize::MAX, 1).is_none());
        words.give_back(1);
        assert_eq!(first.load(Ordering::Relaxed), 1);
        last.store(2, Ordering::Relaxed);
        assert_eq!(words.get(MANY - 1, 1).unwrap()[0].load(Ordering::Relaxed), 2);
    }

    #[test]
    #[should_panic(expected = "no room for more domains")]
    fn the_end_is_an_error() {
        Words::new(1 << 20).reserve(4 << 20, 1);
    }
}
