//! `/api/status` and `/api/doctor`: what the node is doing, and what is wrong with it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::refused::Refused;
use crate::ask::typed;
use crate::caller::Caller;
use crate::doors::Doors;
use crate::reply::{Failure, json};
use crate::request::Request;

/// What a node is, and what it is doing.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Overview {
    /// The node's name.
    node: String,
    /// The version of `mongoose_domain`.
    version: String,
    /// How many domains its table has.
    domains: Counts,
    /// The host types that dynamic domains may have.
    host_types: Vec<String>,
    /// What its follower is doing, as `service_domain_db:status/0` tells.
    #[schema(value_type = Object)]
    follower: Map<String, Value>,
}

/// How many domains.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// From configuration.
    #[serde(rename = "static")]
    fixed: u64,
    /// From the database.
    dynamic: u64,
}

/// Whether all is well.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Examination {
    /// Each check.
    checks: Vec<Check>,
}

/// Something that was looked at.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Check {
    /// What.
    name: String,
    /// Whether it is well.
    state: CheckState,
    /// What was found.
    found: String,
    /// What to do about it; empty where there is nothing to do.
    advice: String,
}

/// Whether something is well.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// It is.
    Ok,
    /// It may be meant so.
    Warning,
    /// It needs somebody now.
    Failed,
}

/// What the node is, and what it is doing.
#[utoipa::path(get, path = "/api/status", tag = "node", responses(
    (status = 200, description = "What it is doing", body = Overview),
    Refused,
))]
pub async fn status(State(doors): State<Arc<Doors>>, caller: Caller) -> Result<Response, Failure> {
    caller.enter_to_read(&doors).await?;
    let overview: Overview = typed(doors.node.ask(Request::Overview).await?)?;
    Ok(json(StatusCode::OK, &overview))
}

/// What is wrong with the node and its database, and what to do about it.
#[utoipa::path(get, path = "/api/doctor", tag = "node", responses(
    (status = 200, description = "What was found", body = Examination),
    Refused,
))]
pub async fn doctor(State(doors): State<Arc<Doors>>, caller: Caller) -> Result<Response, Failure> {
    caller.enter_to_read(&doors).await?;
    let checks = typed(doors.node.ask(Request::Doctor).await?)?;
    Ok(json(StatusCode::OK, &Examination { checks }))
}
