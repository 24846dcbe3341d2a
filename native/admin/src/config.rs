//! How the door is to be made: what the node says first.
//!
//! The node has checked it (`mongoose_domain_config`): what is here has the right shape. It comes over the
//! port and not in arguments or the environment, which others on this machine can read.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use eetf::Term;
use serde::Deserialize;
use serde_json::Value;

use crate::term;

/// The door.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// The address to listen on.
    pub ip: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Who may come in; whoever can reach the port, where there are none.
    pub credentials: Option<Credentials>,
    /// TLS, if the door has it.
    pub tls: Option<Tls>,
    /// By which names the door is asked, beside its addresses.
    pub host_names: Vec<String>,
    /// Which pages of other origins may use the door from a browser.
    pub allowed_origins: Vec<String>,
    /// How long a connection may rest between two requests, in milliseconds.
    keep_alive: u64,
    /// Where programs at the edge ask which names are served, if they do.
    pub ask: Option<Place>,
}

/// A place to listen at.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Place {
    /// The address.
    ip: IpAddr,
    /// The port; 0 takes a free one.
    port: u16,
}

impl Place {
    /// As the system has it.
    pub fn address(self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

/// The name and the password of the global admin.
#[derive(Clone, Deserialize)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// Files in PEM.
#[derive(Debug, Clone, Deserialize)]
pub struct Tls {
    /// The certificate and those up to its root.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// The authorities whose clients are known by their certificates.
    pub client_ca: Option<String>,
    /// Whether each client must show such a certificate to be spoken to at all.
    pub client_certificate: ClientCertificate,
    /// The names in such a certificate, one of which must be here; all are, where there is no such list.
    pub allowed_names: Option<Vec<String>>,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificate {
    /// Those that have one.
    Optional,
    /// All of them.
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

    /// How long a connection may rest between two requests.
    pub fn keep_alive(&self) -> Duration {
        Duration::from_millis(self.keep_alive)
    }

    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}
