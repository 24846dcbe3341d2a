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
//! | [`work`](Options) | what a pass works with; what is due next |
//! | `pass` | one look at the database: what is new is followed |
//! | `cursor`, `gaps` | how far the log was followed; ids that were passed by and may still show |
//! | `heard` | whether an event is in the log that is followed |
//! | `converge` | comparing everything with one snapshot, and repairing it |
//! | [`gate`](Gate) | freshness: what a comparison may remove |
//! | [`clean`](PruneOptions) | pruning old events |
//! | [`memory`](FollowerLock) | what the next thread has to know |
//! | `outbox`, `inbox` | where the thread deals with others; what they ask of it |
//! | `warnings` | rows that make no sense, each said once |
//! | [`owner`](Owner) | the process for which the thread works, and without whose leave it changes nothing |
//! | [`report`](Report) | what the thread has to say |
//! | [`status`](Status) | what it is doing |
//! | [`log`](Fields) | what reports and the status look like outside |
//! | [`warm`](WarmStart) | serving from a file while the database is away at start |
//! | `snapshot` | that file |
//! | `backoff`, `timer` | how long to rest after a failure; what is due every so often |

mod backoff;
mod cursor;
mod fields;
mod follower;
mod gaps;
mod gate;
mod inbox;
mod outbox;
mod owner;
mod pass;
mod pruner;
mod recent_events;
mod reconciler;
mod report;
#[cfg(test)]
mod simulation;
mod snapshot;
mod state;
mod status;
mod timer;
mod warm_start;
mod warnings;
mod work;

pub use fields::{Fields, Level, Value};
pub use follower::Follower;
pub use gate::{Evidence, Force, Gate, GateMode};
pub use inbox::Ticket;
pub use owner::{Ended, Owner, Permit, Response};
pub use pruner::PruneOptions;
pub use reconciler::Repairs;
pub use report::{Report, RowWarning};
pub use state::FollowerLock;
pub use status::{State, Status, Totals};
pub use warm_start::WarmStart;
pub use work::{Options, Reason};
