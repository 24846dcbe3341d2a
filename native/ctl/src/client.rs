//! One server over HTTP.
//!
//! A connection is kept for the next request. A request may take as long as something comes: what is bounded is how
//! long nothing does. Redirects are not followed and no proxy of the environment is used: a password goes where the
//! URL says, and nowhere else.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};

use crate::error::{Error, Reached, Result};
use crate::settings::Settings;
use crate::url::{Channel, ServerUrl};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Characters that a path or a query has to hide.
const HIDDEN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The body of an answer that is read at once.
const BYTES: u64 = 64 * 1024 * 1024;

/// How long a server may say nothing.
#[derive(Debug, Clone, Copy)]
pub enum Patience {
    /// Until a removal and all its handlers are done, say.
    Answer,
    /// A stream that says something every few seconds.
    Stream,
}

/// One server.
pub struct Client {
    agent: Agent,
    url: ServerUrl,
    authorization: Option<String>,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// Nothing.
    None,
    /// A JSON value.
    Json(&'a [u8]),
    /// JSON values, each on a line of its own.
    Lines(&'a [u8]),
}

impl Patience {
    fn time(self) -> Duration {
        match self {
            Patience::Answer => Duration::from_secs(300),
            Patience::Stream => Duration::from_secs(30),
        }
    }
}

impl Client {
    /// Nothing is sent yet.
    pub fn new(settings: &Settings, patience: Patience) -> Result<Client> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("domainctl/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(patience.time()))
            .timeout_per_write(Some(patience.time()))
            .tls_config(tls(settings)?)
            .build();
        let authorization = settings
            .credentials
            .as_ref()
            .map(|it| format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", it.username, it.password))));
        Ok(Client { agent: config.new_agent(), url: settings.url.clone(), authorization })
    }

    /// Asks, and reads what is answered.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let body = self.read(self.call(Method::GET, path, Content::None)?)?;
        serde_json::from_slice(&body).map_err(|error| {
            Error::Failed(format!("{} is answered with something unknown: {error}", self.url.join(path)))
        })
    }

    /// Sends a JSON value; what is answered is not looked at, but for whether it is a success.
    pub fn send(&self, method: Method, path: &str, value: &impl Serialize) -> Result<()> {
        // Maps with keys that are no text cannot be written; there are none.
        let body = serde_json::to_vec(value).unwrap_or_default();
        let answer = self.call(method, path, Content::Json(&body)).and_then(|response| self.read(response));
        answer.map(drop).map_err(|error| match error {
            Error::Unreachable { url, reason, reached: Reached::Perhaps } => {
                let reason = format!("{reason}; the change may have been made all the same");
                Error::Unreachable { url, reason, reached: Reached::Perhaps }
            }
            other => other,
        })
    }

    /// An answer that is read while it comes.
    pub fn stream(&self, method: Method, path: &str, content: Content<'_>) -> Result<impl BufRead + use<>> {
        let body = self.call(method, path, content)?.into_body();
        Ok(BufReader::new(body.into_with_config().limit(u64::MAX).reader()))
    }

    /// What GraphQL answers, success or not: HTTP's code, and the body where that is JSON.
    pub fn graphql(&self, request: &Value) -> Result<(u16, Option<Value>)> {
        let body = request.to_string();
        let response = self.exchange(Method::POST, "/api/graphql", Content::Json(body.as_bytes()))?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&self.read(response)?).ok()))
    }

    /// That this server cannot be talked to.
    pub fn unreachable(&self, reason: impl ToString) -> Error {
        Error::Unreachable { url: self.url.to_string(), reason: reason.to_string(), reached: Reached::Perhaps }
    }

    /// An answer that is a success.
    fn call(&self, method: Method, path: &str, content: Content<'_>) -> Result<Response<Body>> {
        let response = self.exchange(method, path, content)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.read(response)?;
        let said = serde_json::from_slice::<String>(&body).ok().filter(|text| !text.is_empty());
        let text = said.unwrap_or_else(|| match status.as_u16() {
            401 => "the server does not know this name and password, or wants some".to_owned(),
            404 => format!("{} does not offer this: it may be of another version", self.url),
            500 => "the server failed; its log says why".to_owned(),
            _ => format!("the server answered {status}"),
        });
        Err(Error::Refused { status: status.as_u16(), text })
    }

    fn exchange(&self, method: Method, path: &str, content: Content<'_>) -> Result<Response<Body>> {
        let mut request = Request::builder().method(method).uri(self.url.join(path));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let (kind, body) = match content {
            Content::None => (None, &[][..]),
            Content::Json(body) => (Some("application/json"), body),
            Content::Lines(body) => (Some("application/x-ndjson"), body),
        };
        // Nothing else is asked for but what is there: the doors differ in what they call it.
        request = request.header(ACCEPT, "*/*");
        let answer = match kind {
            None => request.body(()).map(|request| self.agent.run(request)),
            Some(kind) => request.header(CONTENT_TYPE, kind).body(body).map(|request| self.agent.run(request)),
        };
        let answer = answer.map_err(|error| Error::Usage(format!("this cannot be sent: {error}")))?;
        answer.map_err(|error| {
            let (url, reached) = (self.url.to_string(), reached(&error));
            Error::Unreachable { url, reason: words(error), reached }
        })
    }

    fn read(&self, response: Response<Body>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut reader = response.into_body().into_with_config().limit(BYTES).reader();
        reader.read_to_end(&mut bytes).map_err(|error| self.unreachable(error))?;
        Ok(bytes)
    }
}

