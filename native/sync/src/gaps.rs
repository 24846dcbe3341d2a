//! Ids of events that were passed by and may still show.
//!
//! Ids are handed out before their transactions commit, so the event after the cursor's may show
//! before the cursor's neighbour does. A follower need not wait for it: an event says no more than
//! "read this domain's row again", and late is as good as in time. It must only remember the *gap*.
//!
//! A gap is *settled* without writing and without blocking anyone. Whoever holds its id began to
//! write before the gap was seen, so a later look at those who write ([`OpenTransactions`]) has them all. Once
//! none of these is left, a read that begins then shows the event or never will: the gap is *dead*.
//! Where nobody can tell who writes, age settles a gap. Dead gaps are still looked at now and then,
//! since a person may insert any id by hand.
//!
//! What lies below the log's oldest event is a gap as well: ids that were pruned, and perhaps one whose
//! transaction is still open, or that somebody inserts by hand.
//!
//! Gaps are ranges: a sequence that jumps by a million leaves one. No more than [`MOST`] are
//! remembered. Of those that are too many the dead go first; if an open one has to go, it leaves the
//! *overflow* behind, which settles like a gap and then asks for a comparison of everything. (To read
//! its ids once more would hear events again that were heard before, and so remove routes that the gate
//! keeps.)

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::{IdRange, OpenTransactions, TransactionId};

/// Ranges that are remembered.
pub(crate) const MOST: usize = 1_000;

/// After how long a gap is settled where nobody can tell who writes.
const OLD: Duration = Duration::from_secs(600);

/// Which gaps to look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those that may well be filled.
    Open,
    /// The dead ones, too.
    All,
}

/// Whether an open gap was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgot {
    Nothing,
    Open,
}

#[derive(Debug, Clone)]
pub(crate) struct Gaps {
    /// Where the log begins: below is a gap.
    oldest: EventId,
    below: Watch,
    /// The others, by their first ids; no two overlap.
    ranges: BTreeMap<EventId, Gap>,
    overflow: Option<Watch>,
}

#[derive(Debug, Clone)]
struct Gap {
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
    Watched(Arc<HashSet<TransactionId>>),
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

    fn look(&mut self, writers: &OpenTransactions, watched: &Arc<HashSet<TransactionId>>, now: Instant) {
        match (&self.state, writers) {
            (State::Settled | State::Dead, _) => (),
            (_, OpenTransactions::Unknown) => {
                if now.saturating_duration_since(self.since) >= OLD {
                    self.state = State::Settled;
                }
            }
            (State::Seen, OpenTransactions::Known(present)) => {
                let free = present.is_empty();
                self.state = if free { State::Settled } else { State::Watched(watched.clone()) };
            }
            (State::Watched(before), OpenTransactions::Known(present)) => {
                if before.is_disjoint(present) {
                    self.state = State::Settled;
                }
            }
        }
    }
}

impl Gaps {
    /// Those of a log that begins with this id.
    pub(crate) fn of_log(oldest: EventId, now: Instant) -> Gaps {
        Gaps { oldest, below: Watch::new(now), ranges: BTreeMap::new(), overflow: None }
    }

    /// Where the log begins.
    pub(crate) fn oldest(&self) -> EventId {
        self.oldest
    }

    fn watches(&mut self) -> impl Iterator<Item = &mut Watch> {
        self.ranges.values_mut().map(|gap| &mut gap.watch).chain(&mut self.overflow).chain([&mut self.below])
    }

