//! Connects to the PostgreSQL server that a URL leads to.
//!
//! The servers of the URL are tried in turn, each at all its addresses, until a log-in succeeds at one that is what
//! `target_session_attrs` requires. The limit on an attempt (`connect_timeout`) covers all of it, from the socket to the
//! log-in, so a server that accepts the connection and then hangs does not prevent the next attempt. Looking up a
//! name has the same limit of its own.
//!
//! Nothing is retried here, and every call looks up names anew. A tokio runtime with I/O and time has to run.

mod defaults;
mod error;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::task::{Context, Poll};

use tokio::net::UnixStream;
use tokio_postgres::config::{SslMode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, SimpleQueryMessage};

use super::tls::{Connector, Tls};
use super::url::{Server, Url};
use crate::Timeouts;
use crate::url::UrlError;

pub use error::{ConnectError, Failure};

/// Where to connect, as whom and how.
#[derive(Clone)]
pub(crate) struct Target {
    config: Config,
    servers: Vec<Server>,
    shuffled: bool,
    tls: Tls,
    description: String,
}

impl Target {
    /// Reads the files that the URL names; connects to nothing.
    pub(crate) fn new(url: &str, timeouts: &Timeouts) -> Result<Target, UrlError> {
        let url = Url::parse(url)?;
        let tls = Tls::new(&url.ssl)?;
        let description = url.description();
        let config = defaults::fill_in(&url, timeouts);
        Ok(Target { config, servers: url.servers, shuffled: url.shuffled, tls, description })
    }

    /// The URL without its password and parameters: `postgres://user@h1:5432,h2:5433/db`.
    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    /// The requirement of `target_session_attrs`.
    pub(crate) fn attrs(&self) -> TargetSessionAttrs {
        self.config.get_target_session_attrs()
    }

    /// Whether the URL's options enable row security, which [`super::settings`] disables.
    pub(crate) fn has_row_security(&self) -> bool {
        let last = self.config.get_options().and_then(|options| options.rsplit("row_security=").next());
        last.is_some_and(|value| !value.starts_with("off"))
    }

    /// Connects to the first suitable server.
    pub(crate) async fn connect(&self) -> Result<(Client, Connection), ConnectError> {
        let mut servers: Vec<&Server> = self.servers.iter().collect();
        if self.shuffled {
            fastrand::shuffle(&mut servers);
        }
        let mut failures = Vec::new();
        for server in servers {
            for address in self.addresses(server, &mut failures).await {
                let connector = self.tls.for_attempt(server);
                let endpoint = endpoint(server, address);
                match self.attempt(server, address, &connector).await {
                    Ok(connected) => return Ok(connected),
                    Err(Failure::Refused(reason)) if connector.may_retry_without_tls(&reason) => {
                        failures.push((format!("{endpoint} with TLS"), Failure::Refused(reason)));
                        match self.attempt(server, address, &Connector::clear()).await {
                            Ok(connected) => return Ok(connected),
                            Err(reason) => failures.push((format!("{endpoint} without TLS"), reason)),
                        }
                    }
                    Err(reason) => failures.push((endpoint, reason)),
                }
            }
        }
        Err(ConnectError { failures })
    }

    /// The addresses to try. If the name has none, the failure is added to `failures`.
    async fn addresses(&self, server: &Server, failures: &mut Vec<(String, Failure)>) -> Vec<Option<SocketAddr>> {
        let (host, port) = match server {
            Server::Socket { .. } => return vec![None],
            Server::Tcp { hostaddr: Some(ip), port, .. } => {
                return vec![Some(SocketAddr::new(*ip, *port))];
            }
            Server::Tcp { host, port, .. } => (host.as_str(), *port),
        };
        let found = self.limited(tokio::net::lookup_host((host, port)), Failure::Lookup).await;
        let mut addresses: Vec<_> = match found {
            Ok(addresses) => addresses.map(Some).collect(),
            Err(reason) => {
                failures.push((endpoint(server, None), reason));
                return Vec::new();
            }
        };
        if addresses.is_empty() {
            let nothing = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
            failures.push((endpoint(server, None), Failure::Lookup(nothing)));
        }
        if self.shuffled {
            fastrand::shuffle(&mut addresses);
        }
        addresses
    }