/// The path of a domain.
pub fn domain_path(domain: &str) -> String {
    format!("/api/domains/{}", hidden(domain))
}

/// A path with a query of what is there.
pub fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", hidden((*value)?))));
    match given.collect::<Vec<_>>().join("&") {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// As a part of a path or a query.
pub fn hidden(text: &str) -> String {
    utf8_percent_encode(text, HIDDEN).to_string()
}

fn words(error: ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "its name is not known".to_owned(),
        ureq::Error::Timeout(_) => "it does not answer in time".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Where there is no connection yet, nothing was sent.
fn reached(error: &ureq::Error) -> Reached {
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => Reached::No,
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => Reached::No,
        _ => Reached::Perhaps,
    }
}

/// Certificates are read only where they are needed.
fn tls(settings: &Settings) -> Result<TlsConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots: Vec<Certificate<'static>> = match (&settings.ca_file, settings.url.channel()) {
        (Some(path), _) => {
            let unreadable = |error| Error::Usage(format!("{}: {error}", path.display()));
            let pem = std::fs::read(path).map_err(unreadable)?;
            let items = ureq::tls::parse_pem(&pem).collect::<std::result::Result<Vec<_>, _>>();
            let items = items.map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
            let roots: Vec<_> = items
                .into_iter()
                .filter_map(|item| match item {
                    ureq::tls::PemItem::Certificate(certificate) => Some(certificate),
                    _ => None,
                })
                .collect();
            if roots.is_empty() {
                return Err(Error::Usage(format!("{}: there is no certificate in it", path.display())));
            }
            roots
        }
        (None, Channel::Encrypted) => {
            let found = rustls_native_certs::load_native_certs();
            found.certs.iter().map(|it| Certificate::from_der(it.as_ref()).to_owned()).collect()
        }
        (None, Channel::Local | Channel::Open) => Vec::new(),
    };
    Ok(TlsConfig::builder().root_certs(RootCerts::from(roots)).unversioned_rustls_crypto_provider(provider).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hidden_in_paths_and_queries() {
        assert_eq!(domain_path("a.example"), "/api/domains/a.example");
        assert_eq!(domain_path("ü/?#%"), "/api/domains/%C3%BC%2F%3F%23%25");
        assert_eq!(with_query("/p", &[("a", None)]), "/p");
        assert_eq!(with_query("/p", &[("a", Some("x y")), ("b", None), ("c", Some("&"))]), "/p?a=x%20y&c=%26");
    }
}
