//! What a `postgres://` URL says.
//!
//! ```text
//! postgres://user:password@h1:5432,h2:5433/domains?sslmode=verify-full&sslrootcert=/etc/ca.pem
//! ```
//!
//! The text means what it means to libpq. The driver's own parser reads nearly all of it; ours is
//! what the driver does not know: `sslmode` in full, `sslrootcert`, `sslcert`, `sslkey`,
//! `keepalives_count` (the driver's `keepalives_retries`) and `tcp_user_timeout` in milliseconds.
//!
//! It is stricter than libpq where a slip could show a password or go unseen: reserved characters
//! are percent-encoded, a parameter is known and said once, a host is named. No error and no
//! `Debug` shows the password. `PG*` variables, `.pgpass` and service files are not read, and no
//! file is opened here.

mod error;
mod parameters;
#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslNegotiation};

pub use error::UrlError;

/// What is not percent-encoded in [`Url::description`].
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How much TLS is asked for: libpq's `sslmode`, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SslMode {
    Disable,
    /// Treated as `Prefer`: it would begin without TLS and use it only where the server insists.
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What the URL says about TLS, word for word: [`super::tls`] gives it a meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ssl {
    pub(crate) mode: Option<SslMode>,
    pub(crate) rootcert: Option<String>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// TLS from the first byte on, which PostgreSQL understands since 17.
    pub(crate) direct: bool,
}

/// Where one server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Tcp {
        /// What the server's certificate must be made out to.
        host: String,
        /// Spares looking `host` up.
        hostaddr: Option<IpAddr>,
        port: u16,
    },
    /// A Unix socket, by the folder that it is in.
    Socket { folder: PathBuf, port: u16 },
}

/// A well-formed URL.
pub(crate) struct Url {
    /// Who connects, to which database and how; no host.
    pub(crate) config: Config,
    /// One at least.
    pub(crate) servers: Vec<Server>,
    /// Whether the servers are tried in random order.
    pub(crate) shuffled: bool,
    pub(crate) ssl: Ssl,
    parameters: Vec<&'static str>,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Url, UrlError> {
        let rest =
            text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")).ok_or(UrlError::Scheme)?;
        // At most one bare '@', and nothing reserved before it: else a piece of the password would
        // pass for a host, a database or a parameter, and those are shown.
        let (credentials, rest) = rest.split_once('@').unwrap_or(("", rest));
        if credentials.contains(['/', '?']) || rest.contains('@') {
            return Err(UrlError::Reserved);
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));

        let mut ssl = Ssl::default();
        let mut tcp_user_timeout = 0;
        // What the driver reads: where the servers are, and the rest.
        let (mut whereabouts, mut rest) = (Vec::new(), Vec::new());
        let said = parameters::read(query)?;
        for said in &said {
            let value = said.value()?;
            match said.name {
                "sslmode" => ssl.mode = Some(ssl_mode(&value).ok_or_else(|| said.invalid())?),
                "sslrootcert" => ssl.rootcert = Some(value.into_owned()),
                "sslcert" => ssl.cert = Some(value.as_ref().into()),
                "sslkey" => ssl.key = Some(value.as_ref().into()),
                "tcp_user_timeout" => {
                    tcp_user_timeout = value.parse::<u32>().map_err(|_| said.invalid())?;
                }
                "host" | "port" if !authority.is_empty() => {
                    return Err(UrlError::Twice(said.name));
                }
                // Several hosts are several parameters to the driver.
                "host" => whereabouts.push(format!("host={}", said.raw.replace(',', "&host="))),
                "hostaddr" | "port" => whereabouts.push(driver_parameter(said, said.name)?),
                "keepalives_count" => rest.push(driver_parameter(said, "keepalives_retries")?),
                name => rest.push(driver_parameter(said, name)?),
            }
        }

        let at = if credentials.is_empty() { "" } else { "@" };
        let mut config = driver_parse(&format!("{credentials}{at}/{database}?{}", rest.join("&")))?;
        if tcp_user_timeout > 0 {
            config.tcp_user_timeout(Duration::from_millis(tcp_user_timeout.into()));
        }
        ssl.direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        Ok(Url {
            servers: servers(&driver_parse(&format!("{authority}?{}", whereabouts.join("&")))?)?,
            shuffled: config.get_load_balance_hosts() == LoadBalanceHosts::Random,
            config,
            ssl,
            parameters: said.iter().map(|said| said.name).collect(),
        })
    }

    /// Whether the URL sets this parameter.
    pub(crate) fn sets(&self, parameter: &str) -> bool {
        self.parameters.contains(&parameter)
    }

    /// The URL without password and parameters, for logs: `postgres://user@h1:5432,h2:5433/db`.
    pub(crate) fn description(&self) -> String {
        let encoded = |text: &[u8]| percent_encode(text, ENCODED).to_string();
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

fn ssl_mode(value: &str) -> Option<SslMode> {
    Some(match value {
        "disable" => SslMode::Disable,
        "allow" => SslMode::Allow,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => return None,
    })
}

/// The parameter under the driver's name for it, once the driver has accepted its value.
fn driver_parameter(said: &parameters::Said, name: &str) -> Result<String, UrlError> {
    let parameter = format!("{name}={}", said.raw);
    driver_parse(&format!("?{parameter}")).map_err(|_| said.invalid())?;
    Ok(parameter)
}

fn driver_parse(text: &str) -> Result<Config, UrlError> {
    // The driver's errors name the part that is wrong, never its contents.
    format!("postgres://{text}")
        .parse()
        .map_err(|error: tokio_postgres::Error| UrlError::Malformed(error.source().unwrap_or(&error).to_string()))
}

/// Pairs hosts, numeric addresses and ports by their position, as the driver would.
fn servers(config: &Config) -> Result<Vec<Server>, UrlError> {
    let (hosts, hostaddrs, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(hostaddrs.len());
    let fits = |length: usize| length == 0 || length == count;
    if count == 0 {
        return Err(UrlError::NoHost);
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
                _ => Err(UrlError::NoHost),
            }
        })
        .collect()
}
