//! What operations ask of a database.
//!
//! A writer is one connection, used by one thread at a time. Every change is one transaction that
//! writes the row of `domain_settings` and its event together, and tells listeners when it is
//! committed. Each call takes the time by which it must be answered. After
//! [`StoreError::Refused`], [`StoreError::RowRefused`] and [`StoreError::Conflict`] nothing was changed and the
//! writer is good for the next call; after any other error, drop it. After [`StoreError::StaleConnection`] nothing was
//! changed, either, and a new writer may find a database that takes the change.
//!
//! OpenTransactions do not wait for each other but where they change the same domain. So the ids of their events
//! may show out of order, which followers are made for.

use std::time::Instant;

use domain_core::{DomainName, EventId};

use crate::{DatabaseIdentity, FreshnessDeclaration, Readable, StoreError, Ttl, UnreadableRows};

/// One connection for changes.
pub trait Writer: Send {
    /// Whether the connection is not known to be broken, and leads to what has the database's name now. Asks no
    /// server, waits for nothing.
    fn is_alive(&mut self) -> bool;

    /// Which database the next change is made in, where it can be told. Costs no round trip, but at a standby,
    /// which may have been promoted since it was asked last.
    fn identity(&mut self, until: Instant) -> Result<Option<DatabaseIdentity>, StoreError>;

