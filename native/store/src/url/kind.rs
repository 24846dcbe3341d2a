//! The kinds of databases whose URLs name a server, and the parameters of each.

/// Which database a URL is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlKind {
    /// `postgres://…`
    Postgres,
    /// `mysql://…` or `mariadb://…`
    Mariadb,
}

/// The names of the parameters, and the values that each may have.
type Table = &'static [(&'static str, &'static str)];

const POSTGRES: Table = &[
    ("application_name", "UTF-8 text"),
    ("channel_binding", "disable, prefer or require"),
    ("connect_timeout", "a whole number of seconds, 0 for no limit"),
    ("dbname", "UTF-8 text"),
    ("host", "UTF-8 text: a host, or several with commas between"),
    ("hostaddr", "a numeric IP address, or one for each host with commas between"),
    ("keepalives", "1 or 0"),
    ("keepalives_count", "a whole number"),
    ("keepalives_idle", "a whole number of seconds"),
    ("keepalives_interval", "a whole number of seconds"),
    ("keepalives_retries", "a whole number"),
    ("load_balance_hosts", "disable or random"),
    ("options", "UTF-8 text: options for the server, as in -c%20work_mem=8MB"),
    ("password", "UTF-8 text"),
    ("port", "a port, or one for each host with commas between"),
    ("sslcert", "a PEM file with the client's certificate"),
    ("sslkey", "a PEM file with the client's private key"),
    ("sslmode", "disable, allow, prefer, require, verify-ca or verify-full"),
    ("sslnegotiation", "postgres or direct"),
    ("sslrootcert", "a PEM file with the certificates to trust, or system"),
    (
        "target_session_attrs",
        "any, read-write or read-only (libpq's primary, standby and prefer-standby are not offered)",
    ),
    ("tcp_user_timeout", "a whole number of milliseconds, 0 for the system's own"),
    ("user", "UTF-8 text"),
];

const MARIADB: Table = &[
    ("connect_timeout", "a whole number of seconds, 0 for no limit"),
    ("socket", "the file of a Unix socket"),
    ("sslcert", "a PEM file with the client's certificate"),
    ("sslkey", "a PEM file with the client's private key"),
    ("sslmode", "disable, allow, prefer, require, verify-ca or verify-full"),
    ("sslrootcert", "a PEM file with the certificates to trust, or system"),
    ("target_session_attrs", "any or read-write"),
];

impl UrlKind {
    /// The scheme that a description shows.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            UrlKind::Postgres => "postgres://",
            UrlKind::Mariadb => "mysql://",
        }
    }

    /// All schemes, for messages.
    pub(crate) fn schemes(self) -> &'static str {
        match self {
            UrlKind::Postgres => "postgres:// or postgresql://",
            UrlKind::Mariadb => "mysql:// or mariadb://",
        }
    }

    /// The text after the scheme.
    pub(crate) fn strip_scheme(self, url: &str) -> Option<&str> {
        let (one, other) = match self {
            UrlKind::Postgres => ("postgres://", "postgresql://"),
            UrlKind::Mariadb => ("mysql://", "mariadb://"),
        };
        url.strip_prefix(one).or_else(|| url.strip_prefix(other))
    }

    /// What of a Unix socket is named as a host, for messages.
    pub(crate) fn socket_is(self) -> &'static str {
        match self {
            UrlKind::Postgres => "folder of",
            UrlKind::Mariadb => "file of",
        }
    }

    pub(crate) fn parameters(self) -> Table {
        match self {
            UrlKind::Postgres => POSTGRES,
            UrlKind::Mariadb => MARIADB,
        }
    }

    /// The names of all parameters, for messages.
    pub(crate) fn parameter_names(self) -> String {
        self.parameters().iter().map(|known| known.0).collect::<Vec<_>>().join(", ")
    }
}
