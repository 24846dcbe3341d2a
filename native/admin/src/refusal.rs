//! Why the node refuses a request.

use serde::Deserialize;
use serde_json::Value;

/// Why the node refuses a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// Which error it is.
    pub tag: Tag,
    /// The node's explanation; may be empty.
    pub text: String,
}

/// The node's answer to a request.
pub type NodeResult = Result<Value, Refusal>;

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
    /// Too many requests are under way.
    pub fn overloaded() -> Refusal {
        Refusal { tag: Tag::Overloaded, text: String::new() }
    }

    /// The node has closed the connection, so this program ends soon.
    pub fn gone() -> Refusal {
        Refusal { tag: Tag::Crashed, text: String::new() }
    }
}