    /// Adds rows, each with its event: an answer per pair, in order. No domain may stand in
    /// `pairs` twice. A row that is there is left as it is. Passwords that an earlier life of an added domain left, its
    /// subdomains' among them, are deleted.
    fn insert(&mut self, pairs: &[NewDomain<'_>], until: Instant) -> Result<Vec<InsertOutcome>, StoreError>;

    /// Enables or disables a domain, with an event if that changes something.
    fn set_status(
        &mut self,
        domain: &DomainName,
        wanted: Activation,
        rules: Rules<'_>,
        until: Instant,
    ) -> Result<SetStatusOutcome, StoreError>;

    /// What the row of a domain says.
    fn settings(&mut self, domain: &DomainName, until: Instant) -> Result<Option<DomainSettings>, StoreError>;

    /// Up to `limit` rows in the database's order of their domains. Rows that cannot be read take no place: there
    /// are fewer than `limit` only where the list ends. Those that stand before the last row of the answer are
    /// counted, and where the list ends, all that are left. A row without a name is not looked for.
    fn list(&mut self, filter: &Filter, limit: u32, until: Instant) -> Result<Readable<ListedDomain>, StoreError>;

    /// Stores the password of an admin of this name, in place of the one before, if what it rests on is there: a row
    /// that is enabled, and for a subdomain no row of its own.
    ///
    /// No removal and no addition comes between the check and the write: the password that this stores ends with the row.
    fn put_password(
        &mut self,
        name: &DomainName,
        basis: Basis<'_>,
        stored: &str,
        until: Instant,
    ) -> Result<Found, StoreError>;

    /// The stored password of an admin of this name, if the row that it rests on is there and not in removal. A row of
    /// the name itself comes before what `basis` says of a subdomain.
    fn password(&mut self, name: &DomainName, basis: Basis<'_>, until: Instant) -> Result<Option<String>, StoreError>;

    /// Removes the stored password of a domain's admin. Whether there was one.
    fn delete_password(&mut self, domain: &DomainName, until: Instant) -> Result<Found, StoreError>;

    /// Marks a domain as in removal, with an event, deletes its admin and those of its subdomains, and takes the job of
    /// removing it for `lease`, unless somebody, the owner of `lease` among them, has it. So many handlers are to run. A job that was begun
    /// for an earlier life of the domain is its owner's no longer: it begins anew, for whoever takes it over when
    /// the lease that its owner had has ended.
    fn begin_removal(
        &mut self,
        domain: &DomainName,
        host_type: &str,
        handlers: u32,
        lease: Lease<'_>,
        subdomains: &[String],
        until: Instant,
    ) -> Result<BeginRemovalOutcome, StoreError>;

    /// Prolongs the jobs that the owner of `lease` has, and says which they are; those that are void are not prolonged.
    fn renew_removals(&mut self, lease: Lease<'_>, until: Instant) -> Result<RemovalJobs, StoreError>;

    /// Writes down that so many of so many handlers are done, and prolongs the job, unless it is void: then it ends.
    fn note_removal(
        &mut self,
        domain: &DomainName,
        progress: HandlerProgress,
        lease: Lease<'_>,
        until: Instant,
    ) -> Result<JobOutcome, StoreError>;

    /// Gives the job up and writes down why. The domain stays in removal. A job that is void ends.
    fn fail_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        failure: &str,
        until: Instant,
    ) -> Result<JobOutcome, StoreError>;

    /// Deletes the domain's row, with an event, its admin, those of its subdomains, and the job. A job that is void ends,
    /// and nothing else is deleted.
    fn finish_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        subdomains: &[String],
        until: Instant,
    ) -> Result<JobOutcome, StoreError>;

    /// Takes up to `limit` jobs whose owners let their leases end, of these host types only; ends up to `limit` void
    /// jobs that failed or whose leases ended, of whatever host type.
    fn take_over_removals(
        &mut self,
        lease: Lease<'_>,
        rules: Rules<'_>,
        limit: u32,
        until: Instant,
    ) -> Result<RemovalJobs, StoreError>;

    /// The jobs of one domain or of all, in the database's order of their domains, without those that failed and are void.
    fn removals(&mut self, which: Which<'_>, until: Instant) -> Result<Readable<RemovalStatus>, StoreError>;

    /// Declares a freshness domain fresh from now on, by the database's clock, in place of what was declared
    /// before. There is no event, since no domain changed, but listeners are told: a route that they kept may
    /// be one that goes now.
    fn upsert_freshness(&mut self, domain: &str, ttl: Ttl, until: Instant) -> Result<(), StoreError>;

    /// All that was ever declared, in the order of its bytes. Creates nothing: where nothing was declared,
    /// there need be no table.
    fn freshness(&mut self, until: Instant) -> Result<Readable<FreshnessDeclaration>, StoreError>;

    /// Up to `limit` events behind this one, in the order of their ids, with what the rows of their domains
    /// say now; the newest one alone, when behind none. Dummy events are left out, and so are those that cannot be
    /// read; there are fewer than `limit` only at the log's end.
    fn changes(
        &mut self,
        after: Option<EventId>,
        limit: u32,
        until: Instant,
    ) -> Result<Readable<ChangedDomain>, StoreError>;

    /// What somebody should know of the tables and of this user's rights, the graver things first. Reads no row.
    fn findings(&mut self, until: Instant) -> Result<Vec<Finding>, StoreError>;

    /// Where the tables' next ids come from. Nothing where the database lets no id be handed out twice.
    fn sequences(&mut self, until: Instant) -> Result<Vec<Sequence>, StoreError>;

    /// What the database is like: its clock, and how many rows there are. Reads every row.
    fn survey(&mut self, until: Instant) -> Result<Survey, StoreError>;
}

/// A domain that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedDomain {
    /// The event that says so.
    pub id: EventId,
    /// The domain.
    pub domain: String,
    /// What its row says now, if it has one.
    pub settings: Option<DomainSettings>,
}

/// Something that is not as it should be with the tables or the rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// What is so.
    pub found: String,
    /// What to do.
    pub advice: String,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The table cannot be followed.
    Failed,
    /// It may be meant so.
    Warning,
}

/// What a database is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Its clock: milliseconds since 1970.
    pub time: i64,
    /// The host types of its rows, in the order of their bytes, and how many rows each has. One that is no text is
    /// escaped.
    pub host_types: Vec<(String, i64)>,
    /// The rows of `domain_settings` that listings leave out; no more than ten thousand are looked at.
    pub left_out: UnreadableRows,
}

/// Where a table's next id comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// The table.
    pub table: String,
    /// The sequence's name, as SQL takes it.
    pub name: String,
    /// The id that it hands out next; unknown to a user who may not read it.
    pub next: Option<i64>,
    /// The largest id that is there.
    pub newest: Option<i64>,
}

impl Sequence {
    /// Whether it hands out ids that are smaller than one that is there.
    pub fn is_behind(&self) -> bool {
        matches!((self.next, self.newest), (Some(next), Some(newest)) if next <= newest)
    }

    /// The statement that sets it behind the newest id.
    pub fn remedy(&self) -> String {
        let Sequence { table, name, .. } = self;
        format!("SELECT setval('{}', (SELECT max(id) FROM {table}))", name.replace('\'', "''"))
    }
}

/// A domain to add.
#[derive(Debug, Clone, Copy)]
pub struct NewDomain<'a> {
    /// The domain.
    pub domain: &'a DomainName,
    /// The host type.
    pub host_type: &'a str,
    /// Whether it is served at once.
    pub status: Activation,
    /// The names of its subdomains. One that has a row of its own is a domain and counts as none.
    pub subdomains: &'a [String],
}

