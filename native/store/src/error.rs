//! What can go wrong with a database, in words that name it.

use std::time::Duration;

use thiserror::Error;

use crate::postgres::ConnectError;
use crate::schema::SchemaError;

/// Why a store could not be opened or a call not be answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No server of the URL let this node in.
    #[error("cannot connect to {database}: {reason}")]
    Connect {
        /// The database, without secrets.
        database: String,
        /// What the driver said, causes included.
        reason: String,
    },
    /// A server has as many connections as it, the database or the role may have.
    #[error(
        "cannot connect to {database}: {reason}. A node needs one connection to follow and up to pool_size to change: \
         raise the limit (CONNECTION LIMIT of the role or the database, max_connections of the server), or lower pool_size"
    )]
    TooManyConnections {
        /// The database, without secrets.
        database: String,
        /// What the driver said, causes included.
        reason: String,
    },
    /// The one who follows has no connection, and goes before those who change.
    #[error("whoever follows {database} waits for a connection, and goes first: the limit on connections is reached")]
    FollowerFirst {
        /// The database, without secrets.
        database: String,
    },
    /// The tables are not those that are needed.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The database refused a statement: it changed nothing.
    #[error("{doing}: {reason}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        reason: String,
    },
    /// The connection leads to a database that takes no changes, or that no longer has the name by which it was
    /// opened: nothing was changed. A new connection may lead to another one.
    #[error("{doing}: {reason}")]
    StaleConnection {
        /// What was being done.
        doing: &'static str,
        /// What the database said, or what has its name now.
        reason: String,
    },
    /// The database refused what a statement would have made of a row: a constraint, a trigger or a type is against it.
    /// It changed nothing, and would refuse the same again.
    #[error("{doing}: {reason}")]
    RowRefused {
        /// What was being done.
        doing: &'static str,
        /// What the database said, for whoever asked for the change: no more than [`StoreError::LONGEST_REASON`] bytes.
        reason: String,
    },
    /// The database refused a statement because another transaction came first: it changed nothing,
    /// and may well be taken the next time.
    #[error("{doing}: {reason}")]
    Conflict {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        reason: String,
    },
    /// The connection broke, and what was asked for last may have happened or not.
    #[error("{doing}: {reason}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// What the driver said, causes included.
        reason: String,
    },
    /// The database did not answer in time.
    #[error("{doing}: no answer within {limit:?}")]
    Timeout {
        /// What was being done.
        doing: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The thread was told to stop.
    #[error("told to stop")]
    Stopped,
}

impl StoreError {
    /// What is said of a row that the database neither changes nor refuses.
    pub const SKIPPED: &str = "the database leaves the row as it is, and gives no reason: a trigger or a rule skips it";

    /// The longest reason that is told of a row, in bytes.
    pub const LONGEST_REASON: usize = 500;

    pub(crate) fn row_refused(doing: &'static str, mut reason: String) -> StoreError {
        if reason.len() > StoreError::LONGEST_REASON {
            const END: &str = " …";
            reason.truncate(reason.floor_char_boundary(StoreError::LONGEST_REASON - END.len()));
            reason.push_str(END);
        }
        StoreError::RowRefused { doing, reason }
    }

    pub(crate) fn connect(database: &str, error: &ConnectError) -> StoreError {
        let (database, reason) = (database.to_owned(), chain(error));
        if error.is_for_lack_of_room() {
            StoreError::TooManyConnections { database, reason }
        } else {
            StoreError::Connect { database, reason }
        }
    }

    pub(crate) fn failed(doing: &'static str, error: &(dyn std::error::Error + 'static)) -> StoreError {
        StoreError::Failed { doing, reason: chain(error) }
    }
}

/// How many characters of an error are kept: a server may send any.
const MOST: usize = 2000;

/// An error with its causes, which drivers leave out of their own text.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    if let Some((end, _)) = text.char_indices().nth(MOST) {
        text.truncate(end);
        text.push('…');
    }
    text
}
