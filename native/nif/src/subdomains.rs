//! Subdomains: the patterns, and the claims on a name.

use domain_core::{Claim, ClaimKind, Pattern};
use rustler::{Atom, Binary, Encoder, Env, Error, NifResult, NifTaggedEnum, Term};

use crate::globals::table;
use crate::lookup::{host_type_of_result, result_number};
use crate::terms::{atoms, while_open};

#[derive(NifTaggedEnum)]
#[rustler(decode)]
enum PatternTerm<'a> {
    Prefix(Binary<'a>),
    Fqdn(Binary<'a>),
}

impl PatternTerm<'_> {
    fn to_pattern(&self) -> Pattern {
        match self {
            PatternTerm::Prefix(text) => Pattern::Prefix(text.as_slice().into()),
            PatternTerm::Fqdn(text) => Pattern::Fqdn(text.as_slice().into()),
        }
    }
}

#[rustler::nif]
fn register_pattern(result_number: usize, pattern: PatternTerm) -> NifResult<Atom> {
    table().register_pattern(host_type_of_result(result_number).ok_or(Error::BadArg)?, &pattern.to_pattern());
    Ok(atoms::ok())
}

#[rustler::nif]
fn unregister_pattern(result_number: usize, pattern: PatternTerm) -> NifResult<Atom> {
    table().unregister_pattern(host_type_of_result(result_number).ok_or(Error::BadArg)?, &pattern.to_pattern());
    Ok(atoms::ok())
}

#[rustler::nif]
fn unregister_patterns() -> Atom {
    table().unregister_all_patterns();
    atoms::ok()
}

/// The earliest claim on this name: `{ResultNumber, fqdn | {prefix, Bytes}}`, or `not_found`.
#[rustler::nif]
fn subdomain<'a>(env: Env<'a>, name: Binary) -> NifResult<Term<'a>> {
    let Some(Claim { host_type, kind, .. }) = while_open(|| table().subdomain(&name))? else {
        return Ok(atoms::not_found().encode(env));
    };
    let kind = match kind {
        ClaimKind::Prefix(bytes) => (atoms::prefix(), bytes).encode(env),
        ClaimKind::Fqdn => atoms::fqdn().encode(env),
    };
    Ok((result_number(host_type), kind).encode(env))
}

/// `{domain | no_domain, Claims}`: whether there is a domain of this name, and the number of claims on it.
#[rustler::nif]
fn name_use(name: Binary) -> (Atom, usize) {
    let domain = if table().has_domain(&name) { atoms::domain() } else { atoms::no_domain() };
    (domain, table().count_claims(&name))
}
