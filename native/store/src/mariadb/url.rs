//! Parses a `mysql://` or `mariadb://` URL.
//!
//! ```text
//! mysql://user:password@h1:3306,h2:3307/domains?sslmode=verify-full&sslrootcert=/etc/ca.pem
//! mysql://user:password@%2Frun%2Fmysqld%2Fmysqld.sock/domains
//! mysql://user:password@/domains?socket=/run/mysqld/mysqld.sock
//! ```
//!
//! The parameters are those of a `postgres://` URL as far as they make sense here, with the same names and values, beside
//! `socket`. The rules are as strict: reserved characters have to be percent-encoded, a parameter has to be known and may
//! occur once, and a host and a database have to be named. No error and no `Debug` shows the password. Option files and
//! environment variables are not read, and no file is opened here.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::url::{self, Parts, Ssl, UrlError, UrlKind, encoded};

/// Which URLs these are.
const KIND: UrlKind = UrlKind::Mariadb;

const DEFAULT_PORT: u16 = 3306;

/// Where one server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Tcp {
        /// The name that the server's certificate has to be issued for.
        host: String,
        port: u16,
    },
    /// This Unix socket.
    Socket(PathBuf),
}

/// A well-formed URL.
pub(super) struct Url {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: String,
    /// At least one.
    pub(super) servers: Vec<Server>,
    pub(super) ssl: Ssl,
    /// `connect_timeout`. Zero means that there is no limit.
    pub(super) connect_timeout: Option<Duration>,
    /// `target_session_attrs=read-write`
    pub(super) writable: bool,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Url, UrlError> {
        let Parts { credentials, authority, database, query } = Parts::split(KIND, text)?;
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password, "the password is not UTF-8")?)),
            None => (credentials, None),
        };
        let mut url = Url {
            user: Some(decoded(user, "the user's name is not UTF-8")?).filter(|user| !user.is_empty()),
            password,
            database: decoded(database, "the database's name is not UTF-8")?,
            servers: Vec::new(),
            ssl: Ssl::default(),
            connect_timeout: None,
            writable: false,
        };
        for parameter in &url::read(KIND, query)? {
            if url.ssl.take(parameter)? {
                continue;
            }
            let value = parameter.value()?;
            match (parameter.name, value.as_ref()) {
                ("connect_timeout", seconds) => {
                    let seconds = seconds.parse::<u32>().map_err(|_| parameter.invalid())?;
                    url.connect_timeout = Some(Duration::from_secs(seconds.into()));
                }
                ("socket", _) if !authority.is_empty() => return Err(UrlError::Twice("socket")),
                ("socket", file) if file.starts_with('/') => url.servers.push(Server::Socket(file.into())),
                ("target_session_attrs", "any") => url.writable = false,
                ("target_session_attrs", "read-write") => url.writable = true,
                _ => return Err(parameter.invalid()),
            }
        }
        if url.servers.is_empty() {
            url.servers = authority.split(',').map(server).collect::<Result<_, _>>()?;
        }
        if url.database.is_empty() { Err(UrlError::NoDatabase(KIND)) } else { Ok(url) }
    }

    /// The URL without password and parameters, for logs: `mysql://user@h1:3306,h2:3307/db`.
    pub(super) fn description(&self) -> String {
        let user = self.user.as_ref().map(|user| encoded(user.as_bytes()) + "@");
        let servers = self.servers.iter().map(|server| match server {
            Server::Tcp { host, port } if host.parse::<Ipv6Addr>().is_ok() => format!("[{host}]:{port}"),
            Server::Tcp { host, port } => format!("{}:{port}", encoded(host.as_bytes())),
            Server::Socket(file) => encoded(file.as_os_str().as_encoded_bytes()),
        });
        let servers = servers.collect::<Vec<_>>().join(",");
        format!("mysql://{}{servers}/{}", user.unwrap_or_default(), encoded(self.database.as_bytes()))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({})", self.description())
    }
}

fn malformed(problem: &str) -> UrlError {
    UrlError::Malformed(problem.to_owned(), KIND)
}

fn decoded(text: &str, problem: &str) -> Result<String, UrlError> {
    percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| malformed(problem))
}

/// A host with its port, or a socket.
fn server(text: &str) -> Result<Server, UrlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or_else(|| malformed("a bracket is not closed"))?;
            address.parse::<Ipv6Addr>().map_err(|_| malformed("there is no IPv6 address in the brackets"))?;
            let port = if rest.is_empty() { None } else { rest.strip_prefix(':') };
            if !rest.is_empty() && port.is_none() {
                return Err(malformed("there is more than a port behind an address in brackets"));
            }
            (address.to_owned(), port)
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            (decoded(host, "a host is not UTF-8")?, port)
        }
    };
    if host.is_empty() {
        return Err(UrlError::NoHost(KIND));
    }
    match port {
        Some(_) if host.starts_with('/') => Err(malformed("a Unix socket has no port")),
        None if host.starts_with('/') => Ok(Server::Socket(host.into())),
        None => Ok(Server::Tcp { host, port: DEFAULT_PORT }),
        Some(port) => match port.parse() {
            Ok(port @ 1..) => Ok(Server::Tcp { host, port }),
            _ => Err(malformed("a port is no number from 1 to 65535")),
        },
    }
}
