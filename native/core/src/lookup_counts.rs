//! Counts lookups by their results.
//!
//! A counter that all threads write would cost what lookups avoid: a cache line that moves between processors. So each
//! thread has a slot of its own, on a cache line of its own, which it finds by its number. No other thread writes
//! there, so counting is a load and a store, without a locked instruction. Threads whose numbers are larger than the
//! number of slots, because many other threads looked up before, share one slot and use locked instructions.
//!
//! Each lookup is counted once, and a sum never decreases. A sum is not a snapshot: it may contain a later lookup of
//! one thread and not yet an earlier one of another.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

/// Slots for each expected thread: threads that end keep their numbers, so later ones need more.
const SLOTS_PER_THREAD: usize = 4;
const MIN_SLOTS: usize = 64;

/// The numbers of lookups since the table was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LookupCounts {
    /// Lookups that found a domain or a subdomain.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
}

/// The result of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookupResult {
    Hit,
    Miss,
}

#[derive(Default)]
struct Slot {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Slot {
    #[inline]
    fn count(&self, result: LookupResult) -> &AtomicU64 {
        match result {
            LookupResult::Hit => &self.hits,
            LookupResult::Miss => &self.misses,
        }
    }
}

pub(crate) struct LookupCounter {
    /// Each is written by the thread of this number and by no other.
    slots: Box<[CachePadded<Slot>]>,
    /// Written by all other threads.
    shared: CachePadded<Slot>,
}

impl LookupCounter {
    /// A counter for about `threads` threads.
    pub(crate) fn new(threads: usize) -> LookupCounter {
        let slots = (0..(threads * SLOTS_PER_THREAD).max(MIN_SLOTS)).map(|_| CachePadded::default()).collect();
        LookupCounter { slots, shared: CachePadded::default() }
    }

    /// Counts one lookup of the calling thread.
    #[inline]
    pub(crate) fn record(&self, result: LookupResult) {
        self.record_in(this_thread(), result);
    }

    /// Counts one lookup of the thread of this number, which is the calling one.
    #[inline]
    fn record_in(&self, thread: usize, result: LookupResult) {
        match self.slots.get(thread) {
            Some(slot) => {
                let count = slot.count(result);
                count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            }
            None => self.record_shared(result),
        }
    }

    #[cold]
    fn record_shared(&self, result: LookupResult) {
        self.shared.count(result).fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sum(&self) -> LookupCounts {
        let mut sum = LookupCounts::default();
        for slot in self.slots.iter().chain([&self.shared]) {
            sum.hits = sum.hits.wrapping_add(slot.hits.load(Ordering::Relaxed));
            sum.misses = sum.misses.wrapping_add(slot.misses.load(Ordering::Relaxed));
        }
        sum
    }
}

/// The number of the calling thread. Threads are numbered in the order in which they first call this, and a number is
/// not used again.
#[inline]
fn this_thread() -> usize {
    const NONE: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: Cell<usize> = const { Cell::new(NONE) });
    NUMBER.with(|number| {
        if number.get() == NONE {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn lookups_of_threads_of_any_number_are_counted_once_each() {
        let counter = LookupCounter::new(1);
        let numbers = [0, 1, MIN_SLOTS - 1, MIN_SLOTS, MIN_SLOTS + 1, usize::MAX];
        std::thread::scope(|scope| {
            for number in numbers {
                let counter = &counter;
                scope.spawn(move || {
                    for round in 0..10_000 {
                        let result = if round % 4 == 0 { LookupResult::Miss } else { LookupResult::Hit };
                        counter.record_in(number, result);
                    }
                });
            }
        });
        let threads = numbers.len() as u64;
        assert_eq!(counter.sum(), LookupCounts { hits: threads * 7_500, misses: threads * 2_500 });
    }
}
