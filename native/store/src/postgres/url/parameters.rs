//! The parameters that a database URL can have after its `?`, and what each may be.
//!
//! A parameter is one of the table below and said once. Its value stays percent-encoded until it
//! is asked for: the driver decodes those that it reads itself.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::UrlError;

/// Name, and what the value must be.
const PARAMETERS: &[(&str, &str)] = &[
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

/// One parameter as it was said.
pub(super) struct Said<'a> {
    pub(super) name: &'static str,
    /// Percent-encoded.
    pub(super) raw: &'a str,
    expected: &'static str,
}

impl<'a> Said<'a> {
    pub(super) fn value(&self) -> Result<Cow<'a, str>, UrlError> {
        percent_decode_str(self.raw).decode_utf8().map_err(|_| self.invalid())
    }

    /// The error for a value that the parameter can't have.
    pub(super) fn invalid(&self) -> UrlError {
        UrlError::Value { parameter: self.name, expected: self.expected }
    }
}

/// Takes apart what stands after the `?`.
pub(super) fn read(query: &str) -> Result<Vec<Said<'_>>, UrlError> {
    let mut all: Vec<Said> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, raw) = pair.split_once('=').ok_or(UrlError::NoValue)?;
        let Some(&(name, expected)) = PARAMETERS.iter().find(|known| known.0 == name) else {
            return Err(unknown(name, &all));
        };
        if all.iter().any(|said| said.name == name) {
            return Err(UrlError::Twice(name));
        }
        all.push(Said { name, raw, expected });
    }
    Ok(all)
}

/// After a password, an unknown name may be the rest of one with a bare `&` in it.
fn unknown(name: &str, before: &[Said]) -> UrlError {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain && before.iter().all(|said| said.name != "password") {
        UrlError::Unknown(name.to_owned())
    } else {
        UrlError::UnknownHidden
    }
}

/// The names of all known parameters, for messages.
pub(super) fn names() -> String {
    PARAMETERS.iter().map(|known| known.0).collect::<Vec<_>>().join(", ")
}
