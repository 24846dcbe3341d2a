//! The door between the Erlang VM and the table: terms in, terms out, threads on and off.
//!
//! Nothing is decided here. A term becomes a type of another crate or is a `badarg`; a panic in a
//! NIF is an Erlang error. No NIF blocks: what takes longer than a bounded look at the table runs on
//! a dirty scheduler or on the follower's thread.
//!
//! The library holds one table for the whole VM, from the first load to the VM's end: it outlives
//! every process, and the module too, because the library is pinned.

mod domains;
mod follower;
mod lookup;
mod operations;
mod source;
mod subdomains;
mod terms;
mod watch;

use std::sync::{Arc, OnceLock};

use domain_core::Table;
use domain_store::{FollowedDatabase, FollowerPriority};
use rustler::{Env, Resource, ResourceArc, Term};

/// Where the follower tells which database it follows, and the workers look.
fn followed() -> Arc<FollowedDatabase> {
    static FOLLOWED: OnceLock<Arc<FollowedDatabase>> = OnceLock::new();
    FOLLOWED.get_or_init(Arc::default).clone()
}

static TABLE: OnceLock<Arc<Table>> = OnceLock::new();

/// Keeps the library mapped while it exists, and it exists for ever.
struct Pin;

#[rustler::resource_impl]
impl Resource for Pin {
    const IMPLEMENTS_DESTRUCTOR: bool = true;
}

/// `info` is the number of schedulers, for as many counts of lookups. Repeated loads find the table of
/// the first one.
fn load(_env: Env, info: Term) -> bool {
    std::mem::forget(ResourceArc::new(Pin));
    let Ok(schedulers) = info.decode::<usize>() else { return false };
    // One more for the follower's thread.
    TABLE.get_or_init(|| Arc::new(Table::new(schedulers + 1)));
    true
}

#[inline]
fn table() -> &'static Arc<Table> {
    // The VM calls no function of this library before `load` answered true.
    TABLE.get().expect("load made the table")
}

/// Between the follower and the writers of this VM.
fn follower_priority() -> Arc<FollowerPriority> {
    static FOLLOWER_PRIORITY: OnceLock<Arc<FollowerPriority>> = OnceLock::new();
    FOLLOWER_PRIORITY.get_or_init(Arc::default).clone()
}

rustler::init!("mongoose_domain_nif", load = load);
