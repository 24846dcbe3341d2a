//! Changes to domains, made by threads that may wait for a database.
//!
//! A request goes into a bounded queue, a worker takes it, a pooled connection carries it out in one
//! transaction, and the answer comes back by a call from that worker. Whoever asks waits for nothing
//! here: a hung database holds the workers, then fills the queue, and then requests are refused at
//! once. Every request has a time by which it is answered, one way or the other.
//!
//! The rules that need no database (a valid name, static domains, this node's host types) are kept by
//! those who ask; what is decided here depends on rows.
//!
//! | module | idea |
//! |---|---|
//! | [`request`](Request) | what can be asked, and what is answered |
//! | [`workers`](Workers) | the queue and the threads |
//! | `pool` | connections for them |
//! | `work` | a request becomes calls of a writer; a lost race is run again |
//! | `password` | how a domain admin's password is stored |

mod password;
mod pool;
mod request;
mod work;
mod workers;

pub use password::Iterations;
pub use request::{FailureKind, OperationError, PasswordCheck, Request, Response, Secret};
pub use workers::{Awaited, Options, Overloaded, Reply, Workers};
