//! The configuration, which the node sends first.
//!
//! The node has checked it (`mongoose_domain_config`), so the types here only describe it. It comes through the pipe
//! and not in arguments or the environment, because other users of the machine can read those.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use eetf::Term;
use serde::Deserialize;
use serde_json::Value;

use crate::term;

/// The configuration of this program.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// The address to listen on.
    pub ip: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The admin's credentials; without them, every client that can reach the port is the admin.
    pub credentials: Option<Credentials>,
    /// The files for TLS, if it is used.
    pub tls: Option<Tls>,
    /// The names that clients may use for this server, beside its addresses.
    pub host_names: Vec<String>,
    /// The other origins whose pages may use this server from a browser.
    pub allowed_origins: Vec<String>,
    /// How long a connection may be idle between two requests, in milliseconds.
    keep_alive: u64,
    /// Where to serve `/ask`, if at all.
    pub ask: Option<Endpoint>,
}

/// An address to listen on.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Endpoint {
    /// The IP address.
    ip: IpAddr,
    /// The port; 0 takes a free one.
    port: u16,
}

impl Endpoint {
    /// The socket address.
    pub fn address(self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

/// The user name and password of the global admin.
#[derive(Clone, Deserialize)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// The files for TLS, in PEM.
#[derive(Debug, Clone, Deserialize)]
pub struct Tls {
    /// The certificate chain.
    pub certificate: String,
    /// The certificate's key.
    pub key: String,
    /// The authorities that sign the certificates of clients.
    pub client_ca: Option<String>,
    /// Whether a client must present such a certificate.
    pub client_certificate: ClientAuth,
    /// The accepted names in such a certificate; without a list, all are accepted.
    pub allowed_names: Option<Vec<String>>,
}

/// Whether clients must present certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// A client may present one.
    Optional,
    /// The handshake fails without one.
    Required,
}

impl Config {
    /// Reads `{configure, Map}`.
    pub fn from_term(term: &Term) -> Option<Config> {
        match term::to_value(term)?.as_array_mut()?.as_mut_slice() {
            [Value::String(configure), config] if configure == "configure" => {
                serde_json::from_value(config.take()).ok()
            }
            _ => None,
        }
    }

    /// Reads `{credentials, Map}`.
    pub fn credentials(term: &[Value]) -> Option<Credentials> {
        match term {
            [Value::String(what), credentials] if what == "credentials" => {
                serde_json::from_value(credentials.clone()).ok()
            }
            _ => None,
        }
    }

    /// How long a connection may be idle between two requests.
    pub fn keep_alive(&self) -> Duration {
        Duration::from_millis(self.keep_alive)
    }

    /// The address to listen on.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}
