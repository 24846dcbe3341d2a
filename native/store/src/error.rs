//! The errors of a database.

use std::time::Duration;

use thiserror::Error;

use crate::schema::SchemaError;

/// Why a connection could not be made, or a call failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No connection to any server of the URL.
    #[error("cannot connect to {database}: {reason}")]
    Connect {
        /// The database, without secrets.
        database: String,
        /// The driver's error with its causes.
        reason: String,
    },
    /// A limit on connections is reached: of the server, the database or the role.
    #[error(
        "cannot connect to {database}: {reason}. A node needs one connection to follow and up to pool_size to change: \
         raise the limit (CONNECTION LIMIT of the role or the database, max_connections of the server), or lower pool_size"
    )]
    TooManyConnections {
        /// The database, without secrets.
        database: String,
        /// The driver's error with its causes.
        reason: String,
    },
    /// The follower has no connection, and takes precedence over writers.
    #[error(
        "the follower of {database} waits for a connection and takes precedence: the limit on connections is reached"
    )]
    FollowerFirst {
        /// The database, without secrets.
        database: String,
    },
    /// The tables lack columns, or have columns of other types.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The database refused a statement. Nothing was changed.
    #[error("{doing}: {reason}")]
    Refused {
        /// The operation.
        doing: &'static str,
        /// The database's message.
        reason: String,
    },
    /// The server takes no changes, or the database file was replaced. Nothing was changed. A new connection may lead to
    /// another server or file.
    #[error("{doing}: {reason}")]
    StaleConnection {
        /// The operation.
        doing: &'static str,
        /// The database's message, or which file was replaced.
        reason: String,
    },
    /// A constraint, a trigger or a type refuses the row that the statement would have written. Nothing was changed, and
    /// the same statement will be refused again.
    #[error("{doing}: {reason}")]
    RowRefused {
        /// The operation.
        doing: &'static str,
        /// The database's message, for the caller of the change: at most [`StoreError::MAX_REASON_BYTES`] bytes.
        reason: String,
    },
    /// Another transaction forestalled the statement. Nothing was changed, and the statement may succeed when it is run
    /// again.
    #[error("{doing}: {reason}")]
    Conflict {
        /// The operation.
        doing: &'static str,
        /// The database's message.
        reason: String,
    },
    /// The connection broke. The last statement may have taken effect or not.
    #[error("{doing}: {reason}")]
    Failed {
        /// The operation.
        doing: &'static str,
        /// The driver's error with its causes.
        reason: String,
    },
    /// The database did not answer in time.
    #[error("{doing}: no answer within {limit:?}")]
    Timeout {
        /// The operation.
        doing: &'static str,
        /// The time-out.
        limit: Duration,
    },
    /// [`Signal::stop`](crate::Signal::stop) was called.
    #[error("stopped")]
    Stopped,
}

impl StoreError {
    /// The reason where the database neither changes nor refuses a row.
    pub const SKIPPED: &str = "the database did not change the row and gave no reason: a trigger or a rule skips it";

    /// The longest reason of [`StoreError::RowRefused`], in bytes.
    pub const MAX_REASON_BYTES: usize = 500;

    /// The error of a row that the database skips.
    pub fn row_skipped(doing: &'static str) -> StoreError {
        StoreError::RowRefused { doing, reason: StoreError::SKIPPED.to_owned() }
    }

    pub(crate) fn row_refused(doing: &'static str, mut reason: String) -> StoreError {
        if reason.len() > StoreError::MAX_REASON_BYTES {
            const END: &str = " …";
            reason.truncate(reason.floor_char_boundary(StoreError::MAX_REASON_BYTES - END.len()));
            reason.push_str(END);
        }
        StoreError::RowRefused { doing, reason }
    }

    pub(crate) fn failed(doing: &'static str, error: &(dyn std::error::Error + 'static)) -> StoreError {
        StoreError::Failed { doing, reason: chain(error) }
    }
}

/// The longest error text, in characters: a server may send any.
const MAX_CHARS: usize = 2000;

/// An error's text with its causes, which the drivers' own texts omit.
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
    if let Some((end, _)) = text.char_indices().nth(MAX_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}
