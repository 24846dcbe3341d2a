//! The client of a request: its address, its headers, and what is checked before a handler reads the request.

use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use crate::peer::Peer;
use crate::response::ErrorResponse;
use crate::state::AppState;

/// The media type of most bodies.
pub const JSON: &str = "application/json";

/// The client of a request.
pub struct Caller {
    /// The other end of the connection.
    pub peer: Peer,
    /// The request's method.
    pub method: Method,
    /// The request's headers.
    pub headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, ErrorResponse> {
        // The server puts a `Peer` into every request.
        let peer = parts.extensions.get::<Peer>().cloned().ok_or(ErrorResponse::Internal)?;
        Ok(Caller { peer, method: parts.method.clone(), headers: parts.headers.clone() })
    }
}

impl Caller {
    /// Requires the admin's credentials.
    pub async fn authenticate(&self, state: &AppState) -> Result<(), ErrorResponse> {
        Ok(state.authenticator.authenticate(&self.peer, &self.headers).await?)
    }

    /// Requires the admin's credentials, and that the client accepts JSON.
    pub async fn authenticate_json(&self, state: &AppState) -> Result<(), ErrorResponse> {
        self.authenticate(state).await?;
        self.require_accept(JSON)
    }

    /// The same for a resource that can only be read.
    pub async fn authenticate_json_get(&self, state: &AppState) -> Result<(), ErrorResponse> {
        self.require_method(Method::GET, "GET")?;
        self.authenticate_json(state).await
    }

    /// Requires this method.
    pub fn require_method(&self, allowed: Method, name: &'static str) -> Result<(), ErrorResponse> {
        if self.method == allowed { Ok(()) } else { Err(ErrorResponse::MethodNotAllowed(name)) }
    }

    /// Requires that the client accepts a response of this media type. A missing `Accept` accepts everything.
    pub fn require_accept(&self, kind: &str) -> Result<(), ErrorResponse> {
        let accepts = |header: &str| {
            header.split(',').any(|range| {
                let mut parts = range.split(';').map(str::trim);
                let range = parts.next().unwrap_or_default();
                let refused = parts.any(|part| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0));
                [kind, "application/*", "*/*"].iter().any(|it| it.eq_ignore_ascii_case(range)) && !refused
            })
        };
        let mut accept = self.headers.get_all(ACCEPT).iter().peekable();
        match accept.peek().is_none() || accept.any(|header| header.to_str().is_ok_and(accepts)) {
            true => Ok(()),
            false => Err(ErrorResponse::NotAcceptable),
        }
    }

    /// Requires a body of one of these media types.
    pub fn require_content_type(&self, kinds: &[&str]) -> Result<(), ErrorResponse> {
        match kinds.iter().any(|kind| is_of_type(&self.headers, kind)) {
            true => Ok(()),
            false => Err(ErrorResponse::UnsupportedMediaType),
        }
    }
}

/// Whether the client is a browser that a person has pointed here: it asks for HTML.
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let accepts = |accept: &str| accept.split([',', ';']).any(|kind| kind.trim().eq_ignore_ascii_case("text/html"));
    headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(accepts))
}

/// Whether the body is of this media type, with any parameters (`; charset=utf-8`).
pub fn is_of_type(headers: &HeaderMap, kind: &str) -> bool {
    let sent = headers.get(CONTENT_TYPE).and_then(|sent| sent.to_str().ok());
    sent.and_then(|sent| sent.split(';').next()).is_some_and(|sent| sent.trim().eq_ignore_ascii_case(kind))
}
