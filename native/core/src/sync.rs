//! The primitives that lookups and writers meet in: the standard library's and parking_lot's, or loom's
//! when a model explores every interleaving of them (`--cfg loom`).

#[cfg(not(loom))]
pub(crate) use {
    parking_lot::Mutex,
    std::hint::spin_loop,
    std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence},
};

#[cfg(loom)]
pub(crate) use {
    loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence},
    loom::thread::yield_now as spin_loop,
    loom_mutex::Mutex,
};

#[cfg(loom)]
mod loom_mutex {
    /// loom's mutex without poisoning, as parking_lot's is.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
