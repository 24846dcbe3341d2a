//! `GET /ask?domain=NAME`: whether this node serves a name.
//!
//! For programs at the edge of a network that must know before they act on a name: to get a certificate (Caddy's
//! on-demand TLS), or to forward a request (nginx's `auth_request`, Traefik's `ForwardAuth`).
//!
//! | response | meaning |
//! |---|---|
//! | 200, with `x-host-type` | the name is a domain or a subdomain that this host type serves |
//! | 404 | it is neither |
//! | 400 | it is no domain name: it is missing, given twice, or nameprep forbids it |
//! | 503 | unknown: the dynamic domains are not loaded yet, the node does not answer, or too many requests wait |
//!
//! This listener has no other path and requires no credentials: a client that reaches it can find out which names are
//! served by asking for each. The answer comes from the node's table ([`lookup_batcher`](crate::lookup_batcher)), so it
//! does not depend on the database, and many requests here do not slow down the other interfaces.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::RETRY_AFTER;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain_core::DomainName;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::config::Endpoint;
use crate::latency::{Door, Latency};
use crate::lookup_batcher::LookupBatcher;
use crate::model::Served;
use crate::node::Node;
use crate::server::{accept, listen};

/// The first and the longest pause before the next attempt to listen; each is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The header with the host type. Characters that a header cannot hold are percent-encoded.
const HOST_TYPE: &str = "x-host-type";

/// Space and `%` are encoded, too, so that decoding is unambiguous.
const ENCODED: AsciiSet = CONTROLS.add(b' ').add(b'%');

/// The host that the edge's client asked for.
const FORWARDED_HOST: &str = "x-forwarded-host";

struct EdgeState {
    lookups: LookupBatcher,
    latency: Arc<Latency>,
}

/// Serves `/ask` on a thread of its own. So it uses no thread of the other interfaces, and a request does not move
/// between threads.
pub fn start(endpoint: Endpoint, node: Node, latency: Arc<Latency>, idle_timeout: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = move || runtime.block_on(serve(endpoint, node, latency, idle_timeout));
    thread::Builder::new().name("edge".to_owned()).spawn(serve).map(drop)
}

/// Listens, reports the address to the node, and serves forever. If it cannot listen, it logs why and tries again; the
/// other interfaces work meanwhile.
async fn serve(endpoint: Endpoint, node: Node, latency: Arc<Latency>, idle_timeout: Duration) {
    let mut pause = PAUSES.0;
    let (listener, address) = loop {
        let listening = listen(endpoint.address()).await;
        match listening.and_then(|listener| listener.local_addr().map(|address| (listener, address))) {
            Ok(listening) => break listening,
            Err(error) => {
                let retry_after = pause.as_millis() as u64;
                tracing::error!(what = "domain_ask_not_listening", %error, retry_after);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    };
    node.report_ask_listening(address).await;
    accept(listener, None, router(node, latency), idle_timeout).await;
}

fn router(node: Node, latency: Arc<Latency>) -> Router {
    Router::new().route("/ask", get(ask)).with_state(Arc::new(EdgeState { lookups: LookupBatcher::new(node), latency }))
}

async fn ask(State(state): State<Arc<EdgeState>>, uri: Uri, headers: HeaderMap) -> Response {
    let response = async {
        match requested_name(&uri, &headers) {
            Some(name) => response(state.lookups.lookup(name).await),
            None => (StatusCode::BAD_REQUEST, "Ask for a domain name: /ask?domain=NAME\n").into_response(),
        }
    };
    state.latency.time(Door::Ask, response).await
}

/// The domain name in a request.
fn requested_name(uri: &Uri, headers: &HeaderMap) -> Option<DomainName> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let mut domains = pairs.iter().filter(|(key, _)| key == "domain");
    match (domains.next(), domains.next()) {
        (Some((_, domain)), None) => DomainName::prepare(domain).ok(),
        (None, _) => DomainName::prepare(forwarded_host(headers)?.host()).ok(),
        (Some(_), Some(_)) => None,
    }
}

/// The host in `x-forwarded-host`. Traefik cannot add a query; it overwrites this header in every request.
fn forwarded_host(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(FORWARDED_HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

fn response(served: Option<Served>) -> Response {
    match served {
        Some(Served::HostType(host_type)) => {
            [(HOST_TYPE, utf8_percent_encode(&host_type, &ENCODED).to_string())].into_response()
        }
        Some(Served::NotFound) => StatusCode::NOT_FOUND.into_response(),
        Some(Served::NotLoaded) | None => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn requested(uri: &str, hosts: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(FORWARDED_HOST, HeaderValue::from_static(host));
        }
        let uri: Uri = uri.parse().expect("the URIs below are written right");
        requested_name(&uri, &headers).map(|name| name.to_string())
    }

    #[test]
    fn nameprep_is_applied_to_a_name() {
        for (uri, name) in [
            ("/ask?domain=a.example", "a.example"),
            ("/ask?domain=A.EXAMPLE&more=1", "a.example"),
            ("/ask?x=y&domain=%D0%9F%D0%A0%D0%98%D0%9C%D0%95%D0%A0.%D1%80%D1%84", "пример.рф"),
        ] {
            assert_eq!(requested(uri, &["other.example"]).as_deref(), Some(name), "{uri}");
        }
    }

    #[test]
    fn an_invalid_name_is_none() {
        let long = format!("/ask?domain={}", "a".repeat(251));
        for uri in ["/ask", "/ask?", "/ask?domain=", "/ask?domain", "/ask?Domain=a.example", &long, "/ask?domain=%00"] {
            assert_eq!(requested(uri, &[]), None, "{uri}");
        }
        assert_eq!(requested("/ask?domain=a.example&domain=a.example", &[]), None, "which of them?");
        assert_eq!(requested("/ask?domain=%ff", &[]), None, "it is no UTF-8");
        assert_eq!(requested("/ask?domain=", &["a.example"]), None, "an empty name is given");
    }

    #[test]
    fn without_a_name_the_forwarded_host_is_taken() {
        assert_eq!(requested("/ask", &["A.example:8443"]).as_deref(), Some("a.example"));
        for hosts in [&["a.example", "b.example"][..], &["a.example, b.example"], &[""], &["a b"]] {
            assert_eq!(requested("/ask", hosts), None, "{hosts:?}");
        }
    }

    #[test]
    fn any_host_type_is_encoded_for_a_header() {
        for (host_type, header) in [("type1", "type1"), (" a\r\nb: 100%", "%20a%0D%0Ab:%20100%25"), ("ж", "%D0%B6")] {
            let response = response(Some(Served::HostType(host_type.to_owned())));
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[HOST_TYPE], header);
        }
    }
}
