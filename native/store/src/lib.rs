//! The database of domains: [`Store`] to follow it and [`Writer`] to change it, with PostgreSQL and
//! SQLite behind them.
//!
//! Rows become types here. A domain that comes out of a store is a
//! [`DomainName`](domain_core::DomainName) and its host type a
//! [`HostTypeId`](domain_core::HostTypeId); a row that cannot be either is an [`InvalidRow`], told apart
//! from the others so that it stops none of them.
//!
//! | module | idea |
//! |---|---|
//! | [`store`](Store) | what a follower asks of a database |
//! | [`writer`](Writer) | what operations ask of it |
//! | [`freshness`](FreshnessDeclaration) | for how long the rows of a host type are complete |
//! | [`row`](Row) | what a row says |
//! | [`identity`](DatabaseIdentity) | which database a connection leads to |
//! | [`followed`](FollowedDatabase) | which of them the follower is connected to, for those who change it |
//! | [`source`](UrlSource) | where the URL is kept |
//! | [`follower_priority`](FollowerPriority) | who follows has a connection before those who change |
//! | [`reading`](Readable) | rows that may be unreadable |
//! | [`database`](Database) | which database, from a URL; a connection to it |
//! | [`signal`](Signal) | how other threads reach one that is inside a store |
//! | `schema` | the tables: created when absent, refused when they are something else |
//! | `postgres`, `sqlite` | the two databases |

mod database;
mod error;
mod followed;
mod follower_priority;
mod freshness;
mod identity;
mod postgres;
mod reading;
mod row;
mod schema;
mod signal;
mod source;
mod sqlite;
mod store;
mod writer;

pub use database::{Database, DatabaseError, Timeouts};
pub use error::StoreError;
pub use followed::FollowedDatabase;
pub use follower_priority::FollowerPriority;
pub use freshness::{Expiry, FreshnessDeclaration, Ttl};
pub use identity::{DatabaseIdentity, ServerRole};
pub use postgres::UrlError;
pub use reading::{Fault, Readable, UnreadableRow, UnreadableRows};
pub use row::{InvalidRow, InvalidRowReason, Row};
pub use schema::SchemaError;
pub use signal::Signal;
pub use source::{Unreadable, UrlSource};
pub use store::{
    Event, Events, IdRange, LoadSummary, LogBounds, LogPosition, OpenTransactions, PersistentId, Pruned, Store,
    TableContents, TransactionId,
};
pub use writer::{
    Activation, Basis, BeginRemovalOutcome, ChangedDomain, DomainSettings, Filter, Finding, Found, HandlerProgress,
    InsertOutcome, JobOutcome, Lease, LeaseState, ListedDomain, NewDomain, RemovalJob, RemovalJobs, RemovalStatus,
    Rules, Sequence, SetStatusOutcome, Severity, Status, Survey, VoidJob, Which, Writer,
};
