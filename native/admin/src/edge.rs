//! `GET /ask?domain=NAME`: whether this node serves a name. For programs at the edge that have to know before they do
//! anything for it: get a certificate (Caddy's on-demand TLS), or let a request through (nginx's `auth_request`,
//! Traefik's `ForwardAuth`).
//!
//! | answer | what it means |
//! |---|---|
//! | 200, with `x-host-type` | the name is a domain or a subdomain that this host type serves |
//! | 404 | it is neither |
//! | 400 | it can be no name: it is missing, given twice, or nameprep forbids it |
//! | 503 | nobody can tell: the dynamic domains are not loaded yet, the node does not answer, or too many ask |
//!
//! Nothing else is at this listener, and nobody is asked for credentials: who reaches it may learn which names are
//! served, by asking for each. What is answered is what the node's table says ([`looks`](crate::looks)), so a database
//! that is away or hangs does not show here, and a flood of questions does not show at the other doors.

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

use crate::config::Place;
use crate::latency::{Door, Latency};
use crate::looks::Looks;
use crate::node::Node;
use crate::request::Served;
use crate::server::{accept, listen};

/// The first pause before the listener is tried again, and the longest: each is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Says which host type serves the name. What a header cannot hold is percent-encoded.
const HOST_TYPE: &str = "x-host-type";

/// What else is encoded, so that nothing has to be guessed when it is read.
const ENCODED: AsciiSet = CONTROLS.add(b' ').add(b'%');

/// Which host a client of the edge asked for.
const FORWARDED_HOST: &str = "x-forwarded-host";

struct Edge {
    looks: Looks,
    latency: Arc<Latency>,
}

/// Has a thread of its own serve, as long as this program runs: it takes no other door's thread however many ask, and a
/// question is handed from thread to thread no more often than to the node and back.
pub fn start(place: Place, node: Node, latency: Arc<Latency>, rest: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = move || runtime.block_on(serve(place, node, latency, rest));
    thread::Builder::new().name("edge".to_owned()).spawn(serve).map(drop)
}

/// Listens, says where, and serves for ever. Where it cannot listen it says so and tries again: the other doors are open
/// all the same. A connection may rest for so long.
async fn serve(place: Place, node: Node, latency: Arc<Latency>, rest: Duration) {
    let mut pause = PAUSES.0;
    let (listener, address) = loop {
        let listening = listen(place.address()).await;
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
    node.ask_listening(address).await;
    accept(listener, None, router(node, latency), rest).await;
}

fn router(node: Node, latency: Arc<Latency>) -> Router {
    Router::new().route("/ask", get(ask)).with_state(Arc::new(Edge { looks: Looks::new(node), latency }))
}

async fn ask(State(edge): State<Arc<Edge>>, uri: Uri, headers: HeaderMap) -> Response {
    let answer = async {
        match name(&uri, &headers) {
            Some(name) => answer(edge.looks.look(name).await),
            None => (StatusCode::BAD_REQUEST, "Ask for a domain name: /ask?domain=NAME\n").into_response(),
        }
    };
    edge.latency.time(Door::Ask, answer).await
}

/// The name that is asked about.
fn name(uri: &Uri, headers: &HeaderMap) -> Option<DomainName> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let mut domains = pairs.iter().filter(|(key, _)| key == "domain");
    match (domains.next(), domains.next()) {
        (Some((_, domain)), None) => DomainName::prepare(domain).ok(),
        (None, _) => DomainName::prepare(forwarded_host(headers)?.host()).ok(),
        (Some(_), Some(_)) => None,
    }
}

/// Traefik can put nothing into the query. What a client sends in such headers it replaces by its own.
fn forwarded_host(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(FORWARDED_HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

fn answer(served: Option<Served>) -> Response {
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

    fn asked(uri: &str, hosts: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(FORWARDED_HOST, HeaderValue::from_static(host));
        }
        let uri: Uri = uri.parse().expect("the URIs below are written right");
        name(&uri, &headers).map(|name| name.to_string())
    }

    #[test]
    fn a_name_is_prepared_as_at_the_other_doors() {
        for (uri, name) in [
            ("/ask?domain=a.example", "a.example"),
            ("/ask?domain=A.EXAMPLE&more=1", "a.example"),
            ("/ask?x=y&domain=%D0%9F%D0%A0%D0%98%D0%9C%D0%95%D0%A0.%D1%80%D1%84", "пример.рф"),
        ] {
            assert_eq!(asked(uri, &["other.example"]).as_deref(), Some(name), "{uri}");
        }
    }

    #[test]
    fn what_can_be_no_name_is_none() {
        let long = format!("/ask?domain={}", "a".repeat(251));
        for uri in ["/ask", "/ask?", "/ask?domain=", "/ask?domain", "/ask?Domain=a.example", &long, "/ask?domain=%00"] {
            assert_eq!(asked(uri, &[]), None, "{uri}");
        }
        assert_eq!(asked("/ask?domain=a.example&domain=a.example", &[]), None, "which of them?");
        assert_eq!(asked("/ask?domain=%ff", &[]), None, "it is no UTF-8");
        assert_eq!(asked("/ask?domain=", &["a.example"]), None, "an empty name is given");
    }

    #[test]
    fn without_a_name_the_forwarded_host_is_asked_about() {
        assert_eq!(asked("/ask", &["A.example:8443"]).as_deref(), Some("a.example"));
        for hosts in [&["a.example", "b.example"][..], &["a.example, b.example"], &[""], &["a b"]] {
            assert_eq!(asked("/ask", hosts), None, "{hosts:?}");
        }
    }

    #[test]
    fn a_host_type_fits_a_header_whatever_it_is() {
        for (host_type, header) in [("type1", "type1"), (" a\r\nb: 100%", "%20a%0D%0Ab:%20100%25"), ("ж", "%D0%B6")] {
            let answer = answer(Some(Served::HostType(host_type.to_owned())));
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()[HOST_TYPE], header);
        }
    }
}
