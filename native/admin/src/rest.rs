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
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use axum::routing::{MethodRouter, any};
use domain_core::DomainName;
use serde_json::{Map, Value};

use crate::reply::Failure;
use crate::router::Doors;

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

/// Who asks, and whether they take what is answered.
async fn enter(doors: &Doors, headers: &HeaderMap) -> Result<(), Failure> {
    doors.guard.admit(headers)?;
    takes(headers, "application/json")
}

/// The same for a resource that can only be read.
async fn enter_to_read(doors: &Doors, method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    only(method, Method::GET, "GET")?;
    enter(doors, headers).await
}

fn only(method: &Method, allowed: Method, name: &'static str) -> Result<(), Failure> {
    if *method == allowed { Ok(()) } else { Err(Failure::MethodNotAllowed(name)) }
}

/// Whether an answer of this type is taken. A missing `Accept` takes everything.
fn takes(headers: &HeaderMap, kind: &str) -> Result<(), Failure> {
    let takes = |header: &str| {
        header.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default();
            let refused = parts.any(|part| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0));
            [kind, "application/*", "*/*"].iter().any(|it| it.eq_ignore_ascii_case(range)) && !refused
        })
    };
    let mut accept = headers.get_all(ACCEPT).iter().peekable();
    match accept.peek().is_none() || accept.any(|header| header.to_str().is_ok_and(takes)) {
        true => Ok(()),
        false => Err(Failure::NotAcceptable),
    }
}

/// Whether the body is of one of these types.
fn sends(headers: &HeaderMap, kinds: &[&str]) -> Result<(), Failure> {
    let kind = headers.get(CONTENT_TYPE).and_then(|header| header.to_str().ok()).and_then(|it| it.split(';').next());
    match kind.is_some_and(|kind| kinds.iter().any(|it| it.eq_ignore_ascii_case(kind.trim()))) {
        true => Ok(()),
        false => Err(Failure::UnsupportedMediaType),
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
