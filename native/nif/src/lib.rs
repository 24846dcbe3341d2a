//! The NIF: Erlang's interface to the table, the follower and the workers.
//!
//! This crate converts terms to the types of the other crates and back, and starts and stops threads; it decides
//! nothing. A term that cannot be converted is a `badarg`, and a panic in a NIF becomes an Erlang error. No NIF blocks
//! a scheduler: what takes longer than a bounded read of the table runs on a dirty scheduler, on the follower's thread
//! or on a worker.
//!
//! The library has one table for the whole VM, from the first load to the end of the VM. The table outlives each
//! process and also the Erlang module, because the library is never unloaded.
//!
//! | file | idea |
//! |---|---|
//! | `lookup` | the lookup, registered without rustler's attribute |
//! | `domains`, `subdomains`, `changes` | other queries of the table and changes to it; patterns; the change feed |
//! | `follower` | the thread that follows the database |
//! | `operations`, `operations/{request, response}` | the workers that change the database; their requests; their responses |
//! | `url_source`, `terms` | where the database's URL is read; helpers for terms |
//! | `globals` | what exists once in the VM |

mod changes;
mod domains;
mod follower;
mod globals;
mod lookup;
mod operations;
mod subdomains;
mod terms;
mod url_source;

use rustler::{Env, Resource, ResourceArc, Term};

/// A resource that is never freed, so that the VM never unloads the library.
struct Pin;

#[rustler::resource_impl]
impl Resource for Pin {
    const IMPLEMENTS_DESTRUCTOR: bool = true;
}

/// `info` is the number of schedulers, each of which counts its lookups. A repeated load finds the table of the first
/// one.
fn load(_env: Env, info: Term) -> bool {
    std::mem::forget(ResourceArc::new(Pin));
    let Ok(schedulers) = info.decode::<usize>() else { return false };
    globals::create_table(schedulers);
    true
}

rustler::init!("mongoose_domain_nif", load = load);
