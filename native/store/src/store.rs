//! What the follower needs of a database.
//!
//! A store is one connection, used by one thread. [`Signal::stop`](crate::Signal::stop) ends a wait early. On a server it
//! ends every other call, too, and every call has a deadline. SQLite's calls read a local file, and wait only for
//! its lock, for a limited time. After an error the store has to be dropped, and the follower connects again. The
//! exception is [`Store::prune`], which a database refuses to a user who may only read.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Duration;

use domain_core::{EventId, HostTypeId};

use crate::{DatabaseIdentity, Row, StoreError};

/// The follower's connection to a database whose tables were checked.
pub trait Store: Send {
    /// The database's identity, if the database tells it.
    fn identity(&mut self) -> Result<Option<DatabaseIdentity>, StoreError>;

    /// What is between this node and the database's server. Without a server: nothing.
    fn route(&self) -> Route {
        Route::Direct
    }

    /// Reads the state of the log, the fresh host types, and every row that is enabled or invalid, in one snapshot. Passes
    /// the rows to `take` in batches of up to `batch`. Returns nothing if `take` stops the load.
    ///
    /// Rows that are disabled or in removal are not read. Of the gaps in the log's ids, up to `gaps` are returned, those
    /// with the largest ids.
    fn load(
        &mut self,
        batch: usize,
        gaps: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<LoadSummary>, StoreError>;

    /// Reads up to `limit` events after `cursor`, each with the present row of its domain, and the event of `cursor` itself.
    /// The log's oldest event is searched for from `oldest` on.
    ///
    /// Fails if the connection no longer leads to what the URL means: another file has the name, or the server has ceased
    /// to meet `target_session_attrs`.
    fn events(&mut self, cursor: EventId, oldest: EventId, limit: u32) -> Result<Events, StoreError>;

    /// Reads up to `limit` events whose ids are in these ranges, each with the present row of its domain. Of a single range,
    /// those with the smallest ids.
    fn events_in(&mut self, ranges: &[IdRange], limit: u32) -> Result<Vec<Event>, StoreError>;

    /// The ids of all events in these ranges, in ascending order. The ranges are in this order, too, and do not overlap.
    fn ids_in(&mut self, ranges: &[IdRange]) -> Result<Vec<EventId>, StoreError>;

    /// The transactions that may have written events which are not visible yet.
    fn open_transactions(&mut self) -> Result<OpenTransactions, StoreError>;

    /// The fresh host types, by the database's clock: see [`FreshnessDeclaration`](crate::FreshnessDeclaration).
    fn fresh(&mut self) -> Result<Vec<HostTypeId>, StoreError>;

    /// The present position of the log.
    fn position(&mut self) -> Result<LogPosition, StoreError>;

    /// Deletes up to `limit` events that existed at an earlier position, with ids from `from` on. The newest event is kept.
    fn prune(&mut self, position: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, StoreError>;

    /// Ids that have no event yet and may get one, in the order of the ids: what the next waits look for besides newer
    /// events, where the database has no notifications.
    fn watch(&mut self, _late: &[IdRange]) {}

    /// Blocks until the database notifies of a change or shows a new event, until [`Signal::wake`](crate::Signal::wake), or
    /// until `limit` has passed. Fails if the connection breaks.
    fn wait(&mut self, limit: Duration) -> Result<(), StoreError>;
}

/// Where a connection leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To one process of the server.
    Direct,
    /// To a pooler, which may use several connections to the server. Statements are not prepared.
    Pooled,
}

/// The snapshot of a load, without its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadSummary {
    /// The log's bounds.
    pub bounds: LogBounds,
    /// The domain of the newest event, if there is one.
    pub newest_domain: Option<String>,
    /// Ranges of ids within the bounds that have no event, the largest ids first.
    pub gaps: Vec<IdRange>,
    /// Whether there is any row, of any status.
    pub rows: TableContents,
    /// The fresh host types.
    pub fresh: Vec<HostTypeId>,
}

/// Whether `domain_settings` is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableContents {
    /// It has no row.
    Empty,
    /// It has at least one row, of any status.
    NotEmpty,
}

/// Events, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// The log's bounds at the time of the read, or a moment later.
    pub bounds: LogBounds,
    /// The domain of the event at the cursor, if that event exists.
    pub anchor: Option<String>,
    /// The events after the cursor.
    pub events: Vec<Event>,
}

/// An event, with its domain's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The row. None for a dummy event, whose domain is empty.
    pub row: Option<Row>,
}

impl Event {
    /// The domain; empty for a dummy event.
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

impl IdRange {
    /// This id alone.
    pub fn one(id: EventId) -> IdRange {
        IdRange { first: id, last: id }
    }

    /// The ids from `first` to `last`. None if there are none.
    pub fn new(first: EventId, last: EventId) -> Option<IdRange> {
        (first <= last).then_some(IdRange { first, last })
    }
}

/// The smallest and the largest id in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogBounds {
    /// The log is empty.
    Empty,
    /// It has at least one event.
    From {
        /// The smallest id.
        oldest: EventId,
        /// The largest id.
        newest: EventId,
    },
}

/// Transactions that may have written events which are not visible yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenTransactions {
    /// All such transactions that had begun to write before this was read.
    Known(HashSet<TransactionId>),
    /// Unknown: the database does not tell, its sequence caches ids, or other servers write, too.
    Unknown,
}

/// A transaction. Until the server is restarted, no later one has its id, but in MariaDB one of the same session that begins
/// in the same second.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TransactionId {
    /// A session's transaction: in PostgreSQL its virtual transaction id, in MariaDB the session and the time of its start.
    Open(String),
    /// Any prepared transaction. It has another name than before it was prepared.
    Prepared,
}

/// The events that were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Their number.
    pub count: u64,
    /// The largest of their ids.
    pub last: Option<EventId>,
}

/// The end of the log at a time of the database's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPosition {
    /// The newest event.
    pub newest: Option<EventId>,
    /// The time, in milliseconds since 1970.
    pub time: i64,
    /// The oldest transaction that had not ended, if the database tells it. Events of this transaction and of later ones
    /// may not have been visible.
    pub horizon: Option<String>,
}
