//! `/api/domains/{domain}/removal` and `/api/removals`: the progress of removals.
//!
//! A removal is a job: it exists from the request until the domain's row is deleted, or until it failed and is
//! requested again.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::domain_name;
use super::error_responses::ErrorResponses;
use crate::caller::Caller;
use crate::model::{Removal, RemovalState};
use crate::response::{ErrorResponse, json};
use crate::state::AppState;

/// A removal.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Removal)]
pub struct RemovalResponse {
    /// The domain.
    domain: String,
    /// Its host type.
    host_type: String,
    /// Whether a node works on it.
    state: RemovalState,
    /// Why a handler failed.
    failure: Option<String>,
    /// The node that works on it.
    owner: Option<String>,
    /// How many handlers have finished.
    handlers_done: u32,
    /// How many there are.
    handlers: u32,
}

/// All removals.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Removals)]
pub struct AllRemovals {
    /// The removals that run, were abandoned, or failed.
    removals: Vec<RemovalResponse>,
}

impl From<Removal> for RemovalResponse {
    fn from(Removal { domain, host_type, state, failure, owner, handlers: (done, of) }: Removal) -> RemovalResponse {
        RemovalResponse { domain, host_type, state, failure, owner, handlers_done: done, handlers: of }
    }
}

/// The progress of a removal.
#[utoipa::path(get, path = "/api/domains/{domain}/removal", tag = "domains",
    params(("domain" = String, Path, description = "Its name", min_length = 1)),
    responses(
    (status = 200, description = "The progress", body = RemovalResponse),
    (status = 404, description = "The domain is not being removed", body = String, content_type = "application/json"),
    ErrorResponses,
))]
pub async fn one(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ErrorResponse> {
    caller.authenticate_json_get(&state).await?;
    state.node.service().await?;
    let domain = domain_name(path.ok().as_ref().map(|Path(name)| name.as_str()))?;
    Ok(json(StatusCode::OK, &RemovalResponse::from(state.node.removal(&domain).await?)))
}

/// All removals that run, were abandoned, or failed.
#[utoipa::path(get, path = "/api/removals", tag = "domains", responses(
    (status = 200, description = "All removals", body = AllRemovals),
    ErrorResponses,
))]
pub async fn all(State(state): State<Arc<AppState>>, caller: Caller) -> Result<Response, ErrorResponse> {
    caller.authenticate_json_get(&state).await?;
    state.node.service().await?;
    let removals = state.node.removals().await?.into_iter().map(RemovalResponse::from).collect();
    Ok(json(StatusCode::OK, &AllRemovals { removals }))
}
