//! What can be asked of the table, and what becomes of it: the words that the table, its ledger and their callers share.

use thiserror::Error;

use crate::entry::Source;
use crate::host_types::HostTypeId;
use crate::name::DomainName;

/// An id of `domain_events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub i64);

/// Counts how often the table was opened, closed or had its progress reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub(crate) u64);

/// How current the dynamic routes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The table is closed: there is nothing to be current with.
    Closed,
    /// They were never loaded.
    Unloaded,
    /// They are to be loaded again, and what that load does not bring is to go.
    Reset,
    /// They are from a load and follow the log of events.
    Following {
        /// The load that they are from.
        source: Source,
    },
}

/// A domain from configuration and the host type that serves it.
pub type StaticRoute = (DomainName, HostTypeId);

/// What the database says about a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is enabled, with this host type.
    Put(DomainName, HostTypeId),
    /// It is gone, disabled or in removal.
    Remove(DomainName),
}

impl Change {
    /// The domain that it is about.
    pub fn domain(&self) -> &DomainName {
        let (Change::Put(domain, _) | Change::Remove(domain)) = self;
        domain
    }
}

/// What became of a [`Change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The domain is new.
    Added,
    /// It was there with the same host type.
    Kept,
    /// It was there with another host type: this one.
    Moved(HostTypeId),
    /// It was there and is gone.
    Removed(HostTypeId),
    /// It was not there.
    Absent,
    /// A static rule stands against it, and nothing was changed.
    Refused(Refusal),
}

/// Which static rule stands against a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The domain is static.
    Static,
    /// The host type is not one that dynamic domains may use.
    UnknownHostType,
}

/// What [`Table::insert`](crate::Table::insert) found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// The domain was not there before.
    Added,
    /// It was there with the same host type; its source is the new one.
    Kept,
}

/// Why [`Table::insert`](crate::Table::insert) changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InsertError {
    /// The host type is not one that dynamic domains may use.
    #[error("the host type is not one that dynamic domains may use")]
    UnknownHostType,
    /// The domain is static.
    #[error("the domain is static")]
    Static,
    /// The domain is there with another host type: this one.
    #[error("the domain is there with another host type")]
    OtherHostType(HostTypeId),
}

/// Why [`Table::host_type`](crate::Table::host_type) found no host type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LookupError {
    /// The table is open, and the domain is not in it.
    #[error("no such domain")]
    NotFound,
    /// The table is closed.
    #[error("the table is closed")]
    Closed,
}

/// The table is closed, so there is nothing to be said of its domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the table is closed")]
pub struct Closed;

/// A static domain cannot be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the domain is static")]
pub struct IsStatic;

/// The table was opened, closed or reset since the caller took its [`Epoch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the table was opened, closed or reset in between")]
pub struct Stale;

/// How many domains there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DomainCounts {
    /// From configuration.
    pub r#static: usize,
    /// Inserted.
    pub dynamic: usize,
}

/// How many bytes of memory the table uses. The VM does not count them: they are not allocated through it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// The domains and where they lead.
    pub entries: usize,
    /// What they are found by.
    pub index: usize,
    /// The changes that nobody was told of yet.
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
