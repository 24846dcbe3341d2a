//! Requests to the workers, as terms.
//!
//! A domain must be a valid name, and a host type must have been named on this node before; otherwise the request is a
//! `badarg`. The Erlang side checks both before, with a text for the caller.

use std::num::NonZeroU32;

use domain_core::{DomainName, EventId, HostTypeId, HostTypes};
use domain_ops::{Request, Secret};
use domain_store::{Activation, Filter, HandlerProgress, Ttl};
use rustler::{Binary, Error, NifMap, NifResult, NifTaggedEnum, NifUnitEnum};

use crate::globals::table;
use crate::terms::OrUndefined;

#[derive(Clone, Copy, NifUnitEnum)]
pub(super) enum ActivationTerm {
    Enabled,
    Disabled,
}

impl From<ActivationTerm> for Activation {
    fn from(activation: ActivationTerm) -> Activation {
        match activation {
            ActivationTerm::Enabled => Activation::Enabled,
            ActivationTerm::Disabled => Activation::Disabled,
        }
    }
}

#[derive(NifMap)]
#[rustler(decode)]
pub(super) struct FilterTerm<'a> {
    after: OrUndefined<Binary<'a>>,
    host_type: OrUndefined<Binary<'a>>,
    status: OrUndefined<i16>,
    prefix: OrUndefined<Binary<'a>>,
}

#[derive(NifTaggedEnum)]
#[rustler(decode)]
pub(super) enum RequestTerm<'a> {
    Insert(Vec<(Binary<'a>, Binary<'a>, ActivationTerm)>),
    SetStatus(Binary<'a>, ActivationTerm),
    Delete(Binary<'a>, Binary<'a>),
    Details(Binary<'a>),
    List(FilterTerm<'a>, u32),
    PutPassword(Binary<'a>, Binary<'a>),
    CheckPassword(Binary<'a>, Binary<'a>),
    DeletePassword(Binary<'a>),
    BeginRemoval(Binary<'a>, Binary<'a>, u32),
    RenewRemovals,
    NoteRemoval(Binary<'a>, u32, u32),
    FailRemoval(Binary<'a>, Binary<'a>),
    FinishRemoval(Binary<'a>),
    TakeOverRemovals(u32),
    Removals,
    Removal(Binary<'a>),
    UpsertFreshness(Binary<'a>, u32),
    Freshness,
    Changes(OrUndefined<i64>, u32),
    Findings,
    Survey,
    Sequences,
}

impl RequestTerm<'_> {
    pub(super) fn to_request(&self) -> NifResult<Request> {
        Ok(match self {
            RequestTerm::Insert(domains) => {
                let domain = |(domain, host_type, activation): &(Binary, Binary, ActivationTerm)| {
                    Ok((name(domain)?, host_type_id(host_type)?, Activation::from(*activation)))
                };
                Request::Insert(domains.iter().map(domain).collect::<NifResult<_>>()?)
            }
            RequestTerm::SetStatus(domain, activation) => Request::SetStatus(name(domain)?, (*activation).into()),
            RequestTerm::Delete(domain, host_type) => Request::Delete(name(domain)?, host_type_id(host_type)?),
            RequestTerm::Details(domain) => Request::Details(name(domain)?),
            RequestTerm::List(filter, limit) => Request::List(filter.to_filter()?, *limit),
            RequestTerm::PutPassword(domain, password) => {
                Request::PutPassword(name(domain)?, Secret(text(password)?.to_owned()))
            }
            RequestTerm::CheckPassword(domain, password) => {
                Request::CheckPassword(name(domain)?, Secret(text(password)?.to_owned()))
            }
            RequestTerm::DeletePassword(domain) => Request::DeletePassword(name(domain)?),
            RequestTerm::BeginRemoval(domain, host_type, of) => {
                Request::BeginRemoval(name(domain)?, host_type_id(host_type)?, *of)
            }
            RequestTerm::RenewRemovals => Request::RenewRemovals,
            RequestTerm::NoteRemoval(domain, done, of) => {
                Request::NoteRemoval(name(domain)?, HandlerProgress { done: *done, of: *of })
            }
            RequestTerm::FailRemoval(domain, reason) => Request::FailRemoval(name(domain)?, text(reason)?.to_owned()),
            RequestTerm::FinishRemoval(domain) => Request::FinishRemoval(name(domain)?),
            RequestTerm::TakeOverRemovals(limit) => Request::TakeOverRemovals(*limit),
            RequestTerm::Removals => Request::Removals(None),
            RequestTerm::Removal(domain) => Request::Removals(Some(name(domain)?)),
            RequestTerm::UpsertFreshness(domain, seconds) => {
                // The name of a freshness domain has the rules of a host type's.
                let domain = HostTypes::check(domain).map_err(|_| Error::BadArg)?;
                let ttl = NonZeroU32::new(*seconds).map_or(Ttl::Forever, Ttl::Seconds);
                Request::UpsertFreshness(domain.to_owned(), ttl)
            }
            RequestTerm::Freshness => Request::Freshness,
            RequestTerm::Changes(after, limit) => Request::Changes(after.0.map(EventId), *limit),
            RequestTerm::Findings => Request::Findings,
            RequestTerm::Survey => Request::Survey,
            RequestTerm::Sequences => Request::Sequences,
        })
    }
}

impl FilterTerm<'_> {
    fn to_filter(&self) -> NifResult<Filter> {
        let owned = |OrUndefined(bytes): &OrUndefined<Binary>| {
            bytes.as_ref().map(|bytes| text(bytes).map(str::to_owned)).transpose()
        };
        let (after, host_type) = (owned(&self.after)?, owned(&self.host_type)?);
        Ok(Filter { after, host_type, status: self.status.0, prefix: owned(&self.prefix)? })
    }
}

fn text(bytes: &[u8]) -> NifResult<&str> {
    std::str::from_utf8(bytes).map_err(|_| Error::BadArg)
}

fn name(domain: &[u8]) -> NifResult<DomainName> {
    DomainName::from_bytes(domain).map_err(|_| Error::BadArg)
}

fn host_type_id(name: &[u8]) -> NifResult<HostTypeId> {
    table().host_types().id(name).ok_or(Error::BadArg)
}
