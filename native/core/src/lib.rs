//! The table that answers *which host type serves this domain?*, and the rules it keeps.
//!
//! This crate does no I/O, knows no clock and nothing of the Erlang VM, so everything that can be
//! wrong about the table can be tested here: against an oracle (`tests/oracle.rs`), and under every
//! interleaving of its lock (`tests/loom.rs`).
//!
//! | module | idea |
//! |---|---|
//! | [`name`] | [`DomainName`]: a name that exists is valid |
//! | [`host_types`] | [`HostTypes`]: host types become small numbers, once and for ever |
//! | [`lock`] | [`BigLock`](lock::BigLock): readers share no cache line, writers take every slot |
//! | [`lookups`] | [`Lookups`]: counting readers who share no cache line |
//! | `entry`, `entries` | a domain in one cache line; all of them, found by name or by position |
//! | [`page`] | a bounded part of a listing |
//! | [`table`] | [`Table`]: the static rules, and the progress that lives and dies with the routes |

mod entries;
mod entry;
pub mod host_types;
pub mod lock;
pub mod lookups;
pub mod name;
pub mod page;
mod sync;
pub mod table;

pub use host_types::{HostTypeId, HostTypes, InvalidHostType};
pub use lookups::Lookups;
pub use name::{DomainName, InvalidDomain};
pub use page::{Page, Position, Select};
pub use table::{
    Change, Counts, Epoch, EventId, InsertError, Inserted, IsStatic, Miss, Outcome, Progress, Refusal, Source, Stale,
    StaticPair, Table,
};
