//! HTTP requests to one server.
//!
//! A connection is kept for the next request. A request may take as long as data arrive; the time without data is
//! bounded. Redirects are not followed and no proxy of the environment is used, so a password goes to the host of the
//! URL and nowhere else.

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

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Characters that are percent-encoded in a path or a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest body that is read at once.
const MAX_BODY_BYTES: u64 = 64 * 1024 * 1024;

/// How long a server may send nothing.
#[derive(Debug, Clone, Copy)]
pub enum ReadTimeout {
    /// Long enough for the removal of a domain.
    Response,
    /// For a stream, in which something comes every few seconds.
    Stream,
}

/// One server.
pub struct Client {
    agent: Agent,
    url: ServerUrl,
    authorization: Option<String>,
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub enum RequestBody<'a> {
    /// None.
    None,
    /// A JSON value.
    Json(&'a [u8]),
    /// JSON values, one a line.
    Lines(&'a [u8]),
}

impl ReadTimeout {
    fn duration(self) -> Duration {
        match self {
            ReadTimeout::Response => Duration::from_secs(300),
            ReadTimeout::Stream => Duration::from_secs(30),
        }
    }
}

impl Client {
    /// A client for the server of these settings.
    pub fn new(settings: &Settings, read_timeout: ReadTimeout) -> Result<Client> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("domainctl/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(read_timeout.duration()))
            .timeout_per_write(Some(read_timeout.duration()))
            .tls_config(tls(settings)?)
            .build();
        let authorization = settings
            .credentials
            .as_ref()
            .map(|it| format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", it.username, it.password))));
        Ok(Client { agent: config.new_agent(), url: settings.url.clone(), authorization })
    }

    /// Sends a GET and reads the JSON of the response.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let body = self.read(self.call(Method::GET, path, RequestBody::None)?)?;
        serde_json::from_slice(&body).map_err(|error| {
            Error::Failed(format!("the response of {} is not understood: {error}", self.url.join(path)))
        })
    }

    /// Sends a JSON value and checks that the response is a success.
    pub fn send(&self, method: Method, path: &str, value: &impl Serialize) -> Result<()> {
        // Only a map with keys that are not strings cannot be written; there is none.
        let body = serde_json::to_vec(value).unwrap_or_default();
        let response = self.call(method, path, RequestBody::Json(&body)).and_then(|response| self.read(response));
        response.map(drop).map_err(|error| match error {
            Error::Unreachable { url, reason, reached: Reached::Perhaps } => {
                let reason = format!("{reason}; the change may have been made all the same");
                Error::Unreachable { url, reason, reached: Reached::Perhaps }
            }
            other => other,
        })
    }

    /// A response that is read while it arrives.
    pub fn stream(&self, method: Method, path: &str, body: RequestBody<'_>) -> Result<impl BufRead + use<>> {
        let body = self.call(method, path, body)?.into_body();
        Ok(BufReader::new(body.into_with_config().limit(u64::MAX).reader()))
    }

    /// Sends a GraphQL request; returns the status and the body, if that is JSON.
    pub fn graphql(&self, request: &Value) -> Result<(u16, Option<Value>)> {
        let body = request.to_string();
        let response = self.exchange(Method::POST, "/api/graphql", RequestBody::Json(body.as_bytes()))?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&self.read(response)?).ok()))
    }

    /// The error that the server cannot be reached.
    pub fn unreachable(&self, reason: impl ToString) -> Error {
        Error::Unreachable { url: self.url.to_string(), reason: reason.to_string(), reached: Reached::Perhaps }
    }

    /// Sends a request and checks that the response is a success.
    fn call(&self, method: Method, path: &str, body: RequestBody<'_>) -> Result<Response<Body>> {
        let response = self.exchange(method, path, body)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.read(response)?;
        let message = serde_json::from_slice::<String>(&body).ok().filter(|text| !text.is_empty());
        let text = message.unwrap_or_else(|| match status.as_u16() {
            401 => "the server requires a user name and a password, or does not accept these".to_owned(),
            404 => format!("{} does not offer this: it may be of another version", self.url),
            500 => "the server failed; its log says why".to_owned(),
            _ => format!("the server answered {status}"),
        });
        Err(Error::Refused { status: status.as_u16(), text })
    }

    fn exchange(&self, method: Method, path: &str, body: RequestBody<'_>) -> Result<Response<Body>> {
        let mut request = Request::builder().method(method).uri(self.url.join(path));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let (kind, body) = match body {
            RequestBody::None => (None, &[][..]),
            RequestBody::Json(body) => (Some("application/json"), body),
            RequestBody::Lines(body) => (Some("application/x-ndjson"), body),
        };
        // The media type of the response depends on the path, so every type is accepted.
        request = request.header(ACCEPT, "*/*");
        let response = match kind {
            None => request.body(()).map(|request| self.agent.run(request)),
            Some(kind) => request.header(CONTENT_TYPE, kind).body(body).map(|request| self.agent.run(request)),
        };
        let response = response.map_err(|error| Error::Usage(format!("this cannot be sent: {error}")))?;
        response.map_err(|error| {
            let (url, reached) = (self.url.to_string(), reached(&error));
            Error::Unreachable { url, reason: reason(error), reached }
        })
    }

    fn read(&self, response: Response<Body>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut reader = response.into_body().into_with_config().limit(MAX_BODY_BYTES).reader();
        reader.read_to_end(&mut bytes).map_err(|error| self.unreachable(error))?;
        Ok(bytes)
    }
}

/// The path of a domain.
pub fn domain_path(domain: &str) -> String {
    format!("/api/domains/{}", percent_encoded(domain))
}

/// A path with a query of the parameters that have a value.
pub fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", percent_encoded((*value)?))));
    match given.collect::<Vec<_>>().join("&") {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// A part of a path or a query.
pub fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn reason(error: ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "its name is not known".to_owned(),
        ureq::Error::Timeout(_) => "it does not answer in time".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Whether the request may have reached the server: not before there is a connection.
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

/// The configuration for TLS. The system's certificates are read only if they are needed.
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
    fn names_are_encoded_in_paths_and_queries() {
        assert_eq!(domain_path("a.example"), "/api/domains/a.example");
        assert_eq!(domain_path("ü/?#%"), "/api/domains/%C3%BC%2F%3F%23%25");
        assert_eq!(with_query("/p", &[("a", None)]), "/p");
        assert_eq!(with_query("/p", &[("a", Some("x y")), ("b", None), ("c", Some("&"))]), "/p?a=x%20y&c=%26");
    }
}
