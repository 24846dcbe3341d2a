//! The requests to the workers.

use std::fmt;

use domain_core::{DomainName, EventId, HostTypeId};
use domain_store::{Activation, Filter, HandlerProgress, Ttl};

/// One operation. The names in it were checked before.
pub enum Request {
    /// Adds domains with a status. No domain may occur twice.
    Insert(Vec<(DomainName, HostTypeId, Activation)>),
    /// Enables or disables a domain.
    SetStatus(DomainName, Activation),
    /// Deletes a domain of this host type at once, unless it is in removal.
    Delete(DomainName, HostTypeId),
    /// Reads the row of a domain.
    Details(DomainName),
    /// Lists up to this number of rows.
    List(Filter, u32),
    /// Stores an admin's password.
    PutPassword(DomainName, Secret),
    /// Compares an admin's password.
    CheckPassword(DomainName, Secret),
    /// Deletes an admin's password.
    DeletePassword(DomainName),
    /// Marks a domain as in removal and claims the job, which has this number of handlers.
    BeginRemoval(DomainName, HostTypeId, u32),
    /// Renews the leases of this node's jobs.
    RenewRemovals,
    /// Stores the progress of a job.
    NoteRemoval(DomainName, HandlerProgress),
    /// Gives a job up for this reason.
    FailRemoval(DomainName, String),
    /// Deletes the domain of a job.
    FinishRemoval(DomainName),
    /// Takes over up to this number of jobs whose leases have ended.
    TakeOverRemovals(u32),
    /// Lists the job of one domain, or all jobs.
    Removals(Option<DomainName>),
    /// Declares a freshness domain fresh.
    UpsertFreshness(String, Ttl),
    /// Lists the declarations of freshness.
    Freshness,
    /// Lists up to this number of changes after an event, or the newest change.
    Changes(Option<EventId>, u32),
    /// Examines the tables and the user's rights.
    Findings,
    /// Surveys the database.
    Survey,
    /// Reads the sequences of the ids.
    Sequences,
}

impl Request {
    /// The domains that the request is about. A request about none of them in particular concerns all or none.
    pub(crate) fn domains(&self) -> impl Iterator<Item = &DomainName> {
        let (several, one) = match self {
            Request::Insert(domains) => (&domains[..], None),
            Request::SetStatus(domain, _)
            | Request::Delete(domain, _)
            | Request::Details(domain)
            | Request::PutPassword(domain, _)
            | Request::CheckPassword(domain, _)
            | Request::DeletePassword(domain)
            | Request::BeginRemoval(domain, ..)
            | Request::NoteRemoval(domain, _)
            | Request::FailRemoval(domain, _)
            | Request::FinishRemoval(domain)
            | Request::Removals(Some(domain)) => (&[][..], Some(domain)),
            Request::List(..)
            | Request::RenewRemovals
            | Request::TakeOverRemovals(_)
            | Request::Removals(None)
            | Request::UpsertFreshness(..)
            | Request::Freshness
            | Request::Changes(..)
            | Request::Findings
            | Request::Survey
            | Request::Sequences => (&[][..], None),
        };
        several.iter().map(|(domain, ..)| domain).chain(one)
    }

    /// Whether the request may be carried out together with others of its kind.
    pub(crate) fn travels_in_company(&self) -> bool {
        self.travels_with(self)
    }

    /// Whether the request may be carried out together with this one, if they are about different domains.
    pub(crate) fn travels_with(&self, other: &Request) -> bool {
        matches!(
            (self, other),
            (Request::Insert(_), Request::Insert(_))
                | (Request::SetStatus(..), Request::SetStatus(..))
                | (Request::Delete(..), Request::Delete(..))
        )
    }
}

/// A password in a request. `Debug` does not show it.
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
