//! Keeps the table equal to the database.
//!
//! One thread per started service, with a connection of its own, loads `domain_settings` in one snapshot and then follows
//! `domain_events`. An event says only that something about a domain has changed: the thread reads that domain's row again
//! and makes the table say the same. So the order of events does not matter, and an event may be applied twice.
//!
//! # The ways through the crate
//!
//! Each file calls only files that stand below it.
//!
//! | way | files, in order |
//! |---|---|
//! | event: a row of `domain_events` changes a route | `follower`, `pass`, `log_follower`, (the store), `cursor` checks the log, `rows`, (the table), `cursor`, `gaps` |
//! | load, first or repeated | `follower`, `pass`, `schedule`, `reconciler`, `loader`, (the store), `rows`, (the table), `load_stats`, `cursor` |
//! | reconcile: the table is compared with the database and repaired | `follower`, `pass`, `schedule`, `reconciler`: `loader` as above, `log_follower` as above, then `gate`, (the table) |
//! | warm start: a file's routes are served | `follower`, `synchronizer`, `warm_start`, `snapshot::reader`, `saved_state`, (the table) |
//! | snapshot: the file is written | `follower`, `synchronizer`, `saver`, `saved_state`, (the table), `snapshot::writer` |
//! | prune: old events are deleted | `follower`, `pass`, `pruner`, (the store) |
//!
//! # The files, from the top down
//!
//! | file | idea |
//! |---|---|
//! | [`follower`](Follower) | the thread, and the handle by which other threads reach it |
//! | `pass` | one round, after which the table is current |
//! | `synchronizer` | the parts that a pass calls |
//! | `schedule` | which comparison is due |
//! | `reconciler` | compares the whole table with the database, and repairs it |
//! | `loader`, `load_stats` | puts one snapshot of the database into the table; what that changed |
//! | `log_follower`, `recent_events` | reads new events and gaps; which events were read |
//! | `pruner` | deletes old events |
//! | `warm_start`, `saver`, `saved_state`, `disk` | reads and writes the snapshot file, and the state in it, on threads of their own |
//! | `snapshot` | the format of that file |
//! | `rows` | from rows of the database to routes in the table |
//! | `context` | what every part works with |
//! | [`state`](FollowerLock) | what outlives the thread |
//! | [`comparison`](Reason) | why the table is compared, and what that finds of the log |
//! | `cursor`, `gaps` | how far the log was followed; ids below the cursor whose events may still show |
//! | [`gate`](Gate) | which routes a comparison may remove |
//! | `outbox`, `inbox` | what the thread sends; what is requested of it |
//! | [`owner`](Owner) | the process for which the thread works, and that permits each change |
//! | [`fields`](Fields) | reports and the status as Erlang sees them |
//! | [`report`](Report), `warnings`, [`status`](Status), [`repairs`](Repairs) | what the thread reports; bad rows, each once; what it is doing; what a comparison did |
//! | [`options`](Options) | the configuration |
//! | `halt` | why a pass or the thread does not go on |
//! | `backoff`, `timer` | how long to wait after a failure; what is due at an interval |

mod backoff;
mod comparison;
mod context;
mod cursor;
mod disk;
mod fields;
mod follower;
mod gaps;
mod gate;
mod halt;
mod inbox;
mod load_stats;
mod loader;
mod log_follower;
mod options;
mod outbox;
mod owner;
mod pass;
mod pruner;
mod recent_events;
mod reconciler;
mod repairs;
mod report;
mod rows;
mod saved_state;
mod saver;
mod schedule;
#[cfg(test)]
mod simulation;
mod snapshot;
mod state;
mod status;
mod synchronizer;
mod timer;
mod warm_start;
mod warnings;

pub use comparison::Reason;
pub use fields::{Fields, Level, Value};
pub use follower::Follower;
pub use gate::{Evidence, Force, Gate, GateMode};
pub use inbox::Ticket;
pub use options::{Options, PruneOptions, WarmStart};
pub use owner::{Ended, Owner, Permit, Response};
pub use repairs::Repairs;
pub use report::{Report, RowWarning};
pub use state::FollowerLock;
pub use status::{State, Status, Totals};
