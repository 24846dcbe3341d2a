//! The results of the requests.

use std::collections::HashSet;

use domain_core::EventId;
use domain_store::{
    BeginRemovalOutcome, ChangedDomain, DeleteOutcome, DomainSettings, Finding, Found, FreshnessDeclaration,
    InsertOutcome, JobOutcome, ListedDomain, Readable, RemovalJobs, RemovalStatus, Sequence, SetStatusOutcome, Survey,
};

use crate::OperationError;
#[cfg(doc)]
use crate::Request;

/// A request that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The result.
    pub response: Response,
    /// Those of the response's events whose changes lookups on this node show already. The others show when the follower
    /// has read them.
    pub visible: HashSet<EventId>,
}

/// The result of a request that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Of [`Request::Insert`]: an outcome for each domain, in order.
    Inserted(Vec<Result<InsertOutcome, OperationError>>),
    /// Of [`Request::SetStatus`].
    StatusSet(SetStatusOutcome),
    /// Of [`Request::Delete`].
    Deleted(DeleteOutcome),
    /// Of [`Request::Details`]: nothing if there is no row.
    Details(Option<DomainSettings>),
    /// Of [`Request::List`].
    Listed(Readable<ListedDomain>),
    /// Of [`Request::PutPassword`].
    PasswordStored,
    /// Of [`Request::PutPassword`], if resourceprep refuses the password.
    PasswordRefused,
    /// Of [`Request::PutPassword`], if the name is neither an enabled domain nor a subdomain of one.
    NotServed,
    /// Of [`Request::CheckPassword`].
    PasswordChecked(PasswordCheck),
    /// Of [`Request::DeletePassword`].
    PasswordDeleted(Found),
    /// Of [`Request::BeginRemoval`].
    RemovalBegun(BeginRemovalOutcome),
    /// Of [`Request::RenewRemovals`].
    RemovalsRenewed(RemovalJobs),
    /// Of [`Request::NoteRemoval`], [`Request::FailRemoval`] and [`Request::FinishRemoval`].
    RemovalUpdated(JobOutcome),
    /// Of [`Request::TakeOverRemovals`].
    RemovalsTakenOver(RemovalJobs),
    /// Of [`Request::Removals`].
    Removals(Readable<RemovalStatus>),
    /// Of [`Request::UpsertFreshness`].
    FreshnessDeclared,
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

/// The result of comparing a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordCheck {
    /// It is the stored password.
    Right,
    /// It is another password.
    Wrong,
    /// The stored text is invalid.
    Corrupt,
    /// No password is stored, or the name no longer exists or is in removal.
    NotFound,
}
