//! `/api/freshness`: which host types are declared complete, and until when.
//!
//! The same as `/v1/domains`, for people. While a host type is fresh, routes that the database does not contain may be
//! removed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error_responses::ErrorResponses;
use super::fields;
use crate::body;
use crate::caller::{Caller, JSON};
use crate::model::{Freshness, FreshnessState};
use crate::request::Request;
use crate::response::{ErrorResponse, json};
use crate::state::AppState;

/// A declaration.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Freshness)]
pub struct Declaration {
    /// The freshness domain: the name of a host type.
    domain: String,
    /// Whether it is in force.
    state: FreshnessState,
    /// Seconds until it expires: 0 when it has expired, null when it never does.
    seconds_left: Option<u64>,
    /// When it expires, in nanoseconds since 1970; null when it never does.
    expire_time: Option<u64>,
}

/// All declarations.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AllFreshness)]
pub struct AllDeclarations {
    /// The declarations, with those that have expired.
    freshness: Vec<Declaration>,
}

/// The body of [`one`].
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = Ttl)]
pub struct TtlBody {
    /// Seconds; 0 is forever.
    #[schema(value_type = i64, minimum = 0, maximum = 4294967295_i64)]
    #[allow(dead_code, reason = "it describes the field, which is read with the others")]
    ttl: u32,
}

/// All declarations.
#[utoipa::path(get, path = "/api/freshness", tag = "freshness", responses(
    (status = 200, description = "All declarations", body = AllDeclarations),
    ErrorResponses,
))]
pub async fn all(State(state): State<Arc<AppState>>, caller: Caller) -> Result<Response, ErrorResponse> {
    caller.authenticate_json_get(&state).await?;
    state.node.service().await?;
    let declaration = |Freshness { domain, state, expire_time, seconds_left }| {
        let (seconds_left, expire_time) = (seconds_left.finite(), expire_time.finite());
        Declaration { domain, state, seconds_left, expire_time }
    };
    let freshness = state.node.freshness().await?.into_iter().map(declaration).collect();
    Ok(json(StatusCode::OK, &AllDeclarations { freshness }))
}

/// Declares the rows of a host type complete.
#[utoipa::path(put, path = "/api/freshness/{host_type}", tag = "freshness",
    params(("host_type" = String, Path, description = "Its name", min_length = 1)),
    request_body = TtlBody,
    responses(
    (status = 204, description = "It is declared"),
    ErrorResponses,
))]
pub async fn one(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, ErrorResponse> {
    caller.require_method(Method::PUT, "PUT")?;
    caller.authenticate_json(&state).await?;
    caller.require_content_type(&[JSON])?;
    state.node.service().await?;
    let Path(host_type) = path.map_err(|_| ErrorResponse::BadRequest("Invalid field: domain".to_owned()))?;
    let ttl = match fields(&body::read(body).await?)?.get("ttl") {
        None => return Err(ErrorResponse::BadRequest("'ttl' field is missing".to_owned())),
        Some(ttl) => {
            ttl_of(ttl).ok_or_else(|| ErrorResponse::BadRequest("'ttl' field is no number of seconds".to_owned()))?
        }
    };
    state.node.ask(Request::UpsertFreshness(host_type.as_bytes(), ttl)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn ttl_of(ttl: &Value) -> Option<u32> {
    u32::try_from(ttl.as_u64()?).ok()
}
