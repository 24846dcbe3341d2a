//! REST, under `/api`.
//!
//! `/api/domains/{domain}` is MongooseIM's, as of 6.0 to 6.5; the other resources are this project's own and
//! keep to its manners: JSON, errors as a JSON string, the same codes. What is wrong with a request is looked
//! for in the same order everywhere: the method, who asks, what they take and send, whether there are dynamic
//! domains at all, the request itself; then the API's own rules.
//!
//! | file | resource |
//! |---|---|
//! | `domain` | one domain |
//! | `list`, `import` | all of them, in pages; many at once, line by line |
//! | `removals` | how far removals are |
//! | `changes` | what changes, as it changes |
//! | `freshness` | what is declared complete |
//! | `state` | what the node is doing, and what is wrong with it |
//! | `openapi` | this all, for programs |

pub mod changes;
pub mod domain;
pub mod freshness;
pub mod import;
pub mod list;
pub mod openapi;
pub mod removals;
pub mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::routing::{MethodRouter, any};
use domain_core::DomainName;
use serde_json::{Map, Value};

use crate::reply::Failure;
use crate::router::Doors;
use crate::server::Peer;

const JSON: &str = "application/json";

/// All resources.
pub fn routes() -> Router<Arc<Doors>> {
    Router::new()
        .route("/api/domains", MethodRouter::new().get(list::list).post(import::import).fallback(list::other))
        .route("/api/domains/{domain}", any(domain::domain))
        .route("/api/domains/{domain}/removal", any(removals::one))
        .route("/api/removals", any(removals::all))
        .route("/api/changes", any(changes::changes))
        .route("/api/freshness", any(freshness::all))
        .route("/api/freshness/{host_type}", any(freshness::one))
        .route("/api/status", any(state::status))
        .route("/api/doctor", any(state::doctor))
        .route("/api/openapi.json", any(openapi::document))
}

/// Who asks, and how.
pub struct Caller {
    peer: Peer,
    method: Method,
    headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Failure> {
        // The server puts one into every request.
        let peer = parts.extensions.get::<Peer>().cloned().ok_or(Failure::Internal)?;
        Ok(Caller { peer, method: parts.method.clone(), headers: parts.headers.clone() })
    }
}

impl Caller {
    /// Whether this is the admin, who takes what is answered.
    async fn enter(&self, doors: &Doors) -> Result<(), Failure> {
        self.admit(doors).await?;
        self.takes(JSON)
    }

    /// The same for a resource that can only be read.
    async fn enter_to_read(&self, doors: &Doors) -> Result<(), Failure> {
        self.only(Method::GET, "GET")?;
        self.enter(doors).await
    }

    async fn admit(&self, doors: &Doors) -> Result<(), Failure> {
        Ok(doors.guard.admit(&self.peer, &self.headers).await?)
    }

    fn only(&self, allowed: Method, name: &'static str) -> Result<(), Failure> {
        if self.method == allowed { Ok(()) } else { Err(Failure::MethodNotAllowed(name)) }
    }

    /// Whether an answer of this type is taken. A missing `Accept` takes everything.
    fn takes(&self, kind: &str) -> Result<(), Failure> {
        let takes = |header: &str| {
            header.split(',').any(|range| {
                let mut parts = range.split(';').map(str::trim);
                let range = parts.next().unwrap_or_default();
                let refused = parts.any(|part| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0));
                [kind, "application/*", "*/*"].iter().any(|it| it.eq_ignore_ascii_case(range)) && !refused
            })
        };
        let mut accept = self.headers.get_all(ACCEPT).iter().peekable();
        match accept.peek().is_none() || accept.any(|header| header.to_str().is_ok_and(takes)) {
            true => Ok(()),
            false => Err(Failure::NotAcceptable),
        }
    }

    /// Whether the body is of one of these types.
    fn sends(&self, kinds: &[&str]) -> Result<(), Failure> {
        let kind =
            self.headers.get(CONTENT_TYPE).and_then(|header| header.to_str().ok()).and_then(|it| it.split(';').next());
        match kind.is_some_and(|kind| kinds.iter().any(|it| it.eq_ignore_ascii_case(kind.trim()))) {
            true => Ok(()),
            false => Err(Failure::UnsupportedMediaType),
        }
    }
}

/// The body's fields. Keys that mean nothing are left alone; of two equal ones the last counts.
fn fields(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    serde_json::from_slice(body).map_err(|_| {
        tracing::warn!(what = "parse_body_failed");
        Failure::BadRequest("Invalid request body".to_owned())
    })
}

/// The name in a path; none where it was no UTF-8.
fn domain_name(name: Option<&str>) -> Result<DomainName, Failure> {
    let domain = name.and_then(|name| DomainName::prepare(name).ok());
    domain.ok_or_else(|| Failure::BadRequest("Invalid domain name".to_owned()))
}
