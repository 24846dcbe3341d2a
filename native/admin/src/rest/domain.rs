//! `/api/domains/{domain}`: one domain, as MongooseIM 6.0 to 6.5 has it.
//!
//! Clients see the first fault only, so the order in which faults are looked for is part of what is promised.
//! Two answers differ: what is no boolean in `enabled` is a 400 here and a crash there, and by default a
//! repeated addition or removal succeeds (`repeated_operations`).

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

use super::refused::Refused;
use super::{domain_name, fields};
use crate::body;
use crate::caller::{Caller, JSON};
use crate::doors::Doors;
use crate::reply::{Failure, json};
use crate::request::{NewDomain, Request, Status};

/// What one domain can be asked for.
const METHODS: &str = "OPTIONS, GET, PATCH, PUT, DELETE";

/// A domain, as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Domain)]
pub struct Shown {
    host_type: Option<String>,
    status: Option<Status>,
}

/// What [`put`] is told.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "it describes the fields, which are read one by one")]
pub struct Added {
    /// Its host type.
    host_type: String,
}

/// What [`patch`] is told.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "it describes the fields, which are read one by one")]
pub struct Switched {
    /// Whether it is to be served.
    enabled: bool,
}

/// What [`delete`] is told.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "it describes the fields, which are read one by one")]
pub struct Removed {
    /// Its host type.
    host_type: String,
    /// Whether to answer as soon as it is in removal; without it, the answer comes when it is gone.
    #[schema(required = false)]
    request: Option<bool>,
}

/// Answers everything that is asked of one domain.
pub async fn domain(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, Failure> {
    let method = &caller.method;
    let known = [Method::OPTIONS, Method::GET, Method::PATCH, Method::PUT, Method::DELETE];
    if !known.contains(method) {
        return Err(Failure::MethodNotAllowed(METHODS));
    }
    caller.admit(&doors).await?;
    if method == Method::OPTIONS {
        return Ok((StatusCode::OK, [(ALLOW, METHODS)]).into_response());
    }
    caller.takes(JSON)?;
    if [Method::PUT, Method::PATCH].contains(method) {
        caller.sends(&[JSON])?;
    }
    doors.node.service().await?;
    let domain = domain_name(path.ok().as_ref().map(|Path(name)| name.as_str()))?;
    match *method {
        Method::GET => get(&doors, &domain).await,
        Method::PUT => put(&doors, domain, fields(&body::read(body).await?)?).await,
        Method::PATCH => patch(&doors, &domain, fields(&body::read(body).await?)?).await,
        _ => delete(&doors, &domain, fields(&body::read(body).await?)?).await,
    }
}

/// What the database says of a domain.
#[utoipa::path(get, path = "/api/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "Its name; nameprep is applied", min_length = 1)),
    responses(
    (status = 200, description = "Its host type and status", body = Shown),
    (status = 404, description = "There is no such domain", body = String, content_type = "application/json"),
    Refused,
))]
pub(super) async fn get(doors: &Doors, domain: &DomainName) -> Result<Response, Failure> {
    let details = doors.node.details(domain).await?;
    Ok(json(StatusCode::OK, &Shown { host_type: details.host_type, status: details.status }))
}

/// Adds a domain, enabled.
#[utoipa::path(put, path = "/api/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "Its name; nameprep is applied", min_length = 1)),
    request_body = Added,
    responses(
    (status = 204, description = "It is there"),
    (status = 409, description = "It is there with another host type, or in removal", body = String, content_type = "application/json"),
    Refused,
))]
pub(super) async fn put(doors: &Doors, domain: DomainName, fields: Map<String, Value>) -> Result<Response, Failure> {
    let new = NewDomain { name: domain, host_type: host_type(&fields)?, status: None };
    doors.node.insert(&[new]).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Has a domain served, or not.
#[utoipa::path(patch, path = "/api/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "Its name; nameprep is applied", min_length = 1)),
    request_body = Switched,
    responses(
    (status = 204, description = "It is so"),
    (status = 404, description = "There is no such domain", body = String, content_type = "application/json"),
    Refused,
))]
pub(super) async fn patch(doors: &Doors, domain: &DomainName, fields: Map<String, Value>) -> Result<Response, Failure> {
    let status = match fields.get("enabled") {
        None => return Err(Failure::BadRequest("'enabled' field is missing".to_owned())),
        Some(Value::Bool(true)) => Status::Enabled,
        Some(Value::Bool(false)) => Status::Disabled,
        Some(_) => return Err(Failure::BadRequest("'enabled' field is not a boolean".to_owned())),
    };
    doors.node.set_enabled(domain, status).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Removes a domain and its data.
#[utoipa::path(delete, path = "/api/domains/{domain}", tag = "domains",
    params(("domain" = String, Path, description = "Its name; nameprep is applied", min_length = 1)),
    request_body = Removed,
    responses(
    (status = 202, description = "It is in removal"),
    (status = 204, description = "It is gone"),
    (status = 404, description = "There is no such domain (where `repeated_operations` is `error`)", body = String, content_type = "application/json"),
    (status = 409, description = "Another program changed its row: it deleted it, or had it served again", body = String, content_type = "application/json"),
    Refused,
))]
pub(super) async fn delete(
    doors: &Doors,
    domain: &DomainName,
    fields: Map<String, Value>,
) -> Result<Response, Failure> {
    let host_type = host_type(&fields)?;
    let (request, done) = match fields.get("request") {
        Some(Value::Bool(true)) => (Request::BeginDelete(domain, &host_type), StatusCode::ACCEPTED),
        _ => (Request::Delete(domain, &host_type), StatusCode::NO_CONTENT),
    };
    doors.node.ask(request).await?;
    Ok(done.into_response())
}

/// A value that is no text is the name of no host type, as is the empty one.
fn host_type(fields: &Map<String, Value>) -> Result<String, Failure> {
    match fields.get("host_type") {
        None => Err(Failure::BadRequest("'host_type' field is missing".to_owned())),
        Some(value) => Ok(value.as_str().unwrap_or_default().to_owned()),
    }
}
