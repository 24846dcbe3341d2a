//! Ids of events that were passed by and may still show.
//!
//! Ids are handed out before their transactions commit, so the event after the cursor's may show
//! before the cursor's neighbour does. A follower need not wait for it: an event says no more than
//! "read this domain's row again", and late is as good as in time. It must only remember the *hole*.
//!
//! A hole is *settled* without writing and without blocking anyone. Whoever holds its id began to
//! write before the hole was seen, so a later look at those who write ([`Writers`]) has them all. Once
//! none of these is left, a read that begins then shows the event or never will: the hole is *dead*.
//! Where nobody can tell who writes, age settles a hole. Dead holes are still looked at now and then,
//! since a person may insert any id by hand.
//!
//! What lies below the log's oldest event is a hole as well: ids that were pruned, and perhaps one whose
//! transaction is still open, or that somebody inserts by hand.
//!
//! Holes are ranges: a sequence that jumps by a million leaves one. No more than [`MOST`] are
//! remembered. Of those that are too many the dead go first; if an open one has to go, it leaves the
//! *overflow* behind, which settles like a hole and then asks for a comparison of everything. (To read
//! its ids once more would hear events again that were heard before, and so remove routes that the gate
//! keeps.)

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::{IdRange, Transaction, Writers};

/// Ranges that are remembered.
pub(crate) const MOST: usize = 1_000;

/// After how long a hole is settled where nobody can tell who writes.
const OLD: Duration = Duration::from_secs(600);

/// Which holes to look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those that may well be filled.
    Open,
    /// The dead ones, too.
    All,
}

/// Whether an open hole was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgot {
    Nothing,
    Open,
}

#[derive(Debug, Clone)]
pub(crate) struct Holes {
    /// Where the log begins: below is a hole.
    oldest: EventId,
    below: Watch,
    /// The others, by their first ids; no two overlap.
    ranges: BTreeMap<EventId, Hole>,
    overflow: Option<Watch>,
}

#[derive(Debug, Clone)]
struct Hole {
    last: EventId,
    watch: Watch,
}

#[derive(Debug, Clone)]
struct Watch {
    since: Instant,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Nobody was asked yet who writes.
    Seen,
    /// One of these may hold the id.
    Watched(Arc<HashSet<Transaction>>),
    /// Nobody holds it any more: the next read tells.
    Settled,
    Dead,
}

impl Watch {
    fn new(now: Instant) -> Watch {
        Watch { since: now, state: State::Seen }
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, State::Dead)
    }

    fn look(&mut self, writers: &Writers, watched: &Arc<HashSet<Transaction>>, now: Instant) {
        match (&self.state, writers) {
            (State::Settled | State::Dead, _) => (),
            (_, Writers::Unknown) => {
                if now.saturating_duration_since(self.since) >= OLD {
                    self.state = State::Settled;
                }
            }
            (State::Seen, Writers::Known(present)) => {
                let free = present.is_empty();
                self.state = if free { State::Settled } else { State::Watched(watched.clone()) };
            }
            (State::Watched(before), Writers::Known(present)) => {
                if before.is_disjoint(present) {
                    self.state = State::Settled;
                }
            }
        }
    }
}

impl Holes {
    /// Those of a log that begins with this id.
    pub(crate) fn of_log(oldest: EventId, now: Instant) -> Holes {
        Holes { oldest, below: Watch::new(now), ranges: BTreeMap::new(), overflow: None }
    }

    /// Where the log begins.
    pub(crate) fn oldest(&self) -> EventId {
        self.oldest
    }

    fn watches(&mut self) -> impl Iterator<Item = &mut Watch> {
        self.ranges.values_mut().map(|hole| &mut hole.watch).chain(&mut self.overflow).chain([&mut self.below])
    }

    /// Remembers these ids, none of which is in a hole yet.
    pub(crate) fn add(&mut self, range: IdRange, now: Instant) {
        self.ranges.insert(range.first, Hole { last: range.last, watch: Watch::new(now) });
        self.bound(now);
    }

    /// Leaves out what is above this id: it was not passed by.
    pub(crate) fn cut(&mut self, at: EventId) {
        while let Some(mut entry) = self.ranges.last_entry().filter(|entry| entry.get().last > at) {
            if *entry.key() <= at {
                entry.get_mut().last = at;
                return;
            }
            entry.remove();
        }
    }

    /// Notes who writes now, which was asked after all these holes were seen.
    pub(crate) fn look(&mut self, writers: &Writers, now: Instant) {
        let watched = match writers {
            // One that prepares its commit may get another name, so any that did may be one of these.
            Writers::Known(present) => present.iter().cloned().chain([Transaction::Prepared]).collect(),
            Writers::Unknown => HashSet::new(),
        };
        let watched = Arc::new(watched);
        self.watches().for_each(|watch| watch.look(writers, &watched, now));
    }

    /// The server may be another one: who wrote on the one before says nothing any more.
    pub(crate) fn look_anew(&mut self) {
        for watch in self.watches() {
            if !watch.is_dead() {
                watch.state = State::Seen;
            }
        }
    }

