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
//! A gap is a range, so a sequence that jumps by a million makes one. At most [`MAX_GAPS`] are remembered. Beyond
//! that, resolved gaps are dropped first. When an open one has to be dropped, the *overflow* takes its place: it is
//! resolved as a gap is, and then a comparison of the whole table is due. To read all those ids again instead would
//! apply events twice, and so remove routes that the gate keeps.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use domain_core::EventId;
use domain_store::{IdRange, OpenTransactions, TransactionId};

use resolution::Resolution;

mod resolution;
#[cfg(test)]
mod tests;

/// The most gaps that are remembered.
pub(crate) const MAX_GAPS: usize = 1_000;

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
    ranges: BTreeMap<EventId, Gap>,
    overflow: Option<Resolution>,
}

#[derive(Debug, Clone)]
struct Gap {
    last: EventId,
    resolution: Resolution,
}

impl Gaps {
    /// The gaps of a log that begins with this id.
    pub(crate) fn of_log(oldest: EventId, now: Instant) -> Gaps {
        Gaps { oldest, below: Resolution::new(now), ranges: BTreeMap::new(), overflow: None }
    }

    /// The log's first id.
    pub(crate) fn oldest(&self) -> EventId {
        self.oldest
    }

    /// How many are open.
    pub(crate) fn open_count(&self) -> usize {
        let below = usize::from(!self.below.is_resolved());
        let ranges = self.ranges.values().filter(|gap| !gap.resolution.is_resolved()).count();
        below + ranges + usize::from(self.overflow.is_some())
    }

    /// The ids to read.
    pub(crate) fn to_read(&self, scope: Scope) -> Vec<IdRange> {
        let wanted = |resolution: &Resolution| scope == Scope::All || !resolution.is_resolved();
        let below = IdRange { first: EventId(i64::MIN), last: EventId(self.oldest.0.saturating_sub(1)) };
        let below = Some(below).filter(|_| wanted(&self.below) && self.oldest.0 > i64::MIN);
        let others = self.ranges.iter().filter(|(_, gap)| wanted(&gap.resolution));
        below.into_iter().chain(others.map(|(&first, gap)| IdRange { first, last: gap.last })).collect()
    }

    /// Whether this id would be read.
    #[cfg(test)]
    pub(crate) fn has(&self, scope: Scope, id: EventId) -> bool {
        let wanted = |resolution: &Resolution| scope == Scope::All || !resolution.is_resolved();
        if id < self.oldest {
            return wanted(&self.below);
        }
        let gap = self.ranges.range(..=id).next_back().map(|(_, gap)| gap);
        gap.is_some_and(|gap| id <= gap.last && wanted(&gap.resolution))
    }

    /// Adds a gap that overlaps no other.
    pub(crate) fn add(&mut self, range: IdRange, now: Instant) {
        self.insert(range.first, range.last, Resolution::new(now), now);
    }

    /// Drops what is above this id, which the cursor has not passed.
    pub(crate) fn truncate(&mut self, at: EventId) {
        while let Some(mut entry) = self.ranges.last_entry().filter(|entry| entry.get().last > at) {
            if *entry.key() <= at {
                entry.get_mut().last = at;
                return;
            }
            entry.remove();
        }
    }

    /// Takes the present writers into account, which were listed after all these gaps were seen.
    pub(crate) fn observe(&mut self, writers: &OpenTransactions, now: Instant) {
        let holders = match writers {
            // A transaction that prepares its commit may get another name, so any prepared one may be one of these.
            OpenTransactions::Known(present) => present.iter().cloned().chain([TransactionId::Prepared]).collect(),
            OpenTransactions::Unknown => HashSet::new(),
        };
        let holders = Arc::new(holders);
        self.resolutions().for_each(|resolution| resolution.observe(writers, &holders, now));
    }

    /// A new connection may lead to another server, on which the writers seen so far mean nothing.
    pub(crate) fn forget_writers(&mut self) {
        self.resolutions().for_each(Resolution::forget_writers);
    }

    /// All ids of open gaps were read. Those of which no transaction held an id before are resolved.
    pub(crate) fn resolve(&mut self) {
        let ranges = self.ranges.values_mut().map(|gap| &mut gap.resolution);
        ranges.chain([&mut self.below]).for_each(Resolution::resolve);
    }

    /// Whether the dropped gaps have no writers any more, so that a comparison finds what they hid. True once.
    pub(crate) fn take_overflow(&mut self) -> bool {
        self.overflow.take_if(|overflow| overflow.awaits_last_read()).is_some()
    }

    /// The event with this id was read.
    pub(crate) fn fill(&mut self, id: EventId, now: Instant) {
        if id < self.oldest {
            let last = EventId(self.oldest.0 - 1);
            self.oldest = id;
            if id < last {
                self.insert(EventId(id.0 + 1), last, self.below.clone(), now);
            }
            return;
        }
        let Some((&first, _)) = self.ranges.range(..=id).next_back() else { return };
        let Some(gap) = self.ranges.get_mut(&first).filter(|gap| id <= gap.last) else { return };
        let (last, resolution) = (gap.last, gap.resolution.clone());
        if first == id {
            self.ranges.remove(&first);
        } else {
            gap.last = EventId(id.0 - 1);
        }
        if id < last {
            self.insert(EventId(id.0 + 1), last, resolution, now);
        }
    }

    /// The log begins later than before: what was below was pruned, or never there.
    pub(crate) fn raise_oldest(&mut self, oldest: EventId, now: Instant) -> Dropped {
        self.oldest = oldest;
        let mut dropped = Dropped::Nothing;
        while let Some(entry) = self.ranges.first_entry().filter(|entry| *entry.key() < oldest) {
            let gap = entry.remove();
            if !gap.resolution.is_resolved() {
                dropped = Dropped::Open;
            }
            if oldest <= gap.last {
                self.ranges.insert(oldest, gap);
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

    fn resolutions(&mut self) -> impl Iterator<Item = &mut Resolution> {
        let ranges = self.ranges.values_mut().map(|gap| &mut gap.resolution);
        ranges.chain(&mut self.overflow).chain([&mut self.below])
    }

    fn insert(&mut self, first: EventId, last: EventId, resolution: Resolution, now: Instant) {
        self.ranges.insert(first, Gap { last, resolution });
        while self.ranges.len() > MAX_GAPS {
            let resolved = self.ranges.iter().find(|(_, gap)| gap.resolution.is_resolved()).map(|(&first, _)| first);
            match resolved {
                Some(first) => drop(self.ranges.remove(&first)),
                None => {
                    self.ranges.pop_first();
                    self.overflow = Some(Resolution::new(now));
                }
            }
        }
    }
}
