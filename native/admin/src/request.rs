//! What the node can be asked, and how it refuses.
//!
//! A request is a tuple that `mongoose_domain_admin_request` reads; each names the function of the API that
//! answers it. What comes back is typed by the method that asks.

use domain_core::DomainName;
use eetf::Term;
use serde::Deserialize;
use serde_json::Value;

use crate::term::{atom, binary, integer, list, map, signed, tuple};
use crate::turns::Room;

/// A question.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    /// Whether there are dynamic domains at all.
    Service,
    /// Adds these domains.
    Insert(&'a [NewDomain]),
    /// Removes a domain, and answers when all of it is gone.
    Delete(&'a DomainName, &'a str),
    /// Begins to remove a domain.
    BeginDelete(&'a DomainName, &'a str),
    /// Has a domain served.
    Enable(&'a DomainName),
    /// Has it not served.
    Disable(&'a DomainName),
    /// What the database says of a domain.
    Details(&'a DomainName),
    /// A part of what the database says of all.
    List(&'a Listing),
    /// How far a removal is.
    Removal(&'a DomainName),
    /// All removals.
    Removals,
    /// The domains from configuration.
    Statics,
    /// Which host type this node's table has for a domain.
    HostType(&'a DomainName),
    /// Which host types serve these domains or subdomains, as far as this node's table tells.
    Serving(&'a [DomainName]),
    /// The subdomains that this node's table has for a domain.
    Subdomains(&'a DomainName),
    /// The domains of a host type in this node's table.
    DomainsByHostType(&'a str),
    /// Stores the password of a domain's admin.
    SetPassword(&'a DomainName, &'a str),
    /// Removes it.
    DeletePassword(&'a DomainName),
    /// Compares it.
    CheckPassword(&'a DomainName, &'a str),
    /// Declares the content for a host type complete, for so many seconds or (0) for ever.
    UpsertFreshness(&'a [u8], u32),
    /// What was ever declared.
    Freshness,
    /// The names of what is fresh now.
    Fresh,
    /// What the follower is doing.
    Status,
    /// What this node is, and what its follower is doing.
    Overview,
    /// What is wrong, and what to do about it.
    Doctor,
    /// Up to so many changes behind this event, or the newest.
    Changes(Option<i64>, u16),
    /// All that there is to measure.
    Metrics,
    /// Whether the dynamic domains are served.
    Readiness,
}

/// Who serves a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Served {
    /// This host type.
    HostType(String),
    /// Nobody.
    NotFound,
    /// Nobody yet: the dynamic domains are not loaded.
    NotLoaded,
}

/// A domain to add.
#[derive(Debug, Clone)]
pub struct NewDomain {
    /// Its name.
    pub name: DomainName,
    /// Its host type.
    pub host_type: String,
    /// The status that it is to have, whether it is there already or not.
    pub status: Option<Switch>,
}

/// What a domain can be switched to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// It is served.
    Enabled,
    /// It is not.
    Disabled,
}

/// Which domains, and how many of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Those behind this one.
    pub after: Option<String>,
    /// Up to so many, 1 to 1000.
    pub limit: u16,
    /// Those of this host type.
    pub host_type: Option<String>,
    /// Those with this status.
    pub status: Option<Status>,
    /// Those whose names begin so.
    pub prefix: Option<String>,
}

/// The status of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase", from = "Value")]
pub enum Status {
    /// It is served.
    Enabled,
    /// It is not.
    Disabled,
    /// It is being removed.
    Deleting,
    /// It is gone.
    Deleted,
    /// The row has a number that means nothing.
    Unknown,
}

impl From<Value> for Status {
    fn from(value: Value) -> Status {
        match value.as_str() {
            Some("enabled") => Status::Enabled,
            Some("disabled") => Status::Disabled,
            Some("deleting") => Status::Deleting,
            Some("deleted") => Status::Deleted,
            _ => Status::Unknown,
        }
    }
}

/// What is known of a domain; what a request does not tell is absent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Details {
    /// Its name.
    pub domain: String,
    /// Its host type.
    pub host_type: Option<String>,
    /// Its status.
    pub status: Option<Status>,
}

/// A part of what the database says of all domains.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// The domains.
    pub domains: Vec<Details>,
    /// Rows that cannot be read.
    pub left_out: LeftOut,
}

/// Rows that cannot be read, up to the last domain of a part, or to the end of the list where the part is the last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// The first of them: table, key, column and what is wrong with it. Bytes that are no text are escaped: `\xff`.
    pub examples: Vec<String>,
}

impl LeftOut {
    /// Whether all could be read.
    pub fn is_none(&self) -> bool {
        self.count == 0
    }
}

/// How far a removal is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Removal {
    /// Its name.
    pub domain: String,
    /// Its host type.
    pub host_type: String,
    /// Whether anybody works on it.
    pub state: RemovalState,
    /// Why it failed.
    pub failure: Option<String>,
    /// Who works on it.
    pub owner: Option<String>,
    /// How many handlers are done, of how many.
    pub handlers: (u32, u32),
}

/// A declaration that the content for a host type is complete.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Freshness {
    /// The host type's name.
    pub domain: String,
    /// Whether it holds now.
    pub state: FreshnessState,
    /// Nanoseconds since 1970.
    pub expire_time: Finite,
    /// Seconds from now on.
    pub seconds_left: Finite,
}

/// Whether a declaration holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FreshnessState {
    /// It does.
    Fresh,
    /// It did.
    Expired,
}

/// A number, or `infinity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub enum Finite {
    /// The number.
    Number(u64),
    /// More than any number.
    Infinity,
}

impl From<Value> for Finite {
    fn from(value: Value) -> Finite {
        value.as_u64().map_or(Finite::Infinity, Finite::Number)
    }
}

impl Finite {
    /// The number, if it is one.
    pub fn finite(self) -> Option<u64> {
        match self {
            Finite::Number(number) => Some(number),
            Finite::Infinity => None,
        }
    }
}

/// A domain that changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct Change {
    /// The event's id.
    pub id: i64,
    /// The domain.
    pub domain: String,
    /// Its host type now; null when it has no row any more.
    pub host_type: Option<String>,
    /// Its status now; null when it has no row any more.
    pub status: Option<Status>,
}