    /// The ranges to read.
    pub(crate) fn to_read(&self, scope: Scope) -> Vec<IdRange> {
        let wanted = |watch: &Watch| scope == Scope::All || !watch.is_dead();
        let below = IdRange { first: EventId(i64::MIN), last: EventId(self.oldest.0.saturating_sub(1)) };
        let below = Some(below).filter(|_| wanted(&self.below) && self.oldest.0 > i64::MIN);
        let others = self.ranges.iter().filter(|(_, hole)| wanted(&hole.watch));
        below.into_iter().chain(others.map(|(&first, hole)| IdRange { first, last: hole.last })).collect()
    }

    /// Whether this id would be read.
    #[cfg(test)]
    pub(crate) fn has(&self, scope: Scope, id: EventId) -> bool {
        let wanted = |watch: &Watch| scope == Scope::All || !watch.is_dead();
        if id < self.oldest {
            return wanted(&self.below);
        }
        let hole = self.ranges.range(..=id).next_back().map(|(_, hole)| hole);
        hole.is_some_and(|hole| id <= hole.last && wanted(&hole.watch))
    }

    /// This event showed.
    pub(crate) fn fill(&mut self, id: EventId, now: Instant) {
        if id < self.oldest {
            let last = EventId(self.oldest.0 - 1);
            self.oldest = id;
            if id < last {
                self.ranges.insert(EventId(id.0 + 1), Hole { last, watch: self.below.clone() });
                self.bound(now);
            }
            return;
        }
        let Some((&first, _)) = self.ranges.range(..=id).next_back() else { return };
        let Some(hole) = self.ranges.get_mut(&first).filter(|hole| id <= hole.last) else { return };
        let (last, watch) = (hole.last, hole.watch.clone());
        if first == id {
            self.ranges.remove(&first);
        } else {
            hole.last = EventId(id.0 - 1);
        }
        if id < last {
            self.ranges.insert(EventId(id.0 + 1), Hole { last, watch });
            self.bound(now);
        }
    }

    /// All that is to read was read to the end: what was settled before is dead.
    pub(crate) fn bury(&mut self) {
        let others = self.ranges.values_mut().map(|hole| &mut hole.watch).chain([&mut self.below]);
        for watch in others.filter(|watch| matches!(watch.state, State::Settled)) {
            watch.state = State::Dead;
        }
    }

    /// Whether the holes that were too many are settled, and a comparison finds what they hid. Says so
    /// once.
    pub(crate) fn take_overflow(&mut self) -> bool {
        self.overflow.take_if(|watch| matches!(watch.state, State::Settled)).is_some()
    }

    /// The log begins later now: what was below is pruned, or was never there.
    pub(crate) fn raise(&mut self, oldest: EventId, now: Instant) -> Forgot {
        self.oldest = oldest;
        let mut forgot = Forgot::Nothing;
        while let Some(entry) = self.ranges.first_entry().filter(|entry| *entry.key() < oldest) {
            let hole = entry.remove();
            if !hole.watch.is_dead() {
                forgot = Forgot::Open;
            }
            if oldest <= hole.last {
                self.ranges.insert(oldest, hole);
            }
        }
        if forgot == Forgot::Open {
            self.watch_below(now);
        }
        forgot
    }

    /// What is below the log's oldest event may still show.
    pub(crate) fn watch_below(&mut self, now: Instant) {
        self.below = Watch::new(now);
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        let below = usize::from(!self.below.is_dead());
        below + self.ranges.values().filter(|hole| !hole.watch.is_dead()).count() + usize::from(self.overflow.is_some())
    }

