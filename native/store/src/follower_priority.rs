//! The follower gets a connection before the writers do.
//!
//! A role, a database or a server may limit its connections. An idle connection of a writer must not keep the follower
//! from connecting. So idle connections are closed when the follower reaches the limit, and no writer connects until the
//! follower has a connection. Follower and writers have a [`Database`](crate::Database) each, and share this object.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long writers wait for a follower. A running follower tries again sooner; one that has ended does not.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Shared by the databases of a follower and of the writers of one node.
#[derive(Default)]
pub struct FollowerPriority(Mutex<State>);

#[derive(Default)]
struct State {
    /// When the follower last reached the limit, unless it has connected since.
    waiting_since: Option<Instant>,
    close_idle: Option<Box<dyn Fn() + Send>>,
}

impl FollowerPriority {
    /// Whether the follower waits for a connection.
    pub fn is_follower_waiting(&self) -> bool {
        self.0.lock().waiting_since.is_some_and(|since| since.elapsed() < MAX_WAIT)
    }

    /// Sets the function that closes idle connections, which the follower's thread calls. Replaces the previous one.
    pub fn on_follower_waiting(&self, close_idle: impl Fn() + Send + 'static) {
        self.0.lock().close_idle = Some(Box::new(close_idle));
    }

    /// The follower has reached the limit on connections.
    pub(crate) fn follower_waits(&self) {
        self.0.lock().waiting_since = Some(Instant::now());
        // Called without the lock, because it calls `is_follower_waiting`.
        let close_idle = self.0.lock().close_idle.take();
        if let Some(close_idle) = close_idle {
            close_idle();
            self.0.lock().close_idle.get_or_insert(close_idle);
        }
    }

    /// The follower has connected, or failed for another reason.
    pub(crate) fn follower_served(&self) {
        self.0.lock().waiting_since = None;
    }
}

impl fmt::Debug for FollowerPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FollowerPriority")
    }
}
