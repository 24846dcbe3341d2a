//! The lookup, registered without rustler's attribute.
//!
//! The attribute's code collects the arguments in a vector, whose allocation would cost more than the lookup itself
//! (`bench/README.md`). Apart from that this does the same: a panic becomes an Erlang error, and an argument that is no
//! binary is a `badarg`.
//!
//! A lookup returns the number of a result. The Erlang side has all results ready, so it allocates no term.

use std::panic::{AssertUnwindSafe, catch_unwind};

use domain_core::{HostTypeId, LookupError};
use rustler::codegen_runtime::{c_int, handle_nif_result, inventory};
use rustler::sys::{ErlNifEnv, ErlNifTerm};
use rustler::{Binary, Encoder, Env, Nif, Term};

use crate::globals::table;

inventory::submit!(Nif { name: c"lookup".as_ptr(), arity: 1, flags: 0, raw_func: lookup });
inventory::submit!(Nif { name: c"lookup_domain".as_ptr(), arity: 1, flags: 0, raw_func: lookup_domain });

/// Looks up a domain or a subdomain.
unsafe extern "C" fn lookup(env: *mut ErlNifEnv, _argc: c_int, argv: *const ErlNifTerm) -> ErlNifTerm {
    // SAFETY: the VM calls this, with one argument.
    unsafe { call(env, argv, |name| table().host_type(name)) }
}

/// Looks up a domain.
unsafe extern "C" fn lookup_domain(env: *mut ErlNifEnv, _argc: c_int, argv: *const ErlNifTerm) -> ErlNifTerm {
    // SAFETY: the VM calls this, with one argument.
    unsafe { call(env, argv, |name| table().domain_host_type(name)) }
}

/// Calls `lookup` with the name that is the NIF's argument.
///
/// # Safety
///
/// `env` and `argv` are those of a call by the VM of a NIF with one argument, and that call has not returned.
#[inline]
unsafe fn call(
    env: *mut ErlNifEnv,
    argv: *const ErlNifTerm,
    lookup: impl Fn(&[u8]) -> Result<HostTypeId, LookupError>,
) -> ErlNifTerm {
    let call = ();
    // SAFETY: the environment and its terms are valid until this function returns, and what borrows from them is bound
    // to the lifetime of `call`, which ends no later.
    let env = unsafe { Env::new(&call, env) };
    // SAFETY: `argv` has as many terms of this environment as the registered arity: one.
    let name = unsafe { Term::new(env, *argv) };
    let result = catch_unwind(AssertUnwindSafe(|| Ok(number_of(lookup(&Binary::from_term(name)?)))));
    match result {
        // `handle_nif_result` would write the result to memory twice more: a tenth of the call.
        Ok(Ok(number)) => number.encode(env).as_c_arg(),
        // SAFETY: this is the environment that the result was created for, and nothing else happens in it afterwards.
        failed => unsafe { handle_nif_result(failed, env).apply(env) },
    }
}

/// The number of a lookup's result: 1 is `{error, not_found}`, and those of host types follow. 0 means that the table
/// is closed, for which there is no result: the caller raises an error.
#[inline]
fn number_of(result: Result<HostTypeId, LookupError>) -> usize {
    match result {
        Ok(host_type) => result_number(host_type),
        Err(LookupError::NotFound) => 1,
        Err(LookupError::Closed) => 0,
    }
}

/// The number of the result `{ok, HostType}`.
pub(crate) fn result_number(host_type: HostTypeId) -> usize {
    host_type.index() + 2
}

/// The host type in the result of this number.
pub(crate) fn host_type_of_result(number: usize) -> Option<HostTypeId> {
    number.checked_sub(2).and_then(|index| table().host_types().from_index(index))
}
