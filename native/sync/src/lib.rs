//! Keeps the table equal to the database.
//!
//! One thread per started service, with a connection of its own, loads `domain_settings` in one snapshot and then follows
//! `domain_events`. An event says only that something about a domain has changed: the thread reads that domain's row again
//! and makes the table say the same. So the order of events does not matter, and an event may be applied twice.
//!
//! # The ways through the crate
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
//! Each file calls only files that stand below it.
//!
//! | file | idea |
//! |---|---|
//! | [`follower`](Follower) | the thread, and the handle by which other threads reach it |
//! | `pass` | one round, after which the table is current |
//! | `synchronizer` | the parts that a pass calls |
//! | `reconciler` | compares the whole table with the database, and repairs it |
//! | `loader`, `load_stats` | puts one snapshot of the database into the table; what that changed |
//! | `log_follower` | reads new events and gaps |
//! | `saver`, `warm_start`, `saved_state` | writes the snapshot file, and serves from it; the state in it |
//! | `pruner` | deletes old events |
//! | `schedule` | which comparison is due |
//! | `rows` | from rows of the database to routes in the table |
//! | `context` | what every part works with |
//! | `outbox` | what the thread sends |
//! | [`fields`](Fields), `warnings` | reports and the status as Erlang sees them; bad rows, each reported once |
//! | [`owner`](Owner) | the process for which the thread works, and that permits each change |
//! | [`state`](FollowerLock) | what outlives the thread |
//! | [`report`](Report) | what the thread reports |
//! | `halt` | why a pass or the thread does not go on |
//! | [`comparison`](Reason) | why the table is compared, and what that finds of the log |
//! | `cursor`, `gaps` | how far the log was followed; ids below the cursor whose events may still show |
//! | `inbox`, [`options`](Options), [`status`](Status) | what is requested of the thread; its configuration; what it is doing |
//! | [`gate`](Gate), [`repairs`](Repairs) | which routes a comparison may remove; what it did |
//! | `snapshot`, `disk` | the format of the snapshot file; threads for the disk |
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
pub use gaps::Writers;
pub use gate::{Evidence, Force, Gate, GateMode};
pub use inbox::Ticket;
pub use options::{Options, PruneOptions, WarmStart};
pub use owner::{Ended, Owner, Permit, Response};
pub use repairs::Repairs;
pub use report::{Report, RowWarning};
pub use state::FollowerLock;
pub use status::{State, Status, Totals};
