//! The primitives that lookups and writers share: those of the standard library and of parking_lot, or loom's when a
//! model explores the interleavings (`--cfg loom`).

#[cfg(not(loom))]
pub(crate) use {
    parking_lot::Mutex,
    std::hint::spin_loop,
    std::sync::atomic::{AtomicU64, Ordering, fence},
};

#[cfg(loom)]
pub(crate) use {
    loom::sync::atomic::{AtomicU64, Ordering, fence},
    loom::thread::yield_now as spin_loop,
    loom_mutex::Mutex,
};

#[cfg(loom)]
mod loom_mutex {
    /// loom's mutex with parking_lot's interface, without poisoning.
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

/// The memory orderings that the table depends on. Each has a name, so that the models can disable one at a time and
/// show what it is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barrier {
    /// A reader loads the version before everything else.
    FirstVersionLoad,
    /// A reader has loaded everything else before it loads the version again.
    SecondVersionLoad,
    /// A writer makes the version odd before it writes.
    BeginWrite,
    /// A writer has written before it makes the version even.
    EndWrite,
    /// The writes of earlier writers come before those of this one.
    BeginTurn,
}

impl Barrier {
    /// All of them.
    #[cfg(loom)]
    pub const ALL: [Barrier; 5] = [
        Barrier::FirstVersionLoad,
        Barrier::SecondVersionLoad,
        Barrier::BeginWrite,
        Barrier::EndWrite,
        Barrier::BeginTurn,
    ];

    /// The ordering of the load, the store or the fence.
    #[inline]
    pub(crate) fn order(self) -> Ordering {
        #[cfg(loom)]
        if is_disabled(self) {
            return Ordering::Relaxed;
        }
        match self {
            Barrier::FirstVersionLoad | Barrier::SecondVersionLoad => Ordering::Acquire,
            Barrier::BeginWrite | Barrier::EndWrite | Barrier::BeginTurn => Ordering::Release,
        }
    }

    #[inline]
    pub(crate) fn fence(self) {
        // A relaxed fence is not allowed, so a disabled fence is none.
        #[cfg(loom)]
        if is_disabled(self) {
            return;
        }
        fence(self.order());
    }
}

#[cfg(loom)]
std::thread_local! {
    /// The barrier that the models of this thread run without. loom runs all threads of a model in one.
    static DISABLED: std::cell::Cell<Option<Barrier>> = const { std::cell::Cell::new(None) };
}

/// Disables one barrier in this thread's models, or none.
#[cfg(loom)]
pub fn disable_barrier(barrier: Option<Barrier>) {
    DISABLED.set(barrier);
}

#[cfg(loom)]
fn is_disabled(barrier: Barrier) -> bool {
    DISABLED.get() == Some(barrier)
}
