//! The types of the table's interface: changes and their outcomes, errors, counts, and how current the routes are.

use thiserror::Error;

use crate::entry::Source;
use crate::host_types::HostTypeId;
use crate::name::DomainName;

/// The id of a row of `domain_events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub i64);

/// Changes each time that the table is opened, closed, repaired, or has its progress reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub(crate) u64);

/// How current the dynamic routes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The table is closed.
    Closed,
    /// No routes were loaded.
    Unloaded,
    /// There are routes, but they have to be loaded again. The load removes those that it does not confirm.
    Reset,
    /// The routes were loaded and follow the event log.
    Following {
        /// The load.
        source: Source,
    },
}

/// A domain from the configuration and the host type that serves it.
pub type StaticRoute = (DomainName, HostTypeId);

/// What the database says about a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The domain is enabled, with this host type.
    Put(DomainName, HostTypeId),
    /// The domain does not exist, is disabled, or is in removal.
    Remove(DomainName),
}

impl Change {
    /// The domain that changes.
    pub fn domain(&self) -> &DomainName {
        let (Change::Put(domain, _) | Change::Remove(domain)) = self;
        domain
    }
}

/// The effect of a [`Change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The domain was added.
    Added,
    /// The domain already had this host type.
    Kept,
    /// The domain had another host type, which this is.
    Moved(HostTypeId),
    /// The domain had this host type and was removed.
    Removed(HostTypeId),
    /// The domain to remove does not exist.
    Absent,
    /// A static rule forbids the change, and nothing was changed.
    Refused(Refusal),
    /// This node has changed the domain in the database since the row was read, with this event, and the table shows that
    /// change. The domain has to be read again. Only rows that were read are overtaken.
    Overtaken(EventId),
}

/// The static rule that forbids a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The domain is static.
    Static,
    /// Dynamic domains may not use the host type.
    UnknownHostType,
}

/// The effect of [`Table::insert`](crate::Table::insert).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// The domain was added.
    Added,
    /// The domain already had this host type. It has the new source.
    Kept,
}

/// Why [`Table::insert`](crate::Table::insert) changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InsertError {
    /// Dynamic domains may not use the host type.
    #[error("the host type is not one that dynamic domains may use")]
    UnknownHostType,
    /// The domain is static.
    #[error("the domain is static")]
    Static,
    /// The domain has another host type, which this is.
    #[error("the domain is there with another host type")]
    OtherHostType(HostTypeId),
}

/// Why [`Table::host_type`](crate::Table::host_type) returns no host type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LookupError {
    /// The table is open and does not have the domain.
    #[error("no such domain")]
    NotFound,
    /// The table is closed.
    #[error("the table is closed")]
    Closed,
}

/// The table is closed, so it has no domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the table is closed")]
pub struct Closed;

/// The domain is static and cannot be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the domain is static")]
pub struct IsStatic;

/// The caller's [`Epoch`] is not the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the table was opened, closed or reset in between")]
pub struct Stale;

/// The numbers of domains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DomainCounts {
    /// Domains from the configuration.
    pub r#static: usize,
    /// Domains that were inserted at run time.
    pub dynamic: usize,
}

/// The memory of the table in bytes. The VM does not count it, because the table does not allocate through the VM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// The entries: names and their routes.
    pub entries: usize,
    /// The index.
    pub index: usize,
    /// The changes that the watcher has not taken yet.
    pub change_feed: usize,
}

impl std::iter::Sum for DomainCounts {
    fn sum<I: Iterator<Item = DomainCounts>>(counts: I) -> DomainCounts {
        counts.fold(DomainCounts::default(), |sum, more| DomainCounts {
            r#static: sum.r#static + more.r#static,
            dynamic: sum.dynamic + more.dynamic,
        })
    }
}
