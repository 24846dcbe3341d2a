//! The parameters of a database URL, and their values.
//!
//! A parameter has to be in the table below and may occur once. Its value stays percent-encoded, because the driver decodes
//! the values that it reads.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::UrlError;

/// The names of the parameters, and the values that each may have.
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

/// A parameter of a URL.
pub(super) struct Parameter<'a> {
    pub(super) name: &'static str,
    /// Percent-encoded.
    pub(super) raw: &'a str,
    expected: &'static str,
}

impl<'a> Parameter<'a> {
    pub(super) fn value(&self) -> Result<Cow<'a, str>, UrlError> {
        percent_decode_str(self.raw).decode_utf8().map_err(|_| self.invalid())
    }

    /// The error for an invalid value.
    pub(super) fn invalid(&self) -> UrlError {
        UrlError::Value { parameter: self.name, expected: self.expected }
    }
}

/// Splits the part of a URL after the `?`.
pub(super) fn read(query: &str) -> Result<Vec<Parameter<'_>>, UrlError> {
    let mut all: Vec<Parameter> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, raw) = pair.split_once('=').ok_or(UrlError::NoValue)?;
        let Some(&(name, expected)) = PARAMETERS.iter().find(|known| known.0 == name) else {
            return Err(unknown(name, &all));
        };
        if all.iter().any(|parameter| parameter.name == name) {
            return Err(UrlError::Twice(name));
        }
        all.push(Parameter { name, raw, expected });
    }
    Ok(all)
}

/// After a password, an unknown name may be a part of a password with a bare `&` in it.
fn unknown(name: &str, before: &[Parameter]) -> UrlError {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain && before.iter().all(|parameter| parameter.name != "password") {
        UrlError::Unknown(name.to_owned())
    } else {
        UrlError::UnknownHidden
    }
}

/// The names of all known parameters, for messages.
pub(super) fn names() -> String {
    PARAMETERS.iter().map(|known| known.0).collect::<Vec<_>>().join(", ")
}
