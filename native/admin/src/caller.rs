//! Who asks over HTTP, how, and what of that is judged before the request itself.

use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use crate::doors::Doors;
use crate::peer::Peer;
use crate::reply::Failure;

/// The type of most that is sent and answered.
pub const JSON: &str = "application/json";

/// Who asks, and how.
pub struct Caller {
    /// From where.
    pub peer: Peer,
    /// How.
    pub method: Method,
    /// What the request says of itself.
    pub headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Failure> {
        // The server puts one into every request.
        let peer = parts.extensions.get::<Peer>().cloned().ok_or(Failure::Internal)?;
        Ok(Caller { peer, method: parts.method.clone(), headers: parts.headers.clone() })
    }
}

impl Caller {
    /// Whether this is the admin, who takes what is answered.
    pub async fn enter(&self, doors: &Doors) -> Result<(), Failure> {
        self.admit(doors).await?;
        self.takes(JSON)
    }

    /// The same for a resource that can only be read.
    pub async fn enter_to_read(&self, doors: &Doors) -> Result<(), Failure> {
        self.only(Method::GET, "GET")?;
        self.enter(doors).await
    }

    pub async fn admit(&self, doors: &Doors) -> Result<(), Failure> {
        Ok(doors.guard.admit(&self.peer, &self.headers).await?)
    }

    pub fn only(&self, allowed: Method, name: &'static str) -> Result<(), Failure> {
        if self.method == allowed { Ok(()) } else { Err(Failure::MethodNotAllowed(name)) }
    }

    /// Whether an answer of this type is taken. A missing `Accept` takes everything.
    pub fn takes(&self, kind: &str) -> Result<(), Failure> {
        let takes = |header: &str| {
            header.split(',').any(|range| {
                let mut parts = range.split(';').map(str::trim);
                let range = parts.next().unwrap_or_default();
                let refused = parts.any(|part| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0));
                [kind, "application/*", "*/*"].iter().any(|it| it.eq_ignore_ascii_case(range)) && !refused
            })
        };
        let mut accept = self.headers.get_all(ACCEPT).iter().peekable();
        match accept.peek().is_none() || accept.any(|header| header.to_str().is_ok_and(takes)) {
            true => Ok(()),
            false => Err(Failure::NotAcceptable),
        }
    }

    /// Whether the body is of one of these types.
    pub fn sends(&self, kinds: &[&str]) -> Result<(), Failure> {
        match kinds.iter().any(|kind| is_of_type(&self.headers, kind)) {
            true => Ok(()),
            false => Err(Failure::UnsupportedMediaType),
        }
    }
}

/// Whether this is a browser that was pointed here.
pub fn takes_a_page(headers: &HeaderMap) -> bool {
    let takes = |accept: &str| accept.split([',', ';']).any(|kind| kind.trim().eq_ignore_ascii_case("text/html"));
    headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(takes))
}

/// Whether the body is of this type, whatever parameters the type has (`; charset=utf-8`).
pub fn is_of_type(headers: &HeaderMap, kind: &str) -> bool {
    let sent = headers.get(CONTENT_TYPE).and_then(|sent| sent.to_str().ok());
    sent.and_then(|sent| sent.split(';').next()).is_some_and(|sent| sent.trim().eq_ignore_ascii_case(kind))
}
