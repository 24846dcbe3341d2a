//! Domains: the rows of `domain_settings`.

use std::time::Instant;

use domain_core::{DomainName, EventId};

use crate::{Readable, StoreError};

/// Adds, enables, disables, deletes and lists domains.
pub trait DomainOperations {
    /// Adds rows, each with an event. Returns an outcome for each domain, in order. No domain may occur twice in
    /// `domains`. An existing row is not changed. The passwords that an earlier row of an added domain has left are
    /// deleted, and those of its subdomains.
    fn insert(&mut self, domains: &[NewDomain<'_>], until: Instant) -> Result<Vec<InsertOutcome>, StoreError>;

    /// Enables or disables domains, each with an event if that changes its row. Returns an outcome for each domain, in
    /// order. No domain may occur twice in `changes`. `allowed` are the host types that dynamic domains may have on this
    /// node.
    fn set_statuses(
        &mut self,
        changes: &[(&DomainName, Activation)],
        allowed: &[String],
        until: Instant,
    ) -> Result<Vec<SetStatusOutcome>, StoreError>;

    /// The same for one domain. A row that the database skips counts as refused.
    fn set_status(
        &mut self,
        domain: &DomainName,
        wanted: Activation,
        allowed: &[String],
        until: Instant,
    ) -> Result<SetStatusOutcome, StoreError> {
        match self.set_statuses(&[(domain, wanted)], allowed, until)?.pop() {
            Some(SetStatusOutcome::Skipped) | None => Err(StoreError::row_skipped("changing a domain's status")),
            Some(outcome) => Ok(outcome),
        }
    }

    /// Deletes the rows of domains at once, each with an event, and their passwords and those of their subdomains. Returns an
    /// outcome for each domain, in order. No domain may occur twice in `domains`. A domain in removal is left to its job.
    fn delete(&mut self, domains: &[OldDomain<'_>], until: Instant) -> Result<Vec<DeleteOutcome>, StoreError>;

    /// Reads the row of a domain.
    fn settings(&mut self, domain: &DomainName, until: Instant) -> Result<Option<DomainSettings>, StoreError>;

    /// Lists up to `limit` rows, in the database's order of their domains. Unreadable rows do not count towards the limit,
    /// so there are fewer than `limit` only at the end of the list. They are counted if they stand before the last
    /// row of the result, and at the end of the list all of them are. Rows without a name are not counted.
    fn list(&mut self, filter: &Filter, limit: u32, until: Instant) -> Result<Readable<ListedDomain>, StoreError>;

    /// Reads up to `limit` events after this one, in the order of their ids, with the present rows of their domains; the
    /// newest event alone if `after` is `None`. Leaves out dummy and unreadable events. There are fewer than `limit`
    /// only at the end of the log.
    fn changes(
        &mut self,
        after: Option<EventId>,
        limit: u32,
        until: Instant,
    ) -> Result<Readable<ChangedDomain>, StoreError>;
}

/// A domain to add.
#[derive(Debug, Clone, Copy)]
pub struct NewDomain<'a> {
    /// The domain.
    pub domain: &'a DomainName,
    /// The host type.
    pub host_type: &'a str,
    /// Whether it is enabled.
    pub status: Activation,
    /// The names of its subdomains. One that has a row of its own is a domain, and not a subdomain.
    pub subdomains: &'a [String],
}

/// The outcome of adding a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertOutcome {
    /// The row was added, with this event.
    Added(EventId),
    /// The domain already had a row.
    Exists(DomainSettings),
    /// The database added no row and gave no reason, for example because a trigger skips the insertion.
    Skipped,
}

/// A domain to delete.
#[derive(Debug, Clone, Copy)]
pub struct OldDomain<'a> {
    /// The domain.
    pub domain: &'a DomainName,
    /// The host type that its row must have.
    pub host_type: &'a str,
    /// The names of its subdomains. One that has a row of its own is a domain, and not a subdomain.
    pub subdomains: &'a [String],
}

/// The outcome of deleting a domain at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The row was deleted, with this event.
    Deleted(EventId),
    /// The domain has no row.
    NotFound,
    /// The domain has another host type.
    WrongHostType,
    /// The row is still there: the domain is in removal, or the database deleted nothing and gave no reason.
    Kept,
}

/// The status that an operation may give to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Status 1.
    Enabled,
    /// Status 0.
    Disabled,
}

impl Activation {
    /// The number in the database.
    pub(crate) fn number(self) -> i16 {
        match self {
            Activation::Disabled => 0,
            Activation::Enabled => 1,
        }
    }
}

/// The outcome of enabling or disabling a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetStatusOutcome {
    /// The status was changed, with this event. The domain has this host type.
    Changed(EventId, String),
    /// The domain already had this status.
    Unchanged,
    /// The domain has no row.
    NotFound,
    /// The domain's host type is not allowed on this node.
    UnknownHostType,
    /// The domain is in removal.
    Deleting,
    /// The database did not change the row and gave no reason: [`StoreError::SKIPPED`].
    Skipped,
}

/// The row of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSettings {
    /// The host type.
    pub host_type: String,
    /// The status.
    pub status: Status,
}

impl DomainSettings {
    /// Whether the domain is in removal with this host type, so that a job with this host type may remove it.
    pub(crate) fn are_in_removal(&self, host_type: &str) -> bool {
        self.status == Status::Deleting && self.host_type == host_type
    }
}

/// The status of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0: not served.
    Disabled,
    /// 1: served.
    Enabled,
    /// 2: in removal.
    Deleting,
    /// Any other number.
    Unknown(i64),
}

impl Status {
    /// The status of a number in the database.
    pub(crate) fn new(number: i64) -> Status {
        match number {
            0 => Status::Disabled,
            1 => Status::Enabled,
            2 => Status::Deleting,
            other => Status::Unknown(other),
        }
    }
}

/// A row of a listing, whether its domain is valid or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDomain {
    /// The domain.
    pub domain: String,
    /// The rest of the row.
    pub settings: DomainSettings,
}

/// Which rows to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only domains after this one.
    pub after: Option<String>,
    /// Only this host type.
    pub host_type: Option<String>,
    /// Only this status.
    pub status: Option<i16>,
    /// Only domains that begin with this text.
    pub prefix: Option<String>,
}

/// A domain that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedDomain {
    /// The event.
    pub id: EventId,
    /// The domain.
    pub domain: String,
    /// The domain's present row, if there is one.
    pub settings: Option<DomainSettings>,
}
