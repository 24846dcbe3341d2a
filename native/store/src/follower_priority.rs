//! Who follows a database has a connection before those who change it.
//!
//! A role, a database or a server may limit its connections. A connection that a writer keeps for the next change must
//! not keep the follower out: it is closed when the follower finds no room, and until it has found some, no writer
//! connects. Both sides know the [`Database`](crate::Database) only, so this is shared by theirs.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A follower tries again sooner than that. One that ended does not, and nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Shared by the databases of a follower and of the writers beside it.
#[derive(Default)]
pub struct FollowerPriority(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// When the follower found no room the last time, unless it has a connection.
    wanted: Option<Instant>,
    give_way: Option<Box<dyn Fn() + Send>>,
}

impl FollowerPriority {
    /// Whether the follower waits for a connection.
    pub fn is_follower_waiting(&self) -> bool {
        self.with(|inner| inner.wanted.is_some_and(|since| since.elapsed() < PATIENCE))
    }

    /// What closes the connections that nobody uses; called by the follower's thread. It replaces the one before.
    pub fn on_follower_waiting(&self, give_way: impl Fn() + Send + 'static) {
        self.with(|inner| inner.give_way = Some(Box::new(give_way)));
    }

    /// The follower found no room.
    pub(crate) fn follower_waits(&self) {
        self.with(|inner| inner.wanted = Some(Instant::now()));
        // Taken out: who gives way may ask whether it has to.
        if let Some(give_way) = self.with(|inner| inner.give_way.take()) {
            give_way();
            self.with(|inner| {
                inner.give_way.get_or_insert(give_way);
            });
        }
    }

    /// The follower has a connection, or fails for another reason.
    pub(crate) fn follower_served(&self) {
        self.with(|inner| inner.wanted = None);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for FollowerPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FollowerPriority")
    }
}
