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
//! | `list`, `import`, `ndjson` | all of them, in pages; many at once, line by line; such lines |
//! | `removals` | how far removals are |
//! | `changes` | what changes, as it changes |
//! | `freshness` | what is declared complete |
//! | `state` | what the node is doing, and what is wrong with it |
//! | `openapi`, `refused` | this all, for programs; what all of them may answer instead |

pub mod changes;
pub mod domain;
pub mod freshness;
pub mod import;
pub mod list;
mod ndjson;
pub mod openapi;
mod refused;
pub mod removals;
pub mod state;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, any};
use domain_core::DomainName;
use serde_json::{Map, Value};

use crate::doors::Doors;
use crate::reply::Failure;

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
