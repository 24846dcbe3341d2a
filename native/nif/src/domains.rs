//! Queries of the table and changes to it alone.

use domain_core::{
    DomainCounts, DomainName, HostTypeId, HostTypes, InsertError, Inserted, IsStatic, LookupCounts, MemoryUsage,
    Position, Progress, Select, StaticRoute,
};
use rustler::{Atom, Binary, Encoder, Env, Error, NifResult, NifTaggedEnum, Term};

use crate::globals::table;
use crate::lookup::{host_type_of_result, result_number};
use crate::terms::{atoms, binary, error_term, while_open};

#[rustler::nif]
fn is_static(domain: Binary) -> NifResult<bool> {
    while_open(|| table().is_static(&domain))
}

#[rustler::nif]
fn is_host_type_allowed(host_type: Binary) -> NifResult<bool> {
    while_open(|| table().host_types().id(&*host_type).is_some_and(|id| table().is_host_type_allowed(id)))
}

/// The host types in the order of their results' numbers.
#[rustler::nif]
fn host_types(env: Env) -> Vec<Term> {
    table().host_types().names().iter().map(|name| binary(env, name.as_bytes())).collect()
}

/// The host type in the result of this number.
#[rustler::nif]
fn host_type(env: Env, result_number: usize) -> NifResult<Term> {
    let id = host_type_of_result(result_number).ok_or(Error::BadArg)?;
    Ok(binary(env, table().host_types().name(id).as_bytes()))
}

#[rustler::nif]
fn intern_host_type<'a>(env: Env<'a>, host_type: Binary) -> Term<'a> {
    match table().host_types().intern(&host_type) {
        Ok(id) => (atoms::ok(), result_number(id)).encode(env),
        Err(invalid) => error_term(env, invalid),
    }
}

#[rustler::nif]
fn check_host_type<'a>(env: Env<'a>, host_type: Binary) -> Term<'a> {
    match HostTypes::check(&host_type) {
        Ok(_) => atoms::ok().encode(env),
        Err(invalid) => error_term(env, invalid),
    }
}

#[rustler::nif]
fn check_domain<'a>(env: Env<'a>, domain: Binary) -> Term<'a> {
    match DomainName::from_bytes(&domain) {
        Ok(_) => atoms::ok().encode(env),
        Err(invalid) => error_term(env, invalid),
    }
}

#[rustler::nif]
fn nameprep<'a>(env: Env<'a>, domain: Binary) -> Term<'a> {
    match DomainName::bounded_utf8(&domain).and_then(DomainName::prepare) {
        Ok(name) => (atoms::ok(), binary(env, name.as_bytes())).encode(env),
        Err(_) => (atoms::error(), atoms::invalid_domain()).encode(env),
    }
}

/// The other spellings of a name. A name that is not valid has none.
#[rustler::nif]
fn spellings<'a>(env: Env<'a>, domain: Binary) -> Vec<Term<'a>> {
    let names =
        DomainName::from_bytes(&domain).map(|name| domain_core::spellings::spellings(&name)).unwrap_or_default();
    names.iter().map(|name| binary(env, name.as_bytes())).collect()
}

#[rustler::nif(schedule = "DirtyCpu")]
fn open(domains: Vec<(Binary, usize)>, allowed: Vec<usize>) -> NifResult<Atom> {
    let route = |(domain, result_number): &(Binary, usize)| {
        Some((DomainName::from_bytes(domain).ok()?, host_type_of_result(*result_number)?))
    };
    let domains: Option<Vec<StaticRoute>> = domains.iter().map(route).collect();
    let allowed: Option<Vec<HostTypeId>> = allowed.into_iter().map(host_type_of_result).collect();
    table().open(&domains.ok_or(Error::BadArg)?, allowed.ok_or(Error::BadArg)?);
    Ok(atoms::ok())
}

#[rustler::nif(schedule = "DirtyCpu")]
fn close() -> Atom {
    table().close();
    atoms::ok()
}

