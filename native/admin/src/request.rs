//! The requests that the node answers.
//!
//! A request becomes a tuple that `mongoose_domain_admin_request` reads; each stands for one function of the API.
//! [`node_calls`](crate::node_calls) gives the answers their types.

use domain_core::DomainName;
use eetf::Term;

use crate::model::{Listing, NewDomain};
use crate::permits::RequestClass;
use crate::term::{atom, binary, integer, list, signed, tuple};

/// A request.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    /// Whether there are dynamic domains at all.
    Service,
    /// Adds these domains.
    Insert(&'a [NewDomain]),
    /// Removes a domain; answered when its data is gone.
    Delete(&'a DomainName, &'a str),
    /// Begins to remove a domain; answered at once.
    BeginDelete(&'a DomainName, &'a str),
    /// Enables a domain.
    Enable(&'a DomainName),
    /// Disables a domain.
    Disable(&'a DomainName),
    /// The row of a domain.
    Details(&'a DomainName),
    /// A page of rows.
    List(&'a Listing),
    /// The progress of a removal.
    Removal(&'a DomainName),
    /// All removals.
    Removals,
    /// The static domains.
    Statics,
    /// The host type of a domain in this node's table.
    HostType(&'a DomainName),
    /// The host types of these domains or subdomains in this node's table.
    Serving(&'a [DomainName]),
    /// The subdomains of a domain in this node's table.
    Subdomains(&'a DomainName),
    /// The domains of a host type in this node's table.
    DomainsByHostType(&'a str),
    /// Stores the password of a domain's admin.
    SetPassword(&'a DomainName, &'a str),
    /// Deletes the password of a domain's admin.
    DeletePassword(&'a DomainName),
    /// Compares a password with that of a domain's admin.
    CheckPassword(&'a DomainName, &'a str),
    /// Declares the rows of a host type complete, for so many seconds; 0 is forever.
    UpsertFreshness(&'a [u8], u32),
    /// All declarations of freshness.
    Freshness,
    /// The host types that are fresh now.
    Fresh,
    /// The status of the follower.
    Status,
    /// The node's name, version and status.
    Overview,
    /// The checks of `mongoose_domain_doctor`.
    Doctor,
    /// Up to so many changes after this event; without one, the newest.
    Changes(Option<i64>, u16),
    /// All metrics.
    Metrics,
    /// Whether the dynamic domains are loaded.
    Readiness,
}

impl Request<'_> {
    /// What the request waits for; each class has its own permits.
    pub fn class(self) -> RequestClass {
        match self {
            Request::Service
            | Request::HostType(_)
            | Request::Subdomains(_)
            | Request::Status
            | Request::Overview
            | Request::Readiness => RequestClass::Node,
            Request::Serving(_) => RequestClass::Edge,
            Request::Metrics => RequestClass::Metrics,
            Request::Delete(..) => RequestClass::Removals,
            Request::SetPassword(..) | Request::CheckPassword(..) => RequestClass::Passwords,
            Request::Insert(_)
            | Request::BeginDelete(..)
            | Request::Enable(_)
            | Request::Disable(_)
            | Request::Details(_)
            | Request::List(_)
            | Request::Removal(_)
            | Request::Removals
            | Request::DeletePassword(_)
            | Request::UpsertFreshness(..)
            | Request::Freshness
            | Request::Fresh
            | Request::Doctor
            | Request::Changes(..) => RequestClass::Database,
            // They need no database, but their lists have any length.
            Request::Statics | Request::DomainsByHostType(_) => RequestClass::Database,
        }
    }

    /// The term that the node reads.
    pub fn to_term(self) -> Term {
        let name = |domain: &DomainName| binary(domain.as_bytes());
        match self {
            Request::Service => atom("service"),
            Request::Insert(domains) => tuple([atom("insert"), list(domains.iter().map(NewDomain::to_term))]),
            Request::Delete(domain, host_type) => tuple([atom("delete"), name(domain), binary(host_type)]),
            Request::BeginDelete(domain, host_type) => tuple([atom("request_delete"), name(domain), binary(host_type)]),
            Request::Enable(domain) => tuple([atom("enable"), name(domain)]),
            Request::Disable(domain) => tuple([atom("disable"), name(domain)]),
            Request::Details(domain) => tuple([atom("details"), name(domain)]),
            Request::List(listing) => tuple([atom("list"), listing.to_term()]),
            Request::Removal(domain) => tuple([atom("removal"), name(domain)]),
            Request::Removals => atom("removals"),
            Request::Statics => atom("statics"),
            Request::HostType(domain) => tuple([atom("host_type"), name(domain)]),
            Request::Serving(names) => tuple([atom("serving"), list(names.iter().map(name))]),
            Request::Subdomains(domain) => tuple([atom("subdomains"), name(domain)]),
            Request::DomainsByHostType(host_type) => tuple([atom("domains_by_host_type"), binary(host_type)]),
            Request::SetPassword(domain, password) => tuple([atom("set_password"), name(domain), binary(password)]),
            Request::DeletePassword(domain) => tuple([atom("delete_password"), name(domain)]),
            Request::CheckPassword(domain, password) => tuple([atom("check_password"), name(domain), binary(password)]),
            Request::UpsertFreshness(domain, ttl) => {
                tuple([atom("upsert_freshness"), binary(domain), integer(ttl.into())])
            }
            Request::Freshness => atom("freshness"),
            Request::Fresh => atom("fresh"),
            Request::Status => atom("status"),
            Request::Overview => atom("overview"),
            Request::Doctor => atom("doctor"),
            Request::Changes(after, limit) => {
                let after = after.map_or_else(|| atom("undefined"), signed);
                tuple([atom("changes"), after, integer(limit.into())])
            }
            Request::Metrics => atom("metrics"),
            Request::Readiness => atom("readiness"),
        }
    }
}
