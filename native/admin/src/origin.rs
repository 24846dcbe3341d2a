//! Protects browsers: which host names and origins a request may have.
//!
//! A browser that has credentials for this server sends them with every request that any page makes. So a request that
//! changes something and has an `Origin` header is refused, unless that origin is this server or is configured.
//! Programs that are no browsers send no such header.
//!
//! Without credentials, a page whose name was made to resolve to this machine (DNS rebinding) could read everything. So
//! a server without credentials answers only requests for its addresses, `localhost` and the configured `host_names`. A
//! request without a host name is not from a browser and passes.
//!
//! Scripts of configured origins may read responses (CORS). The response names the origin, because browsers do not
//! accept `*` for requests with credentials.
//!
//! `tower_http::cors` does not fit: it answers every `OPTIONS` request itself, but `OPTIONS /api/domains/{domain}` is a
//! request of the REST interface, and it lists the allowed methods to every origin.

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
use crate::response::ErrorResponse;

/// Which host names and origins a request may have.
pub struct OriginPolicy {
    allowed: Vec<String>,
    own_names: OwnNames,
}

/// The names of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
enum OwnNames {
    Any,
    /// Any IP address, `localhost`, and these.
    Listed(Vec<String>),
}

/// The origin of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It has none.
    None,
    /// A page of this server.
    Own,
    /// A page of a configured origin.
    Allowed,
    /// Any other page.
    Foreign,
}

impl OriginPolicy {
    /// The policy of the configuration.
    pub fn new(config: &Config) -> Arc<OriginPolicy> {
        // People end a URL with a slash; an origin has none, and is lower case.
        let allowed = config.allowed_origins.iter().map(|it| it.trim_end_matches('/').to_ascii_lowercase()).collect();
        let own_names = match (&config.credentials, &config.host_names) {
            (Some(_), names) if names.is_empty() => OwnNames::Any,
            (_, names) => OwnNames::Listed(names.clone()),
        };
        Arc::new(OriginPolicy { allowed, own_names })
    }

    /// The host that a request names, if it is not this server.
    fn foreign_host<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
        let hosts = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
        uri.authority().map(Authority::as_str).into_iter().chain(hosts).find(|host| !self.is_own(host))
    }

    fn origin_of(&self, headers: &HeaderMap) -> Origin {
        let Some(origin) = headers.get(ORIGIN) else { return Origin::None };
        let Ok(origin) = origin.to_str() else { return Origin::Foreign };
        if self.allowed.iter().any(|allowed| allowed == origin) {
            return Origin::Allowed;
        }
        let host: Option<Authority> =
            headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse().ok());
        let origin = origin.parse::<Uri>().ok().and_then(|origin| origin.into_parts().authority);
        match (origin, host) {
            (Some(origin), Some(host)) if origin == host => Origin::Own,
            _ => Origin::Foreign,
        }
    }

    fn is_own(&self, host: &str) -> bool {
        let OwnNames::Listed(names) = &self.own_names else { return true };
        let Ok(host) = host.parse::<Authority>() else { return false };
        // The dot of the DNS root changes nothing.
        let host = host.host().trim_matches(['[', ']']).trim_end_matches('.');
        let is = |name: &str| host.eq_ignore_ascii_case(name);
        is("localhost") || host.parse::<IpAddr>().is_ok() || names.iter().any(|name| is(name))
    }
}

/// The middleware around all handlers.
pub async fn check_origin(State(policy): State<Arc<OriginPolicy>>, request: Request, next: Next) -> Response {
    let origin = policy.origin_of(request.headers());
    let name = request.headers().get(ORIGIN).cloned();
    let is_preflight =
        *request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let misdirected = policy.foreign_host(request.uri(), request.headers()).map(misdirected);
    let mut response = match (misdirected, origin) {
        (Some(misdirected), _) => misdirected.into_response(),
        (None, Origin::Allowed) if is_preflight => preflight(),
        (None, Origin::Foreign) if is_change(request.method()) => {
            ErrorResponse::Forbidden("Pages of this origin may change nothing".to_owned()).into_response()
        }
        (None, _) => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if !policy.allowed.is_empty() {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    if let (Origin::Allowed, Some(name)) = (origin, name) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, name);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

fn misdirected(host: &str) -> ErrorResponse {
    let shown = host.escape_default();
    ErrorResponse::Misdirected(format!("This door does not answer to the name '{shown}': add it to its host_names"))
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn is_change(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).expect("the texts below are fit for headers")
    }

    fn origin_of(allowed: &[&str], origin: Option<&str>, host: &str) -> Origin {
        let policy =
            OriginPolicy { allowed: allowed.iter().map(|&it| it.to_owned()).collect(), own_names: OwnNames::Any };
        let mut headers = HeaderMap::from_iter([(HOST, value(host))]);
        headers.extend(origin.map(|origin| (ORIGIN, value(origin))));
        policy.origin_of(&headers)
    }

    #[test]
    fn a_page_of_this_server_has_its_host_and_port() {
        let origin_of = |origin, host| origin_of(&[], Some(origin), host);
        assert_eq!(origin_of("https://door.example:8088", "door.example:8088"), Origin::Own);
        assert_eq!(origin_of("https://door.example", "DOOR.example"), Origin::Own);
        for origin in ["https://door.example", "https://door.example:80", "https://x.example:8088", "null", "", "x y"] {
            assert_eq!(origin_of(origin, "door.example:8088"), Origin::Foreign, "{origin}");
        }
    }

    #[test]
    fn a_server_without_credentials_answers_to_its_own_names_alone() {
        let policy = OriginPolicy { allowed: Vec::new(), own_names: OwnNames::Listed(vec!["door.example".to_owned()]) };
        let foreign_host = |uri: &str, hosts: &[&str]| {
            let headers = hosts.iter().map(|host| (HOST, value(host))).collect();
            let uri = uri.parse().expect("the texts below are URIs");
            policy.foreign_host(&uri, &headers).map(str::to_owned)
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
            assert_eq!(foreign_host("/", &[host]), None, "{host}");
        }
        for host in [
            "rebound.example:8088",
            "door.example.rebound.example",
            "127.0.0.1.example",
            "localhost.example",
            "",
            "a b",
        ] {
            assert_eq!(foreign_host("/", &[host]), Some(host.to_owned()));
        }
        assert_eq!(foreign_host("/", &[]), None, "every browser sends it");
        assert_eq!(foreign_host("/", &["localhost", "rebound.example"]), Some("rebound.example".to_owned()));
        assert_eq!(foreign_host("http://rebound.example/", &["localhost"]), Some("rebound.example".to_owned()));
    }

    #[test]
    fn an_origin_is_allowed_as_a_whole_or_not_at_all() {
        let allowed = ["https://a.example"];
        let origin_of = |origin| origin_of(&allowed, origin, "door.example");
        assert_eq!(origin_of(Some("https://a.example")), Origin::Allowed);
        assert_eq!(origin_of(None), Origin::None);
        for origin in ["http://a.example", "https://a.example:444", "https://a.example.b", "https://b.a.example", "*"] {
            assert_eq!(origin_of(Some(origin)), Origin::Foreign, "{origin}");
        }
    }
}
