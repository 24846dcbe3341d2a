//! The lookup, registered by hand.
//!
//! rustler's attribute collects a call's arguments in a vector: an allocation, which here would cost
//! more than the lookup itself (`bench/README.md`). Otherwise this is what the attribute makes: a
//! panic is an Erlang error, and what is no binary is a `badarg`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use domain_core::{HostTypeId, LookupError};
use rustler::codegen_runtime::{c_int, handle_nif_result, inventory};
use rustler::sys::{ErlNifEnv, ErlNifTerm};
use rustler::{Binary, Encoder, Env, Nif, Term};

use crate::table;

inventory::submit!(Nif { name: c"lookup".as_ptr(), arity: 1, flags: 0, raw_func: lookup });
inventory::submit!(Nif { name: c"lookup_domain".as_ptr(), arity: 1, flags: 0, raw_func: lookup_domain });

/// The VM's entrance: a domain or a subdomain.
unsafe extern "C" fn lookup(env: *mut ErlNifEnv, _argc: c_int, argv: *const ErlNifTerm) -> ErlNifTerm {
    // SAFETY: these are the VM's arguments of this call.
    unsafe { answered(env, argv, |name| table().host_type(name)) }
}

/// The VM's entrance: a domain only.
unsafe extern "C" fn lookup_domain(env: *mut ErlNifEnv, _argc: c_int, argv: *const ErlNifTerm) -> ErlNifTerm {
    // SAFETY: these are the VM's arguments of this call.
    unsafe { answered(env, argv, |name| table().domain_host_type(name)) }
}

/// The answer about the name that is the call's argument.
///
/// # Safety
///
/// `env` and `argv` are what the VM has called a function with that is registered with one argument, and that call has
/// not returned.
#[inline]
unsafe fn answered(
    env: *mut ErlNifEnv,
    argv: *const ErlNifTerm,
    find: impl Fn(&[u8]) -> Result<HostTypeId, LookupError>,
) -> ErlNifTerm {
    let call = ();
    // SAFETY: the environment is the caller's, it and the terms in it are good until this function
    // returns, and what is borrowed from them is bound to `call`, which ends no later.
    let env = unsafe { Env::new(&call, env) };
    // SAFETY: `argv` holds as many terms of this environment as the registered arity says: one.
    let name = unsafe { Term::new(env, *argv) };
    let found = catch_unwind(AssertUnwindSafe(|| Ok(place_of_answer(find(&Binary::from_term(name)?)))));
    match found {
        // rustler's own way would write the answer to memory twice more: a tenth of the call.
        Ok(Ok(place)) => place.encode(env).as_c_arg(),
        // SAFETY: the result is applied to the environment that it was made for, as the last thing here.
        failed => unsafe { handle_nif_result(failed, env).apply(env) },
    }
}

/// The answer's place among the ready-made ones: 1 is "not found", host types follow. While the table is closed it is 0,
/// where there is none: the caller fails.
#[inline]
fn place_of_answer(found: Result<HostTypeId, LookupError>) -> usize {
    match found {
        Ok(host_type) => answer(host_type),
        Err(LookupError::NotFound) => 1,
        Err(LookupError::Closed) => 0,
    }
}

/// The place of `{ok, HostType}`.
pub(crate) fn answer(host_type: HostTypeId) -> usize {
    host_type.index() + 2
}

/// The host type whose `{ok, HostType}` is at this place.
pub(crate) fn host_type_at(answer: usize) -> Option<HostTypeId> {
    answer.checked_sub(2).and_then(|index| table().host_types().from_index(index))
}
