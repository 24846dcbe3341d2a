//! `/v1/ping`, `/v1/domains/upsert` and `/v1/domains/list`: freshness, as the clients of Diego's BBS speak it.
//!
//! A client declares that what the database holds for a host type is complete, for so many seconds; see
//! `mongoose_domain_freshness` for what follows from it. The answer is always 200, with the error inside: those
//! clients look there. Only what keeps a request from being read at all has another code (405, 401, 403, 429, 408,
//! 413). Bodies are protobuf, or JSON where the request says that it is.
//!
//! Such a client sends no credentials: it is known by its certificate. Its `X-Vcap-Request-Id` goes into the log
//! with what it declared.

mod messages;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use prost::Message;
use serde::Serialize;

use self::messages::{DomainsResponse, Error, ErrorType, PingResponse, UpsertDomainRequest, UpsertDomainResponse};
use crate::ask::typed;
use crate::body;
use crate::caller::{Caller, JSON, is_of_type};
use crate::doors::Doors;
use crate::reply::{Failure, json};
use crate::request::{Refusal, Request, Tag};

/// What Diego calls an error whose reason is in the log.
const UNKNOWN: &str = "the request failed for an unknown reason";

/// What it says of a body that does not parse.
const INVALID: &str = "the request received is invalid";

/// What is logged of a request's id, in bytes.
const ID_BYTES: usize = 128;

/// How the bodies of an exchange are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

/// Says that the door is there, to who may come in.
pub async fn ping(State(doors): State<Arc<Doors>>, caller: Caller) -> Result<Response, Failure> {
    caller.only(Method::GET, "GET")?;
    doors.guard.admit_certified(&caller.peer, &caller.headers).await?;
    Ok(Form::of(&caller.headers).answer(&PingResponse { available: true }))
}

/// Declares a domain fresh.
pub async fn upsert(State(doors): State<Arc<Doors>>, caller: Caller, body: Body) -> Response {
    let form = Form::of(&caller.headers);
    match admitted(&doors, &caller, body).await {
        Ok(body) => {
            let error = declare(&doors, &caller.headers, form.read(&body)).await.err();
            form.answer(&UpsertDomainResponse { error })
        }
        Err(failure) => failure.into_response(),
    }
}

/// The domains that are fresh now.
pub async fn list(State(doors): State<Arc<Doors>>, caller: Caller, body: Body) -> Response {
    match admitted(&doors, &caller, body).await {
        Ok(_) => Form::of(&caller.headers).answer(&match fresh(&doors).await {
            Ok(domains) => DomainsResponse { error: None, domains },
            Err(refusal) => DomainsResponse { error: Some(refusal.into()), domains: Vec::new() },
        }),
        Err(failure) => failure.into_response(),
    }
}

/// The body of a request that may be made.
async fn admitted(doors: &Doors, caller: &Caller, body: Body) -> Result<Bytes, Failure> {
    caller.only(Method::POST, "POST")?;
    doors.guard.admit_certified(&caller.peer, &caller.headers).await?;
    Ok(body::read(body).await?)
}

async fn declare(doors: &Doors, headers: &HeaderMap, request: Option<UpsertDomainRequest>) -> Result<(), Error> {
    let UpsertDomainRequest { domain, ttl } = request.ok_or_else(|| ErrorType::InvalidRequest.saying(INVALID))?;
    doors.node.ask(Request::UpsertFreshness(domain.as_bytes(), ttl)).await?;
    tracing::debug!(what = "domain_freshness_request", domain, ttl, request_id = request_id(headers));
    Ok(())
}

async fn fresh(doors: &Doors) -> Result<Vec<String>, Refusal> {
    typed(doors.node.ask(Request::Fresh).await?)
}

/// The id that the client gave the request, as far as it can be shown.
fn request_id(headers: &HeaderMap) -> String {
    let id = headers.get("x-vcap-request-id").map(|id| id.as_bytes()).unwrap_or_default();
    id.iter().copied().filter(u8::is_ascii_graphic).map(char::from).take(ID_BYTES).collect()
}

impl Form {
    fn of(headers: &HeaderMap) -> Form {
        if is_of_type(headers, JSON) { Form::Json } else { Form::Protobuf }
    }

    fn read(self, body: &Bytes) -> Option<UpsertDomainRequest> {
        match self {
            Form::Protobuf => UpsertDomainRequest::decode(body.as_ref()).ok(),
            Form::Json => UpsertDomainRequest::from_json(body),
        }
    }

    fn answer<T: Message + Serialize>(self, message: &T) -> Response {
        match self {
            Form::Protobuf => ([(CONTENT_TYPE, "application/x-protobuf")], message.encode_to_vec()).into_response(),
            Form::Json => json(StatusCode::OK, message),
        }
    }
}

impl ErrorType {
    fn saying(self, message: &str) -> Error {
        Error { kind: self.into(), message: message.to_owned() }
    }
}

impl From<Refusal> for Error {
    fn from(Refusal { tag, text }: Refusal) -> Error {
        match tag {
            Tag::InvalidRequest => ErrorType::InvalidRequest.saying(&text),
            _ => {
                tracing::warn!(what = "domain_freshness_request_failed", ?tag, text);
                ErrorType::UnknownError.saying(UNKNOWN)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn of_a_requests_id_what_is_printable_is_logged_and_not_too_much() {
        let id = |bytes: &[u8]| {
            let value = HeaderValue::from_bytes(bytes).expect("a header may hold all but control characters");
            request_id(&HeaderMap::from_iter([("x-vcap-request-id".parse().expect("a name"), value)]))
        };
        assert_eq!(id(b"a-1:b\t c\xff"), "a-1:bc");
        assert_eq!(id(&[b'x'; 1000]), "x".repeat(ID_BYTES));
        assert_eq!(request_id(&HeaderMap::new()), "");
    }
}
