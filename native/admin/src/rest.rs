//! The REST interface, under `/api`.
//!
//! `/api/domains/{domain}` is MongooseIM's, as of 6.0 to 6.5; the other resources are this project's own and follow its
//! conventions: JSON, errors as a JSON string, the same statuses. A request is checked in the same order everywhere:
//! the method, the credentials, the accepted and sent media types, whether there are dynamic domains at all, then the
//! request itself; the node checks the rules of the API last.
//!
//! | file | resource |
//! |---|---|
//! | `domain` | one domain |
//! | `list`, `import`, `ndjson` | domains in pages; many domains at once, one a line; the format of such lines |
//! | `removals` | the progress of removals |
//! | `changes` | a stream of changes |
//! | `freshness` | which host types are declared complete |
//! | `status` | the status of the node, and its doctor |
//! | `openapi`, `error_responses` | the OpenAPI document; the errors that every resource may return |

pub mod changes;
pub mod domain;
mod error_responses;
pub mod freshness;
pub mod import;
pub mod list;
mod ndjson;
pub mod openapi;
pub mod removals;
pub mod status;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, any};
use domain_core::DomainName;
use serde_json::{Map, Value};

use crate::response::ErrorResponse;
use crate::state::AppState;

/// All resources.
pub fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route(
            "/api/domains",
            MethodRouter::new().get(list::list).post(import::import).fallback(list::method_not_allowed),
        )
        .route("/api/domains/{domain}", any(domain::handle))
        .route("/api/domains/{domain}/removal", any(removals::one))
        .route("/api/removals", any(removals::all))
        .route("/api/changes", any(changes::changes))
        .route("/api/freshness", any(freshness::all))
        .route("/api/freshness/{host_type}", any(freshness::one))
        .route("/api/status", any(status::status))
        .route("/api/doctor", any(status::doctor))
        .route("/api/openapi.json", any(openapi::document))
}

/// The fields of a JSON body. Unknown keys are ignored; of two equal keys the last one counts.
fn fields(body: &[u8]) -> Result<Map<String, Value>, ErrorResponse> {
    serde_json::from_slice(body).map_err(|_| {
        tracing::warn!(what = "parse_body_failed");
        ErrorResponse::BadRequest("Invalid request body".to_owned())
    })
}

/// Reads the name in a path; `None` is one that is not UTF-8.
fn domain_name(name: Option<&str>) -> Result<DomainName, ErrorResponse> {
    let domain = name.and_then(|name| DomainName::prepare(name).ok());
    domain.ok_or_else(|| ErrorResponse::BadRequest("Invalid domain name".to_owned()))
}
