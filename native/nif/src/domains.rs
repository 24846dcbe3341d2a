//! Domains: the questions and changes that touch nothing but the table.

use domain_core::{
    DomainCounts, DomainName, HostTypeId, HostTypes, InsertError, Inserted, IsStatic, LookupCounts, MemoryUsage,
    Position, Progress, Select as Selection, StaticRoute,
};
use rustler::{Atom, Binary, Encoder, Env, Error, NifResult, NifTaggedEnum, Term};

use crate::lookup::{answer, host_type_at};
use crate::table;
use crate::terms::{atoms, binary, error_term, while_open};

#[rustler::nif]
fn is_static(domain: Binary) -> NifResult<bool> {
    while_open(|| table().is_static(&domain))
}

#[rustler::nif]
fn is_host_type_allowed(host_type: Binary) -> NifResult<bool> {
    while_open(|| host_type_of(&host_type).is_some_and(|id| table().is_host_type_allowed(id)))
}

/// The host types in the order of their answers.
#[rustler::nif]
fn host_types(env: Env) -> Vec<Term> {
    table().host_types().names().iter().map(|name| binary(env, name.as_bytes())).collect()
}

/// The host type whose answer is at this place.
#[rustler::nif]
fn host_type(env: Env, answer: usize) -> NifResult<Term> {
    let id = host_type_at(answer).ok_or(Error::BadArg)?;
    Ok(binary(env, table().host_types().name(id).as_bytes()))
}

#[rustler::nif]
fn intern_host_type<'a>(env: Env<'a>, host_type: Binary) -> Term<'a> {
    match table().host_types().intern(&host_type) {
        Ok(id) => (atoms::ok(), answer(id)).encode(env),
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

/// Those that are valid names; none for what is none itself.
#[rustler::nif]
fn spellings<'a>(env: Env<'a>, domain: Binary) -> Vec<Term<'a>> {
    let names =
        DomainName::from_bytes(&domain).map(|name| domain_core::spellings::spellings(&name)).unwrap_or_default();
    names.iter().map(|name| binary(env, name.as_bytes())).collect()
}

#[rustler::nif(schedule = "DirtyCpu")]
fn open(pairs: Vec<(Binary, usize)>, allowed: Vec<usize>) -> NifResult<Atom> {
    let pair =
        |(domain, answer): &(Binary, usize)| Some((DomainName::from_bytes(domain).ok()?, host_type_at(*answer)?));
    let pairs: Option<Vec<StaticRoute>> = pairs.iter().map(pair).collect();
    let allowed: Option<Vec<HostTypeId>> = allowed.into_iter().map(host_type_at).collect();
    table().open(&pairs.ok_or(Error::BadArg)?, allowed.ok_or(Error::BadArg)?);
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
        let Some(host_type) = host_type_of(&host_type) else { return atoms::unknown_host_type() };
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
enum Select<'a> {
    All,
    Static,
    Dynamic,
    HostType(Binary<'a>),
    /// The source that a caller named.
    Outdated(Binary<'a>),
    /// What the database did not have when everything was compared last.
    Kept,
}

/// `{Next, [{Domain, Answer}]}`; `Next` is where to go on, or `done`.
#[rustler::nif]
fn page<'a>(env: Env<'a>, select: Select, from: u32, limit: usize) -> NifResult<Term<'a>> {
    let page = while_open(|| {
        let select = selection(&select)?;
        Some(table().page(select, Position::from_number(from), limit.clamp(1, 1000)))
    })?;
    let Some(page) = page else { return Ok((atoms::done(), Vec::<Term>::new()).encode(env)) };
    let domains: Vec<_> = page.iter().map(|(name, host_type)| (binary(env, name), answer(host_type))).collect();
    let next = page.next.map_or(atoms::done().encode(env), |next| next.to_number().encode(env));
    Ok((next, domains).encode(env))
}

/// Nothing where no domain can be selected.
fn selection(select: &Select) -> Option<Selection> {
    Some(match select {
        Select::All => Selection::All,
        Select::Static => Selection::Static,
        Select::Dynamic => Selection::Dynamic,
        Select::HostType(name) => Selection::HostType(host_type_of(name)?),
        Select::Kept => match table().progress().1 {
            Progress::Following { source } => Selection::Older(source),
            Progress::Closed | Progress::Unloaded | Progress::Reset => return None,
        },
        // What no source of this name brought, all others brought.
        Select::Outdated(name) => table().source(name).map_or(Selection::Dynamic, Selection::Outdated),
    })
}

/// How many domains are static, and how many dynamic.
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

/// `{Entries, Index, ChangeFeed}`: the bytes that they take.
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

/// How many lookups found a domain, and how many did not.
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

pub(crate) fn host_type_of(name: &[u8]) -> Option<HostTypeId> {
    table().host_types().id(name)
}
