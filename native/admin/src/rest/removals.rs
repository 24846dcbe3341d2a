//! `/api/domains/{domain}/removal` and `/api/removals`: how far removals are.
//!
//! A removal is a job: it is there from the request until the domain's row is gone, or until it failed and is
//! requested again.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::domain_name;
use super::refused::Refused;
use crate::caller::Caller;
use crate::doors::Doors;
use crate::reply::{Failure, json};
use crate::request::{Removal, RemovalState};

/// A removal.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Removal)]
pub struct Shown {
    /// The domain.
    domain: String,
    /// Its host type.
    host_type: String,
    /// Whether anybody works on it.
    state: RemovalState,
    /// Why a handler failed.
    failure: Option<String>,
    /// The node that works on it.
    owner: Option<String>,
    /// How many handlers are done.
    handlers_done: u32,
    /// How many there are.
    handlers: u32,
}

/// All removals.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Removals)]
pub struct All {
    /// Those that run, were left, or failed.
    removals: Vec<Shown>,
}

impl From<Removal> for Shown {
    fn from(Removal { domain, host_type, state, failure, owner, handlers: (done, of) }: Removal) -> Shown {
        Shown { domain, host_type, state, failure, owner, handlers_done: done, handlers: of }
    }
}

/// How far the removal of a domain is.
#[utoipa::path(get, path = "/api/domains/{domain}/removal", tag = "domains",
    params(("domain" = String, Path, description = "Its name", min_length = 1)),
    responses(
    (status = 200, description = "How far it is", body = Shown),
    (status = 404, description = "Nobody removes it", body = String, content_type = "application/json"),
    Refused,
))]
pub async fn one(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    caller.enter_to_read(&doors).await?;
    doors.node.service().await?;
    let domain = domain_name(path.ok().as_ref().map(|Path(name)| name.as_str()))?;
    Ok(json(StatusCode::OK, &Shown::from(doors.node.removal(&domain).await?)))
}

/// All removals that run, were left, or failed.
#[utoipa::path(get, path = "/api/removals", tag = "domains", responses(
    (status = 200, description = "All removals", body = All),
    Refused,
))]
pub async fn all(State(doors): State<Arc<Doors>>, caller: Caller) -> Result<Response, Failure> {
    caller.enter_to_read(&doors).await?;
    doors.node.service().await?;
    let removals = doors.node.removals().await?.into_iter().map(Shown::from).collect();
    Ok(json(StatusCode::OK, &All { removals }))
}
