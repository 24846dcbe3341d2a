//! `/api/status` and `/api/doctor`: the status of the node, and what is wrong with it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error_responses::ErrorResponses;
use crate::caller::Caller;
use crate::node_calls::typed;
use crate::request::Request;
use crate::response::{ErrorResponse, json};
use crate::state::AppState;

/// The status of a node.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Overview {
    /// The node's name.
    node: String,
    /// The version of `mongoose_domain`.
    version: String,
    /// The number of domains in its table.
    domains: Counts,
    /// The host types that dynamic domains may have.
    host_types: Vec<String>,
    /// The status of its follower, as of `service_domain_db:status/0`.
    #[schema(value_type = Object)]
    follower: Map<String, Value>,
}

/// Numbers of domains.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// From the configuration.
    r#static: u64,
    /// From the database.
    dynamic: u64,
}

/// The result of the doctor's checks.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Examination {
    /// The checks.
    checks: Vec<Check>,
}

/// A check.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Check {
    /// Its name.
    name: String,
    /// Its result.
    state: CheckState,
    /// What it found.
    found: String,
    /// What to do; empty if nothing is wrong.
    advice: String,
}

/// The result of a check.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// Nothing is wrong.
    Ok,
    /// It may be intended.
    Warning,
    /// A person must act.
    Failed,
}

/// The status of the node.
#[utoipa::path(get, path = "/api/status", tag = "node", responses(
    (status = 200, description = "The status", body = Overview),
    ErrorResponses,
))]
pub async fn status(State(state): State<Arc<AppState>>, caller: Caller) -> Result<Response, ErrorResponse> {
    caller.authenticate_json_get(&state).await?;
    let overview: Overview = typed(state.node.ask(Request::Overview).await?)?;
    Ok(json(StatusCode::OK, &overview))
}

/// What is wrong with the node and its database, and what to do about it.
#[utoipa::path(get, path = "/api/doctor", tag = "node", responses(
    (status = 200, description = "What was found", body = Examination),
    ErrorResponses,
))]
pub async fn doctor(State(state): State<Arc<AppState>>, caller: Caller) -> Result<Response, ErrorResponse> {
    caller.authenticate_json_get(&state).await?;
    let checks = typed(state.node.ask(Request::Doctor).await?)?;
    Ok(json(StatusCode::OK, &Examination { checks }))
}
