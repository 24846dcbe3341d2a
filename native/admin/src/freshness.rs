//! `/v1/ping`, `/v1/domains/upsert` and `/v1/domains/list`: freshness, in the protocol of Diego's BBS.
//!
//! A client declares that the rows of a host type are complete for so many seconds; `mongoose_domain_freshness` says
//! what follows from that. The response is always a 200 with the error inside, where such clients expect it. Only a
//! request that is not read at all gets another status (405, 401, 403, 429, 408, 413). Bodies are protobuf, or JSON if
//! the request's content type says so.
//!
//! Such a client sends no credentials but a certificate. Its `X-Vcap-Request-Id` is logged with what it declares.

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
use crate::body;
use crate::caller::{Caller, JSON, is_of_type};
use crate::node_calls::typed;
use crate::refusal::{Refusal, Tag};
use crate::request::Request;
use crate::response::{ErrorResponse, json};
use crate::state::AppState;

/// Diego's message for an error whose reason is in the log.
const UNKNOWN: &str = "the request failed for an unknown reason";

/// Diego's message for a body that does not parse.
const INVALID: &str = "the request received is invalid";

/// The longest request id that is logged, in bytes.
const MAX_ID_BYTES: usize = 128;

/// The encoding of a request's body and its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

/// Handles `/v1/ping`.
pub async fn ping(State(state): State<Arc<AppState>>, caller: Caller) -> Result<Response, ErrorResponse> {
    caller.require_method(Method::GET, "GET")?;
    state.authenticator.authenticate_or_certificate(&caller.peer, &caller.headers).await?;
    Ok(Encoding::of(&caller.headers).response(&PingResponse { available: true }))
}

/// Handles `/v1/domains/upsert`: declares a host type fresh.
pub async fn upsert(State(state): State<Arc<AppState>>, caller: Caller, body: Body) -> Response {
    let encoding = Encoding::of(&caller.headers);
    match checked_body(&state, &caller, body).await {
        Ok(body) => {
            let error = declare(&state, &caller.headers, encoding.read(&body)).await.err();
            encoding.response(&UpsertDomainResponse { error })
        }
        Err(failure) => failure.into_response(),
    }
}

/// Handles `/v1/domains/list`: the host types that are fresh now.
pub async fn list(State(state): State<Arc<AppState>>, caller: Caller, body: Body) -> Response {
    match checked_body(&state, &caller, body).await {
        Ok(_) => Encoding::of(&caller.headers).response(&match fresh(&state).await {
            Ok(domains) => DomainsResponse { error: None, domains },
            Err(refusal) => DomainsResponse { error: Some(refusal.into()), domains: Vec::new() },
        }),
        Err(failure) => failure.into_response(),
    }
}

/// The body of a request, after its method and the client are checked.
async fn checked_body(state: &AppState, caller: &Caller, body: Body) -> Result<Bytes, ErrorResponse> {
    caller.require_method(Method::POST, "POST")?;
    state.authenticator.authenticate_or_certificate(&caller.peer, &caller.headers).await?;
    Ok(body::read(body).await?)
}

async fn declare(state: &AppState, headers: &HeaderMap, request: Option<UpsertDomainRequest>) -> Result<(), Error> {
    let UpsertDomainRequest { domain, ttl } = request.ok_or_else(|| ErrorType::InvalidRequest.with_message(INVALID))?;
    state.node.ask(Request::UpsertFreshness(domain.as_bytes(), ttl)).await?;
    tracing::debug!(what = "domain_freshness_request", domain, ttl, request_id = request_id(headers));
    Ok(())
}

async fn fresh(state: &AppState) -> Result<Vec<String>, Refusal> {
    typed(state.node.ask(Request::Fresh).await?)
}

/// The client's id of the request: its printable characters, up to a limit.
fn request_id(headers: &HeaderMap) -> String {
    let id = headers.get("x-vcap-request-id").map(|id| id.as_bytes()).unwrap_or_default();
    id.iter().copied().filter(u8::is_ascii_graphic).map(char::from).take(MAX_ID_BYTES).collect()
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Encoding {
        if is_of_type(headers, JSON) { Encoding::Json } else { Encoding::Protobuf }
    }

    fn read(self, body: &Bytes) -> Option<UpsertDomainRequest> {
        match self {
            Encoding::Protobuf => UpsertDomainRequest::decode(body.as_ref()).ok(),
            Encoding::Json => UpsertDomainRequest::from_json(body),
        }
    }

    fn response<T: Message + Serialize>(self, message: &T) -> Response {
        match self {
            Encoding::Protobuf => ([(CONTENT_TYPE, "application/x-protobuf")], message.encode_to_vec()).into_response(),
            Encoding::Json => json(StatusCode::OK, message),
        }
    }
}

impl ErrorType {
    fn with_message(self, message: &str) -> Error {
        Error { kind: self.into(), message: message.to_owned() }
    }
}

impl From<Refusal> for Error {
    fn from(Refusal { tag, text }: Refusal) -> Error {
        match tag {
            Tag::InvalidRequest => ErrorType::InvalidRequest.with_message(&text),
            _ => {
                tracing::warn!(what = "domain_freshness_request_failed", ?tag, text);
                ErrorType::UnknownError.with_message(UNKNOWN)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_request_id_is_logged_without_unprintable_characters_and_not_in_full_length() {
        let id = |bytes: &[u8]| {
            let value = HeaderValue::from_bytes(bytes).expect("a header may hold all but control characters");
            request_id(&HeaderMap::from_iter([("x-vcap-request-id".parse().expect("a name"), value)]))
        };
        assert_eq!(id(b"a-1:b\t c\xff"), "a-1:bc");
        assert_eq!(id(&[b'x'; 1000]), "x".repeat(MAX_ID_BYTES));
        assert_eq!(request_id(&HeaderMap::new()), "");
    }
}
