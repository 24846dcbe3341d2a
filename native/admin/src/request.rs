//! What the node can be asked, and how it refuses.
//!
//! A request is a tuple that `mongoose_domain_admin_request` reads; each names the function of the API that
//! answers it. What comes back is typed by the method that asks.

use domain_core::DomainName;
use eetf::Term;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::node::Node;
use crate::term::{atom, binary, integer, list, map, signed, tuple};

/// A question.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    /// Whether there are dynamic domains at all.
    Service,
    /// Adds these pairs.
    Insert(&'a [(DomainName, String)]),
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
    /// What the follower is doing.
    Status,
    /// What this node is, and what its follower is doing.
    Overview,
    /// What is wrong, and what to do about it.
    Doctor,
    /// Up to so many changes behind this event, or the newest.
    Changes(Option<i64>, u16),
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
    ServiceDisabled,
    DbError,
    Timeout,
    Overloaded,
    Crashed,
}

impl Refusal {
    /// The node is gone, and soon this program.
    pub fn gone() -> Refusal {
        Refusal { tag: Tag::Crashed, text: String::new() }
    }
}

impl Request<'_> {
    /// The tuple.
    pub fn to_term(self) -> Term {
        let name = |domain: &DomainName| binary(domain.as_bytes());
        match self {
            Request::Service => atom("service"),
            Request::Insert(pairs) => {
                let pairs = pairs.iter().map(|(domain, host_type)| tuple([name(domain), binary(host_type)]));
                tuple([atom("insert"), list(pairs)])
            }
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
            Request::DomainsByHostType(host_type) => tuple([atom("domains_by_host_type"), binary(host_type)]),
            Request::SetPassword(domain, password) => tuple([atom("set_password"), name(domain), binary(password)]),
            Request::DeletePassword(domain) => tuple([atom("delete_password"), name(domain)]),
            Request::CheckPassword(domain, password) => tuple([atom("check_password"), name(domain), binary(password)]),
            Request::UpsertFreshness(domain, ttl) => {
                tuple([atom("upsert_freshness"), binary(domain), integer(ttl.into())])
            }
            Request::Freshness => atom("freshness"),
            Request::Status => atom("status"),
            Request::Overview => atom("overview"),
            Request::Doctor => atom("doctor"),
            Request::Changes(after, limit) => {
                let after = after.map_or_else(|| atom("undefined"), signed);
                tuple([atom("changes"), after, integer(limit.into())])
            }
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

impl Node {
    /// Whether there are dynamic domains at all: refuses with `service_disabled`.
    pub async fn service(&self) -> Result<(), Refusal> {
        self.ask(Request::Service).await.map(drop)
    }

    /// Adds pairs: for each, in order, what became of it.
    pub async fn insert(&self, pairs: &[(DomainName, String)]) -> Result<Vec<Result<Details, Refusal>>, Refusal> {
        let results: Vec<Value> = typed(self.ask(Request::Insert(pairs)).await?)?;
        Ok(results
            .iter()
            .map(|result| typed(crate::node::result_of(result).unwrap_or(Err(Refusal::gone()))?))
            .collect())
    }

    /// What the database says of a domain.
    pub async fn details(&self, domain: &DomainName) -> Result<Details, Refusal> {
        typed(self.ask(Request::Details(domain)).await?)
    }

    /// A part of what the database says of all.
    pub async fn list(&self, listing: &Listing) -> Result<Vec<Details>, Refusal> {
        typed(self.ask(Request::List(listing)).await?)
    }

    /// How far a removal is.
    pub async fn removal(&self, domain: &DomainName) -> Result<Removal, Refusal> {
        typed(self.ask(Request::Removal(domain)).await?)
    }

    /// All removals that run, were left, or failed.
    pub async fn removals(&self) -> Result<Vec<Removal>, Refusal> {
        typed(self.ask(Request::Removals).await?)
    }

    /// What was ever declared complete.
    pub async fn freshness(&self) -> Result<Vec<Freshness>, Refusal> {
        typed(self.ask(Request::Freshness).await?)
    }

    /// What changed behind an event.
    pub async fn changes(&self, after: Option<i64>, limit: u16) -> Result<Vec<Change>, Refusal> {
        typed(self.ask(Request::Changes(after, limit)).await?)
    }

    /// Has a domain served, or not.
    pub async fn set_enabled(&self, domain: &DomainName, status: Status) -> Result<Details, Refusal> {
        let request = if status == Status::Enabled { Request::Enable(domain) } else { Request::Disable(domain) };
        typed(self.ask(request).await?)
    }
}

/// An answer of another shape than agreed is a fault of this project.
pub fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| {
        tracing::error!(what = "domain_admin_answer_not_understood", %error);
        Refusal::gone()
    })
}
