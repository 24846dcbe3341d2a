//! Atoms, and conversions that more than one file needs.

use domain_core::Closed;
use domain_sync::{Fields, Report, Value};
use rustler::{Atom, Decoder, Encoder, Env, Error, NewBinary, NifResult, Term};

use crate::globals::table;

pub(crate) mod atoms {
    rustler::atoms! {
        ok, error, undefined, done, what,
        not_running, mongoose_domain,
        added, kept, removed, absent, r#static = "static", unknown_host_type, bad_insert, invalid_domain,
        closed, unloaded, reset, following,
        domain, no_domain, prefix, fqdn, domain_changes, everything,
        domain_operation, overloaded, failed, refused, none, timeout, expired, abandoned,
        changed, visible, not_found, deleted, wrong_host_type, invalid_password, right, wrong, corrupt,
        disabled, enabled, deleting, unknown, readable, warning, behind, in_order,
        claimed, elsewhere, held, lost, running, orphaned, r#in = "in", past, infinity,
        domain_follower, request_permit, reports, answer, missing, ended, stopped, panicked,
    }
}

/// A value, or `undefined`.
pub(crate) struct OrUndefined<T>(pub(crate) Option<T>);

impl<'a, T: Decoder<'a>> Decoder<'a> for OrUndefined<T> {
    fn decode(term: Term<'a>) -> NifResult<Self> {
        if term == atoms::undefined().to_term(term.get_env()) {
            Ok(OrUndefined(None))
        } else {
            Ok(OrUndefined(Some(term.decode()?)))
        }
    }
}

pub(crate) fn binary<'a>(env: Env<'a>, bytes: &[u8]) -> Term<'a> {
    NewBinary::from_slice(env, bytes).into()
}

/// Queries the table while it is open. In a closed table this raises the Erlang error `{not_running, mongoose_domain}`.
pub(crate) fn while_open<R>(query: impl FnMut() -> R) -> NifResult<R> {
    let result = table().while_open(query);
    result.map_err(|Closed| Error::RaiseTerm(Box::new((atoms::not_running(), atoms::mongoose_domain()))))
}

/// `{error, Text}`.
pub(crate) fn error_term<'a>(env: Env<'a>, error: impl ToString) -> Term<'a> {
    (atoms::error(), binary(env, error.to_string().as_bytes())).encode(env)
}

/// `{Level, #{what := Event, ...}}`, for the logger.
pub(crate) fn report_term<'a>(env: Env<'a>, report: &Report) -> NifResult<Term<'a>> {
    let (level, what, fields) = report.to_log();
    let what = Atom::from_str(env, what)?.encode(env);
    let map = fields_term(env, fields)?.map_put(atoms::what(), what)?;
    Ok((Atom::from_str(env, level.name())?, map).encode(env))
}

/// A map. A value that is not known is `undefined`.
pub(crate) fn fields_term<'a>(env: Env<'a>, fields: Fields) -> NifResult<Term<'a>> {
    fields.into_iter().try_fold(Term::map_new(env), |map, (name, value)| {
        let value = match value {
            Value::Text(text) => binary(env, text.as_bytes()),
            Value::Number(number) => number.encode(env),
            Value::Word(word) => Atom::from_str(env, word)?.encode(env),
            Value::Counts(counts) => {
                let put = |map: Term<'a>, (name, count): &(std::sync::Arc<str>, u64)| {
                    map.map_put(binary(env, str::as_bytes(name)), count)
                };
                counts.iter().try_fold(Term::map_new(env), put)?
            }
            Value::Unknown => atoms::undefined().encode(env),
        };
        map.map_put(Atom::from_str(env, name)?, value)
    })
}
