//! `GET /`: what this server is, for browsers and for programs.
//!
//! It says what this is, whether the node serves its domains, and which paths there are. That much is public, since
//! `/readyz` and this project's documents say it, so no credentials are required. It does not show the node's name, nor
//! domains, host types or their numbers, and it does not use the database.
//!
//! The page has no script and loads nothing; its policy allows its own style alone.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::caller::accepts_html;
use crate::health::{Readiness, readiness};
use crate::response::json;
use crate::state::AppState;

const PAGE: &str = include_str!("index_page/page.html");

/// The content security policy; the hash is that of the page's style.
const POLICY: &str = "default-src 'none'; style-src 'sha256-syasYiAmEk4VQxUjjl9o1SV/XzF4lX2bqj/R7pnZpo8='; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What programs get.
#[derive(Serialize)]
struct Index<'a> {
    service: &'a str,
    ready: bool,
    doors: [&'a str; 6],
}

const DOORS: [&str; 6] =
    ["/api/domains", "/api/openapi.json", "/api/graphql", "/v1/domains/list", "/metrics", "/readyz"];

/// Handles `GET /`.
pub async fn index_page(State(state): State<Arc<AppState>>, headers: HeaderMap) -> Response {
    let readiness = readiness(&state).await;
    if !accepts_html(&headers) {
        let ready = readiness == Some(Readiness::Ready);
        return json(StatusCode::OK, &Index { service: "mongoose_domain", ready, doors: DOORS });
    }
    let state = match readiness {
        Some(Readiness::Ready) => "The node is ready: it serves its domains.".to_owned(),
        Some(Readiness::Not(state)) => {
            format!("The node is not ready: it has no domains from its database yet ({state}).")
        }
        None => "The node does not answer.".to_owned(),
    };
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, PAGE.replace("{state}", &state)).into_response()
}