    fn bound(&mut self, now: Instant) {
        while self.ranges.len() > MOST {
            let dead = self.ranges.iter().find(|(_, hole)| hole.watch.is_dead()).map(|(&first, _)| first);
            match dead {
                Some(first) => drop(self.ranges.remove(&first)),
                None => {
                    self.ranges.pop_first();
                    self.overflow = Some(Watch::new(now));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64) -> IdRange {
        IdRange { first: EventId(first), last: EventId(last) }
    }

    fn writers(names: &[&str]) -> Writers {
        Writers::Known(names.iter().map(|name| Transaction::Open((*name).to_owned())).collect())
    }

    /// Holes, the dead and the open.
    fn holes(ranges: &[(i64, i64)]) -> (Holes, Instant) {
        let now = Instant::now();
        let mut holes = Holes::of_log(EventId(i64::MIN), now);
        holes.look(&Writers::Known(HashSet::new()), now);
        holes.bury();
        ranges.iter().for_each(|&(first, last)| holes.add(range(first, last), now));
        (holes, now)
    }

    #[test]
    fn a_hole_dies_when_all_who_wrote_when_it_was_seen_have_ended_and_a_later_read_shows_nothing() {
        let (mut holes, now) = holes(&[(5, 7)]);
        holes.look(&writers(&["3/1", "4/9"]), now);
        holes.bury();
        // Others that began since do not matter, however many there are.
        holes.look(&writers(&["4/9", "5/1"]), now);
        holes.bury();
        assert_eq!(holes.to_read(Scope::Open), vec![range(5, 7)]);
        holes.look(&writers(&["5/1", "3/2"]), now);
        // It must be read once more before it is dead.
        assert_eq!(holes.to_read(Scope::Open), vec![range(5, 7)]);
        holes.bury();
        assert_eq!(holes.to_read(Scope::Open), vec![]);
        assert_eq!(holes.to_read(Scope::All), vec![range(5, 7)]);
        assert_eq!(holes.open(), 0);
    }

    #[test]
    fn where_nobody_writes_a_hole_dies_at_once() {
        let (mut holes, now) = holes(&[(5, 7)]);
        holes.look(&writers(&[]), now);
        holes.bury();
        assert_eq!(holes.open(), 0);
    }

    #[test]
    fn a_transaction_that_prepared_its_commit_keeps_every_hole_open() {
        let (mut holes, now) = holes(&[(5, 7)]);
        holes.look(&writers(&["3/1"]), now);
        holes.look(&Writers::Known([Transaction::Prepared].into()), now);
        holes.bury();
        assert_eq!(holes.open(), 1);
        holes.look(&writers(&[]), now);
        holes.bury();
        assert_eq!(holes.open(), 0);
    }

    #[test]
    fn where_nobody_can_tell_who_writes_age_settles() {
        let (mut holes, now) = holes(&[(5, 7)]);
        holes.look(&Writers::Unknown, now + OLD / 2);
        holes.bury();
        assert_eq!(holes.open(), 1);
        holes.look(&Writers::Unknown, now + OLD);
        holes.bury();
        assert_eq!(holes.open(), 0);
    }

    #[test]
    fn an_event_that_shows_leaves_the_rest_of_its_hole() {
        let (mut holes, now) = holes(&[(5, 9), (20, 20)]);
        for id in [7, 5, 9, 20, 3, 100] {
            holes.fill(EventId(id), now);
        }
        assert_eq!(holes.to_read(Scope::Open), vec![range(6, 6), range(8, 8)]);
    }

    #[test]
    fn a_jump_by_a_million_is_one_hole() {
        let (holes, _) = holes(&[(5, 1_000_005)]);
        assert_eq!(holes.to_read(Scope::Open).len(), 1);
    }

    #[test]
    fn what_lies_below_the_log_is_forgotten_and_an_open_hole_there_is_told() {
        let (mut holes, now) = holes(&[(5, 9), (20, 29)]);
        assert_eq!(holes.raise(EventId(5), now), Forgot::Nothing);
        assert_eq!(holes.to_read(Scope::Open), vec![range(5, 9), range(20, 29)]);
        assert_eq!(holes.raise(EventId(25), now), Forgot::Open);
        assert_eq!(holes.to_read(Scope::Open), vec![range(i64::MIN, 24), range(25, 29)], "one of them may still show");
        holes.look(&writers(&[]), now);
        holes.bury();
        assert_eq!(holes.raise(EventId(100), now), Forgot::Nothing);
        assert_eq!(holes.to_read(Scope::Open), vec![]);
        assert_eq!(holes.to_read(Scope::All), vec![range(i64::MIN, 99)]);
    }

    #[test]
    fn an_event_below_the_oldest_is_the_oldest_then() {
        let now = Instant::now();
        let mut holes = Holes::of_log(EventId(100), now);
        assert_eq!(holes.to_read(Scope::Open), vec![range(i64::MIN, 99)]);
        holes.fill(EventId(40), now);
        holes.fill(EventId(50), now);
        holes.fill(EventId(-7), now);
        assert_eq!(holes.oldest(), EventId(-7));
        let ranges = vec![range(i64::MIN, -8), range(-6, 39), range(41, 49), range(51, 99)];
        assert_eq!(holes.to_read(Scope::Open), ranges);
    }

    #[test]
    fn memory_is_bounded_and_the_dead_go_first() {
        let (mut holes, now) = holes(&[(1, 1), (3, 3)]);
        holes.look(&writers(&[]), now);
        holes.bury();
        for n in 0..MOST as i64 - 1 {
            holes.add(range(10 + 2 * n, 10 + 2 * n), now);
        }
        assert_eq!(holes.to_read(Scope::All).first(), Some(&range(3, 3)));
        assert_eq!((holes.open(), holes.take_overflow()), (MOST - 1, false));
    }

    #[test]
    fn too_many_open_holes_ask_for_a_comparison_once_they_are_settled() {
        let (mut holes, now) = holes(&[]);
        for n in 0..=MOST as i64 {
            holes.add(range(2 * n, 2 * n), now);
        }
        assert_eq!(holes.to_read(Scope::Open).len(), MOST);
        holes.look(&writers(&["3/1"]), now);
        assert!(!holes.take_overflow());
        holes.look(&writers(&["4/1"]), now);
        assert!(holes.take_overflow());
        assert!(!holes.take_overflow(), "once");
    }

    #[test]
    fn on_another_server_everybody_is_asked_again() {
        let (mut holes, now) = holes(&[(5, 7)]);
        holes.look(&writers(&["3/1"]), now);
        holes.look_anew();
        holes.look(&writers(&["9/9"]), now);
        holes.bury();
        assert_eq!(holes.open(), 1);
    }
}
