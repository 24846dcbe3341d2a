//! Ids below the cursor whose events may still show.
//!
//! A transaction takes its event's id before it commits, so an event can show after others with larger ids. The
//! follower does not wait for it. It advances the cursor past the id and remembers the *gap*. That is safe: an event
//! says only "read this domain's row again", and a late one is as good as a timely one.
//!
//! A gap is *resolved* without writing and without blocking any transaction: see [`resolution`]. A resolved gap is
//! read now and then, since a person may insert any id by hand.
//!
//! The ids below the log's oldest event are a gap, too. Most were pruned, but a transaction may still hold one.
//!
//! A gap is a range, so a sequence that jumps by a million makes one. Close gaps are joined when there are more than
//! [`MAX_APART`], so that strides of ids make few: see [`gap`]. At most [`MAX_GAPS`] are remembered. Beyond
//! that, resolved gaps are dropped first. When an open one has to be dropped, the *overflow* takes its place: it is
//! resolved as a gap is, and then a comparison of the whole table is due. To read all those ids again instead would
//! apply events twice, and so remove routes that the gate keeps.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::{IdRange, OpenTransactions, TransactionId};

use gap::Gap;
pub(crate) use gap::MIN_PAUSE;
#[cfg(test)]
pub(crate) use resolution::MAX_AGE;
use resolution::Resolution;

mod gap;
mod resolution;
#[cfg(test)]
mod tests;

/// The most gaps that are remembered.
pub(crate) const MAX_GAPS: usize = if cfg!(test) { 200 } else { 1_000 };

/// The most gaps of a log that is loaded: a hundred joined ones.
pub(crate) const MAX_LOADED: usize = if cfg!(test) { 4_000 } else { 100_000 };

/// The most open gaps that are not joined where they can be.
const MAX_APART: usize = if cfg!(test) { 6 } else { 64 };

/// The most joined gaps that are remembered after they were resolved.
const MAX_RESOLVED: usize = if cfg!(test) { 4 } else { 64 };

/// Which gaps to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those that a transaction may fill.
    Open,
    /// The resolved ones, too.
    All,
}

/// Whether an open gap was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    Nothing,
    Open,
}

#[derive(Debug, Clone)]
pub(crate) struct Gaps {
    /// The log's first id: all below it are a gap.
    oldest: EventId,
    below: Resolution,
    /// The other gaps, by their first ids. No two overlap.
    apart: BTreeMap<EventId, Gap>,
    overflow: Option<Resolution>,
    writers: Writers,
}

/// Whether the database tells which transactions write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// It does: a gap is resolved when they have ended.
    Known,
    /// It does not: a gap is resolved when it is old.
    Unknown,
}

impl Gaps {
    /// The gaps of a log that begins with this id.
    pub(crate) fn of_log(oldest: EventId, now: Instant) -> Gaps {
        let below = Resolution::new(now);
        Gaps { oldest, below, apart: BTreeMap::new(), overflow: None, writers: Writers::Known }
    }

    /// The gaps of a log that was loaded: the ranges without events, the largest ids first.
    pub(crate) fn of_loaded(oldest: EventId, ranges: &[IdRange], now: Instant) -> Gaps {
        let mut gaps = Gaps::of_log(oldest, now);
        ranges.iter().take(MAX_LOADED).rev().for_each(|range| gaps.add(*range, now));
        if ranges.len() > MAX_LOADED {
            gaps.overflow = Some(Resolution::new(now));
        }
        gaps
    }

    /// The log's first id.
    pub(crate) fn oldest(&self) -> EventId {
        self.oldest
    }

    /// How many are open. A joined one counts as one.
    pub(crate) fn open_count(&self) -> usize {
        let below = usize::from(!self.below.is_resolved());
        let apart = self.apart.values().filter(|gap| gap.is_open()).count();
        below + apart + usize::from(self.overflow.is_some())
    }

    /// Whether the database tells its writers, as far as is known.
    pub(crate) fn writers(&self) -> Writers {
        self.writers
    }

    /// Since when the oldest of them is open.
    pub(crate) fn open_since(&self) -> Option<Instant> {
        let apart = self.apart.values().map(|gap| &gap.resolution);
        let all = apart.chain(&self.overflow).chain([&self.below]);
        all.filter(|resolution| !resolution.is_resolved()).map(Resolution::since).min()
    }

