//! The errors of the requests.

use domain_store::StoreError;
use thiserror::Error;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OperationError {
    /// No connection could be made.
    #[error("no connection: {0}")]
    Unavailable(String),
    /// The URL leads to another database than the followed one, where this node would not see the change.
    #[error("the URL leads to {found}, but {followed} is followed; nothing was changed, and both connect anew")]
    NotFollowed {
        /// The database of a new connection.
        found: String,
        /// The database that the follower is, or was last, connected to.
        followed: String,
    },
    /// While the change was made, the follower connected to another database.
    #[error("{database}, in which the change was made, is no longer followed")]
    FollowerMoved {
        /// The database in which the change was made.
        database: String,
    },
    /// The database returned an error.
    #[error(transparent)]
    Database(#[from] StoreError),
    /// Its time-out passed before anything was done.
    #[error("its time was over before its turn came")]
    Expired,
    /// The caller had ended before anything was done.
    #[error("nobody waited for it any more when its turn came")]
    Abandoned,
    /// Other transactions forestalled it in every attempt.
    #[error("other transactions came first, {tries} times; the last time: {last}")]
    Contended {
        /// The number of attempts.
        tries: u32,
        /// The error of the last attempt.
        last: StoreError,
    },
    /// The operating system returned no random bytes.
    #[error("no random numbers: {0}")]
    NoRandom(String),
    /// The worker panicked.
    #[error("the worker panicked: {0}")]
    Panicked(String),
}

/// Whether a failed change may have been made, and why it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// It was not made.
    NotMade,
    /// It may have been made: the connection broke before the result came.
    Unknown,
    /// It may have been made: the result did not come in time.
    Timeout,
    /// It was not made: its time-out had passed.
    Expired,
    /// It was not made: the caller had ended.
    Abandoned,
}

impl OperationError {
    /// The database's reason for refusing the row, if it did: for the caller of the change.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            OperationError::Database(StoreError::RowRefused { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    /// Whether the change may have been made.
    pub fn kind(&self) -> FailureKind {
        match self {
            OperationError::Database(StoreError::Timeout { .. }) => FailureKind::Timeout,
            OperationError::Database(StoreError::Failed { .. } | StoreError::Stopped) | OperationError::Panicked(_) => {
                FailureKind::Unknown
            }
            OperationError::Expired => FailureKind::Expired,
            OperationError::Abandoned => FailureKind::Abandoned,
            OperationError::FollowerMoved { .. } => FailureKind::Unknown,
            OperationError::Database(_)
            | OperationError::NotFollowed { .. }
            | OperationError::Unavailable(_)
            | OperationError::Contended { .. }
            | OperationError::NoRandom(_) => FailureKind::NotMade,
        }
    }
}
