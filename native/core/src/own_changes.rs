//! What the table knows of changes that this node itself makes in the database.
//!
//! A worker that has committed a change puts it into the table at once, before the follower reads its event. Two things
//! could go wrong, and this state prevents both:
//!
//! - *The worker is late.* Between the commit and the table the follower may have applied a newer row of the domain. So
//!   the change is announced before it is sent to the database ([`OwnChanges::begin`]). If any row of the domain is applied
//!   after that, the worker's change is not ([`OwnChanges::check`]). The follower has or will read what is newer.
//! - *The follower is late.* A row that it applies may have been read before the worker's commit. So the follower announces
//!   each reading ([`OwnChanges::begin_read`]), and a row of a domain with an own change since the reading began is not
//!   applied ([`OwnChanges::overtaker`]). The follower then reads that domain again.
//!
//! A comparison of the whole table passes over events before its snapshot, and what they did to a domain that has no row
//! any more shows in none of the rows that it applies. So a change that was announced before a comparison ended is not
//! applied after it ([`OwnChanges::resume`]).
//!
//! So the order in which rows show is that of the database, however the threads are interleaved.
//! `tests/own_changes.rs` tries all interleavings.

use std::collections::HashMap;

use crate::change::EventId;

#[derive(Default)]
pub(crate) struct OwnChanges {
    /// The domains with announced changes.
    announced: HashMap<Box<[u8]>, Announced>,
    /// The own changes that were applied since the reading began. None while the follower reads nothing.
    since_read: Option<HashMap<Box<[u8]>, EventId>>,
    /// While this is not 0, no own change is applied.
    pauses: usize,
}

/// The announced changes of one domain.
#[derive(Default)]
struct Announced {
    changes: usize,
    /// Increases with each row and change of the domain that is applied, and with each comparison.
    version: u64,
    /// The events of those rows and changes.
    events: Vec<EventId>,
}

/// May an own change be applied?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Yes.
    Apply,
    /// The follower has applied an event with its id. That is its event, or one of the log before: where the database was
    /// replaced while the change waited in it, ids come again.
    Followed,
    /// Something else was applied, or own changes are paused.
    Refuse,
}

impl OwnChanges {
    /// Announces a change. Returns the version of the domain, for [`OwnChanges::check`].
    pub(crate) fn begin(&mut self, domain: &[u8]) -> u64 {
        let announced = self.announced.entry(domain.into()).or_default();
        announced.changes += 1;
        announced.version
    }

    /// Ends what [`OwnChanges::begin`] has announced.
    pub(crate) fn end(&mut self, domain: &[u8]) {
        if let Some(announced) = self.announced.get_mut(domain) {
            announced.changes -= 1;
            if announced.changes == 0 {
                self.announced.remove(domain);
            }
        }
    }

    /// Whether an announced change, whose event this is, may be applied.
    pub(crate) fn check(&self, domain: &[u8], version: u64, event: EventId) -> Check {
        match self.announced.get(domain) {
            Some(announced) if announced.events.contains(&event) => Check::Followed,
            Some(announced) if announced.version == version && self.pauses == 0 => Check::Apply,
            _ => Check::Refuse,
        }
    }

    /// An own change was applied.
    pub(crate) fn applied(&mut self, domain: &[u8], event: EventId) {
        self.touch(domain, Some(event));
        if let Some(applied) = &mut self.since_read {
            applied.insert(domain.into(), event);
        }
    }

    /// The follower begins to read. What it has read before is applied.
    pub(crate) fn begin_read(&mut self) {
        self.since_read = Some(HashMap::new());
    }

    /// What the follower has read is applied.
    pub(crate) fn end_read(&mut self) {
        self.since_read = None;
    }

    /// The own change that makes a row of this domain outdated, if there is one.
    pub(crate) fn overtaker(&self, domain: &[u8]) -> Option<EventId> {
        self.since_read.as_ref()?.get(domain).copied()
    }

    /// A row of this domain is applied; its event, if it was read with one.
    pub(crate) fn touch(&mut self, domain: &[u8], event: Option<EventId>) {
        if let Some(announced) = self.announced.get_mut(domain) {
            announced.version += 1;
            announced.events.extend(event);
        }
    }

    pub(crate) fn pause(&mut self) {
        self.pauses += 1;
    }

    /// Ends a pause. The changes that were announced until now may be older than what the table shows.
    pub(crate) fn resume(&mut self) {
        self.pauses -= 1;
        self.announced.values_mut().for_each(|announced| announced.version += 1);
    }
}
