//! The identity that the follower is connected to, for those who change the database.
//!
//! A change is of use only where the follower sees it. So who makes changes compares the identity of its
//! connection with the follower's, before each change. Where they differ, the connection that was made first
//! is out of date: the writer connects anew, and if that does not help, the follower does ([`FollowedDatabase::ensure_followed`]).
//!
//! The follower says where it is when it has connected ([`FollowedDatabase::follower_connected`]). While it is away, the last identity
//! counts. Nothing is compared while nobody follows, or where the database does not tell its identity.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::{DatabaseIdentity, Signal};

/// The shortest time between two demands that the follower connects anew: where a URL leads to two databases by
/// turns, no connection is ever the right one.
const BETWEEN_DEMANDS: Duration = Duration::from_secs(1);

/// Shared by one follower at a time and all who change the database.
#[derive(Default)]
pub struct FollowedDatabase {
    state: Mutex<State>,
    met: Condvar,
}

#[derive(Default)]
struct State {
    identity: Option<DatabaseIdentity>,
    /// How often a follower has connected.
    meetings: u64,
    /// Reaches the follower's thread; there is none while nobody follows.
    follower: Option<Arc<Signal>>,
    demand: Demand,
    /// When that was demanded last, and how often a follower had connected then.
    demanded: Option<(Instant, u64)>,
}

/// Whether the follower is to connect anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Demand {
    #[default]
    None,
    Reconnect,
}

impl FollowedDatabase {
    /// A follower begins, which is reached by this signal. It is not connected yet.
    pub fn follower_started(&self, follower: Arc<Signal>) {
        let mut state = self.state.lock();
        (state.identity, state.demand, state.follower) = (None, Demand::None, Some(follower));
    }

    /// The follower of this signal has ended. Its successor may have begun already.
    pub fn follower_stopped(&self, follower: &Arc<Signal>) {
        let mut state = self.state.lock();
        if state.follower.as_ref().is_some_and(|present| Arc::ptr_eq(present, follower)) {
            (state.identity, state.follower) = (None, None);
            self.met.notify_all();
        }
    }

    /// The follower has connected, and the database says that it is this one.
    pub fn follower_connected(&self, identity: Option<DatabaseIdentity>) {
        let mut state = self.state.lock();
        (state.identity, state.demand) = (identity, Demand::None);
        state.meetings += 1;
        self.met.notify_all();
    }

    /// Whether the follower is to connect anew; asked by the follower, which then does so once.
    pub fn take_reconnect_request(&self) -> bool {
        std::mem::take(&mut self.state.lock().demand) == Demand::Reconnect
    }

    /// Whether a change that is made at this identity is made where the follower looks.
    pub fn is_followed(&self, identity: Option<&DatabaseIdentity>) -> bool {
        self.state.lock().is_at(identity)
    }

    /// Has the follower connect anew, unless that was demanded a moment before.
    pub fn request_reconnect(&self) {
        self.state.lock().demand();
    }

    /// Has the follower connect anew if it is somewhere else, and waits for it. If it is somewhere else even then,
    /// or does not connect by this time: where it was last.
    pub fn ensure_followed(&self, identity: Option<&DatabaseIdentity>, until: Instant) -> Result<(), String> {
        let mut state = self.state.lock();
        if state.is_at(identity) {
            return Ok(());
        }
        let meetings = state.meetings;
        state.demand();
        // Somebody else may have demanded it, and the follower is at it.
        if state.demanded.is_some_and(|(_, at)| at == meetings) {
            while state.meetings == meetings && !state.is_at(identity) {
                if self.met.wait_until(&mut state, until).timed_out() {
                    break;
                }
            }
        }
        if state.is_at(identity) {
            Ok(())
        } else {
            Err(state.identity.as_ref().map(DatabaseIdentity::to_string).unwrap_or_default())
        }
    }
}

impl State {
    fn demand(&mut self) {
        if self.demanded.is_none_or(|(last, _)| last.elapsed() >= BETWEEN_DEMANDS) {
            (self.demand, self.demanded) = (Demand::Reconnect, Some((Instant::now(), self.meetings)));
            self.follower.iter().for_each(|follower| follower.wake());
        }
    }

    fn is_at(&self, identity: Option<&DatabaseIdentity>) -> bool {
        self.identity.as_ref().zip(identity).is_none_or(|(followed, identity)| followed.is_same_as(identity))
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
    fn a_writer_elsewhere_has_the_follower_connect_anew() {
        let (followed, signal) = (FollowedDatabase::default(), Arc::<Signal>::default());
        followed.follower_started(signal.clone());
        followed.follower_connected(Some(file(1)));
        assert!(followed.is_followed(Some(&file(1))) && !followed.is_followed(Some(&file(2))));
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
    fn a_follower_that_stays_elsewhere_is_named() {
        let followed = FollowedDatabase::default();
        followed.follower_started(Arc::default());
        followed.follower_connected(Some(file(1)));
        assert_eq!(followed.ensure_followed(Some(&file(2)), Instant::now()), Err("file 1/1".to_owned()));
    }

    #[test]
    fn while_nobody_follows_every_place_is_right() {
        let (followed, signal) = (FollowedDatabase::default(), Arc::<Signal>::default());
        assert!(followed.is_followed(Some(&file(1))));
        followed.follower_started(signal.clone());
        followed.follower_connected(Some(file(1)));
        followed.follower_started(Arc::default());
        followed.follower_connected(Some(file(1)));
        followed.follower_stopped(&signal); // it was not the present one
        assert!(!followed.is_followed(Some(&file(2))));
    }
}
