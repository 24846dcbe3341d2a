//! Reads that do not wait and do not write: a sequence lock for each stripe of the names.
//!
//! Taking an ordinary lock writes to it, and these writes are what slows down schedulers that look up at the same time.
//! Under a sequence lock a reader writes nothing. A writer makes the stripe's *version* odd, changes words, and makes
//! the version even again. A reader loads the version, reads words, and loads the version again: if it was even and has
//! not changed, no writer interfered and what was read is right. Otherwise the reader discards it and retries.
//!
//! There are [`STRIPES`] versions, so a writer disturbs a thousandth of the lookups, and those only for as long as one
//! change takes. A reader whose stripe is being written at each attempt gives up and returns [`None`]. It should then
//! wait for the writers' mutex, which puts it to sleep: if the system has preempted the writer in the middle of a
//! change, no number of retries helps.
//!
//! What is read under a version are atomic words in memory that is not used for anything else ([`Arena`]). So a late
//! reader reads wrong words, discards them, and nothing worse happens; no `unsafe` is involved.
//!
//! The guarantee, which the models in `tests/loom.rs` check: what a read returns was the state of the words at one
//! moment between its begin and its end. The caller makes sure that there is one writer at a time, and each writer
//! calls
//! [`StripedSeqLock::begin_turn`] first.
//!
//! The memory orderings are those of Boehm, *Can seqlocks get along with programming language memory models?* (2012),
//! section 4.
//!
//! [`Arena`]: crate::arena::Arena

use crate::sync::{AtomicU64, Barrier, Ordering, spin_loop};

/// The number of versions, a power of two. Together they take 8 KiB, a quarter of a first-level cache.
#[cfg(not(loom))]
pub(crate) const STRIPES: usize = 1024;
#[cfg(loom)]
pub(crate) const STRIPES: usize = 2;

/// How often a read is retried: for some microseconds.
#[cfg(not(loom))]
const RETRIES: usize = 64;
#[cfg(loom)]
const RETRIES: usize = 2;

/// One version for each stripe. A stripe's number is taken modulo [`STRIPES`].
pub struct StripedSeqLock(Box<[AtomicU64; STRIPES]>);

impl Default for StripedSeqLock {
    fn default() -> StripedSeqLock {
        StripedSeqLock(Box::new(std::array::from_fn(|_| AtomicU64::new(0))))
    }
}

impl StripedSeqLock {
    /// Returns what `read` returns while no writer changes this stripe. `None` if a writer interfered at each attempt,
    /// or if `read` returned `None` at each attempt.
    ///
    /// `read` may be called several times and read wrong words: whatever it reads, it must return and must not panic.
    #[inline]
    pub fn read<R>(&self, stripe: usize, read: impl Fn() -> Option<R>) -> Option<R> {
        match self.try_read(stripe, &read) {
            Some(result) => Some(result),
            None => self.retry(stripe, read),
        }
    }

    #[cold]
    #[inline(never)]
    fn retry<R>(&self, stripe: usize, read: impl Fn() -> Option<R>) -> Option<R> {
        (0..RETRIES).find_map(|_| {
            spin_loop();
            self.try_read(stripe, &read)
        })
    }

    #[inline]
    fn try_read<R>(&self, stripe: usize, read: impl Fn() -> Option<R>) -> Option<R> {
        let version = &self.0[stripe % STRIPES];
        let before = version.load(Barrier::FirstVersionLoad.order());
        if is_odd(before) {
            return None;
        }
        let result = read();
        // All loads above happen before the second load of the version.
        Barrier::SecondVersionLoad.fence();
        if version.load(Ordering::Relaxed) == before { result } else { None }
    }

    /// Begins a writer's turn: each writer calls this after it has taken the writers' mutex.
    ///
    /// A writer also writes words outside of [`StripedSeqLock::write`], for an entry that no reader finds yet but that
    /// held another entry before. A reader that is late and still reads those words as that other entry then sees that
    /// the version has changed since, even if another writer removed that entry.
    pub fn begin_turn(&self) {
        Barrier::BeginTurn.fence();
    }

    /// Runs `write`, which changes what belongs to this stripe. There is one writer at a time, whatever the stripe.
    /// Inside of [`StripedSeqLock::write_all`] it is part of that change.
    #[inline]
    pub fn write<R>(&self, stripe: usize, write: impl FnOnce() -> R) -> R {
        let version = &self.0[stripe % STRIPES];
        if is_odd(version.load(Ordering::Relaxed)) {
            return write();
        }
        let _odd = OddVersions::begin(std::slice::from_ref(version));
        write()
    }

    /// Runs `write`, which may change everything: no read returns meanwhile, so readers see it as one change.
    pub fn write_all<R>(&self, write: impl FnOnce() -> R) -> R {
        let _odd = OddVersions::begin(&self.0[..]);
        write()
    }
}

#[inline]
fn is_odd(version: u64) -> bool {
    version % 2 == 1
}

/// Versions that are odd until this is dropped. A panic drops it, too: readers then see what was written so far, and do
/// not wait for ever.
struct OddVersions<'a>(&'a [AtomicU64]);

impl OddVersions<'_> {
    fn begin(versions: &[AtomicU64]) -> OddVersions<'_> {
        for version in versions {
            // Only the writer changes versions, so a load and a store suffice.
            version.store(version.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        // A reader that sees a word that is written after this also sees the odd version, or a later one.
        Barrier::BeginWrite.fence();
        OddVersions(versions)
    }
}

impl Drop for OddVersions<'_> {
    fn drop(&mut self) {
        for version in self.0 {
            version.store(version.load(Ordering::Relaxed).wrapping_add(1), Barrier::EndWrite.order());
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicBool;

    #[test]
    fn readers_never_see_half_a_write_and_writers_of_other_stripes_do_not_disturb_them() {
        let (seqlock, done) = (StripedSeqLock::default(), AtomicBool::new(false));
        let pair = [AtomicU64::new(0), AtomicU64::new(0)];
        let read = || seqlock.read(1, || Some((pair[0].load(Ordering::Relaxed), pair[1].load(Ordering::Relaxed))));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut newest = 0;
                    while !done.load(Ordering::Relaxed) {
                        if let Some((one, two)) = read() {
                            assert_eq!(one, two, "half a write");
                            assert!(one >= newest, "a write undone");
                            newest = one;
                        }
                    }
                });
            }
            for _ in 0..200_000 {
                seqlock.write(1, || pair.iter().for_each(|word| _ = word.fetch_add(1, Ordering::Relaxed)));
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(seqlock.write(2, read), Some((200_000, 200_000)));
    }

    #[test]
    fn a_read_during_a_write_returns_none() {
        let seqlock = StripedSeqLock::default();
        assert_eq!(seqlock.write(1, || seqlock.read(1, || Some(()))), None);
        assert_eq!(seqlock.write_all(|| seqlock.read(7, || Some(()))), None);
        assert_eq!(seqlock.write_all(|| (seqlock.write(7, || ()), seqlock.read(7, || Some(())))), ((), None));
        assert_eq!(seqlock.read(1, || Some(())), Some(()));
    }

    #[test]
    fn a_panic_during_a_write_does_not_lock_readers_out() {
        let seqlock = StripedSeqLock::default();
        assert!(catch_unwind(AssertUnwindSafe(|| seqlock.write_all(|| panic!("on purpose")))).is_err());
        assert_eq!(seqlock.read(1, || Some(())), Some(()));
    }
}
