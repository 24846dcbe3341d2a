//! `/api/freshness`: what was declared complete, and until when; to declare it.
//!
//! The same as the doors under `/v1/domains`, for people: a freshness domain is named after a host type, and
//! while it is fresh, routes that the database lacks may be removed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields;
use super::refused::Refused;
use crate::body;
use crate::caller::{Caller, JSON};
use crate::doors::Doors;
use crate::reply::{Failure, json};
use crate::request::{Freshness, FreshnessState, Request};

/// A declaration.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Freshness)]
pub struct Shown {
    /// The freshness domain: the name of a host type.
    domain: String,
    /// Whether it is fresh now.
    state: FreshnessState,
    /// Seconds until it expires: 0 once it has, null where it never does.
    seconds_left: Option<u64>,
    /// When it expires, in nanoseconds since 1970; null where it never does.
    expire_time: Option<u64>,
}

/// All declarations.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AllFreshness)]
pub struct All {
    /// Those that were ever made, the expired ones too.
    freshness: Vec<Shown>,
}

/// For how long.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Ttl {
    /// Seconds; 0 is for ever.
    #[schema(value_type = i64, minimum = 0, maximum = 4294967295_i64)]
    #[allow(dead_code, reason = "it describes the field, which is read with the others")]
    ttl: u32,
}

/// All that was ever declared.
#[utoipa::path(get, path = "/api/freshness", tag = "freshness", responses(
    (status = 200, description = "All declarations", body = All),
    Refused,
))]
pub async fn all(State(doors): State<Arc<Doors>>, caller: Caller) -> Result<Response, Failure> {
    caller.enter_to_read(&doors).await?;
    doors.node.service().await?;
    let shown = |Freshness { domain, state, expire_time, seconds_left }| {
        let (seconds_left, expire_time) = (seconds_left.finite(), expire_time.finite());
        Shown { domain, state, seconds_left, expire_time }
    };
    let freshness = doors.node.freshness().await?.into_iter().map(shown).collect();
    Ok(json(StatusCode::OK, &All { freshness }))
}

/// Declares the content for a host type complete.
#[utoipa::path(put, path = "/api/freshness/{host_type}", tag = "freshness",
    params(("host_type" = String, Path, description = "Its name", min_length = 1)),
    request_body = Ttl,
    responses(
    (status = 204, description = "It is declared"),
    Refused,
))]
pub async fn one(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, Failure> {
    caller.only(Method::PUT, "PUT")?;
    caller.enter(&doors).await?;
    caller.sends(&[JSON])?;
    doors.node.service().await?;
    let Path(host_type) = path.map_err(|_| Failure::BadRequest("Invalid field: domain".to_owned()))?;
    let ttl = match fields(&body::read(body).await?)?.get("ttl") {
        None => return Err(Failure::BadRequest("'ttl' field is missing".to_owned())),
        Some(ttl) => {
            ttl_of(ttl).ok_or_else(|| Failure::BadRequest("'ttl' field is no number of seconds".to_owned()))?
        }
    };
    doors.node.ask(Request::UpsertFreshness(host_type.as_bytes(), ttl)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn ttl_of(ttl: &Value) -> Option<u32> {
    u32::try_from(ttl.as_u64()?).ok()
}
