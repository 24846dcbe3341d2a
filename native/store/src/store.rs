//! What a follower asks of a database.
//!
//! A store is one connection, used by one thread. A wait ends early when the
//! [`Signal`](crate::Signal) says stop. On PostgreSQL every other call does so, too, and has a
//! deadline; SQLite's calls work on a local file, and wait for nothing but its lock, for a limited
//! time. After an error the store is of no further use: drop it and
//! connect again.

use std::ops::ControlFlow;
use std::time::Duration;

use domain_core::EventId;

use crate::{Row, StoreError};

/// One connection to a database whose schema was found right.
pub trait Store: Send {
    /// Reads the newest event's id and every row that is enabled or makes no sense, as of one
    /// moment; `take` gets the rows in batches of up to `batch`.
    ///
    /// Answers the newest event's id, or [`None`] when `take` broke off. Rows that are disabled or
    /// in removal are not read.
    fn load(
        &mut self,
        batch: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<EventId>, StoreError>;

    /// Reads up to `limit` events after `cursor`, each with what its domain's row says now.
    fn events(&mut self, cursor: EventId, limit: u32) -> Result<Events, StoreError>;

    /// Waits until the database tells of a change, until [`Signal::wake`](crate::Signal::wake), or
    /// for as long as `limit`, whichever is first, and uses no processor meanwhile. An error when
    /// the connection is found to be broken.
    fn wait(&mut self, limit: Duration) -> Result<(), StoreError>;
}

/// Some events, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// The log's ends when these events were read, or a moment later.
    pub bounds: Bounds,
    /// What the rows of the events' domains say, one per event; a dummy event (its domain is empty)
    /// has none.
    pub rows: Vec<Row>,
    /// How many events were read, dummies included.
    pub count: usize,
    /// The last event that was read.
    pub last: Option<EventId>,
}

/// The ends of the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// There is no event.
    Empty,
    /// There is at least one.
    From {
        /// The smallest id.
        oldest: EventId,
        /// The largest id.
        newest: EventId,
    },
}
