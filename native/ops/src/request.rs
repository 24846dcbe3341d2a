//! What can be asked of the workers, and what they answer.

use std::fmt;

use domain_core::{DomainName, EventId, HostTypeId};
use domain_store::{
    Changed, Filter, Finding, Found, Freshness, Handlers, Held, Inserted, Jobs, Listed, Readable, Removal,
    RemovalBegun, Sequence, Settings, StoreError, Survey, Switch, Switched, Ttl,
};
use thiserror::Error;

/// One operation.
pub enum Request {
    /// Adds domains, served or not; none may be there twice.
    Insert(Vec<(DomainName, HostTypeId, Switch)>),
    /// Enables or disables a domain.
    Switch(DomainName, Switch),
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
    NoteRemoval(DomainName, Handlers),
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
pub enum Answer {
    /// Of [`Request::Insert`]: what became of each pair, in order.
    Inserted(Vec<Result<Inserted, Failure>>),
    /// Of [`Request::Switch`].
    Switched(Switched),
    /// Of [`Request::Details`]: nothing when there is no row.
    Details(Option<Settings>),
    /// Of [`Request::List`].
    Listed(Readable<Listed>),
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
    Begun(RemovalBegun),
    /// Of [`Request::RenewRemovals`].
    Renewed(Jobs),
    /// Of [`Request::NoteRemoval`], [`Request::FailRemoval`] and [`Request::FinishRemoval`].
    Noted(Held),
    /// Of [`Request::TakeOverRemovals`].
    TakenOver(Jobs),
    /// Of [`Request::Removals`].
    Removals(Readable<Removal>),
    /// Of [`Request::UpsertFreshness`].
    Declared,
    /// Of [`Request::Freshness`].
    Freshness(Readable<Freshness>),
    /// Of [`Request::Changes`].
    Changes(Readable<Changed>),
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
pub enum Failure {
    /// There was no connection to be had.
    #[error("no connection: {0}")]
    Unavailable(String),
    /// The URL leads to another database than the one that is followed: nobody would see the change.
    #[error("the URL leads to {found}, but {followed} is followed; nothing was changed, and both connect anew")]
    Elsewhere {
        /// Where a new connection leads.
        found: String,
        /// Where the follower is, or was last.
        followed: String,
    },
    /// While the change was made, the follower connected to another database.
    #[error("{place}, in which the change was made, is no longer followed")]
    Left {
        /// Where the change was made.
        place: String,
    },
    /// The database failed it.
    #[error(transparent)]
    Database(#[from] StoreError),
    /// Its time was over before anything was done.
    #[error("its time was over before its turn came")]
    TooLate,
    /// Whoever asked was gone before anything was done.
    #[error("nobody waited for it any more when its turn came")]
    Forgotten,
    /// Others came first, again and again.
    #[error("other transactions came first, {tries} times; the last time: {last}")]
    Crowded {
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
pub enum Doubt {
    /// It was not made.
    None,
    /// Nobody knows: the connection broke before the answer.
    Broken,
    /// Nobody knows: the answer did not come in time.
    Timeout,
    /// It was not made, for lack of time.
    TooLate,
    /// It was not made, since nobody waited for it.
    Forgotten,
}

impl Failure {
    /// Why the database refuses the row, if that is what it does: for whoever asked for the change.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Failure::Database(StoreError::RowRefused { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    /// Whether the change may have been made all the same.
    pub fn doubt(&self) -> Doubt {
        match self {
            Failure::Database(StoreError::Deadline { .. }) => Doubt::Timeout,
            Failure::Database(StoreError::Failed { .. } | StoreError::Stopped) | Failure::Panicked(_) => Doubt::Broken,
            Failure::TooLate => Doubt::TooLate,
            Failure::Forgotten => Doubt::Forgotten,
            Failure::Left { .. } => Doubt::Broken,
            Failure::Database(_)
            | Failure::Elsewhere { .. }
            | Failure::Unavailable(_)
            | Failure::Crowded { .. }
            | Failure::NoRandom(_) => Doubt::None,
        }
    }
}
