//! Removals of domains: the rows of `domain_removals`, each of which is a job for one node.
//!
//! A node owns a job for the time of a lease, by the database's clock, and renews the lease while it works. When the
//! lease has ended, another node may take the job over. A job is *void* when its domain is not in removal with the
//! job's host type, because another program has changed the row. Nothing of such a domain may be deleted.

use std::time::Instant;

use domain_core::{DomainName, EventId};

use crate::{DomainSettings, Readable, StoreError, UnreadableRows};

/// Begins, continues and ends the jobs that remove domains.
pub trait RemovalOperations {
    /// Marks a domain as in removal, with an event, deletes its admin and those of its subdomains, and claims the job with
    /// this lease unless it already has an owner, which may be the owner of `lease`. `handlers` is their number.
    ///
    /// A job that was begun for an earlier row of the domain is reset, and its owner loses it: another node, or the same
    /// one, takes it over when the old lease has ended.
    fn begin_removal(
        &mut self,
        domain: &DomainName,
        host_type: &str,
        handlers: u32,
        lease: Lease<'_>,
        subdomains: &[String],
        until: Instant,
    ) -> Result<BeginRemovalOutcome, StoreError>;

    /// Renews the owner's lease on all of its jobs that are not void, and returns all of them.
    fn renew_removals(&mut self, lease: Lease<'_>, until: Instant) -> Result<RemovalJobs, StoreError>;

    /// Stores how many handlers have finished, and renews the lease. Deletes the job instead if it is void.
    fn note_removal(
        &mut self,
        domain: &DomainName,
        progress: HandlerProgress,
        lease: Lease<'_>,
        until: Instant,
    ) -> Result<JobOutcome, StoreError>;

    /// Gives the job up and stores why. The domain stays in removal. Deletes the job instead if it is void.
    fn fail_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        failure: &str,
        until: Instant,
    ) -> Result<JobOutcome, StoreError>;

    /// Deletes the domain's row, with an event, its admin, those of its subdomains, and the job. Deletes only the job if
    /// it is void.
    fn finish_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        subdomains: &[String],
        until: Instant,
    ) -> Result<JobOutcome, StoreError>;

    /// Takes over up to `limit` jobs of these host types whose leases have ended. Deletes up to `limit` void jobs of any
    /// host type that have failed or whose leases have ended.
    fn take_over_removals(
        &mut self,
        lease: Lease<'_>,
        allowed: &[String],
        limit: u32,
        until: Instant,
    ) -> Result<RemovalJobs, StoreError>;

    /// Lists the job of one domain, or all jobs in the database's order of their domains. Leaves out failed void jobs.
    fn removals(&mut self, domain: Option<&DomainName>, until: Instant) -> Result<Readable<RemovalStatus>, StoreError>;
}

/// An owner, and how long it owns its jobs from now on.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// The owner. Unique to a node and to each of its starts.
    pub owner: &'a str,
    /// The duration.
    pub milliseconds: i64,
}

/// The outcome of beginning a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeginRemovalOutcome {
    /// The domain is in removal, and the caller owns the job.
    Claimed(EventId),
    /// The domain is in removal, and the job already has an owner.
    OwnedElsewhere(EventId),
    /// The domain has no row.
    NotFound,
    /// The domain has another host type.
    WrongHostType,
}

/// How many handlers have finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlerProgress {
    /// The number of handlers that have finished.
    pub done: u32,
    /// The number of all handlers.
    pub of: u32,
}

/// The outcome of an operation that only the owner of a job may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// It was done.
    Updated,
    /// Another node owns the job, or it is gone. Nothing was changed.
    NotOwned,
    /// The job was void, and is deleted. The domain's row, if there is one.
    Void(Option<DomainSettings>),
}

/// A job to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalJob {
    /// The domain.
    pub domain: String,
    /// The host type.
    pub host_type: String,
    /// The number of handlers when the job was begun, or when a handler last finished.
    pub handlers: u32,
}

/// A void job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidJob {
    /// The job.
    pub job: RemovalJob,
    /// The domain's row, if there is one.
    pub row: Option<DomainSettings>,
}

/// Several jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalJobs {
    /// Those that the owner works on.
    pub held: Vec<RemovalJob>,
    /// Those that are void.
    pub void: Vec<VoidJob>,
    /// Those that cannot be read, which no node works on.
    pub left_out: UnreadableRows,
}

/// The state of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalStatus {
    /// The domain.
    pub domain: String,
    /// The host type.
    pub host_type: String,
    /// The owner, or the former owner of a job that was reset; none if the job has failed.
    pub owner: Option<String>,
    /// Whether the lease has ended.
    pub lease: LeaseState,
    /// How many handlers have finished.
    pub handlers: HandlerProgress,
    /// Why the job has failed.
    pub failure: Option<String>,
}

/// Whether a lease has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// It has not.
    Running,
    /// It has: another node may take the job over.
    Ended,
}
