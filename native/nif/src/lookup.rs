//! The lookup, registered by hand.
//!
//! rustler's attribute collects a call's arguments in a vector: an allocation, which here would cost
//! more than the lookup itself (`bench/README.md`). Otherwise this is what the attribute makes: a
//! panic is an Erlang error, and what is no binary is a `badarg`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use domain_core::{HostTypeId, Miss};
use rustler::codegen_runtime::{c_int, handle_nif_result, inventory};
use rustler::sys::{ErlNifEnv, ErlNifTerm};
use rustler::{Binary, Encoder, Env, Nif, Term};

use crate::table;

inventory::submit!(Nif { name: c"lookup".as_ptr(), arity: 1, flags: 0, raw_func: lookup });

/// The VM's entrance: with the caller's environment, and one term in `argv`, as registered above.
unsafe extern "C" fn lookup(env: *mut ErlNifEnv, _argc: c_int, argv: *const ErlNifTerm) -> ErlNifTerm {
    let call = ();
    // SAFETY: the environment is the caller's, it and the terms in it are good until this function
    // returns, and what is borrowed from them is bound to `call`, which ends no later.
    let env = unsafe { Env::new(&call, env) };
    // SAFETY: `argv` holds as many terms of this environment as the registered arity says: one.
    let domain = unsafe { Term::new(env, *argv) };
    let found = catch_unwind(AssertUnwindSafe(|| Ok(place_of_answer(&Binary::from_term(domain)?))));
    match found {
        // rustler's own way would write the answer to memory twice more: a tenth of the call.
        Ok(Ok(place)) => place.encode(env).as_c_arg(),
        // SAFETY: the result is applied to the environment that it was made for, as the last thing here.
        failed => unsafe { handle_nif_result(failed, env).apply(env) },
    }
}

/// The answer's place in the tuple of ready-made answers: 1 is "not found", host types follow. While
/// the table is closed it is 0, where no tuple has an element: the caller fails with `badarg`.
#[inline]
fn place_of_answer(domain: &[u8]) -> usize {
    match table().host_type(domain) {
        Ok(host_type) => answer(host_type),
        Err(Miss::NotFound) => 1,
        Err(Miss::Closed) => 0,
    }
}

/// The place of `{ok, HostType}`.
pub(crate) fn answer(host_type: HostTypeId) -> usize {
    host_type.index() + 2
}