/// Whether anybody works on a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RemovalState {
    /// A node does.
    Running,
    /// The node that did has died; another will.
    Orphaned,
    /// A handler failed; it waits for a new request.
    Failed,
}

/// Why the node did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// Which error it is.
    pub tag: Tag,
    /// The node's words for people; empty where it has none.
    pub text: String,
}

/// What the node says.
pub type Answer = Result<Value, Refusal>;

/// The API's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of mongoose_domain_api, which documents them")]
pub enum Tag {
    Static,
    UnknownHostType,
    Duplicate,
    NotFound,
    WrongHostType,
    WrongPassword,
    Deleted,
    InvalidDomain,
    InvalidPassword,
    InvalidRequest,
    RemovalFailed,
    Refused,
    RemovalEnded,
    ServiceDisabled,
    DbError,
    Timeout,
    Overloaded,
    Crashed,
}

impl Refusal {
    /// Too much is asked at once.
    pub fn overloaded() -> Refusal {
        Refusal { tag: Tag::Overloaded, text: String::new() }
    }

    /// The node is gone, and soon this program.
    pub fn gone() -> Refusal {
        Refusal { tag: Tag::Crashed, text: String::new() }
    }
}

impl Request<'_> {
    /// What it waits for, and so whose turns it takes.
    pub fn room(self) -> Room {
        match self {
            Request::Service
            | Request::HostType(_)
            | Request::Subdomains(_)
            | Request::Status
            | Request::Overview
            | Request::Readiness => Room::Node,
            Request::Serving(_) => Room::Edge,
            Request::Metrics => Room::Measures,
            Request::Delete(..) => Room::Removals,
            Request::SetPassword(..) | Request::CheckPassword(..) => Room::Passwords,
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
            | Request::Changes(..) => Room::Database,
            // They need no database, but make a list of any length.
            Request::Statics | Request::DomainsByHostType(_) => Room::Database,
        }
    }

    /// The tuple.
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

impl NewDomain {
    fn to_term(&self) -> Term {
        let (name, host_type) = (binary(self.name.as_bytes()), binary(&self.host_type));
        match self.status {
            None => tuple([name, host_type]),
            Some(Switch::Enabled) => tuple([name, host_type, atom("enabled")]),
            Some(Switch::Disabled) => tuple([name, host_type, atom("disabled")]),
        }
    }
}

impl Listing {
    fn to_term(&self) -> Term {
        let texts = [("after", &self.after), ("host_type", &self.host_type), ("prefix", &self.prefix)];
        let texts = texts.into_iter().filter_map(|(key, text)| Some((atom(key), binary(text.as_ref()?))));
        let status = self.status.map(|status| (atom("status"), atom(status.name())));
        map(texts.chain(status).chain([(atom("limit"), integer(self.limit.into()))]))
    }
}

impl Status {
    /// As the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Enabled => "enabled",
            Status::Disabled => "disabled",
            Status::Deleting => "deleting",
            Status::Deleted => "deleted",
            Status::Unknown => "unknown",
        }
    }
}
