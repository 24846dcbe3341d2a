//! The database of domains: [`Store`] to follow it and [`Writer`] to change it, with PostgreSQL and
//! SQLite behind them.
//!
//! Rows become types here. A domain that comes out of a store is a
//! [`DomainName`](domain_core::DomainName) and its host type a
//! [`HostTypeId`](domain_core::HostTypeId); a row that cannot be either is a [`Misfit`], told apart
//! from the others so that it stops none of them.
//!
//! | module | idea |
//! |---|---|
//! | [`store`](Store) | what a follower asks of a database |
//! | [`writer`](Writer) | what operations ask of it |
//! | [`freshness`](Freshness) | for how long the rows of a host type are complete |
//! | [`row`](Row) | what a row says |
//! | [`place`](Place) | which database a connection leads to |
//! | [`followed`](Followed) | which of them the follower is connected to, for those who change it |
//! | [`source`](UrlSource) | where the URL is kept |
//! | [`precedence`](Precedence) | who follows has a connection before those who change |
//! | [`reading`](Readable) | rows that may be unreadable |
//! | [`database`](Database) | which database, from a URL; a connection to it |
//! | [`signal`](Signal) | how other threads reach one that is inside a store |
//! | `schema` | the tables: created when absent, refused when they are something else |
//! | `postgres`, `sqlite` | the two databases |

mod database;
mod error;
mod followed;
mod freshness;
mod place;
mod postgres;
mod precedence;
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
pub use followed::Followed;
pub use freshness::{Expiry, Freshness, Ttl};
pub use place::{Place, Role};
pub use postgres::UrlError;
pub use precedence::Precedence;
pub use reading::{Fault, LeftOut, Readable, Spoilt};
pub use row::{Misfit, Row, Unfit};
pub use schema::SchemaError;
pub use signal::Signal;
pub use source::{Unreadable, UrlSource};
pub use store::{Bounds, Event, Events, IdRange, Identity, Loaded, Moment, Pruned, Rows, Store, Transaction, Writers};
pub use writer::{
    Basis, Changed, Filter, Finding, Found, Handlers, Held, Inserted, Job, Jobs, Lease, LeaseState, Listed, NewPair,
    Removal, RemovalBegun, Rules, Sequence, Settings, Severity, Status, Survey, Switch, Switched, Void, Which, Writer,
};
