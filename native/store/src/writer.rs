//! What the operations of this node need of a database.
//!
//! A [`Writer`] is one connection, used by one thread at a time. Each trait below is a part of what it does:
//!
//! | file | what it does |
//! |---|---|
//! | `domains` | [`DomainOperations`]: adds, enables, disables, deletes and lists domains |
//! | `passwords` | [`PasswordOperations`]: the passwords of domain admins |
//! | `removals` | [`RemovalOperations`]: the jobs that remove domains |
//! | `declarations` | [`FreshnessOperations`]: which host types are fresh |
//! | `diagnostics` | [`Diagnostics`]: what is wrong with the tables |
//! | `rows` | reads rows into the types of these files |
//!
//! Every change is one transaction, which writes the row of `domain_settings` and its event together, and notifies
//! listeners at its commit where the database has notifications. Each call takes the time by which it has to return.
//!
//! After [`StoreError::Refused`], [`StoreError::RowRefused`] and [`StoreError::Conflict`] nothing was changed, and the
//! writer can be used again. After any other error it has to be dropped. After [`StoreError::StaleConnection`] nothing
//! was changed either, and a new writer may be connected to a database that takes the change.
//!
//! Two writers wait for each other only where they change the same domain. So the ids of events may become visible out
//! of order, which followers allow for.

mod declarations;
mod diagnostics;
mod domains;
mod passwords;
mod removals;
pub(crate) mod rows;

use std::time::Instant;

pub use declarations::FreshnessOperations;
pub use diagnostics::{Diagnostics, Finding, Sequence, Severity, Survey};
pub use domains::{
    Activation, ChangedDomain, DeleteOutcome, DomainOperations, DomainSettings, Filter, InsertOutcome, ListedDomain,
    NewDomain, OldDomain, SetStatusOutcome, Status,
};
pub use passwords::{Found, NameOrigin, PasswordOperations};
pub use removals::{
    BeginRemovalOutcome, HandlerProgress, JobOutcome, Lease, LeaseState, RemovalJob, RemovalJobs, RemovalOperations,
    RemovalStatus, VoidJob,
};

use crate::{DatabaseIdentity, StoreError};

/// A connection for changes.
pub trait Writer:
    DomainOperations + PasswordOperations + RemovalOperations + FreshnessOperations + Diagnostics + Send
{
    /// Whether the connection is not known to be broken, and the database file was not replaced. Sends nothing, and does
    /// not block.
    fn is_alive(&mut self) -> bool;

    /// Which database the next change is made in, where the database tells. Costs a round trip only at a standby,
    /// which may have been promoted in the meantime.
    fn identity(&mut self, until: Instant) -> Result<Option<DatabaseIdentity>, StoreError>;
}
