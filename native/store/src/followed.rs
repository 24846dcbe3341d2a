//! Which database the follower is connected to, so that writers change the same one.
//!
//! A change is visible on this node only in the database that the follower reads. So a writer compares the identity of its
//! own database with the follower's before each change. If they differ, the older connection is stale. The writer
//! reconnects first, and if that does not help, it has the follower reconnect ([`FollowedDatabase::ensure_followed`]).
//!
//! The follower publishes its identity when it has connected ([`FollowedDatabase::follower_connected`]). While it is
//! disconnected, the last identity applies. Nothing is compared while no follower runs, or where the database does not
//! tell its identity.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::{DatabaseIdentity, Signal};

/// The shortest time between two requests. If a URL leads to two databases by turns, every connection soon is the wrong
/// one.
const MIN_REQUEST_INTERVAL: Duration = Duration::from_secs(1);

/// Whether a database is the one that the follower is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityMatch {
    /// It is.
    Same,
    /// It is another one.
    Different,
    /// No follower is connected, or one of the databases does not tell its identity.
    Unknown,
}

/// Shared by the follower and the writers of one node.
#[derive(Default)]
pub struct FollowedDatabase {
    state: Mutex<State>,
    connected: Condvar,
}

#[derive(Default)]
struct State {
    identity: Option<DatabaseIdentity>,
    /// How often a follower has connected.
    connections: u64,
    /// Wakes the follower's thread. None while no follower runs.
    follower: Option<Arc<Signal>>,
    /// Whether the follower has to reconnect.
    reconnect: bool,
    /// The time of the last request, and `connections` at that time.
    last_request: Option<(Instant, u64)>,
}

impl FollowedDatabase {
    /// A follower starts, and is woken by this signal. It is not connected yet.
    pub fn follower_started(&self, follower: Arc<Signal>) {
        let mut state = self.state.lock();
        (state.identity, state.reconnect, state.follower) = (None, false, Some(follower));
    }

    /// The follower with this signal has ended. Its successor may have started already.
    pub fn follower_stopped(&self, follower: &Arc<Signal>) {
        let mut state = self.state.lock();
        if state.follower.as_ref().is_some_and(|present| Arc::ptr_eq(present, follower)) {
            (state.identity, state.follower) = (None, None);
            self.connected.notify_all();
        }
    }

    /// The follower has connected to this database.
    pub fn follower_connected(&self, identity: Option<DatabaseIdentity>) {
        let mut state = self.state.lock();
        (state.identity, state.reconnect) = (identity, false);
        state.connections += 1;
        self.connected.notify_all();
    }

    /// Whether the follower has to reconnect. Resets the request.
    pub fn take_reconnect_request(&self) -> bool {
        std::mem::take(&mut self.state.lock().reconnect)
    }

    /// Whether the follower sees changes of this database.
    pub fn compare(&self, identity: Option<&DatabaseIdentity>) -> IdentityMatch {
        self.state.lock().compare(identity)
    }

    /// Has the follower reconnect, unless that was requested shortly before.
    pub fn request_reconnect(&self) {
        self.state.lock().request_reconnect();
    }

    /// If the follower is connected to another database, has it reconnect, and waits for that. If it does not reconnect
    /// in time, or is connected to another database again, returns its identity as an error.
    pub fn ensure_followed(&self, identity: Option<&DatabaseIdentity>, until: Instant) -> Result<(), String> {
        let mut state = self.state.lock();
        if state.is_followed(identity) {
            return Ok(());
        }
        let connections = state.connections;
        state.request_reconnect();
        // Another writer may have requested it for the same connection.
        if state.last_request.is_some_and(|(_, at)| at == connections) {
            while state.connections == connections && !state.is_followed(identity) {
                if self.connected.wait_until(&mut state, until).timed_out() {
                    break;
                }
            }
        }
        if state.is_followed(identity) {
            Ok(())
        } else {
            Err(state.identity.as_ref().map(DatabaseIdentity::to_string).unwrap_or_default())
        }
    }
}

impl State {
    fn request_reconnect(&mut self) {
        if self.last_request.is_none_or(|(last, _)| last.elapsed() >= MIN_REQUEST_INTERVAL) {
            (self.reconnect, self.last_request) = (true, Some((Instant::now(), self.connections)));
            self.follower.iter().for_each(|follower| follower.wake());
        }
    }

    fn compare(&self, identity: Option<&DatabaseIdentity>) -> IdentityMatch {
        match self.identity.as_ref().zip(identity) {
            None => IdentityMatch::Unknown,
            Some((followed, identity)) if followed.is_same_as(identity) => IdentityMatch::Same,
            Some(_) => IdentityMatch::Different,
        }
    }

    fn is_followed(&self, identity: Option<&DatabaseIdentity>) -> bool {
        self.compare(identity) != IdentityMatch::Different
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn file(inode: u64) -> DatabaseIdentity {
        DatabaseIdentity::File { device: 1, inode }
    }

    #[test]
    fn a_writer_of_another_database_has_the_follower_reconnect() {
        let (followed, signal) = (FollowedDatabase::default(), Arc::<Signal>::default());
        followed.follower_started(signal.clone());
        followed.follower_connected(Some(file(1)));
        assert_eq!(followed.compare(Some(&file(1))), IdentityMatch::Same);
        assert_eq!(followed.compare(Some(&file(2))), IdentityMatch::Different);
        thread::scope(|scope| {
            let settled =
                scope.spawn(|| followed.ensure_followed(Some(&file(2)), Instant::now() + Duration::from_secs(60)));
            while !followed.take_reconnect_request() {
                thread::yield_now();
            }
            followed.follower_connected(Some(file(2)));
            assert_eq!(settled.join().unwrap(), Ok(()));
        });
        assert!(!followed.take_reconnect_request());
    }

    #[test]
    fn the_database_of_a_follower_that_does_not_reconnect_is_named() {
        let followed = FollowedDatabase::default();
        followed.follower_started(Arc::default());
        followed.follower_connected(Some(file(1)));
        assert_eq!(followed.ensure_followed(Some(&file(2)), Instant::now()), Err("file 1/1".to_owned()));
    }

    #[test]
    fn every_database_is_followed_while_no_follower_runs() {
        let (followed, signal) = (FollowedDatabase::default(), Arc::<Signal>::default());
        assert_eq!(followed.compare(Some(&file(1))), IdentityMatch::Unknown);
        followed.follower_started(signal.clone());
        followed.follower_connected(Some(file(1)));
        followed.follower_started(Arc::default());
        followed.follower_connected(Some(file(1)));
        followed.follower_stopped(&signal); // it was not the present one
        assert_eq!(followed.compare(Some(&file(2))), IdentityMatch::Different);
    }
}
