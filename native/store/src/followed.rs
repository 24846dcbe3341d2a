//! The place that the follower is connected to, for those who change the database.
//!
//! A change is of use only where the follower sees it. So who makes changes compares the place of its
//! connection with the follower's, before each change. Where they differ, the connection that was made first
//! is out of date: the writer connects anew, and if that does not help, the follower does ([`Followed::settle`]).
//!
//! The follower says where it is when it has connected ([`Followed::met`]). While it is away, the last place
//! counts. Nothing is compared while nobody follows, or where the database does not tell its place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::{Place, Signal};

/// The shortest time between two demands that the follower connects anew: where a URL leads to two databases by
/// turns, no connection is ever the right one.
const BETWEEN_DEMANDS: Duration = Duration::from_secs(1);

/// Shared by one follower at a time and all who change the database.
#[derive(Default)]
pub struct Followed {
    state: Mutex<State>,
    met: Condvar,
}

#[derive(Default)]
struct State {
    place: Option<Place>,
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

impl Followed {
    /// A follower begins, which is reached by this signal. It is not connected yet.
    pub fn begin(&self, follower: Arc<Signal>) {
        let mut state = self.state.lock();
        (state.place, state.demand, state.follower) = (None, Demand::None, Some(follower));
    }

    /// The follower of this signal has ended. Its successor may have begun already.
    pub fn end(&self, follower: &Arc<Signal>) {
        let mut state = self.state.lock();
        if state.follower.as_ref().is_some_and(|present| Arc::ptr_eq(present, follower)) {
            (state.place, state.follower) = (None, None);
            self.met.notify_all();
        }
    }

    /// The follower has connected, and the database says that it is this one.
    pub fn met(&self, place: Option<Place>) {
        let mut state = self.state.lock();
        (state.place, state.demand) = (place, Demand::None);
        state.meetings += 1;
        self.met.notify_all();
    }

    /// Whether the follower is to connect anew; asked by the follower, which then does so once.
    pub fn take_demand(&self) -> bool {
        std::mem::take(&mut self.state.lock().demand) == Demand::Reconnect
    }

    /// Whether a change that is made at this place is made where the follower looks.
    pub fn is_at(&self, place: Option<&Place>) -> bool {
        self.state.lock().is_at(place)
    }

    /// Has the follower connect anew, unless that was demanded a moment before.
    pub fn demand(&self) {
        self.state.lock().demand();
    }

    /// Has the follower connect anew if it is somewhere else, and waits for it. If it is somewhere else even then,
    /// or does not connect by this time: where it was last.
    pub fn settle(&self, place: Option<&Place>, until: Instant) -> Result<(), String> {
        let mut state = self.state.lock();
        if state.is_at(place) {
            return Ok(());
        }
        let meetings = state.meetings;
        state.demand();
        // Somebody else may have demanded it, and the follower is at it.
        if state.demanded.is_some_and(|(_, at)| at == meetings) {
            while state.meetings == meetings && !state.is_at(place) {
                if self.met.wait_until(&mut state, until).timed_out() {
                    break;
                }
            }
        }
        if state.is_at(place) { Ok(()) } else { Err(state.place.as_ref().map(Place::to_string).unwrap_or_default()) }
    }
}

impl State {
    fn demand(&mut self) {
        if self.demanded.is_none_or(|(last, _)| last.elapsed() >= BETWEEN_DEMANDS) {
            (self.demand, self.demanded) = (Demand::Reconnect, Some((Instant::now(), self.meetings)));
            self.follower.iter().for_each(|follower| follower.wake());
        }
    }

    fn is_at(&self, place: Option<&Place>) -> bool {
        self.place.as_ref().zip(place).is_none_or(|(followed, place)| followed.is_same(place))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn file(inode: u64) -> Place {
        Place::File { device: 1, inode }
    }

    #[test]
    fn a_writer_elsewhere_has_the_follower_connect_anew() {
        let (followed, signal) = (Followed::default(), Arc::<Signal>::default());
        followed.begin(signal.clone());
        followed.met(Some(file(1)));
        assert!(followed.is_at(Some(&file(1))) && !followed.is_at(Some(&file(2))));
        thread::scope(|scope| {
            let settled = scope.spawn(|| followed.settle(Some(&file(2)), Instant::now() + Duration::from_secs(60)));
            while !followed.take_demand() {
                thread::yield_now();
            }
            followed.met(Some(file(2)));
            assert_eq!(settled.join().unwrap(), Ok(()));
        });
        assert!(!followed.take_demand());
    }

    #[test]
    fn a_follower_that_stays_elsewhere_is_named() {
        let followed = Followed::default();
        followed.begin(Arc::default());
        followed.met(Some(file(1)));
        assert_eq!(followed.settle(Some(&file(2)), Instant::now()), Err("file 1/1".to_owned()));
    }

    #[test]
    fn while_nobody_follows_every_place_is_right() {
        let (followed, signal) = (Followed::default(), Arc::<Signal>::default());
        assert!(followed.is_at(Some(&file(1))));
        followed.begin(signal.clone());
        followed.met(Some(file(1)));
        followed.begin(Arc::default());
        followed.met(Some(file(1)));
        followed.end(&signal); // it was not the present one
        assert!(!followed.is_at(Some(&file(2))));
    }
}