    /// Connects and logs in at one address.
    async fn attempt(
        &self,
        server: &Server,
        address: Option<SocketAddr>,
        connector: &Connector,
    ) -> Result<(Client, Connection), Failure> {
        let mut config = self.config.clone();
        match server {
            Server::Socket { folder, port } => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                self.limited(over_socket(&path, &config, connector), |failure| failure).await
            }
            Server::Tcp { host, port, .. } => {
                config.host(host).port(*port);
                if let Some(address) = address {
                    config.hostaddr(address.ip());
                }
                // The connector negotiates TLS, and not the driver.
                config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
                let connecting = config.connect(connector.clone());
                let (client, mut driver) = self.limited(connecting, Failure::Refused).await?;
                Ok((client, Connection::new(move |cx| driver.poll_message(cx))))
            }
        }
    }

    async fn limited<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
        failure: impl FnOnce(E) -> Failure,
    ) -> Result<T, Failure> {
        match self.config.get_connect_timeout() {
            None => work.await.map_err(failure),
            Some(&limit) => match tokio::time::timeout(limit, work).await {
                Ok(result) => result.map_err(failure),
                Err(_) => Err(Failure::TimedOut(limit)),
            },
        }
    }
}

/// The same over a Unix socket, to which the driver would not connect with this connector.
async fn over_socket(path: &Path, config: &Config, connector: &Connector) -> Result<(Client, Connection), Failure> {
    let stream = UnixStream::connect(path).await.map_err(Failure::Unreachable)?;
    let mut config = config.clone();
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    let connected = config.connect_raw(stream, connector.to_host("")).await;
    let (client, mut driver) = connected.map_err(Failure::Refused)?;
    let wanted = match config.get_target_session_attrs() {
        TargetSessionAttrs::ReadWrite => "off",
        TargetSessionAttrs::ReadOnly => "on",
        _ => return Ok((client, Connection::new(move |cx| driver.poll_message(cx)))),
    };
    let answer = tokio::select! {
        answer = client.simple_query("SHOW transaction_read_only") => answer.map_err(Failure::Refused)?,
        ended = &mut driver => {
            ended.map_err(Failure::Refused)?;
            return Err(Failure::Unreachable(io::ErrorKind::UnexpectedEof.into()));
        }
    };
    let read_only = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    if read_only != Some(wanted) {
        let problem = if wanted == "off" { "database does not allow writes" } else { "database is not read only" };
        return Err(Failure::Unreachable(io::Error::new(io::ErrorKind::PermissionDenied, problem)));
    }
    Ok((client, Connection::new(move |cx| driver.poll_message(cx))))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}, tls: {:?})", self.description, self.tls)
    }
}

/// The half of a connection that does the I/O of its [`Client`]: it has to be polled, and yields notices and
/// notifications.
pub(crate) struct Connection(Box<dyn FnMut(&mut Context<'_>) -> Polled + Send>);

type Polled = Poll<Option<Result<AsyncMessage, tokio_postgres::Error>>>;

impl Connection {
    fn new(poll: impl FnMut(&mut Context<'_>) -> Polled + Send + 'static) -> Connection {
        Connection(Box::new(poll))
    }

    /// [`tokio_postgres::Connection::poll_message`] for any stream. After `None` or an error it must not be polled again.
    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>) -> Polled {
        (self.0)(cx)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// A server and its address, for error messages.
fn endpoint(server: &Server, address: Option<SocketAddr>) -> String {
    match (server, address) {
        (Server::Socket { folder, port }, _) => format!("{}/.s.PGSQL.{port}", folder.display()),
        (Server::Tcp { host, port, .. }, Some(address)) if address.ip().to_string() != *host => {
            format!("{host}:{port} ({})", address.ip())
        }
        (Server::Tcp { .. }, Some(address)) => address.to_string(),
        (Server::Tcp { host, port, .. }, None) => format!("{host}:{port}"),
    }
}
