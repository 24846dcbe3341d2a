//! `/healthz` and `/readyz`, for programs that start and stop nodes.
//!
//! They require no credentials, and answer with one word.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::refusal::{NodeResult, Tag};
use crate::request::Request;
use crate::state::AppState;

/// How long the node may take. Its own deadline for the database is shorter.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Handles `GET /healthz`: whether the node answers.
pub async fn healthz(State(state): State<Arc<AppState>>) -> Response {
    match ask_in_time(&state, Request::Readiness).await {
        // A node that has too many requests answers nevertheless.
        Some(Ok(_)) => plain_text(StatusCode::OK, "ok"),
        Some(Err(refusal)) if refusal.tag == Tag::Overloaded => plain_text(StatusCode::OK, "ok"),
        Some(Err(_)) | None => plain_text(StatusCode::SERVICE_UNAVAILABLE, "the node does not answer"),
    }
}

/// Handles `GET /readyz`: whether the node serves its dynamic domains; else, the state of its service.
pub async fn readyz(State(state): State<Arc<AppState>>) -> Response {
    match readiness(&state).await {
        Some(Readiness::Ready) => plain_text(StatusCode::OK, "ready"),
        Some(Readiness::Not(service)) => plain_text(StatusCode::SERVICE_UNAVAILABLE, &service),
        None => plain_text(StatusCode::SERVICE_UNAVAILABLE, "the node does not answer"),
    }
}

/// Whether the node serves its dynamic domains.
#[derive(Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not: the state of its service.
    Not(String),
}

/// Whether the node serves its dynamic domains; `None` where it does not answer in time.
pub async fn readiness(state: &AppState) -> Option<Readiness> {
    match ask_in_time(state, Request::Readiness).await {
        Some(Ok(Value::String(ready))) if ready == "ready" => Some(Readiness::Ready),
        Some(Ok(Value::String(service))) => Some(Readiness::Not(service)),
        Some(_) | None => None,
    }
}

/// The node's answer; `None` where it does not come in time.
pub async fn ask_in_time(state: &AppState, request: Request<'_>) -> Option<NodeResult> {
    tokio::time::timeout(TIMEOUT, state.node.ask(request)).await.ok()
}

fn plain_text(status: StatusCode, word: &str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{word}\n")).into_response()
}
