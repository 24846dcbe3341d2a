//! `/api/domains/{domain}`: one domain, as in MongooseIM 6.0 to 6.5.
//!
//! A response names the first error only, so the order of the checks is part of the interface. Two responses differ
//! from MongooseIM's: an `enabled` that is no boolean is a 400 here and a crash there, and by default a repeated
//! addition or removal succeeds (`repeated_operations`).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::ALLOW;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use domain_core::DomainName;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error_responses::ErrorResponses;
use super::{domain_name, fields};
use crate::body;
use crate::caller::{Caller, JSON};
use crate::model::{NewDomain, Status, Switch};
use crate::request::Request;
use crate::response::{ErrorResponse, json};
use crate::state::AppState;

/// The methods of a domain.
const METHODS: &str = "OPTIONS, GET, PATCH, PUT, DELETE";

/// The response to [`get`].
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Domain)]
pub struct DomainResponse {
    host_type: Option<String>,
    status: Option<Status>,
}

/// The body of [`put`].
#[derive(utoipa::ToSchema)]
#[schema(as = Added)]
#[allow(dead_code, reason = "it describes the fields, which are read one by one")]
pub struct PutBody {
    /// Its host type.
    host_type: String,
}

/// The body of [`patch`].
#[derive(utoipa::ToSchema)]
#[schema(as = Switched)]
#[allow(dead_code, reason = "it describes the fields, which are read one by one")]
pub struct PatchBody {
    /// Whether the domain is served.
    enabled: bool,
}

/// The body of [`delete`].
#[derive(utoipa::ToSchema)]
#[schema(as = Removed)]
#[allow(dead_code, reason = "it describes the fields, which are read one by one")]
pub struct DeleteBody {
    /// Its host type.
    host_type: String,
    /// Whether to respond as soon as the removal has begun; by default, the response comes when the domain is removed.
    #[schema(required = false)]
    request: Option<bool>,
}

/// Handles all methods of `/api/domains/{domain}`.
pub async fn handle(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, ErrorResponse> {
    let method = &caller.method;
    let known = [Method::OPTIONS, Method::GET, Method::PATCH, Method::PUT, Method::DELETE];
    if !known.contains(method) {
        return Err(ErrorResponse::MethodNotAllowed(METHODS));
    }
    caller.authenticate(&state).await?;
    if method == Method::OPTIONS {
        return Ok((StatusCode::OK, [(ALLOW, METHODS)]).into_response());
    }
    caller.require_accept(JSON)?;
    if [Method::PUT, Method::PATCH].contains(method) {
        caller.require_content_type(&[JSON])?;
    }
    state.node.service().await?;
    let domain = domain_name(path.ok().as_ref().map(|Path(name)| name.as_str()))?;
    match *method {
        Method::GET => get(&state, &domain).await,
        Method::PUT => put(&state, domain, fields(&body::read(body).await?)?).await,
        Method::PATCH => patch(&state, &domain, fields(&body::read(body).await?)?).await,
        _ => delete(&state, &domain, fields(&body::read(body).await?)?).await,
    }
}

/// The row of a domain.
#[utoipa::path(get, path = "/api/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "Its name; nameprep is applied", min_length = 1)),
    responses(
    (status = 200, description = "Its host type and status", body = DomainResponse),
    (status = 404, description = "There is no such domain", body = String, content_type = "application/json"),
    ErrorResponses,
))]
pub(super) async fn get(state: &AppState, domain: &DomainName) -> Result<Response, ErrorResponse> {
    let details = state.node.details(domain).await?;
    Ok(json(StatusCode::OK, &DomainResponse { host_type: details.host_type, status: details.status }))
}

/// Adds a domain, enabled.
#[utoipa::path(put, path = "/api/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "Its name; nameprep is applied", min_length = 1)),
    request_body = PutBody,
    responses(
    (status = 204, description = "The domain exists"),
    (status = 409, description = "The domain exists with another host type, or is being removed", body = String, content_type = "application/json"),
    ErrorResponses,
))]
pub(super) async fn put(
    state: &AppState,
    domain: DomainName,
    fields: Map<String, Value>,
) -> Result<Response, ErrorResponse> {
    let new = NewDomain { name: domain, host_type: host_type(&fields)?, status: None };
    state.node.insert(&[new]).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Enables or disables a domain.
#[utoipa::path(patch, path = "/api/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "Its name; nameprep is applied", min_length = 1)),
    request_body = PatchBody,
    responses(
    (status = 204, description = "The status is as requested"),
    (status = 404, description = "There is no such domain", body = String, content_type = "application/json"),
    ErrorResponses,
))]
pub(super) async fn patch(
    state: &AppState,
    domain: &DomainName,
    fields: Map<String, Value>,
) -> Result<Response, ErrorResponse> {
    let to = match fields.get("enabled") {
        None => return Err(ErrorResponse::BadRequest("'enabled' field is missing".to_owned())),
        Some(Value::Bool(true)) => Switch::Enabled,
        Some(Value::Bool(false)) => Switch::Disabled,
        Some(_) => return Err(ErrorResponse::BadRequest("'enabled' field is not a boolean".to_owned())),
    };
    state.node.switch(domain, to).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Removes a domain and its data.
#[utoipa::path(delete, path = "/api/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "Its name; nameprep is applied", min_length = 1)),
    request_body = DeleteBody,
    responses(
    (status = 202, description = "The removal has begun"),
    (status = 204, description = "The domain is removed"),
    (status = 404, description = "There is no such domain (where `repeated_operations` is `error`)", body = String, content_type = "application/json"),
    (status = 409, description = "Another program changed the row: it deleted it, or enabled it again", body = String, content_type = "application/json"),
    ErrorResponses,
))]
pub(super) async fn delete(
    state: &AppState,
    domain: &DomainName,
    fields: Map<String, Value>,
) -> Result<Response, ErrorResponse> {
    let host_type = host_type(&fields)?;
    let (request, done) = match fields.get("request") {
        Some(Value::Bool(true)) => (Request::BeginDelete(domain, &host_type), StatusCode::ACCEPTED),
        _ => (Request::Delete(domain, &host_type), StatusCode::NO_CONTENT),
    };
    state.node.ask(request).await?;
    Ok(done.into_response())
}

/// The host type in a body. A value that is not a string becomes the empty string, which is no host type either.
fn host_type(fields: &Map<String, Value>) -> Result<String, ErrorResponse> {
    match fields.get("host_type") {
        None => Err(ErrorResponse::BadRequest("'host_type' field is missing".to_owned())),
        Some(value) => Ok(value.as_str().unwrap_or_default().to_owned()),
    }
}