    /// The ids to read, but for those of joined gaps.
    pub(crate) fn to_read(&self, scope: Scope) -> Vec<IdRange> {
        let single = self.apart.values().filter(|gap| !gap.is_joined() && scope.includes(&gap.resolution));
        self.below(scope).into_iter().chain(single.map(Gap::range)).collect()
    }

    /// The joined gaps to read: the ids that are there are listed first.
    pub(crate) fn to_list(&self, scope: Scope, now: Instant) -> Vec<IdRange> {
        self.apart.values().filter(|gap| gap.is_joined() && self.is_due(gap, scope, now)).map(Gap::range).collect()
    }

    /// Those of these ids that were not read, which are in order.
    pub(crate) fn unread(&self, ids: Vec<EventId>) -> Vec<IdRange> {
        let mut unread: Vec<IdRange> = Vec::new();
        for id in ids.into_iter().filter(|&id| self.gap_at(id).is_some()) {
            match unread.last_mut() {
                Some(range) if range.last.0 + 1 == id.0 => range.last = id,
                _ => unread.push(IdRange::one(id)),
            }
        }
        unread
    }

    /// All ids that were not read, from the log's first one on.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = IdRange> {
        self.apart.values().flat_map(|gap| gap.parts()).copied()
    }

    /// Whether this id would be read.
    #[cfg(test)]
    pub(crate) fn has(&self, scope: Scope, id: EventId) -> bool {
        if id < self.oldest {
            return scope.includes(&self.below);
        }
        self.gap_at(id).is_some_and(|gap| scope.includes(&gap.resolution))
    }

    /// Adds a gap that overlaps no other.
    pub(crate) fn add(&mut self, range: IdRange, now: Instant) {
        self.insert(Gap::new(range, Resolution::new(now), now), now);
    }

    /// Drops what is above this id, which the cursor has not passed.
    pub(crate) fn truncate(&mut self, at: EventId) {
        while let Some(entry) = self.apart.last_entry().filter(|entry| entry.get().range().last > at) {
            if let Some(gap) = entry.remove().up_to(at) {
                self.apart.insert(gap.range().first, gap);
            }
        }
    }

    /// Takes the present writers into account, which were listed after all these gaps were seen.
    pub(crate) fn observe(&mut self, writers: &OpenTransactions, now: Instant) {
        let (known, holders) = match writers {
            // A transaction that prepares its commit may get another name, so any prepared one may be one of these.
            OpenTransactions::Known(present) => {
                (Writers::Known, present.iter().cloned().chain([TransactionId::Prepared]).collect())
            }
            OpenTransactions::Unknown => (Writers::Unknown, HashSet::new()),
        };
        self.writers = known;
        let holders = Arc::new(holders);
        self.resolutions().for_each(|resolution| resolution.observe(writers, &holders, now));
    }

    /// A new connection may lead to another server, on which the writers seen so far mean nothing.
    pub(crate) fn forget_writers(&mut self) {
        self.resolutions().for_each(Resolution::forget_writers);
    }

    /// All ids that were to be read were read. Gaps of which no transaction held an id before are resolved.
    pub(crate) fn read(&mut self, scope: Scope, now: Instant) {
        let writers = self.writers;
        for gap in self.apart.values_mut().filter(|gap| is_due(gap, writers, scope, now)) {
            gap.set_read(now);
            gap.resolution.resolve();
        }
        self.below.resolve();
        let resolved = self.apart.iter().filter(|(_, gap)| gap.is_joined() && !gap.is_open());
        let resolved: Vec<EventId> = resolved.map(|(&first, _)| first).collect();
        for first in &resolved[..resolved.len().saturating_sub(MAX_RESOLVED)] {
            self.apart.remove(first);
        }
    }

    /// How long until a joined gap is due. None where there is none, and where the database tells its writers.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        let joined = self.apart.values().filter(|gap| gap.is_joined() && gap.is_open());
        joined.map(|gap| gap.pause(now)).min().filter(|_| self.writers == Writers::Unknown)
    }

    /// Whether the dropped gaps have no writers any more, so that a comparison finds what they hid. True once.
    pub(crate) fn take_overflow(&mut self) -> bool {
        self.overflow.take_if(|overflow| overflow.awaits_last_read()).is_some()
    }

    /// Whether open gaps were dropped.
    #[cfg(test)]
    pub(crate) fn has_overflow(&self) -> bool {
        self.overflow.is_some()
    }

    /// The event with this id was read.
    pub(crate) fn fill(&mut self, id: EventId, now: Instant) {
        if id < self.oldest {
            let last = EventId(self.oldest.0 - 1);
            self.oldest = id;
            if let Some(range) = IdRange::new(EventId(id.0 + 1), last) {
                self.insert(Gap::new(range, self.below.clone(), now), now);
            }
            return;
        }
        let Some(gap) = self.gap_at(id) else { return };
        let (first, left) = (gap.range().first, gap.without(id));
        self.apart.remove(&first);
        left.into_iter().for_each(|gap| self.insert(gap, now));
    }

    /// The log begins later than before: what was below was pruned, or never there.
    pub(crate) fn raise_oldest(&mut self, oldest: EventId, now: Instant) -> Dropped {
        self.oldest = oldest;
        let mut dropped = Dropped::Nothing;
        while let Some(entry) = self.apart.first_entry().filter(|entry| *entry.key() < oldest) {
            let gap = entry.remove();
            if gap.is_open() {
                dropped = Dropped::Open;
            }
            if let Some(gap) = gap.from(oldest) {
                self.apart.insert(gap.range().first, gap);
            }
        }
        if dropped == Dropped::Open {
            self.reopen_below(now);
        }
        dropped
    }

    /// Events below the log's oldest one may still show.
    pub(crate) fn reopen_below(&mut self, now: Instant) {
        self.below = Resolution::new(now);
    }

    fn below(&self, scope: Scope) -> Option<IdRange> {
        let last = EventId(self.oldest.0.saturating_sub(1));
        let below = IdRange { first: EventId(i64::MIN), last };
        Some(below).filter(|_| scope.includes(&self.below) && self.oldest.0 > i64::MIN)
    }

    /// The gap in which this id is, if it was not read.
    fn gap_at(&self, id: EventId) -> Option<&Gap> {
        self.apart.range(..=id).next_back().map(|(_, gap)| gap).filter(|gap| gap.has(id))
    }

    fn is_due(&self, gap: &Gap, scope: Scope, now: Instant) -> bool {
        is_due(gap, self.writers, scope, now)
    }

    fn resolutions(&mut self) -> impl Iterator<Item = &mut Resolution> {
        let apart = self.apart.values_mut().map(|gap| &mut gap.resolution);
        apart.chain(&mut self.overflow).chain([&mut self.below])
    }

    fn insert(&mut self, gap: Gap, now: Instant) {
        self.apart.insert(gap.range().first, gap);
        if self.apart.values().filter(|gap| gap.is_open() && !gap.is_joined()).count() > MAX_APART {
            self.join();
        }
        while self.apart.len() > MAX_GAPS {
            let resolved = self.apart.iter().find(|(_, gap)| !gap.is_open()).map(|(&first, _)| first);
            match resolved {
                Some(first) => drop(self.apart.remove(&first)),
                None => {
                    self.apart.pop_first();
                    self.overflow = Some(Resolution::new(now));
                }
            }
        }
    }

    /// Joins the gaps that can be joined.
    fn join(&mut self) {
        let mut joined: Vec<Gap> = Vec::new();
        for gap in std::mem::take(&mut self.apart).into_values() {
            match joined.last_mut() {
                Some(before) if before.can_join(&gap) => before.join(gap),
                _ => joined.push(gap),
            }
        }
        self.apart = joined.into_iter().map(|gap| (gap.range().first, gap)).collect();
    }
}

fn is_due(gap: &Gap, writers: Writers, scope: Scope, now: Instant) -> bool {
    match scope {
        Scope::All => true,
        Scope::Open => gap.is_open() && (writers == Writers::Known || gap.is_due(now)),
    }
}

impl Scope {
    fn includes(self, resolution: &Resolution) -> bool {
        self == Scope::All || !resolution.is_resolved()
    }
}
