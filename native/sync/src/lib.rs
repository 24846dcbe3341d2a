//! Keeps the table equal to the database.
//!
//! One thread per started service, on its own connection: it loads `domain_settings` in one
//! snapshot, then follows `domain_events`. An event says only that something about a domain changed,
//! so the thread reads that domain's row again and makes the table say the same; the order of events
//! of one domain does not matter, and applying one twice is harmless.
//!
//! | module | idea |
//! |---|---|
//! | [`follower`](Follower) | the thread, and the handle by which others reach it |
//! | `pass` | one look at the database: load what was never loaded, follow what is new |
//! | `inbox` | what others ask of the thread |
//! | `complaints` | rows that make no sense, each said once |
//! | [`owner`](Owner) | the process for which the thread works, and without whose leave it changes nothing |
//! | [`report`](Report) | what the thread has to say |
//! | [`status`](Status) | what it is doing |
//! | [`log`](Fields) | what reports and the status look like outside |
//! | `backoff` | how long to rest after a failure |
//! | `snapshot` | the file from which routes are served while the database is away at start |

mod backoff;
mod complaints;
mod follower;
mod inbox;
mod log;
mod owner;
mod pass;
mod report;
// No caller yet.
#[allow(dead_code, unused_imports)]
mod snapshot;
mod status;

pub use follower::{Follower, Seat};
pub use inbox::Ticket;
pub use log::{Fields, Level, Value};
pub use owner::{Ended, Leave, Owner};
pub use report::{Complaint, Report};
pub use status::{State, Status};
