//! `/api/domains/{domain}`: one domain, as MongooseIM 6.0 to 6.5 has it.
//!
//! What is wrong with a request is looked for in the order in which that server does it, since clients see
//! the first fault only: the method, who asks, what they take and send, whether there are dynamic domains at
//! all, the name, the body, its fields; then the API's own rules.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use domain_core::DomainName;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::body;
use crate::reply::{Failure, json};
use crate::request::{Request, Status};
use crate::router::Doors;
use crate::server::Peer;

/// What one domain can be asked for.
const METHODS: &str = "OPTIONS, GET, PATCH, PUT, DELETE";

/// A domain, as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    host_type: Option<String>,
    status: Option<Status>,
}

/// Answers everything that is asked of one domain.
pub async fn domain(
    State(doors): State<Arc<Doors>>,
    Extension(peer): Extension<Peer>,
    method: Method,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Response {
    answer(&doors, &peer, &method, &headers, path.ok().map(|Path(name)| name), body)
        .await
        .unwrap_or_else(Failure::into_response)
}

async fn answer(
    doors: &Doors,
    peer: &Peer,
    method: &Method,
    headers: &HeaderMap,
    name: Option<String>,
    body: Body,
) -> Result<Response, Failure> {
    let known = [Method::OPTIONS, Method::GET, Method::PATCH, Method::PUT, Method::DELETE];
    if !known.contains(method) {
        return Err(Failure::MethodNotAllowed(METHODS));
    }
    doors.guard.admit(peer, headers).await?;
    if method == Method::OPTIONS {
        return Ok((StatusCode::OK, [(ALLOW, METHODS)]).into_response());
    }
    takes_json(headers)?;
    if [Method::PUT, Method::PATCH].contains(method) {
        sends_json(headers)?;
    }
    doors.node.service().await?;
    let domain = name.and_then(|name| DomainName::prepare(&name).ok());
    let domain = domain.ok_or_else(|| Failure::BadRequest("Invalid domain name".to_owned()))?;
    match *method {
        Method::GET => get(doors, &domain).await,
        Method::PUT => put(doors, domain, fields(&body::read(body).await?)?).await,
        Method::PATCH => patch(doors, &domain, fields(&body::read(body).await?)?).await,
        _ => delete(doors, &domain, fields(&body::read(body).await?)?).await,
    }
}

async fn get(doors: &Doors, domain: &DomainName) -> Result<Response, Failure> {
    let details = doors.node.details(domain).await?;
    Ok(json(StatusCode::OK, &Shown { host_type: details.host_type, status: details.status }))
}

async fn put(doors: &Doors, domain: DomainName, fields: Map<String, Value>) -> Result<Response, Failure> {
    let pair = (domain, host_type(&fields)?);
    doors.node.insert(&[pair]).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn patch(doors: &Doors, domain: &DomainName, fields: Map<String, Value>) -> Result<Response, Failure> {
    let status = match fields.get("enabled") {
        None => return Err(Failure::BadRequest("'enabled' field is missing".to_owned())),
        Some(Value::Bool(true)) => Status::Enabled,
        Some(Value::Bool(false)) => Status::Disabled,
        Some(_) => return Err(Failure::BadRequest("'enabled' field is not a boolean".to_owned())),
    };
    doors.node.set_enabled(domain, status).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn delete(doors: &Doors, domain: &DomainName, fields: Map<String, Value>) -> Result<Response, Failure> {
    let host_type = host_type(&fields)?;
    let (request, done) = match fields.get("request") {
        Some(Value::Bool(true)) => (Request::BeginDelete(domain, &host_type), StatusCode::ACCEPTED),
        _ => (Request::Delete(domain, &host_type), StatusCode::NO_CONTENT),
    };
    doors.node.ask(request).await?;
    Ok(done.into_response())
}

/// A missing `Accept` takes everything.
fn takes_json(headers: &HeaderMap) -> Result<(), Failure> {
    let takes = |header: &str| {
        header.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let refused = parts.any(|part| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0));
            ["application/json", "application/*", "*/*"].iter().any(|it| it.eq_ignore_ascii_case(kind)) && !refused
        })
    };
    let mut accept = headers.get_all(ACCEPT).iter().peekable();
    match accept.peek().is_none() || accept.any(|header| header.to_str().is_ok_and(takes)) {
        true => Ok(()),
        false => Err(Failure::NotAcceptable),
    }
}

fn sends_json(headers: &HeaderMap) -> Result<(), Failure> {
    let kind = headers.get(CONTENT_TYPE).and_then(|header| header.to_str().ok()).and_then(|it| it.split(';').next());
    match kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        true => Ok(()),
        false => Err(Failure::UnsupportedMediaType),
    }
}

/// Keys that mean nothing here are left alone; of two equal ones the last counts.
fn fields(body: &Bytes) -> Result<Map<String, Value>, Failure> {
    serde_json::from_slice(body).map_err(|_| {
        tracing::warn!(what = "parse_body_failed");
        Failure::BadRequest("Invalid request body".to_owned())
    })
}

/// A value that is no text is the name of no host type, as is the empty one.
fn host_type(fields: &Map<String, Value>) -> Result<String, Failure> {
    match fields.get("host_type") {
        None => Err(Failure::BadRequest("'host_type' field is missing".to_owned())),
        Some(value) => Ok(value.as_str().unwrap_or_default().to_owned()),
    }
}
