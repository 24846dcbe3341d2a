//! What a follower is doing, for status requests and metrics.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use domain_core::EventId;

use crate::gaps::Writers;
use crate::repairs::Repairs;

/// What a follower is doing, and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// The database, without secrets.
    pub database: String,
    /// The event up to which the table is current.
    pub cursor: Option<EventId>,
    /// The newest event at its last look.
    pub newest: Option<EventId>,
    /// When it last found the table current.
    pub current_at: Option<SystemTime>,
    /// The same, by the monotonic clock.
    current: Option<Instant>,
    /// How many ranges of ids below the cursor may still show events.
    pub open_gaps: u64,
    /// Whether the database tells which transactions may fill them.
    pub writers: Writers,
    /// Since when the oldest of them is open.
    pub(crate) gap_since: Option<Instant>,
    /// How many routes are kept that the database does not have.
    pub kept: u64,
    /// The same by host type, without the host types that have none.
    pub kept_by_host_type: Vec<(Arc<str>, u64)>,
    /// Whether the routes are from a file, and the database has not answered yet.
    pub stale: bool,
    /// The last failure, and when it was.
    pub last_error: Option<(String, SystemTime)>,
    /// How many loads and comparisons it made.
    pub loads: u64,
    /// How many events it followed.
    pub events: u64,
    /// What this follower and those before it did.
    pub totals: Totals,
}

/// What all followers of one table did since the first of them was started. A restart of the service does not reset it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Domains that comparisons added.
    pub added: u64,
    /// Domains to which comparisons gave another host type.
    pub changed: u64,
    /// Domains that comparisons removed.
    pub removed: u64,
    /// How often the database failed, including attempts to connect.
    pub failures: u64,
}

impl Totals {
    /// Adds what a comparison repaired.
    pub(crate) fn add(&mut self, repairs: &Repairs) {
        self.added += repairs.added;
        self.changed += repairs.changed;
        self.removed += repairs.removed;
    }
}

/// What a follower is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Opening a connection.
    Connecting,
    /// Reading all rows for the first time.
    Loading,
    /// Comparing all rows with the table.
    Converging,
    /// Reading events, or waiting for them.
    Following,
    /// Waiting to connect again after a failure.
    Away,
    /// Nothing: its thread has ended.
    Ended,
}

impl Status {
    pub(crate) fn new(database: &str) -> Status {
        Status {
            state: State::Connecting,
            since: SystemTime::now(),
            database: database.to_owned(),
            cursor: None,
            newest: None,
            current_at: None,
            current: None,
            open_gaps: 0,
            writers: Writers::Known,
            gap_since: None,
            kept: 0,
            kept_by_host_type: Vec::new(),
            stale: false,
            last_error: None,
            loads: 0,
            events: 0,
            totals: Totals::default(),
        }
    }

    /// How many ids the log was ahead of the table at the last look: never less than 0, nor than the number of events
    /// to follow.
    pub fn lag(&self) -> Option<i64> {
        let cursor = self.cursor?;
        Some(self.newest.map_or(0, |newest| newest.0.saturating_sub(cursor.0).max(0)))
    }

    /// For how long the table may have been out of date.
    pub fn lag_time(&self) -> Option<Duration> {
        match (self.state, self.lag()) {
            (State::Following, Some(0)) => Some(Duration::ZERO),
            _ => self.current.map(|current| current.elapsed()),
        }
    }

    /// For how long the oldest gap has been open.
    pub fn gap_time(&self) -> Duration {
        self.gap_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The log was followed to its end.
    pub(crate) fn set_current(&mut self) {
        self.current_at = Some(SystemTime::now());
        self.current = Some(Instant::now());
        self.stale = false;
    }

    pub(crate) fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.since = SystemTime::now();
        }
    }
}
