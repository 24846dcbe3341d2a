//! The table: which host type serves which domain.
//!
//! This crate does no I/O, uses no clock and knows nothing of the Erlang VM. So the table is tested here alone: against
//! a reference (`tests/oracle.rs`), and under the interleavings of lookups and writers (`tests/loom.rs`).
//!
//! # A lookup
//!
//! A lookup takes no lock but in two cases (step 2, and a name that several patterns make), and writes nothing but the
//! thread's own count:
//!
//! 1. `table`: [`Table::host_type`] looks up a domain, or else a subdomain, and counts the result (`lookup_counts`).
//! 2. `routes`: hashes the name (`hashed_name`), and reads the route of the name in the active map under the seqlock of
//!    the name's stripe. If a writer interferes, it retries; at last it waits for the writers' mutex.
//! 3. `seqlock`: detects whether a writer interfered.
//! 4. `route_map`: searches the index, and compares the names of the entries that it finds.
//! 5. `index`, `bucket`: from the hash to the indexes of entries; one cache line.
//! 6. `entries`, `entry`: from the index of an entry to its name and route; one or two cache lines.
//!
//! If there is no domain of that name, `table/subdomains` looks for a pattern (`patterns`) that makes the name a
//! subdomain, and if there are several, for the earliest one (`claim_order`).
//!
//! # A change
//!
//! The follower (`domain_sync`) applies what the database says; Erlang inserts and deletes single domains.
//!
//! 1. `table`: [`Table::apply`], [`Table::insert`] and [`Table::delete`] take the writers' mutex. If the change panics,
//!    the state is repaired. Afterwards the watcher's waker is called.
//! 2. `writer_state`: enforces the static rules, and updates counts, claims and the change feed (`change_feed`).
//! 3. `route_writer`: writes an entry, and then adds it to the index; removes one in the opposite order.
//! 4. `index_writer`, `entries`: change buckets under the seqlock of their stripe, allocate and free entries.
//!
//! [`Table::open`] and [`Table::close`] replace all routes: `routes` builds the new ones in the standby map and then
//! swaps the maps.
//!
//! # The files, from the ground up
//!
//! | file | idea |
//! |---|---|
//! | `name`, `spellings` | [`DomainName`]: a name that was proven to be valid; its spellings in Unicode and in Punycode |
//! | `host_types` | [`HostTypes`]: host types as small numbers |
//! | `sync`, `seqlock` | std or loom; reads that neither wait nor write |
//! | `fault` | points at which a test interrupts a change |
//! | `memory`, `arena` | zeroed memory; numbered items that never move |
//! | `entry`, `entries` | the record of one domain; all records, and the allocator of their indexes |
//! | `hashed_name` | a name with its hash |
//! | `bucket`, `index`, `index_writer` | one cache line of hashes and entry indexes; a hash table that grows by one bucket at a time; its changes |
//! | `route_map`, `route_writer`, `routes` | index and entries together; its changes; two of them, one active and one standby |
//! | `lookup_counts` | counters that no two threads share |
//! | `patterns`, `claim_order` | subdomains, which are computed; the order of several claims on one name |
//! | `change_feed` | the changes of domains, in order, for one watcher |
//! | `page` | one bounded part of a listing |
//! | `change` | the types of the table's interface |
//! | `named_sources` | the sources that callers name |
//! | `own_changes` | changes that this node makes in the database itself |
//! | `writer_state` | what only writers use, and how a change works |
//! | `table` | [`Table`]: the interface; `table/subdomains`, `table/own_changes`: its parts |

#[cfg(not(target_pointer_width = "64"))]
compile_error!("mongoose_domain runs on 64-bit systems only: the table computes with 64-bit words");

mod arena;
mod bucket;
mod change;
mod change_feed;
mod claim_order;
mod entries;
mod entry;
mod fault;
mod hashed_name;
mod host_types;
mod index;
mod index_writer;
mod lookup_counts;
mod memory;
mod name;
mod named_sources;
mod own_changes;
mod page;
mod patterns;
mod route_map;
mod route_writer;
mod routes;
#[cfg(not(loom))]
mod seqlock;
#[cfg(loom)]
pub mod seqlock;
pub mod spellings;
mod sync;
mod table;
mod writer_state;

pub use change::{
    Change, Closed, DomainCounts, Epoch, EventId, InsertError, Inserted, IsStatic, LookupError, MemoryUsage, Outcome,
    Progress, Refusal, Stale, StaticRoute,
};
pub use change_feed::{ChangeKind, Changes, DomainChange};
pub use entry::Source;
pub use host_types::{HostTypeId, HostTypes, InvalidHostType};
pub use lookup_counts::LookupCounts;
pub use name::{DomainName, InvalidDomain};
pub use page::{Page, Position, Select};
pub use patterns::{Claim, ClaimKind, Pattern};
#[cfg(loom)]
pub use sync::{Barrier, disable_barrier};
pub use table::Table;
pub use table::own_changes::{DatabaseRead, OwnChanges, OwnChangesPause, Visibility};