/// What an admin's password rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis<'a> {
    /// The row of the name itself.
    Row,
    /// The row of this domain, of which the name is a subdomain.
    Parent(&'a str),
    /// The configuration: the name is a subdomain of a static domain, or of a host type.
    Subdomain,
    /// The configuration: the name is a static domain. Rows are not looked at.
    Static,
}

/// What became of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertOutcome {
    /// It has a row now, and this event.
    Added(EventId),
    /// The domain had a row before.
    Exists(DomainSettings),
    /// The database made no row and gave no reason, as where a trigger skips the insertion.
    Skipped,
}

/// The host types that dynamic domains may have on this node.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Their names.
    pub allowed: &'a [String],
}

/// What a domain can be switched to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Serve it.
    Enabled,
    /// Do not.
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

/// What became of a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetStatusOutcome {
    /// It is done, with this event.
    Changed(EventId),
    /// It was so before.
    Unchanged,
    /// The domain has no row.
    NotFound,
    /// Its host type is not one of this node's.
    UnknownHostType,
    /// It is in removal.
    Deleting,
}

/// What a row says about its domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSettings {
    /// The host type.
    pub host_type: String,
    /// The status.
    pub status: Status,
}

/// A domain's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not served: 0.
    Disabled,
    /// Served: 1.
    Enabled,
    /// In removal: 2.
    Deleting,
    /// A number that means nothing.
    Unknown(i64),
}

impl DomainSettings {
    /// Whether these are a domain's that is to be removed by a job with this host type.
    pub(crate) fn are_in_removal(&self, host_type: &str) -> bool {
        self.status == Status::Deleting && self.host_type == host_type
    }
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

/// A row of a listing: whatever is there, valid or not.
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
    /// Those after this domain.
    pub after: Option<String>,
    /// Those of this host type.
    pub host_type: Option<String>,
    /// Those with this status.
    pub status: Option<i16>,
    /// Those whose domain begins so.
    pub prefix: Option<String>,
}

/// Whether there was something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There was.
    Yes,
    /// There was not.
    No,
}

/// A claim on jobs: whose, and for how long after the database hears of it.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// Who works on them; no two nodes are called the same, and no two lives of one node.
    pub owner: &'a str,
    /// For how many milliseconds.
    pub milliseconds: i64,
}

/// What became of a request for removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeginRemovalOutcome {
    /// The domain is in removal and the job is the caller's.
    Claimed(EventId),
    /// The domain is in removal and the job is somebody's already.
    OwnedElsewhere(EventId),
    /// The domain has no row.
    NotFound,
    /// Its host type is another one.
    WrongHostType,
}

/// How many handlers of how many are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlerProgress {
    /// Done.
    pub done: u32,
    /// In all.
    pub of: u32,
}

/// Whether a job was still the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// It was.
    Updated,
    /// Somebody else has it, or it is gone: nothing was changed.
    NotOwned,
    /// It was, and was void, so it is deleted: what the domain's row says, if there is one.
    Void(Option<DomainSettings>),
}

/// A domain that somebody is to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalJob {
    /// The domain.
    pub domain: String,
    /// Its host type.
    pub host_type: String,
    /// How many handlers there were when it began, or when the last one was done.
    pub handlers: u32,
}

/// A job whose domain is not in removal with the job's host type: other programs change rows, too. Nothing of such a
/// domain may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidJob {
    /// The job.
    pub job: RemovalJob,
    /// What the domain's row says, if there is one.
    pub row: Option<DomainSettings>,
}

/// RemovalJobs that were asked for, told apart by the rows of their domains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalJobs {
    /// Those that are to be worked on.
    pub held: Vec<RemovalJob>,
    /// Those that are void.
    pub void: Vec<VoidJob>,
    /// Those that cannot be read, and that nobody works on.
    pub left_out: UnreadableRows,
}

/// Which jobs.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// That of this domain.
    One(&'a DomainName),
    /// All.
    All,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalStatus {
    /// The domain.
    pub domain: String,
    /// Its host type.
    pub host_type: String,
    /// Who works on it, or worked on it before the domain's present life; nobody once it failed.
    pub owner: Option<String>,
    /// Whether the owner's lease has not ended.
    pub lease: LeaseState,
    /// How far it is.
    pub handlers: HandlerProgress,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Whether a job's owner is to be believed alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// The lease runs.
    Running,
    /// It has ended: somebody may take the job over.
    Ended,
}
