//! The database of domains, on PostgreSQL, MariaDB or SQLite.
//!
//! [`Store`] is the follower's connection, [`Writer`] a connection for changes. [`Database`] opens both.
//!
//! A row becomes a type when it is read, and its name is checked only then: a follower gets
//! [`DomainName`](domain_core::DomainName)s and [`HostTypeId`](domain_core::HostTypeId)s. A row for which that fails
//! becomes an [`InvalidRow`], and the other rows are not affected.
//!
//! # The files in layers
//!
//! Each file uses only those above it.
//!
//! | file | what it holds |
//! |---|---|
//! | `schema` | the tables: created when absent, checked otherwise |
//! | `error` | [`StoreError`] |
//! | `row` | [`Row`]: a row of `domain_settings` as the follower reads it |
//! | `readable` | [`Readable`]: rows that may be unreadable |
//! | `identity` | [`DatabaseIdentity`]: which database a connection is connected to |
//! | `freshness` | [`FreshnessDeclaration`]: until when the rows of a host type are complete |
//! | `signal` | [`Signal`]: wakes or stops a thread that is in a call |
//! | `source` | [`UrlSource`]: where the URL is kept |
//! | `store`, `writer` | the two traits |
//! | `followed` | [`FollowedDatabase`]: which database the follower is connected to |
//! | `follower_priority` | [`FollowerPriority`]: the follower gets a connection before writers do |
//! | `url` | what the URLs of the servers have in common |
//! | `local_runtime` | the runtime of a thread that uses a server's connection |
//! | `postgres`, `mariadb`, `sqlite` | the three databases |
//! | `database` | [`Database`]: which database a URL means, and how to connect to it |
//!
//! # Ways through the files
//!
//! * A load: `database` → `postgres/store` → `postgres/load` (or `mariadb/store` → `mariadb/load`, or `sqlite/store`) →
//!   `row`, and back in batches.
//! * A read of the log: `postgres/store` → `postgres/log` (the same for `mariadb` and `sqlite`) → `row`.
//! * A change: `postgres/writer/domains` → `postgres/writer/change` (or `mariadb/writer/domains` → `mariadb/writer/batch`, or
//!   `sqlite/writer/domains` → `sqlite/writer`), and, where the server refuses it, `postgres/sqlstate` or `mariadb/error`.

mod database;
mod error;
mod followed;
mod follower_priority;
mod freshness;
mod identity;
mod local_runtime;
mod mariadb;
mod postgres;
mod readable;
mod row;
mod schema;
mod signal;
mod source;
mod sqlite;
mod store;
mod url;
mod writer;

pub use database::{Database, DatabaseError, Timeouts};
pub use error::StoreError;
pub use followed::{FollowedDatabase, IdentityMatch};
pub use follower_priority::FollowerPriority;
pub use freshness::{Expiry, FreshnessDeclaration, Ttl};
pub use identity::{DatabaseIdentity, PersistentId, ServerRole};
pub use readable::{Readable, UnreadableRow, UnreadableRows, ValueFault};
pub use row::{InvalidRow, InvalidRowReason, Row};
pub use schema::SchemaError;
pub use signal::Signal;
pub use source::{UrlSource, UrlSourceError};
pub use store::{
    Event, Events, IdRange, LoadSummary, LogBounds, LogPosition, OpenTransactions, Pruned, Route, Store, TableContents,
    TransactionId,
};
pub use url::{UrlError, UrlKind};
pub use writer::{
    Activation, BeginRemovalOutcome, ChangedDomain, DeleteOutcome, Diagnostics, DomainOperations, DomainSettings,
    Filter, Finding, Found, FreshnessOperations, HandlerProgress, InsertOutcome, JobOutcome, Lease, LeaseState,
    ListedDomain, NameOrigin, NewDomain, OldDomain, PasswordOperations, RemovalJob, RemovalJobs, RemovalOperations,
    RemovalStatus, Sequence, SetStatusOutcome, Severity, Status, Survey, VoidJob, Writer,
};
