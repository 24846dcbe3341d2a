//! `/api/graphql`: all that the doors can do with domains, as MongooseIM's admins know it.
//!
//! ```text
//! role ── who asks              asked ── query, variables, operation
//!   └─ parser ── where no document can end the program; document ── what it asks for, within bounds
//!        └─ schema ── the library's rules; the gate: variables, permissions; then each field by domains
//!             └─ fault ── what went wrong, in the peer's codes; explain translates what the library says
//! ```
//!
//! What is wrong before anything is done refuses the whole request, with a status of its own and one error; an
//! answer with data is always a 200, with an error for each field that failed.
//!
//! Unlike the peer, a GET changes nothing: a browser that knows the password would be made to send one by any
//! page. A POST must have JSON's content type, which no page may send elsewhere unasked.

mod asked;
mod document;
mod domains;
mod explain;
mod fault;
mod gate;
mod parser;
mod permissions;
mod role;
mod scalars;
mod schema;

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
use crate::caller::{Caller, JSON, is_of_type, takes_a_page};
use crate::doors::Doors;
use crate::graphql::asked::Query;
use crate::graphql::document::Document;
use crate::graphql::fault::{Code, Fault};
use crate::graphql::gate::Asked;
use crate::graphql::parser::Asker;
use crate::graphql::permissions::Role;
use crate::graphql::schema::AdminSchema;
use crate::reply::json;

/// What is answered to programs.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
}

/// What is shown to people: a page that needs nothing from elsewhere.
const PAGE: &str = include_str!("graphql/page.html");

/// The page may talk to this server, and nothing may be put around it or loaded into it.
const PAGE_POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; \
                           style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SENDS_JSON: &str = "The content type must be application/json";

static SCHEMA: LazyLock<AdminSchema> = LazyLock::new(schema::schema);

/// Answers whatever is asked at the endpoint.
pub async fn endpoint(
    State(doors): State<Arc<Doors>>,
    Caller { peer, method, headers }: Caller,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    if ![Method::GET, Method::POST].contains(&method) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, POST")]).into_response();
    }
    let role = match role::of(&doors, &peer, &headers).await {
        Ok(role) => role,
        Err(fault) => return unknown(fault),
    };
    let answered = match method {
        Method::GET if takes_a_page(&headers) => return page(),
        Method::GET => get(&doors, role, &query.unwrap_or_default()).await,
        _ if !is_of_type(&headers, JSON) => return refused(&Fault::new(Code::UnsupportedMediaType, SENDS_JSON)),
        _ => post(&doors, role, body).await,
    };
    answered.unwrap_or_else(|fault| refused(&fault))
}

async fn get(doors: &Doors, role: Role, query: &str) -> Result<Response, Fault> {
    let query = Query::from_query_string(query)?;
    let document = parser::parse(Asker::of(&role), &query.text, query.operation.clone()).await?;
    match document.kind()? {
        OperationType::Mutation => Err(Fault::new(Code::UnsupportedOperation, "Mutations must be sent by POST")),
        _ => execute(doors, role, query, document).await,
    }
}

async fn post(doors: &Doors, role: Role, body: Body) -> Result<Response, Fault> {
    let query = Query::from_body(&body::read(body).await?)?;
    let document = parser::parse(Asker::of(&role), &query.text, query.operation.clone()).await?;
    execute(doors, role, query, document).await
}

async fn execute(doors: &Doors, role: Role, query: Query, document: Document) -> Result<Response, Fault> {
    if document.kind()? == OperationType::Subscription {
        return Err(Fault::new(Code::UnsupportedOperation, "There are no subscriptions"));
    }
    let asked = Asked { document: document.clone(), variables: query.variables.clone() };
    let mut request = async_graphql::Request::new(query.text).variables(query.variables.clone());
    request.operation_name = query.operation;
    request.set_parsed_query(document.parsed.clone());
    let answer = SCHEMA.execute(request.data(asked).data(role).data(doors.node.clone())).await;
    match (&answer.data, answer.errors.first()) {
        // Every field at the top may be null, so an answer of null is none: nothing was done.
        (Value::Null, Some(error)) => Err(explain::refused(error, &document, &query.variables)),
        (data, _) => {
            let errors: Vec<Fault> = answer.errors.iter().map(Fault::of_field).collect();
            Ok(json(StatusCode::OK, &Answer { data: Some(data), errors: &errors }))
        }
    }
}

fn refused(fault: &Fault) -> Response {
    json(fault.code().status(), &Answer { data: None, errors: std::slice::from_ref(fault) })
}

/// The peer gives these answers no content type.
fn unknown(fault: Fault) -> Response {
    let mut response = refused(&fault);
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
