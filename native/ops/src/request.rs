//! What can be asked of the workers, and what they answer.

use std::fmt;

use domain_core::{DomainName, EventId, HostTypeId};
use domain_store::{
    Activation, BeginRemovalOutcome, ChangedDomain, DomainSettings, Filter, Finding, Found, FreshnessDeclaration,
    HandlerProgress, InsertOutcome, JobOutcome, ListedDomain, Readable, RemovalJobs, RemovalStatus, Sequence,
    SetStatusOutcome, StoreError, Survey, Ttl,
};
use thiserror::Error;

/// One operation.
pub enum Request {
    /// Adds domains, served or not; none may be there twice.
    Insert(Vec<(DomainName, HostTypeId, Activation)>),
    /// Enables or disables a domain.
    SetStatus(DomainName, Activation),
    /// Reads a domain's row.
    Details(DomainName),
    /// Reads up to so many rows.
    List(Filter, u32),
    /// Stores an admin's password.
    PutPassword(DomainName, Secret),
    /// Compares an admin's password.
    CheckPassword(DomainName, Secret),
    /// Removes an admin's password.
    DeletePassword(DomainName),
    /// Marks a domain as in removal and takes the job, which has so many handlers.
    BeginRemoval(DomainName, HostTypeId, u32),
    /// Prolongs the jobs that this node has.
    RenewRemovals,
    /// Writes down how far a job is.
    NoteRemoval(DomainName, HandlerProgress),
    /// Gives a job up, and says why.
    FailRemoval(DomainName, String),
    /// Deletes the domain of a job.
    FinishRemoval(DomainName),
    /// Takes up to so many jobs that were left.
    TakeOverRemovals(u32),
    /// Reads the job of one domain, or all.
    Removals(Option<DomainName>),
    /// Declares a freshness domain fresh.
    UpsertFreshness(String, Ttl),
    /// Reads what was declared.
    Freshness,
    /// Reads up to so many changes behind an event, or the newest.
    Changes(Option<EventId>, u32),
    /// Looks at the tables and at the user's rights.
    Findings,
    /// Looks at what the database is like.
    Survey,
    /// Reads where the next ids come from.
    Sequences,
}

/// A password on its way; it is shown nowhere.
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Of [`Request::Insert`]: what became of each pair, in order.
    Inserted(Vec<Result<InsertOutcome, OperationError>>),
    /// Of [`Request::SetStatus`].
    StatusSet(SetStatusOutcome),
    /// Of [`Request::Details`]: nothing when there is no row.
    Details(Option<DomainSettings>),
    /// Of [`Request::List`].
    Listed(Readable<ListedDomain>),
    /// Of [`Request::PutPassword`].
    Stored,
    /// Of [`Request::PutPassword`], when resourceprep refuses the password.
    Refused,
    /// Of [`Request::PutPassword`], when the name is no domain, no subdomain, or none that is enabled.
    NotServed,
    /// Of [`Request::CheckPassword`].
    Checked(PasswordCheck),
    /// Of [`Request::DeletePassword`].
    Deleted(Found),
    /// Of [`Request::BeginRemoval`].
    Begun(BeginRemovalOutcome),
    /// Of [`Request::RenewRemovals`].
    Renewed(RemovalJobs),
    /// Of [`Request::NoteRemoval`], [`Request::FailRemoval`] and [`Request::FinishRemoval`].
    Noted(JobOutcome),
    /// Of [`Request::TakeOverRemovals`].
    TakenOver(RemovalJobs),
    /// Of [`Request::Removals`].
    Removals(Readable<RemovalStatus>),
    /// Of [`Request::UpsertFreshness`].
    Declared,
    /// Of [`Request::Freshness`].
    Freshness(Readable<FreshnessDeclaration>),
    /// Of [`Request::Changes`].
    Changes(Readable<ChangedDomain>),
    /// Of [`Request::Findings`].
    Findings(Vec<Finding>),
    /// Of [`Request::Survey`].
    Survey(Survey),
    /// Of [`Request::Sequences`].
    Sequences(Vec<Sequence>),
}

/// How a password compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordCheck {
    /// It is the stored one.
    Right,
    /// It is another one.
    Wrong,
    /// Nobody could tell: what is stored makes no sense.
    Corrupt,
    /// None is stored, or what it rests on is gone or in removal.
    NotFound,
}

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OperationError {
    /// There was no connection to be had.
    #[error("no connection: {0}")]
    Unavailable(String),
    /// The URL leads to another database than the one that is followed: nobody would see the change.
    #[error("the URL leads to {found}, but {followed} is followed; nothing was changed, and both connect anew")]
    NotFollowed {
        /// Where a new connection leads.
        found: String,
        /// Where the follower is, or was last.
        followed: String,
    },
    /// While the change was made, the follower connected to another database.
    #[error("{database}, in which the change was made, is no longer followed")]
    FollowerMoved {
        /// Where the change was made.
        database: String,
    },
    /// The database failed it.
    #[error(transparent)]
    Database(#[from] StoreError),
    /// Its time was over before anything was done.
    #[error("its time was over before its turn came")]
    Expired,
    /// Whoever asked was gone before anything was done.
    #[error("nobody waited for it any more when its turn came")]
    Abandoned,
    /// Others came first, again and again.
    #[error("other transactions came first, {tries} times; the last time: {last}")]
    Contended {
        /// How often it was tried.
        tries: u32,
        /// What the database said the last time.
        last: StoreError,
    },
    /// No random numbers are to be had on this machine.
    #[error("no random numbers: {0}")]
    NoRandom(String),
    /// The worker panicked.
    #[error("the worker panicked: {0}")]
    Panicked(String),
}

/// Whether a change that failed may have been made all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// It was not made.
    NotMade,
    /// Nobody knows: the connection broke before the answer.
    Unknown,
    /// Nobody knows: the answer did not come in time.
    Timeout,
    /// It was not made, for lack of time.
    Expired,
    /// It was not made, since nobody waited for it.
    Abandoned,
}

impl OperationError {
    /// Why the database refuses the row, if that is what it does: for whoever asked for the change.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            OperationError::Database(StoreError::RowRefused { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    /// Whether the change may have been made all the same.
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
