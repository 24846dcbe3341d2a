//! `/api/openapi.json`: what REST can be asked, for programs. It is made from the code that answers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::refused::Refused;
use super::{changes, domain, freshness, import, list, removals, state};
use crate::caller::Caller;
use crate::doors::Doors;
use crate::reply::{Failure, json};

#[derive(OpenApi)]
#[openapi(
    info(title = "mongoose_domain", description = "Which host type serves which domain"),
    paths(
        list::list, import::import,
        domain::get, domain::put, domain::patch, domain::delete,
        removals::one, removals::all,
        freshness::all, freshness::one,
        changes::changes, state::status, state::doctor, document,
    ),
    components(schemas(import::Wanted, import::Answer, crate::request::Change)),
    security(("admin" = [])),
    modifiers(&Admin),
)]
struct Document;

/// Who may ask.
struct Admin;

impl Modify for Admin {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let basic = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        document.components.get_or_insert_with(Default::default).add_security_scheme("admin", basic);
    }
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "node", responses(
    (status = 200, description = "An OpenAPI document", body = Object),
    Refused,
))]
pub async fn document(State(doors): State<Arc<Doors>>, caller: Caller) -> Result<Response, Failure> {
    caller.enter_to_read(&doors).await?;
    Ok(json(StatusCode::OK, &Document::openapi()))
}
