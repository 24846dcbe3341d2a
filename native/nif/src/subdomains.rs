//! Subdomains: which patterns there are, and what makes a name a subdomain.

use domain_core::{Claim, ClaimKind, Pattern};
use rustler::{Atom, Binary, Encoder, Env, Error, NifResult, NifTaggedEnum, Term};

use crate::lookup::{answer, host_type_at};
use crate::table;
use crate::terms::{atoms, while_open};

#[derive(NifTaggedEnum)]
#[rustler(decode)]
enum Named<'a> {
    Prefix(Binary<'a>),
    Fqdn(Binary<'a>),
}

impl Named<'_> {
    fn pattern(&self) -> Pattern {
        match self {
            Named::Prefix(text) => Pattern::Prefix(text.as_slice().into()),
            Named::Fqdn(text) => Pattern::Fqdn(text.as_slice().into()),
        }
    }
}

#[rustler::nif]
fn register_pattern(host_type: usize, pattern: Named) -> NifResult<Atom> {
    table().register_pattern(host_type_at(host_type).ok_or(Error::BadArg)?, &pattern.pattern());
    Ok(atoms::ok())
}

#[rustler::nif]
fn unregister_pattern(host_type: usize, pattern: Named) -> NifResult<Atom> {
    table().unregister_pattern(host_type_at(host_type).ok_or(Error::BadArg)?, &pattern.pattern());
    Ok(atoms::ok())
}

#[rustler::nif]
fn unregister_patterns() -> Atom {
    table().unregister_all_patterns();
    atoms::ok()
}

/// `{Answer, fqdn | {prefix, Bytes}}`, or `not_found`.
#[rustler::nif]
fn subdomain<'a>(env: Env<'a>, name: Binary) -> NifResult<Term<'a>> {
    let Some(Claim { host_type, kind, .. }) = while_open(|| table().subdomain(&name))? else {
        return Ok(atoms::not_found().encode(env));
    };
    let kind = match kind {
        ClaimKind::Prefix(bytes) => (atoms::prefix(), bytes).encode(env),
        ClaimKind::Fqdn => atoms::fqdn().encode(env),
    };
    Ok((answer(host_type), kind).encode(env))
}

/// `{domain | no_domain, Claims}`: whether there is a domain of this name, and how many patterns make it a subdomain.
#[rustler::nif]
fn name_use(name: Binary) -> (Atom, usize) {
    let domain = if table().has_domain(&name) { atoms::domain() } else { atoms::no_domain() };
    (domain, table().count_claims(&name))
}
