//! Reading without waiting and without writing: a sequence lock, one for each stripe of the names.
//!
//! A reader that takes a lock writes to it, and that is what makes schedulers slow that look up at the same
//! time. Here a reader writes nothing. A writer makes its stripe's *version* odd, changes words, and makes it
//! even again; a reader notes the version, reads words, and looks at the version again. If it was even and is
//! the same, nobody wrote in between, and what was read is right; else it is thrown away and read anew.
//!
//! There are [`STRIPES`] versions, so a writer gets into the way of a thousandth of the lookups, and of those
//! only for as long as one change takes. A reader that finds its stripe being written too often gives up and
//! answers [`None`]: it should then wait for the writers' mutex, which puts it to sleep, because a writer that
//! the system took off its processor in the middle of a change cannot be waited for by looking.
//!
//! What is read under a version are atomic words in memory that is never given to anybody else ([`Arena`]), so
//! a reader that is late reads nonsense, and nothing worse. No `unsafe` is involved.
//!
//! Promised, and modelled in `tests/loom.rs`: what a read answers was there, as a whole, at one moment between
//! its begin and its end. Writers have to be kept apart by their caller, and each of them calls
//! [`StripedSeqLock::follow`] when its turn has come.
//!
//! The orders of memory are those of Boehm, *Can seqlocks get along with programming language memory
//! models?* (2012), section 4.
//!
//! [`Arena`]: crate::arena::Arena

use crate::sync::{AtomicU64, Barrier, Ordering, spin_loop};

/// How many versions there are: a power of two. All of them are 8 KiB, a quarter of a first-level cache.
#[cfg(not(loom))]
pub(crate) const STRIPES: usize = 1024;
#[cfg(loom)]
pub(crate) const STRIPES: usize = 2;

/// How often a read is tried: some microseconds.
#[cfg(not(loom))]
const TRIES: usize = 64;
#[cfg(loom)]
const TRIES: usize = 2;

/// The versions. Any number names a stripe: they are counted round and round.
pub struct StripedSeqLock(Box<[AtomicU64; STRIPES]>);

impl Default for StripedSeqLock {
    fn default() -> StripedSeqLock {
        StripedSeqLock(Box::new(std::array::from_fn(|_| AtomicU64::new(0))))
    }
}

impl StripedSeqLock {
    /// What `read` answered while nobody wrote to this stripe; nothing when somebody always did, or when it always
    /// answered nothing, as one that was led astray does. `read` may be
    /// called several times and see nonsense: it must end and not panic whatever it reads.
    #[inline]
    pub fn read<R>(&self, stripe: usize, read: impl Fn() -> Option<R>) -> Option<R> {
        match self.try_read(stripe, &read) {
            Some(answer) => Some(answer),
            None => self.read_again(stripe, read),
        }
    }

    #[cold]
    #[inline(never)]
    fn read_again<R>(&self, stripe: usize, read: impl Fn() -> Option<R>) -> Option<R> {
        (0..TRIES).find_map(|_| {
            spin_loop();
            self.try_read(stripe, &read)
        })
    }

    #[inline]
    fn try_read<R>(&self, stripe: usize, read: impl Fn() -> Option<R>) -> Option<R> {
        let version = &self.0[stripe % STRIPES];
        let before = version.load(Barrier::VersionIsRead.order());
        if is_odd(before) {
            return None;
        }
        let answer = read();
        // What was read above is read before the version is read again.
        Barrier::VersionIsReadAgain.fence();
        if version.load(Ordering::Relaxed) == before { answer } else { None }
    }

    /// A writer calls this when its turn has come (it has the writers' mutex), before it writes words outside of any
    /// [`StripedSeqLock::write`]: words that nobody is to find yet, but that were another entry's. Who reads one of them late,
    /// for that other one, then sees that the version is not what it was when the entry was taken out, by whatever
    /// writer that was.
    pub fn follow(&self) {
        Barrier::WriterFollows.fence();
    }

    /// Runs `write`, which changes what belongs to this stripe. One writer at a time, whatever the stripe. Inside
    /// of [`StripedSeqLock::write_all`] it is a part of that.
    #[inline]
    pub fn write<R>(&self, stripe: usize, write: impl FnOnce() -> R) -> R {
        let version = &self.0[stripe % STRIPES];
        if is_odd(version.load(Ordering::Relaxed)) {
            return write();
        }
        let _writing = Writing::begin(std::slice::from_ref(version));
        write()
    }

    /// Runs `write`, which may change everything: no read ends meanwhile, and all see it as one change.
    pub fn write_all<R>(&self, write: impl FnOnce() -> R) -> R {
        let _writing = Writing::begin(&self.0[..]);
        write()
    }
}

#[inline]
fn is_odd(version: u64) -> bool {
    version % 2 == 1
}

/// Odd while it lives. A panic inside makes the versions even, too: readers see what was left behind, and
/// nobody waits for ever.
struct Writing<'a>(&'a [AtomicU64]);

impl Writing<'_> {
    fn begin(versions: &[AtomicU64]) -> Writing<'_> {
        for version in versions {
            // Only writers change it, and this is the only one.
            version.store(version.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        // Who sees a word that is written from here on will see that the version is odd, or a later one.
        Barrier::WriteBegins.fence();
        Writing(versions)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        for version in self.0 {
            version.store(version.load(Ordering::Relaxed).wrapping_add(1), Barrier::WriteEnds.order());
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicBool;

    #[test]
    fn readers_never_see_half_a_write_and_writers_of_other_stripes_are_not_in_their_way() {
        let (versions, done) = (StripedSeqLock::default(), AtomicBool::new(false));
        let pair = [AtomicU64::new(0), AtomicU64::new(0)];
        let read = || versions.read(1, || Some((pair[0].load(Ordering::Relaxed), pair[1].load(Ordering::Relaxed))));
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
                versions.write(1, || pair.iter().for_each(|word| _ = word.fetch_add(1, Ordering::Relaxed)));
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(versions.write(2, read), Some((200_000, 200_000)));
    }

    #[test]
    fn who_cannot_read_is_told_so() {
        let versions = StripedSeqLock::default();
        assert_eq!(versions.write(1, || versions.read(1, || Some(()))), None);
        assert_eq!(versions.write_all(|| versions.read(7, || Some(()))), None);
        assert_eq!(versions.write_all(|| (versions.write(7, || ()), versions.read(7, || Some(())))), ((), None));
        assert_eq!(versions.read(1, || Some(())), Some(()));
    }

    #[test]
    fn a_panic_inside_keeps_nobody_out() {
        let versions = StripedSeqLock::default();
        assert!(catch_unwind(AssertUnwindSafe(|| versions.write_all(|| panic!("on purpose")))).is_err());
        assert_eq!(versions.read(1, || Some(())), Some(()));
    }
}
