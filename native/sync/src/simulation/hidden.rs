//! What another log hides when it takes the place of the one that was followed, and no follower can notice.

use domain_core::EventId;

use super::connection::Masked;
use super::database::{Database, Visible};
use crate::cursor::Cursor;
use crate::gaps::Scope;

pub(super) struct Hidden {
    pub(super) masked: Masked,
    /// The follower's cursor then.
    pub(super) cursor: Cursor,
    /// How many events had become visible by then.
    pub(super) known: u64,
}

impl Hidden {
    /// The event may be in a resolved gap, as one that was inserted by hand.
    pub(super) fn delays(&self, event: &Visible) -> bool {
        self.masked == Masked::SameDomain && !reaches(&self.cursor, Scope::Open, event.id)
    }

    /// Its gap may have been open, and was resolved by the transactions of the log that is gone.
    pub(super) fn closes(&self, event: &Visible) -> bool {
        self.masked == Masked::SameDomain && event.id <= self.cursor.at.0
    }

    /// No follower can find the event.
    pub(super) fn hides(&self, database: &Database, event: &Visible) -> bool {
        let is_gone = |before: u64| event.mark < before && !database.is_logged(event);
        match self.masked {
            // Events with ids that were followed in the other log, and events that were deleted with that log.
            Masked::SameDomain => is_gone(self.known) || !reaches(&self.cursor, Scope::All, event.id),
            Masked::BeginsBehind(first) => is_gone(first),
        }
    }
}

/// Whether a follower with this cursor reads the id, or has read it.
pub(super) fn reaches(cursor: &Cursor, scope: Scope, id: i64) -> bool {
    id > cursor.at.0 || cursor.gaps.has(scope, EventId(id))
}
