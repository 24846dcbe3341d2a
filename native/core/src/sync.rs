//! The primitives that lookups and writers meet in: the standard library's and parking_lot's, or loom's
//! when a model explores their interleavings (`--cfg loom`).

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

/// The places whose order of memory the table rests on. Each is known by name, so that the models can do without one at
/// a time and show what it is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barrier {
    /// A lookup reads the version before all else.
    VersionIsRead,
    /// It has read all else before it reads the version again.
    VersionIsReadAgain,
    /// A writer has made the version odd before it writes.
    WriteBegins,
    /// It has written before it makes the version even.
    WriteEnds,
    /// What earlier writers did comes before what this one writes.
    WriterFollows,
}

impl Barrier {
    /// All of them.
    #[cfg(loom)]
    pub const ALL: [Barrier; 5] = [
        Barrier::VersionIsRead,
        Barrier::VersionIsReadAgain,
        Barrier::WriteBegins,
        Barrier::WriteEnds,
        Barrier::WriterFollows,
    ];

    /// The order of the load or the store, or of the fence.
    #[inline]
    pub(crate) fn order(self) -> Ordering {
        #[cfg(loom)]
        if is_disabled(self) {
            return Ordering::Relaxed;
        }
        match self {
            Barrier::VersionIsRead | Barrier::VersionIsReadAgain => Ordering::Acquire,
            Barrier::WriteBegins | Barrier::WriteEnds | Barrier::WriterFollows => Ordering::Release,
        }
    }

    #[inline]
    pub(crate) fn fence(self) {
        // No fence is relaxed: a model that leaves one out has none.
        #[cfg(loom)]
        if is_disabled(self) {
            return;
        }
        fence(self.order());
    }
}

#[cfg(loom)]
std::thread_local! {
    /// The place that the models of this thread do without: loom runs all threads of a model in one.
    static DISABLED: std::cell::Cell<Option<Barrier>> = const { std::cell::Cell::new(None) };
}

/// Has this thread's models do without this place, or with all of them.
#[cfg(loom)]
pub fn disable_barrier(site: Option<Barrier>) {
    DISABLED.set(site);
}

#[cfg(loom)]
fn is_disabled(site: Barrier) -> bool {
    DISABLED.get() == Some(site)
}
