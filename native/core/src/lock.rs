//! A big-reader lock: readers that never meet, a writer that meets them all.
//!
//! In a plain read-write lock every reader writes the same word to say that it is there, so sixteen
//! schedulers that look up one hot domain fight for one cache line. Here that word exists once per
//! *slot*, each on a cache line of its own. A thread always uses the same slot, so as long as there
//! are at least as many slots as threads, a reader writes only memory that no other thread reads.
//! A writer takes every slot, in order.
//!
//! Promised, and modelled in `tests/loom.rs`: a writer is alone; readers of different slots, and of
//! one slot, run together; a writer gets in between readers that come and go. Two writers cannot
//! deadlock, since both take slot 0 first.
//!
//! Not promised: cheap writes (one costs as much as there are slots), nor that a thread may read
//! inside a read: with a writer waiting in between, it would wait for itself. Both entrances take a
//! closure, which keeps that visible. No lock is poisoned by a panic; what a panicking writer left
//! behind is what the next reader sees.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use crate::sync::{RwLock, UnsafeCell};

/// A value that many threads read all the time and few write now and then.
pub struct BigLock<T> {
    /// A power of two of them, so that a thread's number finds its slot by a mask.
    slots: Box<[CachePadded<RwLock<()>>]>,
    /// Read under any slot, written under all of them.
    value: UnsafeCell<T>,
}

// SAFETY: a `&BigLock<T>` gives `&T` to several threads at once (hence `T: Sync`) and `&mut T`,
// through which a value can be moved out, to any one of them (hence `T: Send`).
unsafe impl<T: Send + Sync> Sync for BigLock<T> {}
// SAFETY: the lock owns its value and nothing else that is tied to a thread.
unsafe impl<T: Send> Send for BigLock<T> {}

impl<T> BigLock<T> {
    /// A lock for about `threads` reading threads. More of them share slots, which is as correct
    /// and slower.
    pub fn new(threads: usize, value: T) -> BigLock<T> {
        let slots = (0..threads.max(1).next_power_of_two()).map(|_| CachePadded::new(RwLock::new(())));
        BigLock { slots: slots.collect(), value: UnsafeCell::new(value) }
    }

    /// Runs `f` on the value, beside other readers.
    #[inline]
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        self.read_in(this_thread(), f)
    }

    /// As [`BigLock::read`], in the slot of thread number `thread`: the models choose who meets whom.
    #[inline]
    pub fn read_in<R>(&self, thread: usize, f: impl FnOnce(&T) -> R) -> R {
        let _reading = self.slots[thread & (self.slots.len() - 1)].read();
        // SAFETY: `&mut T` exists only under the write locks of all slots, and this thread holds the
        // read lock of one of them until after `f`; the reference cannot outlive `f`.
        self.value.with(|value| f(unsafe { &*value }))
    }

    /// Runs `f` on the value, alone. Every reader waits meanwhile: keep it short.
    pub fn write<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let _writing: Vec<_> = self.slots.iter().map(|slot| slot.write()).collect();
        // SAFETY: this thread holds the write lock of every slot until after `f`, so no reader and
        // no other writer has a reference; this one cannot outlive `f`.
        self.value.with_mut(|value| f(unsafe { &mut *value }))
    }
}

/// The number of this thread: given on first use, in order, and kept for life; no other thread has it.
#[inline]
pub(crate) fn this_thread() -> usize {
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
    use std::sync::atomic::AtomicBool;

    /// Every slot has readers that leave and come back at once, so there is hardly a moment without
    /// one. parking_lot lets a waiting writer in before readers that came later: the writer ends.
    #[test]
    fn a_writer_gets_in_among_readers_that_never_pause() {
        let lock = BigLock::new(4, (0u64, 0u64));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (lock, done) = (&lock, &done);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        lock.read_in(thread, |(one, two)| assert_eq!(one, two, "a reader saw half a write"));
                    }
                });
            }
            for _ in 0..2_000 {
                lock.write(|(one, two)| {
                    *one += 1;
                    *two += 1;
                });
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(lock.read(|pair| *pair), (2_000, 2_000));
    }

    #[test]
    fn a_panic_inside_leaves_the_lock_usable() {
        let lock = BigLock::new(2, 0);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lock.write(|_| panic!("on purpose"))));
        assert!(panicked.is_err());
        lock.write(|value| *value = 1);
        assert_eq!(lock.read(|value| *value), 1);
    }

    #[test]
    fn slots_are_a_power_of_two_and_at_least_one() {
        for (threads, slots) in [(0, 1), (1, 1), (3, 4), (16, 16), (17, 32)] {
            assert_eq!(BigLock::new(threads, ()).slots.len(), slots);
        }
    }
}
