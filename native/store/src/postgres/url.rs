//! Parses a `postgres://` URL.
//!
//! ```text
//! postgres://user:password@h1:5432,h2:5433/domains?sslmode=verify-full&sslrootcert=/etc/ca.pem
//! ```
//!
//! A URL means the same as in libpq. The driver's parser reads most of it. The rest is parsed here: all values of
//! `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `keepalives_count` (the driver's `keepalives_retries`), and
//! `tcp_user_timeout` in milliseconds.
//!
//! The rules are stricter than libpq's where a mistake could reveal a password or remain unnoticed: reserved characters have
//! to be percent-encoded, a parameter has to be known and may occur once, and a host has to be named. No error and no
//! `Debug` shows the password. `PG*` variables, `.pgpass` and service files are not read, and no file is opened here.

#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslNegotiation};

use crate::url::{self, Parameter, Parts, Ssl, UrlError, UrlKind, encoded};

/// Which URLs these are.
const KIND: UrlKind = UrlKind::Postgres;

/// Where one server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Tcp {
        /// The name that the server's certificate has to be issued for.
        host: String,
        /// Used instead of looking up `host`.
        hostaddr: Option<IpAddr>,
        port: u16,
    },
    /// A Unix socket in this folder.
    Socket { folder: PathBuf, port: u16 },
}

/// A well-formed URL.
pub(crate) struct Url {
    /// The user, the database and the parameters, without a host.
    pub(crate) config: Config,
    /// At least one.
    pub(crate) servers: Vec<Server>,
    /// Whether the servers are tried in random order.
    pub(crate) shuffled: bool,
    pub(crate) ssl: Ssl,
    parameters: Vec<&'static str>,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Url, UrlError> {
        let Parts { credentials, authority, database, query } = Parts::split(KIND, text)?;

        let mut ssl = Ssl::default();
        let mut tcp_user_timeout = 0;
        // For the driver: the parameters that name servers, and the others.
        let (mut server_parameters, mut rest) = (Vec::new(), Vec::new());
        let parameters = url::read(KIND, query)?;
        for parameter in &parameters {
            if ssl.take(parameter)? {
                continue;
            }
            match parameter.name {
                "tcp_user_timeout" => {
                    tcp_user_timeout = parameter.value()?.parse::<u32>().map_err(|_| parameter.invalid())?;
                }
                "host" | "port" if !authority.is_empty() => {
                    return Err(UrlError::Twice(parameter.name));
                }
                // For the driver, several hosts are several parameters.
                "host" => server_parameters.push(format!("host={}", parameter.raw.replace(',', "&host="))),
                "hostaddr" | "port" => server_parameters.push(driver_parameter(parameter, parameter.name)?),
                "keepalives_count" => rest.push(driver_parameter(parameter, "keepalives_retries")?),
                name => rest.push(driver_parameter(parameter, name)?),
            }
        }

        let at = if credentials.is_empty() { "" } else { "@" };
        let mut config = driver_parse(&format!("{credentials}{at}/{database}?{}", rest.join("&")))?;
        if tcp_user_timeout > 0 {
            config.tcp_user_timeout(Duration::from_millis(tcp_user_timeout.into()));
        }
        ssl.direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        Ok(Url {
            servers: servers(&driver_parse(&format!("{authority}?{}", server_parameters.join("&")))?)?,
            shuffled: config.get_load_balance_hosts() == LoadBalanceHosts::Random,
            config,
            ssl,
            parameters: parameters.iter().map(|parameter| parameter.name).collect(),
        })
    }

    /// Whether the URL sets this parameter.
    pub(crate) fn sets(&self, parameter: &str) -> bool {
        self.parameters.contains(&parameter)
    }

    /// The URL without password and parameters, for logs: `postgres://user@h1:5432,h2:5433/db`.
    pub(crate) fn description(&self) -> String {
        let user = self.config.get_user().map(|user| encoded(user.as_bytes()) + "@");
        let servers = self.servers.iter().map(|server| match server {
            Server::Tcp { host, port, .. } if host.parse::<Ipv6Addr>().is_ok() => {
                format!("[{host}]:{port}")
            }
            Server::Tcp { host, port, .. } => format!("{}:{port}", encoded(host.as_bytes())),
            Server::Socket { folder, port } => {
                format!("{}:{port}", encoded(folder.as_os_str().as_encoded_bytes()))
            }
        });
        let servers = servers.collect::<Vec<_>>().join(",");
        let database = self.config.get_dbname().map(|name| format!("/{}", encoded(name.as_bytes())));
        format!("postgres://{}{servers}{}", user.unwrap_or_default(), database.unwrap_or_default())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({})", self.description())
    }
}

/// The parameter with the driver's name, if the driver accepts its value.
fn driver_parameter(parameter: &Parameter<'_>, name: &str) -> Result<String, UrlError> {
    let renamed = format!("{name}={}", parameter.raw);
    driver_parse(&format!("?{renamed}")).map_err(|_| parameter.invalid())?;
    Ok(renamed)
}

fn driver_parse(text: &str) -> Result<Config, UrlError> {
    // The driver's errors name the wrong part, and never show its contents.
    format!("postgres://{text}")
        .parse()
        .map_err(|error: tokio_postgres::Error| UrlError::Malformed(error.source().unwrap_or(&error).to_string(), KIND))
}

/// Pairs hosts, numeric addresses and ports by their position, as the driver does.
fn servers(config: &Config) -> Result<Vec<Server>, UrlError> {
    let (hosts, hostaddrs, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(hostaddrs.len());
    let fits = |length: usize| length == 0 || length == count;
    if count == 0 {
        return Err(UrlError::NoHost(KIND));
    }
    if !fits(hosts.len()) || !fits(hostaddrs.len()) || !(fits(ports.len()) || ports.len() == 1) {
        return Err(UrlError::Counts { hosts: hosts.len(), hostaddrs: hostaddrs.len(), ports: ports.len() });
    }
    (0..count)
        .map(|i| {
            let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
            let hostaddr = hostaddrs.get(i).copied();
            match (hosts.get(i), hostaddr) {
                (Some(Host::Unix(folder)), _) => Ok(Server::Socket { folder: folder.clone(), port }),
                (Some(Host::Tcp(host)), _) if !host.is_empty() => {
                    Ok(Server::Tcp { host: host.clone(), hostaddr, port })
                }
                (_, Some(address)) => Ok(Server::Tcp { host: address.to_string(), hostaddr, port }),
                _ => Err(UrlError::NoHost(KIND)),
            }
        })
        .collect()
}
