//! What a follower asks of a database.
//!
//! A store is one connection, used by one thread. A wait ends early when the
//! [`Signal`](crate::Signal) says stop. On PostgreSQL every other call does so, too, and has a
//! deadline; SQLite's calls work on a local file, and wait for nothing but its lock, for a limited
//! time. After an error the store is of no further use: drop it and connect again. The one exception
//! is [`Store::prune`], which a database may refuse to a user who may only read.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Duration;

use domain_core::{EventId, HostTypeId};

use crate::{DatabaseIdentity, Row, StoreError};

/// One connection to a database whose schema was found right.
pub trait Store: Send {
    /// Which database this connection leads to, where it can be told.
    fn identity(&mut self) -> Result<Option<DatabaseIdentity>, StoreError>;

    /// Reads the log's state, the host types that are fresh, and every row that is enabled or makes no
    /// sense, as of one moment; `take` gets the rows in batches of up to `batch`.
    ///
    /// Nothing is answered when `take` broke off. Rows that are disabled or in removal are not read. Of
    /// gaps in the log's ids, up to `gaps` are told, those with the largest ids.
    fn load(
        &mut self,
        batch: usize,
        gaps: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<LoadSummary>, StoreError>;

    /// Reads up to `limit` events after `cursor`, each with what its domain's row says now, and the
    /// event of `cursor` itself. The log's oldest event is looked for from `oldest` on.
    ///
    /// An error when the connection leads no longer to what the URL asks for: another file has the name, or
    /// the server does not take changes any more and `target_session_attrs` wants one that does.
    fn events(&mut self, cursor: EventId, oldest: EventId, limit: u32) -> Result<Events, StoreError>;

    /// Reads up to `limit` events whose ids are in these ranges, each with what its domain's row says
    /// now. In a single range, those with the smallest ids.
    fn events_in(&mut self, ranges: &[IdRange], limit: u32) -> Result<Vec<Event>, StoreError>;

    /// Who may be writing events that do not show yet.
    fn open_transactions(&mut self) -> Result<OpenTransactions, StoreError>;

    /// The host types whose content is complete, by the database's clock: see `docs/design.md`.
    fn fresh(&mut self) -> Result<Vec<HostTypeId>, StoreError>;

    /// The log as it is now, by the database's clock.
    fn position(&mut self) -> Result<LogPosition, StoreError>;

    /// Deletes up to `limit` events, with ids from `from` on, that were there at that moment, and not the
    /// newest of them.
    fn prune(&mut self, moment: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, StoreError>;

    /// Waits until the database tells of a change, until [`Signal::wake`](crate::Signal::wake), or
    /// for as long as `limit`, whichever is first, and uses no processor meanwhile. An error when
    /// the connection is found to be broken.
    fn wait(&mut self, limit: Duration) -> Result<(), StoreError>;
}

/// What there is to know of the moment of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadSummary {
    /// The log's ends.
    pub bounds: LogBounds,
    /// The domain of the newest event, if there is one.
    pub newest_domain: Option<String>,
    /// Ranges of ids between the log's ends that have no event, the largest ids first.
    pub gaps: Vec<IdRange>,
    /// Whether there was any row at all.
    pub rows: TableContents,
    /// The host types that were fresh.
    pub fresh: Vec<HostTypeId>,
}

/// Whether `domain_settings` holds anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableContents {
    /// No row, of whatever status.
    Empty,
    /// At least one.
    NotEmpty,
}

/// Some events, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// The log's ends when these events were read, or a moment later, as far as they were looked for.
    pub bounds: LogBounds,
    /// The domain of the event at the cursor, if that event is there.
    pub anchor: Option<String>,
    /// The events after the cursor.
    pub events: Vec<Event>,
}

/// An event, and what its domain's row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The row; a dummy event (its domain is empty) has none.
    pub row: Option<Row>,
}

impl Event {
    /// The domain as the event names it; empty for a dummy.
    pub fn domain(&self) -> &str {
        self.row.as_ref().map_or("", Row::domain)
    }
}

/// Ids from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdRange {
    /// The smallest.
    pub first: EventId,
    /// The largest, not below `first`.
    pub last: EventId,
}

/// The ends of the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogBounds {
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

/// The transactions that may hold an id whose event does not show yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenTransactions {
    /// These, and no other, of all that began to write before they were asked for.
    Known(HashSet<TransactionId>),
    /// Nobody can tell: the database does not, or it hands out ids in advance.
    Unknown,
}

/// A transaction. No two that a server ever ran are the same, until it is restarted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TransactionId {
    /// One of a session, by the server's name for it.
    Open(String),
    /// One that waits for the second phase of its commit, which gives it another name.
    Prepared,
}

/// Events that were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// How many.
    pub count: u64,
    /// The largest id among them.
    pub last: Option<EventId>,
}

/// The log at one moment of the database's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPosition {
    /// The newest event.
    pub newest: Option<EventId>,
    /// Milliseconds since 1970.
    pub time: i64,
    /// The oldest transaction that had not ended, where a database tells: what it or a later one wrote
    /// may not have been there.
    pub horizon: Option<String>,
}
