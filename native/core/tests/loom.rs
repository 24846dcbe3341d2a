//! The big-reader lock under every interleaving of two or three threads: one model per claim.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p domain_core --release --test loom`.
//!
//! loom's read-write lock stands in for parking_lot's, so these models prove what this project
//! added: one lock from many. That a single slot lets a waiting writer in is parking_lot's promise;
//! the stress test in `lock.rs` holds it to that.
#![cfg(loom)]

use domain_core::lock::BigLock;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// Two slots, two values that every write keeps equal.
fn lock() -> Arc<BigLock<(usize, usize)>> {
    Arc::new(BigLock::new(2, (0, 0)))
}

fn increment(lock: &BigLock<(usize, usize)>) {
    lock.write(|(one, two)| {
        *one += 1;
        thread::yield_now();
        *two += 1;
    });
}

/// Mutual exclusion: a reader in any slot sees a write whole or not at all.
/// (loom's cell also fails the model when a reference is shared while another one may write.)
#[test]
fn a_reader_never_sees_half_a_write() {
    loom::model(|| {
        let lock = lock();
        let readers: Vec<_> = (0..2)
            .map(|slot| {
                let lock = lock.clone();
                thread::spawn(move || lock.read_in(slot, |(one, two)| assert_eq!(one, two)))
            })
            .collect();
        increment(&lock);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// Mutual exclusion among writers, and no deadlock: both take the slots in the same order.
#[test]
fn two_writers_take_turns() {
    loom::model(|| {
        let lock = lock();
        let other = {
            let lock = lock.clone();
            thread::spawn(move || increment(&lock))
        };
        increment(&lock);
        other.join().unwrap();
        assert_eq!(lock.read_in(0, |pair| *pair), (2, 2));
    });
}

/// No starvation: readers that come again and again, in both slots, cannot keep a writer out for
/// ever. Every interleaving ends (loom fails a model in which somebody waits for nothing), and what
/// the writer wrote is what a reader that comes later sees.
#[test]
fn a_writer_gets_in_between_readers_that_come_again() {
    loom::model(|| {
        let lock = lock();
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || {
                let mut seen = 0;
                for slot in [0, 1, 0] {
                    let now = lock.read_in(slot, |(one, _)| *one);
                    assert!(now >= seen, "a reader saw a write undone");
                    seen = now;
                }
            })
        };
        increment(&lock);
        assert_eq!(lock.read_in(1, |pair| *pair), (1, 1));
        reader.join().unwrap();
    });
}

/// Readers run together: there are interleavings in which both are inside at once, be it in two
/// slots or in one.
#[test]
fn two_readers_run_together() {
    for slots in [[0, 1], [0, 0]] {
        let together = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = together.clone();
        loom::model(move || {
            let lock = lock();
            let inside = Arc::new(AtomicUsize::new(0));
            let readers = slots.map(|slot| {
                let (lock, inside, seen) = (lock.clone(), inside.clone(), seen.clone());
                thread::spawn(move || {
                    lock.read_in(slot, |_| {
                        if inside.fetch_add(1, Ordering::SeqCst) == 1 {
                            seen.store(true, std::sync::atomic::Ordering::SeqCst);
                        }
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    });
                })
            });
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
        assert!(together.load(std::sync::atomic::Ordering::SeqCst), "slots {slots:?} never held two readers");
    }
}