    /// Remembers these ids, none of which is in a gap yet.
    pub(crate) fn add(&mut self, range: IdRange, now: Instant) {
        self.ranges.insert(range.first, Gap { last: range.last, watch: Watch::new(now) });
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

    /// Notes who writes now, which was asked after all these gaps were seen.
    pub(crate) fn look(&mut self, writers: &OpenTransactions, now: Instant) {
        let watched = match writers {
            // One that prepares its commit may get another name, so any that did may be one of these.
            OpenTransactions::Known(present) => present.iter().cloned().chain([TransactionId::Prepared]).collect(),
            OpenTransactions::Unknown => HashSet::new(),
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
        let others = self.ranges.iter().filter(|(_, gap)| wanted(&gap.watch));
        below.into_iter().chain(others.map(|(&first, gap)| IdRange { first, last: gap.last })).collect()
    }

    /// Whether this id would be read.
    #[cfg(test)]
    pub(crate) fn has(&self, scope: Scope, id: EventId) -> bool {
        let wanted = |watch: &Watch| scope == Scope::All || !watch.is_dead();
        if id < self.oldest {
            return wanted(&self.below);
        }
        let gap = self.ranges.range(..=id).next_back().map(|(_, gap)| gap);
        gap.is_some_and(|gap| id <= gap.last && wanted(&gap.watch))
    }

    /// This event showed.
    pub(crate) fn fill(&mut self, id: EventId, now: Instant) {
        if id < self.oldest {
            let last = EventId(self.oldest.0 - 1);
            self.oldest = id;
            if id < last {
                self.ranges.insert(EventId(id.0 + 1), Gap { last, watch: self.below.clone() });
                self.bound(now);
            }
            return;
        }
        let Some((&first, _)) = self.ranges.range(..=id).next_back() else { return };
        let Some(gap) = self.ranges.get_mut(&first).filter(|gap| id <= gap.last) else { return };
        let (last, watch) = (gap.last, gap.watch.clone());
        if first == id {
            self.ranges.remove(&first);
        } else {
            gap.last = EventId(id.0 - 1);
        }
        if id < last {
            self.ranges.insert(EventId(id.0 + 1), Gap { last, watch });
            self.bound(now);
        }
    }

    /// All that is to read was read to the end: what was settled before is dead.
    pub(crate) fn bury(&mut self) {
        let others = self.ranges.values_mut().map(|gap| &mut gap.watch).chain([&mut self.below]);
        for watch in others.filter(|watch| matches!(watch.state, State::Settled)) {
            watch.state = State::Dead;
        }
    }

    /// Whether the gaps that were too many are settled, and a comparison finds what they hid. Says so
    /// once.
    pub(crate) fn take_overflow(&mut self) -> bool {
        self.overflow.take_if(|watch| matches!(watch.state, State::Settled)).is_some()
    }

    /// The log begins later now: what was below is pruned, or was never there.
    pub(crate) fn raise(&mut self, oldest: EventId, now: Instant) -> Forgot {
        self.oldest = oldest;
        let mut forgot = Forgot::Nothing;
        while let Some(entry) = self.ranges.first_entry().filter(|entry| *entry.key() < oldest) {
            let gap = entry.remove();
            if !gap.watch.is_dead() {
                forgot = Forgot::Open;
            }
            if oldest <= gap.last {
                self.ranges.insert(oldest, gap);
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
        below + self.ranges.values().filter(|gap| !gap.watch.is_dead()).count() + usize::from(self.overflow.is_some())
    }

    fn bound(&mut self, now: Instant) {
        while self.ranges.len() > MOST {
            let dead = self.ranges.iter().find(|(_, gap)| gap.watch.is_dead()).map(|(&first, _)| first);
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

    fn transactions(names: &[&str]) -> OpenTransactions {
        OpenTransactions::Known(names.iter().map(|name| TransactionId::Open((*name).to_owned())).collect())
    }

    /// Gaps, the dead and the open.
    fn gaps(ranges: &[(i64, i64)]) -> (Gaps, Instant) {
        let now = Instant::now();
        let mut gaps = Gaps::of_log(EventId(i64::MIN), now);
        gaps.look(&OpenTransactions::Known(HashSet::new()), now);
        gaps.bury();
        ranges.iter().for_each(|&(first, last)| gaps.add(range(first, last), now));
        (gaps, now)
    }

    #[test]
    fn a_gap_dies_when_all_who_wrote_when_it_was_seen_have_ended_and_a_later_read_shows_nothing() {
        let (mut gaps, now) = gaps(&[(5, 7)]);
        gaps.look(&transactions(&["3/1", "4/9"]), now);
        gaps.bury();
        // Others that began since do not matter, however many there are.
        gaps.look(&transactions(&["4/9", "5/1"]), now);
        gaps.bury();
        assert_eq!(gaps.to_read(Scope::Open), vec![range(5, 7)]);
        gaps.look(&transactions(&["5/1", "3/2"]), now);
        // It must be read once more before it is dead.
        assert_eq!(gaps.to_read(Scope::Open), vec![range(5, 7)]);
        gaps.bury();
        assert_eq!(gaps.to_read(Scope::Open), vec![]);
        assert_eq!(gaps.to_read(Scope::All), vec![range(5, 7)]);
        assert_eq!(gaps.open(), 0);
    }

    #[test]
    fn where_nobody_writes_a_gap_dies_at_once() {
        let (mut gaps, now) = gaps(&[(5, 7)]);
        gaps.look(&transactions(&[]), now);
        gaps.bury();
        assert_eq!(gaps.open(), 0);
    }

    #[test]
    fn a_transaction_that_prepared_its_commit_keeps_every_gap_open() {
        let (mut gaps, now) = gaps(&[(5, 7)]);
        gaps.look(&transactions(&["3/1"]), now);
        gaps.look(&OpenTransactions::Known([TransactionId::Prepared].into()), now);
        gaps.bury();
        assert_eq!(gaps.open(), 1);
        gaps.look(&transactions(&[]), now);
        gaps.bury();
        assert_eq!(gaps.open(), 0);
    }

    #[test]
    fn where_nobody_can_tell_who_writes_age_settles() {
        let (mut gaps, now) = gaps(&[(5, 7)]);
        gaps.look(&OpenTransactions::Unknown, now + OLD / 2);
        gaps.bury();
        assert_eq!(gaps.open(), 1);
        gaps.look(&OpenTransactions::Unknown, now + OLD);
        gaps.bury();
        assert_eq!(gaps.open(), 0);
    }

    #[test]
    fn an_event_that_shows_leaves_the_rest_of_its_gap() {
        let (mut gaps, now) = gaps(&[(5, 9), (20, 20)]);
        for id in [7, 5, 9, 20, 3, 100] {
            gaps.fill(EventId(id), now);
        }
        assert_eq!(gaps.to_read(Scope::Open), vec![range(6, 6), range(8, 8)]);
    }

    #[test]
    fn a_jump_by_a_million_is_one_gap() {
        let (gaps, _) = gaps(&[(5, 1_000_005)]);
        assert_eq!(gaps.to_read(Scope::Open).len(), 1);
    }

    #[test]
    fn what_lies_below_the_log_is_forgotten_and_an_open_gap_there_is_told() {
        let (mut gaps, now) = gaps(&[(5, 9), (20, 29)]);
        assert_eq!(gaps.raise(EventId(5), now), Forgot::Nothing);
        assert_eq!(gaps.to_read(Scope::Open), vec![range(5, 9), range(20, 29)]);
        assert_eq!(gaps.raise(EventId(25), now), Forgot::Open);
        assert_eq!(gaps.to_read(Scope::Open), vec![range(i64::MIN, 24), range(25, 29)], "one of them may still show");
        gaps.look(&transactions(&[]), now);
        gaps.bury();
        assert_eq!(gaps.raise(EventId(100), now), Forgot::Nothing);
        assert_eq!(gaps.to_read(Scope::Open), vec![]);
        assert_eq!(gaps.to_read(Scope::All), vec![range(i64::MIN, 99)]);
    }

    #[test]
    fn an_event_below_the_oldest_is_the_oldest_then() {
        let now = Instant::now();
        let mut gaps = Gaps::of_log(EventId(100), now);
        assert_eq!(gaps.to_read(Scope::Open), vec![range(i64::MIN, 99)]);
        gaps.fill(EventId(40), now);
        gaps.fill(EventId(50), now);
        gaps.fill(EventId(-7), now);
        assert_eq!(gaps.oldest(), EventId(-7));
        let ranges = vec![range(i64::MIN, -8), range(-6, 39), range(41, 49), range(51, 99)];
        assert_eq!(gaps.to_read(Scope::Open), ranges);
    }

    #[test]
    fn memory_is_bounded_and_the_dead_go_first() {
        let (mut gaps, now) = gaps(&[(1, 1), (3, 3)]);
        gaps.look(&transactions(&[]), now);
        gaps.bury();
        for n in 0..MOST as i64 - 1 {
            gaps.add(range(10 + 2 * n, 10 + 2 * n), now);
        }
        assert_eq!(gaps.to_read(Scope::All).first(), Some(&range(3, 3)));
        assert_eq!((gaps.open(), gaps.take_overflow()), (MOST - 1, false));
    }

    #[test]
    fn too_many_open_gaps_ask_for_a_comparison_once_they_are_settled() {
        let (mut gaps, now) = gaps(&[]);
        for n in 0..=MOST as i64 {
            gaps.add(range(2 * n, 2 * n), now);
        }
        assert_eq!(gaps.to_read(Scope::Open).len(), MOST);
        gaps.look(&transactions(&["3/1"]), now);
        assert!(!gaps.take_overflow());
        gaps.look(&transactions(&["4/1"]), now);
        assert!(gaps.take_overflow());
        assert!(!gaps.take_overflow(), "once");
    }

    #[test]
    fn on_another_server_everybody_is_asked_again() {
        let (mut gaps, now) = gaps(&[(5, 7)]);
        gaps.look(&transactions(&["3/1"]), now);
        gaps.look_anew();
        gaps.look(&transactions(&["9/9"]), now);
        gaps.bury();
        assert_eq!(gaps.open(), 1);
    }
}
