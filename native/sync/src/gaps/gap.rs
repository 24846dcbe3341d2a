//! One gap: ids that were not read.
//!
//! Where ids are handed out in strides, as by each server of a Galera cluster, a gap lies beside each event. So close gaps are
//! joined: a *joined* gap has several parts, and reading it begins with a list of the ids that are there.
//!
//! Where the database does not tell its writers, a joined gap stays open for minutes, so it is read less and less often: an
//! event that is late by some time shows after a sixteenth of that time.

use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::IdRange;

use super::resolution::Resolution;

/// The most parts of a joined gap, and the most ids between them.
const MAX_SIZE: usize = if cfg!(test) { 20 } else { 1_000 };

/// Gaps that were seen further apart than this are not joined, since a joined gap is as young as its youngest part.
const JOINED_WITHIN: Duration = Duration::from_secs(60);

/// The shortest time between two reads of a joined gap.
pub(crate) const MIN_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Clone)]
pub(super) struct Gap {
    /// In ascending order; at least one. The ids between them were read.
    parts: Vec<IdRange>,
    pub(super) resolution: Resolution,
    /// When its oldest part was seen.
    from: Instant,
    /// When it is read next, if it is joined and the writers are unknown.
    due: Instant,
}

impl Gap {
    pub(super) fn new(range: IdRange, resolution: Resolution, now: Instant) -> Gap {
        Gap { parts: vec![range], from: resolution.since(), resolution, due: now + MIN_PAUSE }
    }

    /// From the first id to the last one that was not read.
    pub(super) fn range(&self) -> IdRange {
        IdRange { first: self.parts[0].first, last: self.parts[self.parts.len() - 1].last }
    }

    /// The ids that were not read.
    pub(super) fn parts(&self) -> &[IdRange] {
        &self.parts
    }

    pub(super) fn has(&self, id: EventId) -> bool {
        let next = self.parts.partition_point(|part| part.last < id);
        self.parts.get(next).is_some_and(|part| part.first <= id)
    }

    pub(super) fn is_joined(&self) -> bool {
        self.parts.len() > 1
    }

    pub(super) fn is_open(&self) -> bool {
        !self.resolution.is_resolved()
    }

    /// Whether it is time to read it, where the writers are unknown.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_joined() || self.due <= now || self.resolution.awaits_last_read()
    }

    /// How long until then.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// It was read.
    pub(super) fn set_read(&mut self, now: Instant) {
        self.due = now + MIN_PAUSE.max(self.resolution.age(now) / 16);
    }

    /// What is left of it below this id, and above. A joined gap stays one.
    pub(super) fn without(&self, id: EventId) -> Vec<Gap> {
        let below = |part: &IdRange| IdRange::new(part.first, part.last.min(EventId(id.0 - 1)));
        let above = |part: &IdRange| IdRange::new(part.first.max(EventId(id.0 + 1)), part.last);
        let lower: Vec<IdRange> = self.parts.iter().filter_map(below).collect();
        let upper: Vec<IdRange> = self.parts.iter().filter_map(above).collect();
        let parts = if self.is_joined() { vec![[lower, upper].concat()] } else { vec![lower, upper] };
        parts.into_iter().filter(|parts| !parts.is_empty()).map(|parts| Gap { parts, ..self.clone() }).collect()
    }

    /// What is left of it from this id on.
    pub(super) fn from(mut self, first: EventId) -> Option<Gap> {
        self.parts.retain_mut(|part| {
            part.first = part.first.max(first);
            part.first <= part.last
        });
        Some(self).filter(|gap| !gap.parts.is_empty())
    }

    /// What is left of it up to this id.
    pub(super) fn up_to(mut self, last: EventId) -> Option<Gap> {
        self.parts.retain_mut(|part| {
            part.last = part.last.min(last);
            part.first <= part.last
        });
        Some(self).filter(|gap| !gap.parts.is_empty())
    }

    /// Whether the next gap can become a part of this one.
    pub(super) fn can_join(&self, next: &Gap) -> bool {
        self.is_open()
            && next.is_open()
            && next.resolution.since().saturating_duration_since(self.from) <= JOINED_WITHIN
            && self.parts.len() + next.parts.len() <= MAX_SIZE
            && self.read_count() + next.read_count() + between(self.range(), next.range()) <= MAX_SIZE as u64
    }

    pub(super) fn join(&mut self, next: Gap) {
        self.parts.extend(next.parts);
        self.resolution.join(&next.resolution);
        self.due = self.due.min(next.due);
    }

    /// How many ids between its parts were read.
    fn read_count(&self) -> u64 {
        self.parts.windows(2).map(|parts| between(parts[0], parts[1])).sum()
    }
}

/// How many ids are between two ranges.
fn between(lower: IdRange, upper: IdRange) -> u64 {
    upper.first.0.abs_diff(lower.last.0) - 1
}
