//! What a follower is doing, for whoever asks.

use std::time::{Duration, Instant, SystemTime};

use domain_core::EventId;

/// What a follower is doing and how it went.
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
    /// The newest event when it last looked.
    pub newest: Option<EventId>,
    /// When it last found the table current.
    pub current_at: Option<SystemTime>,
    /// The same by a clock that nobody sets.
    current: Option<Instant>,
    /// How many ranges of ids may still hold events that were passed by.
    pub open_holes: u64,
    /// How many routes stay that the database does not have.
    pub kept: u64,
    /// Whether the routes are from a file, and the database did not answer yet.
    pub stale: bool,
    /// The last failure, and when it was.
    pub last_error: Option<(String, SystemTime)>,
    /// How many loads and comparisons it did.
    pub loads: u64,
    /// How many events it followed.
    pub events: u64,
}

/// What a follower can be doing.
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
    /// Resting after a failure.
    Away,
    /// Not any more.
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
            open_holes: 0,
            kept: 0,
            stale: false,
            last_error: None,
            loads: 0,
            events: 0,
        }
    }

    /// How many ids the log was ahead of the table when the thread last looked: at least 0, and at
    /// least the number of events to come.
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

    /// The end of the log was seen.
    pub(crate) fn is_current(&mut self) {
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
