//! Whether a gap may still be filled.
//!
//! A transaction that holds an id of the gap began to write before the gap was seen. So a list of the writers, made
//! afterwards, has it. Once none of that list is left, a read that begins then shows the event, or no read ever will.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_store::{OpenTransactions, TransactionId};

/// The age at which a gap counts as resolved where the database does not know its writers.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(600);

#[derive(Debug, Clone)]
pub(super) struct Resolution {
    since: Instant,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// The writers are not known yet.
    New,
    /// One of these may hold an id of the gap.
    Held(Arc<HashSet<TransactionId>>),
    /// No transaction holds an id any more: one more read decides.
    LastRead,
    /// No transaction will fill it. A person still may, by hand.
    Resolved,
}

impl Resolution {
    pub(super) fn new(now: Instant) -> Resolution {
        Resolution { since: now, state: State::New }
    }

    pub(super) fn is_resolved(&self) -> bool {
        matches!(self.state, State::Resolved)
    }

    pub(super) fn awaits_last_read(&self) -> bool {
        matches!(self.state, State::LastRead)
    }

    /// When the gap was seen.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Of two gaps that become one: the younger decides, and what is not known of both is not known.
    pub(super) fn join(&mut self, other: &Resolution) {
        self.since = self.since.max(other.since);
        match (&self.state, &other.state) {
            (State::Held(before), State::Held(others)) if Arc::ptr_eq(before, others) => (),
            _ => self.state = State::New,
        }
    }

    /// Takes the present writers into account. `holders` are the transactions that may be one of them later.
    pub(super) fn observe(&mut self, writers: &OpenTransactions, holders: &Arc<HashSet<TransactionId>>, now: Instant) {
        match (&self.state, writers) {
            (State::LastRead | State::Resolved, _) => (),
            (_, OpenTransactions::Unknown) => {
                if self.age(now) >= MAX_AGE {
                    self.state = State::LastRead;
                }
            }
            (State::New, OpenTransactions::Known(present)) => {
                let free = present.is_empty();
                self.state = if free { State::LastRead } else { State::Held(holders.clone()) };
            }
            (State::Held(before), OpenTransactions::Known(present)) => {
                if before.is_disjoint(present) {
                    self.state = State::LastRead;
                }
            }
        }
    }

    /// The last read has shown nothing.
    pub(super) fn resolve(&mut self) {
        if self.awaits_last_read() {
            self.state = State::Resolved;
        }
    }

    /// The writers that were seen are of another server.
    pub(super) fn forget_writers(&mut self) {
        if !self.is_resolved() {
            self.state = State::New;
        }
    }
}
