//! `/api/openapi.json`: a description of the REST interface, generated from the code that serves it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::error_responses::ErrorResponses;
use super::{changes, domain, freshness, import, list, removals, status};
use crate::caller::Caller;
use crate::response::{ErrorResponse, json};
use crate::state::AppState;

#[derive(OpenApi)]
#[openapi(
    info(title = "mongoose_domain", description = "Which host type serves which domain"),
    paths(
        list::list, import::import,
        domain::get, domain::put, domain::patch, domain::delete,
        removals::one, removals::all,
        freshness::all, freshness::one,
        changes::changes, status::status, status::doctor, document,
    ),
    components(schemas(import::ImportLine, import::ImportedLine, crate::model::Change)),
    security(("admin" = [])),
    modifiers(&BasicAuth),
)]
struct Document;

/// Adds the authentication scheme.
struct BasicAuth;

impl Modify for BasicAuth {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let basic = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        document.components.get_or_insert_with(Default::default).add_security_scheme("admin", basic);
    }
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "node", responses(
    (status = 200, description = "An OpenAPI document", body = Object),
    ErrorResponses,
))]
pub async fn document(State(state): State<Arc<AppState>>, caller: Caller) -> Result<Response, ErrorResponse> {
    caller.authenticate_json_get(&state).await?;
    Ok(json(StatusCode::OK, &Document::openapi()))
}
