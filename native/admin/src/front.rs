//! `GET /`: what somebody is told who opens the door in a browser, and a program that looks what is here.
//!
//! What this is, whether the node serves its domains, and where the doors are: that much can be learnt from `/readyz` and
//! this project's documents, so nobody is asked for credentials. What the node is called, which domains and host types it
//! has, and how many, is not told here. Nothing is asked of the database.
//!
//! The page has no script and loads nothing; its policy lets no more than its own style in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::caller::takes_a_page;
use crate::doors::Doors;
use crate::metrics::{Readiness, readiness};
use crate::reply::json;

const PAGE: &str = include_str!("front/page.html");

/// The hash is that of the page's style.
const POLICY: &str = "default-src 'none'; style-src 'sha256-syasYiAmEk4VQxUjjl9o1SV/XzF4lX2bqj/R7pnZpo8='; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The same for programs.
#[derive(Serialize)]
struct Front<'a> {
    service: &'a str,
    ready: bool,
    doors: [&'a str; 6],
}

const DOORS: [&str; 6] =
    ["/api/domains", "/api/openapi.json", "/api/graphql", "/v1/domains/list", "/metrics", "/readyz"];

/// Says so.
pub async fn front(State(doors): State<Arc<Doors>>, headers: HeaderMap) -> Response {
    let readiness = readiness(&doors).await;
    if !takes_a_page(&headers) {
        let ready = readiness == Some(Readiness::Ready);
        return json(StatusCode::OK, &Front { service: "mongoose_domain", ready, doors: DOORS });
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
