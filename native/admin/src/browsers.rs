//! What browsers are told, and what pages of other sites may not do by them.
//!
//! A browser that was given credentials sends them along with whatever any page has it send. So a request that
//! changes something and names an origin (as browsers do then) is refused, unless that origin is this door or is
//! configured. Programs name no origin, and are not concerned.
//!
//! Without credentials there is nothing that a browser would have to know, so a page whose name was made to
//! resolve to this machine could pass for this door: there, a door is its own origin by address, or as
//! `localhost`, but not by another name.
//!
//! Scripts of configured origins may read answers (CORS); without any, no header speaks of that. An origin is
//! compared as a whole, and answered by name, since `*` would not do for requests with credentials.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, HOST, ORIGIN,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::Config;
use crate::reply::Failure;

/// Knows which pages may do what.
pub struct Origins {
    allowed: Vec<String>,
    own: Own,
}

/// How a door may be called to be the origin of its own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    ByAnyName,
    ByAddress,
}

/// Who has a browser send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// Nobody, as far as it says.
    Nobody,
    /// A page of this door.
    Here,
    /// A page of a configured origin.
    Allowed,
    /// Another page.
    Elsewhere,
}

impl Origins {
    /// Those of the configuration.
    pub fn new(config: &Config) -> Arc<Origins> {
        // People end a URL with a slash; an origin has none, and is in lower case.
        let allowed = config.allowed_origins.iter().map(|it| it.trim_end_matches('/').to_ascii_lowercase()).collect();
        let own = if config.credentials.is_some() { Own::ByAnyName } else { Own::ByAddress };
        Arc::new(Origins { allowed, own })
    }

    fn of(&self, headers: &HeaderMap) -> From {
        let Some(origin) = headers.get(ORIGIN) else { return From::Nobody };
        let Ok(origin) = origin.to_str() else { return From::Elsewhere };
        if self.allowed.iter().any(|allowed| allowed == origin) {
            return From::Allowed;
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse().ok());
        let origin = origin.parse::<Uri>().ok().and_then(|origin| origin.into_parts().authority);
        match (origin, host) {
            (Some(origin), Some(host)) if origin == host && self.is_own(&host) => From::Here,
            _ => From::Elsewhere,
        }
    }

    fn is_own(&self, host: &Authority) -> bool {
        let host = host.host().trim_matches(['[', ']']);
        self.own == Own::ByAnyName || host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
    }
}

/// Around all doors.
pub async fn mind(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    let from = origins.of(request.headers());
    let origin = request.headers().get(ORIGIN).cloned();
    let asks_before =
        *request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match from {
        From::Allowed if asks_before => preflight(),
        From::Elsewhere if changes(request.method()) => {
            Failure::Forbidden("Pages of this origin may change nothing".to_owned()).into_response()
        }
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if !origins.allowed.is_empty() {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    if let (From::Allowed, Some(origin)) = (from, origin) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn changes(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(own: Own, allowed: &[&str], origin: Option<&str>, host: &str) -> From {
        let origins = Origins { allowed: allowed.iter().map(|&it| it.to_owned()).collect(), own };
        let value = |text: &str| HeaderValue::from_str(text).expect("the texts below are fit for headers");
        let mut headers = HeaderMap::from_iter([(HOST, value(host))]);
        headers.extend(origin.map(|origin| (ORIGIN, value(origin))));
        origins.of(&headers)
    }

    #[test]
    fn a_page_of_this_door_has_its_host_and_port() {
        let from = |origin, host| from(Own::ByAnyName, &[], Some(origin), host);
        assert_eq!(from("https://door.example:8088", "door.example:8088"), From::Here);
        assert_eq!(from("https://door.example", "DOOR.example"), From::Here);
        for origin in ["https://door.example", "https://door.example:80", "https://x.example:8088", "null", "", "x y"] {
            assert_eq!(from(origin, "door.example:8088"), From::Elsewhere, "{origin}");
        }
    }

    #[test]
    fn without_credentials_a_name_is_no_proof() {
        let from = |origin, host| from(Own::ByAddress, &[], Some(origin), host);
        assert_eq!(from("http://localhost:8088", "localhost:8088"), From::Here);
        assert_eq!(from("http://127.0.0.1:8088", "127.0.0.1:8088"), From::Here);
        assert_eq!(from("http://[::1]:8088", "[::1]:8088"), From::Here);
        assert_eq!(from("http://rebound.example:8088", "rebound.example:8088"), From::Elsewhere);
    }

    #[test]
    fn an_origin_is_allowed_as_a_whole_or_not_at_all() {
        let allowed = ["https://a.example"];
        let from = |origin| from(Own::ByAnyName, &allowed, origin, "door.example");
        assert_eq!(from(Some("https://a.example")), From::Allowed);
        assert_eq!(from(None), From::Nobody);
        for origin in ["http://a.example", "https://a.example:444", "https://a.example.b", "https://b.a.example", "*"] {
            assert_eq!(from(Some(origin)), From::Elsewhere, "{origin}");
        }
    }
}
