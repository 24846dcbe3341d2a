//! `GET /api/changes`: a stream of changes, one line of NDJSON each.
//!
//! A line names a domain that changed and its row now; an empty line, every few seconds, means that nothing changed.
//! The stream begins with the next change, or after a given event, and ends with the connection: a client that
//! reconnects with the last id misses nothing that the event log still has. One task polls the node for all clients
//! ([`change_poller`](crate::change_poller)).

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::Method;
use axum::response::Response;
use futures_util::stream;
use serde::Deserialize;

use super::error_responses::ErrorResponses;
use super::ndjson::{self, NDJSON};
use crate::caller::Caller;
use crate::change_poller::Subscription;
use crate::response::ErrorResponse;
use crate::state::AppState;

/// The query of a request.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Begin {
    /// The event after which to begin; if absent, begin with the next change.
    after: Option<i64>,
}

/// A stream of changes.
#[utoipa::path(get, path = "/api/changes", tag = "node", params(Begin), responses(
    (status = 200, description = "A `Change` per line, forever; an empty line where nothing changed for a while",
     body = String, content_type = "application/x-ndjson"),
    ErrorResponses,
))]
pub async fn changes(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    begin: Result<Query<Begin>, QueryRejection>,
) -> Result<Response, ErrorResponse> {
    caller.require_method(Method::GET, "GET")?;
    caller.authenticate(&state).await?;
    caller.require_accept(NDJSON)?;
    state.node.service().await?;
    let Query(Begin { after }) = begin.map_err(|error| ErrorResponse::BadRequest(error.body_text()))?;
    let subscription = Subscription::begin(&state.changes, &state.node, after).await?;
    // When the node does not answer, the stream ends: an open stream would mean that nothing changes.
    Ok(ndjson::response(stream::unfold(subscription, |mut subscription| async {
        let changes = subscription.changes().await.ok()?;
        Some((ndjson::lines(&changes), subscription))
    })))
}
