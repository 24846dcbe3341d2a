//! The data that requests to the node and its answers are made of.
//!
//! The types mirror the terms of `mongoose_domain_admin_request`. What the node answers is read by `serde`; what is
//! sent becomes a term here.

use domain_core::DomainName;
use eetf::Term;
use serde::Deserialize;
use serde_json::Value;

use crate::term::{atom, binary, integer, map, tuple};

/// Which host type serves a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Served {
    /// This host type.
    HostType(String),
    /// None: the name is neither a domain nor a subdomain.
    NotFound,
    /// Unknown: the dynamic domains are not loaded yet.
    NotLoaded,
}

/// A domain to add.
#[derive(Debug, Clone)]
pub struct NewDomain {
    /// Its name.
    pub name: DomainName,
    /// Its host type.
    pub host_type: String,
    /// The status that it gets, whether it exists already or not.
    pub status: Option<Switch>,
}

/// Whether a domain is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// It is served.
    Enabled,
    /// It is not served.
    Disabled,
}

/// A query for a page of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Only names after this one.
    pub after: Option<String>,
    /// At most so many rows, 1 to 1000.
    pub limit: u16,
    /// Only rows of this host type.
    pub host_type: Option<String>,
    /// Only rows with this status.
    pub status: Option<Status>,
    /// Only names with this prefix.
    pub prefix: Option<String>,
}

/// The status of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase", from = "Value")]
pub enum Status {
    /// It is served.
    Enabled,
    /// It is not served.
    Disabled,
    /// It is being removed.
    Deleting,
    /// It was removed.
    Deleted,
    /// Its row has an unknown number.
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

/// A domain; a request leaves out what it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Details {
    /// Its name.
    pub domain: String,
    /// Its host type.
    pub host_type: Option<String>,
    /// Its status.
    pub status: Option<Status>,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// The domains.
    pub domains: Vec<Details>,
    /// Invalid rows.
    pub left_out: LeftOut,
}

/// The invalid rows up to the last domain of a page; in the last page, up to the end of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// The first of them: table, key, column and what is wrong with it. Bytes that are not UTF-8 are escaped: `\xff`.
    pub examples: Vec<String>,
}

impl LeftOut {
    /// Whether all rows are valid.
    pub fn is_none(&self) -> bool {
        self.count == 0
    }
}

/// The progress of a removal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Removal {
    /// The domain.
    pub domain: String,
    /// Its host type.
    pub host_type: String,
    /// Whether a node works on it.
    pub state: RemovalState,
    /// Why a handler failed.
    pub failure: Option<String>,
    /// The node that works on it.
    pub owner: Option<String>,
    /// How many handlers have finished, and how many there are.
    pub handlers: (u32, u32),
}

/// A declaration that the rows of a host type are complete.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Freshness {
    /// The host type's name.
    pub domain: String,
    /// Whether it is in force.
    pub state: FreshnessState,
    /// Nanoseconds since 1970.
    pub expire_time: Finite,
    /// Seconds from now.
    pub seconds_left: Finite,
}

/// Whether a declaration is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FreshnessState {
    /// It is in force.
    Fresh,
    /// It has expired.
    Expired,
}

/// A number, or `infinity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub enum Finite {
    /// The number.
    Number(u64),
    /// Infinity.
    Infinity,
}

impl From<Value> for Finite {
    fn from(value: Value) -> Finite {
        value.as_u64().map_or(Finite::Infinity, Finite::Number)
    }
}

impl Finite {
    /// The number, if it is finite.
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

/// Whether a node works on a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RemovalState {
    /// A node works on it.
    Running,
    /// The node that worked on it has died; another one takes over.
    Orphaned,
    /// A handler failed; it waits for a new request.
    Failed,
}

impl NewDomain {
    /// The term that the node reads.
    pub fn to_term(&self) -> Term {
        let (name, host_type) = (binary(self.name.as_bytes()), binary(&self.host_type));
        match self.status {
            None => tuple([name, host_type]),
            Some(Switch::Enabled) => tuple([name, host_type, atom("enabled")]),
            Some(Switch::Disabled) => tuple([name, host_type, atom("disabled")]),
        }
    }
}

impl Listing {
    /// The term that the node reads.
    pub fn to_term(&self) -> Term {
        let texts = [("after", &self.after), ("host_type", &self.host_type), ("prefix", &self.prefix)];
        let texts = texts.into_iter().filter_map(|(key, text)| Some((atom(key), binary(text.as_ref()?))));
        let status = self.status.map(|status| (atom("status"), atom(status.name())));
        map(texts.chain(status).chain([(atom("limit"), integer(self.limit.into()))]))
    }
}

impl Status {
    /// Its name in the API.
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
