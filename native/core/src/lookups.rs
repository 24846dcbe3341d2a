//! How often somebody looked, and found or did not.
//!
//! Counting must not bring back what lookups avoid: a word that all readers write. So a thread counts on a
//! cache line of its own, found by the thread's number. Nobody else writes there, so a count is a load and a
//! store, and no locked instruction. Threads whose numbers are too large for that (many others looked before
//! they did) count together, by instructions that lock.
//!
//! Promised: every lookup is counted once, and what is read never gets less. Not promised: one moment for
//! all lines; who reads while others look up sees each line a little earlier or later.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

/// Lines for each thread that is expected: threads that come and go take numbers, too.
const SPARE: usize = 4;
/// Lines at least.
const FEWEST: usize = 64;

/// Lookups since the table was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LookupCounts {
    /// Those that found the domain.
    pub hits: u64,
    /// Those that did not.
    pub misses: u64,
}

/// What a lookup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Hit,
    Miss,
}

#[derive(Default)]
struct Line {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Line {
    #[inline]
    fn of(&self, seen: Seen) -> &AtomicU64 {
        match seen {
            Seen::Hit => &self.hits,
            Seen::Miss => &self.misses,
        }
    }
}

/// The lines.
pub(crate) struct Counter {
    /// Each is written by the thread of this number and by no other.
    own: Box<[CachePadded<Line>]>,
    /// Written by all others.
    shared: CachePadded<Line>,
}

impl Counter {
    /// For about `threads` threads.
    pub(crate) fn new(threads: usize) -> Counter {
        let own = (0..(threads * SPARE).max(FEWEST)).map(|_| CachePadded::default()).collect();
        Counter { own, shared: CachePadded::default() }
    }

    /// Counts one for the calling thread.
    #[inline]
    pub(crate) fn count(&self, seen: Seen) {
        self.count_in(this_thread(), seen);
    }

    /// Counts one for the thread of this number, which is the calling one.
    #[inline]
    fn count_in(&self, thread: usize, seen: Seen) {
        match self.own.get(thread) {
            Some(line) => {
                let count = line.of(seen);
                count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            }
            None => self.count_shared(seen),
        }
    }

    #[cold]
    fn count_shared(&self, seen: Seen) {
        self.shared.of(seen).fetch_add(1, Ordering::Relaxed);
    }

    /// The sums.
    pub(crate) fn sum(&self) -> LookupCounts {
        let mut sum = LookupCounts::default();
        for line in self.own.iter().chain([&self.shared]) {
            sum.hits = sum.hits.wrapping_add(line.hits.load(Ordering::Relaxed));
            sum.misses = sum.misses.wrapping_add(line.misses.load(Ordering::Relaxed));
        }
        sum
    }
}

/// The number of this thread: given on first use, in order, and kept for life; no other thread has it.
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
    fn threads_of_any_number_are_counted_once_each() {
        let counter = Counter::new(1);
        let numbers = [0, 1, FEWEST - 1, FEWEST, FEWEST + 1, usize::MAX];
        std::thread::scope(|scope| {
            for number in numbers {
                let counter = &counter;
                scope.spawn(move || {
                    for round in 0..10_000 {
                        counter.count_in(number, if round % 4 == 0 { Seen::Miss } else { Seen::Hit });
                    }
                });
            }
        });
        let threads = numbers.len() as u64;
        assert_eq!(counter.sum(), LookupCounts { hits: threads * 7_500, misses: threads * 2_500 });
    }
}
