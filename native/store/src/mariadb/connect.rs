//! Connects to the MariaDB server that a URL leads to.
//!
//! The servers of the URL are tried in order, each at all its addresses, until one is usable: it lets the user in, is MariaDB
//! 10.6 or newer, is up to date where it is a node of a Galera cluster, and takes changes where `target_session_attrs`
//! requires that. The limit on an attempt (`connect_timeout`) covers all of it, from the socket to
//! the session's settings, so a server that accepts the connection and then hangs does not prevent the next attempt.
//! Looking up a name has the same limit of its own.
//!
//! Nothing is retried here, and every call looks up names anew. A tokio runtime with I/O and time has to run.

mod error;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mysql_async::{Conn, OptsBuilder, SslOpts};

use super::settings;
use super::tls::Tls;
use super::url::{Server, Url};
use crate::Timeouts;
use crate::url::UrlError;

pub(super) use error::{ConnectError, Failure};

/// Statements that the server keeps prepared for a connection. There are fewer.
const PREPARED: usize = 100;

/// Where to connect, as whom and how.
#[derive(Clone)]
pub(crate) struct Target {
    options: OptsBuilder,
    servers: Vec<Server>,
    tls: Tls,
    writable: bool,
    /// The limit on an attempt. Zero means that there is none.
    limit: Duration,
    description: String,
}

impl Target {
    /// Reads the files that the URL names; connects to nothing.
    pub(crate) fn new(url: &str, timeouts: &Timeouts) -> Result<Target, UrlError> {
        let url = Url::parse(url)?;
        let tls = Tls::new(&url.ssl)?;
        let description = url.description();
        let options = OptsBuilder::default()
            .user(url.user)
            .pass(url.password)
            .db_name(Some(url.database))
            // Otherwise the driver would leave a TCP connection for a socket that the server names.
            .prefer_socket(false)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .stmt_cache_size(PREPARED)
            // A change counts the rows that it finds, as in the other databases, though it changes nothing in them.
            .client_found_rows(true);
        let limit = url.connect_timeout.unwrap_or(timeouts.connect);
        Ok(Target { options, servers: url.servers, tls, writable: url.writable, limit, description })
    }

    /// The URL without its password and parameters: `mysql://user@h1:3306,h2:3307/db`.
    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    /// Whether `target_session_attrs` requires a server that takes changes.
    pub(super) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Connects to the first usable server, and makes the session's settings.
    pub(super) async fn connect(&self, timeouts: &Timeouts) -> Result<(Conn, settings::Server), ConnectError> {
        let mut failures = Vec::new();
        for server in &self.servers {
            for address in self.addresses(server, &mut failures).await {
                let endpoint = endpoint(server, address);
                let tls = self.tls.for_attempt(server);
                match self.attempt(server, address, tls, timeouts).await {
                    Ok(connected) => return Ok(connected),
                    Err(Failure::Refused(reason)) if self.tls.may_retry_without(&reason) => {
                        failures.push((format!("{endpoint} with TLS"), Failure::Refused(reason)));
                        match self.attempt(server, address, None, timeouts).await {
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
    async fn addresses(&self, server: &Server, failures: &mut Vec<(String, Failure)>) -> Vec<Option<IpAddr>> {
        let Server::Tcp { host, port } = server else { return vec![None] };
        let found =
            self.limited(async { tokio::net::lookup_host((host.as_str(), *port)).await.map_err(Failure::Lookup) });
        let addresses: Vec<_> = match found.await {
            Ok(addresses) => addresses.map(|address| Some(address.ip())).collect(),
            Err(reason) => {
                failures.push((endpoint(server, None), reason));
                return Vec::new();
            }
        };
        if addresses.is_empty() {
            let nothing = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
            failures.push((endpoint(server, None), Failure::Lookup(nothing)));
        }
        addresses
    }

    /// Connects and logs in at one address.
    async fn attempt(
        &self,
        server: &Server,
        address: Option<IpAddr>,
        tls: Option<SslOpts>,
        timeouts: &Timeouts,
    ) -> Result<(Conn, settings::Server), Failure> {
        let options = self.options.clone().ssl_opts(tls);
        let options = match server {
            Server::Socket(file) => options.socket(Some(file.to_string_lossy())),
            Server::Tcp { host, port } => {
                options.ip_or_hostname(host).tcp_port(*port).resolved_ips(address.map(|address| vec![address]))
            }
        };
        self.limited(async {
            let mut conn = Conn::new(options).await?;
            let server = settings::server(&mut conn).await?;
            self.check(&server)?;
            settings::apply(&mut conn, &server, timeouts).await?;
            settings::catch_up(&mut conn, &server).await?;
            Ok((conn, server))
        })
        .await
    }

    /// Whether a server is usable.
    fn check(&self, server: &settings::Server) -> Result<(), Failure> {
        if !server.is_supported() {
            return Err(Failure::Unusable(format!("this is {}: MariaDB 10.6 or newer is needed", server.version)));
        }
        if self.writable && server.read_only {
            let reason = "the server takes no changes (read_only), and target_session_attrs=read-write";
            return Err(Failure::Unusable(reason.to_owned()));
        }
        Ok(())
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        if self.limit.is_zero() {
            return work.await;
        }
        tokio::time::timeout(self.limit, work).await.unwrap_or(Err(Failure::TimedOut(self.limit)))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}, tls: {:?})", self.description, self.tls)
    }
}

/// A server and its address, for error messages.
fn endpoint(server: &Server, address: Option<IpAddr>) -> String {
    match (server, address) {
        (Server::Socket(file), _) => file.display().to_string(),
        (Server::Tcp { host, port }, Some(address)) if address.to_string() != *host => {
            format!("{host}:{port} ({address})")
        }
        (Server::Tcp { port, .. }, Some(address)) => SocketAddr::new(address, *port).to_string(),
        (Server::Tcp { host, port }, None) => format!("{host}:{port}"),
    }
}
