//! Changes to domains, made by threads that may wait for a database.
//!
//! A request enters a bounded queue. A worker takes it, carries it out in one transaction on a pooled connection, and calls
//! the function that the caller has passed with the result. The caller never waits: if the database hangs, first the
//! workers are busy, then the queue is full, and then requests are refused at once. Every request ends by its time-out.
//!
//! The rules that do not depend on rows (a valid name, static domains, this node's host types) are checked by the caller.
//!
//! # The files in layers
//!
//! Each file uses only those above it.
//!
//! | file | what it holds |
//! |---|---|
//! | `password` | how a domain admin's password is stored and compared |
//! | `options` | [`Options`] |
//! | `request`, `error`, `response` | [`Request`], [`OperationError`], [`Completed`] |
//! | `pool` | the connections |
//! | `executor` | calls a writer for an operation; runs a lost race again |
//! | `changes` | additions, changes of statuses and deletions, which show in the table at their commit |
//! | `operations` | what each request does |
//! | `company` | requests that travel together |
//! | `queue` | the bounded queue |
//! | `workers` | [`Workers`]: the threads |
//!
//! # The way of a change, from the queue to the commit
//!
//! `workers` → `queue` → `company` → `operations` → `changes` → `executor` → `pool` → `domain_store`'s `writer/domains` →
//! `postgres/writer/domains` → `postgres/writer/change` (or `sqlite/writer/domains` → `sqlite/writer`), and back to
//! `workers`, which passes the result on.

mod changes;
mod company;
mod error;
mod executor;
mod operations;
mod options;
mod password;
mod pool;
mod queue;
mod request;
mod response;
mod workers;

pub use error::{FailureKind, OperationError};
pub use options::Options;
pub use password::Iterations;
pub use queue::{IsAwaited, Overloaded, Reply};
pub use request::{Request, Secret};
pub use response::{Completed, PasswordCheck, Response};
pub use workers::Workers;