#[rustler::nif]
fn insert(domain: Binary, host_type: Binary, source: Binary) -> NifResult<Atom> {
    let name = DomainName::from_bytes(&domain);
    while_open(|| {
        let Ok(name) = &name else { return atoms::invalid_domain() };
        let Some(host_type) = table().host_types().id(&*host_type) else { return atoms::unknown_host_type() };
        match table().insert_from(name, host_type, &source) {
            Ok(Inserted::Added) => atoms::added(),
            Ok(Inserted::Kept) => atoms::kept(),
            Err(InsertError::UnknownHostType) => atoms::unknown_host_type(),
            Err(InsertError::Static) => atoms::r#static(),
            Err(InsertError::OtherHostType(_)) => atoms::bad_insert(),
        }
    })
}

#[rustler::nif]
fn delete(domain: Binary) -> NifResult<Atom> {
    while_open(|| match DomainName::from_bytes(&domain).map(|name| table().delete(&name)) {
        Ok(Ok(Some(_))) => atoms::removed(),
        Ok(Ok(None)) => atoms::absent(),
        Ok(Err(IsStatic)) => atoms::r#static(),
        Err(_) => atoms::invalid_domain(),
    })
}

#[derive(NifTaggedEnum)]
enum SelectTerm<'a> {
    All,
    Static,
    Dynamic,
    HostType(Binary<'a>),
    /// The dynamic domains that were not inserted with the source of this name.
    Outdated(Binary<'a>),
    /// The dynamic domains that the database did not have at the last comparison.
    Kept,
}

/// `{Next, [{Domain, ResultNumber}]}`, where `Next` is the position of the next page or `done`.
#[rustler::nif]
fn page<'a>(env: Env<'a>, select: SelectTerm, from: u32, limit: usize) -> NifResult<Term<'a>> {
    let page = while_open(|| {
        let select = to_select(&select)?;
        Some(table().page(select, Position::from_number(from), limit.clamp(1, 1000)))
    })?;
    let Some(page) = page else { return Ok((atoms::done(), Vec::<Term>::new()).encode(env)) };
    let domains: Vec<_> = page.iter().map(|(name, host_type)| (binary(env, name), result_number(host_type))).collect();
    let next = page.next.map_or(atoms::done().encode(env), |next| next.to_number().encode(env));
    Ok((next, domains).encode(env))
}

/// `None` if no domain can be selected.
fn to_select(select: &SelectTerm) -> Option<Select> {
    Some(match select {
        SelectTerm::All => Select::All,
        SelectTerm::Static => Select::Static,
        SelectTerm::Dynamic => Select::Dynamic,
        SelectTerm::HostType(name) => Select::HostType(table().host_types().id(&**name)?),
        SelectTerm::Kept => match table().progress().1 {
            Progress::Following { source } => Select::Older(source),
            Progress::Closed | Progress::Unloaded | Progress::Reset => return None,
        },
        // If there is no source of this name, all dynamic domains have another one.
        SelectTerm::Outdated(name) => table().source(name).map_or(Select::Dynamic, Select::Outdated),
    })
}

/// The numbers of static and of dynamic domains.
#[rustler::nif]
fn counts() -> NifResult<(usize, usize)> {
    let counts = while_open(|| table().counts())?;
    Ok((counts.r#static, counts.dynamic))
}

/// `[{HostType, Static, Dynamic}]`.
#[rustler::nif]
fn counts_by_host_type(env: Env) -> NifResult<Vec<(Term, usize, usize)>> {
    let names = table().host_types();
    let counts = while_open(|| table().counts_by_host_type())?;
    let row = |(id, counts): (HostTypeId, DomainCounts)| {
        (binary(env, names.name(id).as_bytes()), counts.r#static, counts.dynamic)
    };
    Ok(counts.into_iter().map(row).collect())
}

/// `{Entries, Index, ChangeFeed}`, in bytes.
#[rustler::nif]
fn memory() -> (usize, usize, usize) {
    let MemoryUsage { entries, index, change_feed } = table().memory();
    (entries, index, change_feed)
}

/// Whether the table is open.
#[rustler::nif]
fn is_open() -> bool {
    table().is_open()
}

/// The numbers of lookups that found a domain and of those that did not.
#[rustler::nif]
fn lookups() -> (u64, u64) {
    let LookupCounts { hits, misses } = table().lookup_counts();
    (hits, misses)
}

/// How current the routes are.
#[rustler::nif]
fn progress() -> Atom {
    match table().progress().1 {
        Progress::Closed => atoms::closed(),
        Progress::Unloaded => atoms::unloaded(),
        Progress::Reset => atoms::reset(),
        Progress::Following { .. } => atoms::following(),
    }
}
