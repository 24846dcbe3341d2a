//! The GraphQL interface, `/api/graphql`, as MongooseIM's administrators know it.
//!
//! ```text
//! role ── authenticates           request ── query, variables, operation name
//!   └─ parser ── parses on a thread with a large stack; document ── what the document asks for, within bounds
//!        └─ schema ── the library's rules; validation: variables, permissions; then each field by domains
//!             └─ error ── errors with MongooseIM's codes; library_errors translates those of the library
//! ```
//!
//! An error that is found before anything is done refuses the whole request, with a status of its own and one error. A
//! response with data is always a 200, with an error for each field that failed.
//!
//! Unlike MongooseIM's, a GET changes nothing: any page could make a browser send one with the user's password. A POST
//! must have the content type of JSON, which browsers do not send to other origins without a preflight.

mod document;
mod domains;
mod error;
mod library_errors;
mod parser;
mod permissions;
mod request;
mod role;
mod scalars;
mod schema;
mod types;
mod validation;

use std::sync::{Arc, LazyLock};

use async_graphql::Value;
use async_graphql::parser::types::OperationType;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::body;
use crate::caller::{Caller, JSON, accepts_html, is_of_type};
use crate::graphql::document::Document;
use crate::graphql::error::{Code, GraphqlError};
use crate::graphql::parser::Trust;
use crate::graphql::permissions::Role;
use crate::graphql::request::GraphqlRequest;
use crate::graphql::schema::AdminSchema;
use crate::graphql::validation::ParsedRequest;
use crate::response::json;
use crate::state::AppState;

/// The body of a response.
#[derive(Serialize)]
struct ResponseBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "<[GraphqlError]>::is_empty")]
    errors: &'a [GraphqlError],
}

/// The page for browsers, which loads nothing from elsewhere.
const PAGE: &str = include_str!("graphql/page.html");

/// The page may connect to this server, load nothing, and be in no frame.
const PAGE_POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; \
                           style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SENDS_JSON: &str = "The content type must be application/json";

static SCHEMA: LazyLock<AdminSchema> = LazyLock::new(schema::schema);

/// Handles all methods of `/api/graphql`.
pub async fn endpoint(
    State(state): State<Arc<AppState>>,
    Caller { peer, method, headers }: Caller,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    if ![Method::GET, Method::POST].contains(&method) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, POST")]).into_response();
    }
    let role = match role::of(&state, &peer, &headers).await {
        Ok(role) => role,
        Err(error) => return unauthenticated(error),
    };
    let response = match method {
        Method::GET if accepts_html(&headers) => return page(),
        Method::GET => get(&state, role, &query.unwrap_or_default()).await,
        _ if !is_of_type(&headers, JSON) => return refused(&GraphqlError::new(Code::UnsupportedMediaType, SENDS_JSON)),
        _ => post(&state, role, body).await,
    };
    response.unwrap_or_else(|error| refused(&error))
}

async fn get(state: &AppState, role: Role, query_string: &str) -> Result<Response, GraphqlError> {
    let request = GraphqlRequest::from_query_string(query_string)?;
    let document = parser::parse(Trust::of(&role), &request.query, request.operation_name.clone()).await?;
    match document.kind()? {
        OperationType::Mutation => Err(GraphqlError::new(Code::UnsupportedOperation, "Mutations must be sent by POST")),
        _ => execute(state, role, request, document).await,
    }
}

async fn post(state: &AppState, role: Role, body: Body) -> Result<Response, GraphqlError> {
    let request = GraphqlRequest::from_body(&body::read(body).await?)?;
    let document = parser::parse(Trust::of(&role), &request.query, request.operation_name.clone()).await?;
    execute(state, role, request, document).await
}

async fn execute(
    state: &AppState,
    role: Role,
    request: GraphqlRequest,
    document: Document,
) -> Result<Response, GraphqlError> {
    if document.kind()? == OperationType::Subscription {
        return Err(GraphqlError::new(Code::UnsupportedOperation, "There are no subscriptions"));
    }
    let GraphqlRequest { query, variables, operation_name } = request;
    let parsed = ParsedRequest { document: document.clone(), variables: variables.clone() };
    let mut request = async_graphql::Request::new(query).variables(variables.clone());
    request.operation_name = operation_name;
    request.set_parsed_query(document.parsed.clone());
    let response = SCHEMA.execute(request.data(parsed).data(role).data(state.node.clone())).await;
    match (&response.data, response.errors.first()) {
        // Every field of the roots is nullable, so the whole is null only if nothing was executed.
        (Value::Null, Some(error)) => Err(library_errors::translated(error, &document, &variables)),
        (data, _) => {
            let errors: Vec<GraphqlError> = response.errors.iter().map(GraphqlError::of_field).collect();
            Ok(json(StatusCode::OK, &ResponseBody { data: Some(data), errors: &errors }))
        }
    }
}

fn refused(error: &GraphqlError) -> Response {
    json(error.code().status(), &ResponseBody { data: None, errors: std::slice::from_ref(error) })
}

/// MongooseIM sends these responses without a content type.
fn unauthenticated(error: GraphqlError) -> Response {
    let mut response = refused(&error);
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

fn page() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (CACHE_CONTROL, "no-store"),
    ];
    (StatusCode::OK, headers, PAGE).into_response()
}
