//! `GET /api/changes`: what changes, as it changes, one line of NDJSON each.
//!
//! A line says which domain changed and what its row says now; an empty line, every few seconds, that nothing
//! did. The stream begins with what comes next, or behind a given event, and ends with the connection: who
//! reconnects with the last id misses nothing that the log still holds. However many watch, the node is asked by one
//! reader ([`feed`](crate::feed)).

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::Method;
use axum::response::Response;
use futures_util::stream;
use serde::Deserialize;

use super::ndjson::{self, NDJSON};
use super::refused::Refused;
use crate::caller::Caller;
use crate::doors::Doors;
use crate::feed::Watch;
use crate::reply::Failure;

/// Where to begin.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Begin {
    /// The event behind which to begin; absent, what comes next.
    after: Option<i64>,
}

/// What changes, as it changes.
#[utoipa::path(get, path = "/api/changes", tag = "node", params(Begin), responses(
    (status = 200, description = "A `Change` per line, for ever; an empty line where nothing changed for a while",
     body = String, content_type = "application/x-ndjson"),
    Refused,
))]
pub async fn changes(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    begin: Result<Query<Begin>, QueryRejection>,
) -> Result<Response, Failure> {
    caller.only(Method::GET, "GET")?;
    caller.admit(&doors).await?;
    caller.takes(NDJSON)?;
    doors.node.service().await?;
    let Query(Begin { after }) = begin.map_err(|error| Failure::BadRequest(error.body_text()))?;
    let watch = Watch::begin(&doors.feed, &doors.node, after).await?;
    // It ends when the node does not answer: who watches is not to believe that nothing changes.
    Ok(ndjson::answer(stream::unfold(watch, |mut watch| async {
        let changes = watch.changes().await.ok()?;
        Some((ndjson::lines(&changes), watch))
    })))
}
