//! The table that answers *which host type serves this domain?*, and the rules it keeps.
//!
//! This crate does no I/O, knows no clock and nothing of the Erlang VM, so everything that can be
//! wrong about the table can be tested here: against a reference (`tests/oracle.rs`), and under the
//! interleavings of lookups and writers (`tests/loom.rs`).
//!
//! | module | idea |
//! |---|---|
//! | [`name`] | [`DomainName`]: a name that exists is valid |
//! | [`spellings`] | one name in Unicode and in Punycode |
//! | [`host_types`] | [`HostTypes`]: host types become small numbers, once and for ever |
//! | [`versions`] | [`StripedSeqLock`](seqlock::StripedSeqLock): reading without waiting and without writing |
//! | `memory`, `arena` | zeroed words; items that never move, however many become of them |
//! | `entry`, `entries` | a domain as words of memory; all of them, found by place |
//! | `line`, `index` | a few names' places in one cache line; all of them, growing by one bucket at a time |
//! | `routes` | those together: many who look, and one who writes |
//! | [`lookups`] | [`LookupCounts`]: counting readers who share no cache line |
//! | [`patterns`], `contests` | subdomains, which are computed; which claim on a name was first |
//! | [`change_feed`] | what became of the domains, for those who are to be told |
//! | [`page`] | a bounded part of a listing |
//! | [`change`] | what can be asked of the table, and what becomes of it |
//! | `sources` | what callers call the source of a route, as numbers |
//! | `ledger` | what the one writer does: the static rules |
//! | [`table`] | [`Table`]: all that can be asked and changed, and the progress that lives and dies with the routes |

#[cfg(not(target_pointer_width = "64"))]
compile_error!("mongoose_domain runs on 64-bit systems only: numbers of domains and places are computed in words");

mod arena;
pub mod change;
pub mod change_feed;
mod contests;
mod entries;
mod entry;
mod fault;
pub mod host_types;
mod index;
mod ledger;
mod line;
pub mod lookups;
mod memory;
pub mod name;
pub mod page;
pub mod patterns;
mod routes;
pub mod seqlock;
mod sources;
pub mod spellings;
mod sync;
pub mod table;

pub use change::{
    Change, Closed, DomainCounts, Epoch, EventId, InsertError, Inserted, IsStatic, LookupError, MemoryUsage, Outcome,
    Progress, Refusal, Stale, StaticRoute,
};
pub use change_feed::{ChangeKind, Changes, DomainChange};
pub use entry::Source;
pub use host_types::{HostTypeId, HostTypes, InvalidHostType};
pub use lookups::LookupCounts;
pub use name::{DomainName, InvalidDomain};
pub use page::{Page, Position, Select};
pub use patterns::{Claim, ClaimKind, Pattern};
#[cfg(loom)]
pub use sync::{Barrier, disable_barrier};
pub use table::Table;
