//! What browsers are told, and what pages of other sites may not do by them.
//!
//! A browser that was given credentials sends them along with whatever any page has it send. So a request that
//! changes something and names an origin (as browsers do then) is refused, unless that origin is this door or is
//! configured. Programs name no origin, and are not concerned.
//!
//! Without credentials there is nothing that a browser would have to know, so a page whose name was made to
//! resolve to this machine (DNS rebinding) could read everything. There, a door answers to its addresses, to `localhost`
//! and to the names of its configuration, whatever is asked, and to no other name. A request that names no host is no
//! browser's.
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

/// What a door may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Own {
    Anything,
    /// Any address, `localhost`, or one of these.
    Named(Vec<String>),
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
        let own = match (&config.credentials, &config.host_names) {
            (Some(_), names) if names.is_empty() => Own::Anything,
            (_, names) => Own::Named(names.clone()),
        };
        Arc::new(Origins { allowed, own })
    }

    /// The host that a request is for, if it is not this door.
    fn stranger<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
        let hosts = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
        uri.authority().map(Authority::as_str).into_iter().chain(hosts).find(|host| !self.is_own(host))
    }

    fn of(&self, headers: &HeaderMap) -> From {
        let Some(origin) = headers.get(ORIGIN) else { return From::Nobody };
        let Ok(origin) = origin.to_str() else { return From::Elsewhere };
        if self.allowed.iter().any(|allowed| allowed == origin) {
            return From::Allowed;
        }
        let host: Option<Authority> =
            headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse().ok());
        let origin = origin.parse::<Uri>().ok().and_then(|origin| origin.into_parts().authority);
        match (origin, host) {
            (Some(origin), Some(host)) if origin == host => From::Here,
            _ => From::Elsewhere,
        }
    }

    fn is_own(&self, host: &str) -> bool {
        let Own::Named(names) = &self.own else { return true };
        let Ok(host) = host.parse::<Authority>() else { return false };
        // The root's dot changes nothing.
        let host = host.host().trim_matches(['[', ']']).trim_end_matches('.');
        let is = |name: &str| host.eq_ignore_ascii_case(name);
        is("localhost") || host.parse::<IpAddr>().is_ok() || names.iter().any(|name| is(name))
    }
}

/// Around all doors.
pub async fn mind(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    let from = origins.of(request.headers());
    let origin = request.headers().get(ORIGIN).cloned();
    let asks_before =
        *request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let misdirected = origins.stranger(request.uri(), request.headers()).map(misdirected);
    let mut response = match (misdirected, from) {
        (Some(misdirected), _) => misdirected.into_response(),
        (None, From::Allowed) if asks_before => preflight(),
        (None, From::Elsewhere) if changes(request.method()) => {
            Failure::Forbidden("Pages of this origin may change nothing".to_owned()).into_response()
        }
        (None, _) => next.run(request).await,
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

fn misdirected(host: &str) -> Failure {
    let shown = host.escape_default();
    Failure::Misdirected(format!("This door does not answer to the name '{shown}': add it to its host_names"))
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

    fn value(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).expect("the texts below are fit for headers")
    }

    fn from(allowed: &[&str], origin: Option<&str>, host: &str) -> From {
        let origins = Origins { allowed: allowed.iter().map(|&it| it.to_owned()).collect(), own: Own::Anything };
        let mut headers = HeaderMap::from_iter([(HOST, value(host))]);
        headers.extend(origin.map(|origin| (ORIGIN, value(origin))));
        origins.of(&headers)
    }

    #[test]
    fn a_page_of_this_door_has_its_host_and_port() {
        let from = |origin, host| from(&[], Some(origin), host);
        assert_eq!(from("https://door.example:8088", "door.example:8088"), From::Here);
        assert_eq!(from("https://door.example", "DOOR.example"), From::Here);
        for origin in ["https://door.example", "https://door.example:80", "https://x.example:8088", "null", "", "x y"] {
            assert_eq!(from(origin, "door.example:8088"), From::Elsewhere, "{origin}");
        }
    }

    #[test]
    fn a_door_without_credentials_answers_to_its_own_names_alone() {
        let origins = Origins { allowed: Vec::new(), own: Own::Named(vec!["door.example".to_owned()]) };
        let stranger = |uri: &str, hosts: &[&str]| {
            let headers = hosts.iter().map(|host| (HOST, value(host))).collect();
            let uri = uri.parse().expect("the texts below are URIs");
            origins.stranger(&uri, &headers).map(str::to_owned)
        };
        for host in [
            "localhost:8088",
            "LOCALHOST",
            "127.0.0.1:8088",
            "192.0.2.1",
            "[::1]:8088",
            "Door.example:1",
            "door.example.",
        ] {
            assert_eq!(stranger("/", &[host]), None, "{host}");
        }
        for host in [
            "rebound.example:8088",
            "door.example.rebound.example",
            "127.0.0.1.example",
            "localhost.example",
            "",
            "a b",
        ] {
            assert_eq!(stranger("/", &[host]), Some(host.to_owned()));
        }
        assert_eq!(stranger("/", &[]), None, "no browser leaves it out");
        assert_eq!(stranger("/", &["localhost", "rebound.example"]), Some("rebound.example".to_owned()));
        assert_eq!(stranger("http://rebound.example/", &["localhost"]), Some("rebound.example".to_owned()));
    }

    #[test]
    fn an_origin_is_allowed_as_a_whole_or_not_at_all() {
        let allowed = ["https://a.example"];
        let from = |origin| from(&allowed, origin, "door.example");
        assert_eq!(from(Some("https://a.example")), From::Allowed);
        assert_eq!(from(None), From::Nobody);
        for origin in ["http://a.example", "https://a.example:444", "https://a.example.b", "https://b.a.example", "*"] {
            assert_eq!(from(Some(origin)), From::Elsewhere, "{origin}");
        }
    }
}
