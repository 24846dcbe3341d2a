//! What the URLs of the servers have in common: their parameters, what they say about TLS, and their errors.
//!
//! Each kind of database has a table of parameters of its own. A parameter has the same meaning in each table that has it.

mod error;
mod kind;
mod parameters;
pub(crate) mod pem;

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

pub use error::UrlError;
pub use kind::UrlKind;
pub(crate) use parameters::{Parameter, read};

/// The characters that a description percent-encodes.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// libpq's `sslmode`, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SslMode {
    Disable,
    /// Treated as `Prefer`. In libpq, it uses TLS only where the server requires it.
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The URL's parameters about TLS, which each server's `tls` interprets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ssl {
    pub(crate) mode: Option<SslMode>,
    pub(crate) rootcert: Option<String>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// TLS begins with the first byte, which PostgreSQL supports since version 17.
    pub(crate) direct: bool,
}

impl Ssl {
    /// Whether the system's certificates are named.
    pub(crate) fn is_system(&self) -> bool {
        self.rootcert.as_deref() == Some("system")
    }

    /// The mode, or its default. The system's certificates are for modes that verify.
    pub(crate) fn mode(&self) -> Result<SslMode, UrlError> {
        let default = if self.is_system() { SslMode::VerifyFull } else { SslMode::Prefer };
        let mode = self.mode.unwrap_or(default);
        if self.is_system() && mode < SslMode::VerifyCa {
            return Err(UrlError::WeakSslMode { parameter: "sslrootcert=system", modes: "verify-ca or verify-full" });
        }
        Ok(mode)
    }

    /// The files of the client's certificate and of its key.
    pub(crate) fn client(&self) -> Result<Option<(&Path, &Path)>, UrlError> {
        match (&self.cert, &self.key) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(UrlError::HalfClientCertificate("sslkey")),
            (None, Some(_)) => Err(UrlError::HalfClientCertificate("sslcert")),
            (Some(cert), Some(key)) => Ok(Some((cert, key))),
        }
    }
}

/// The parts of a URL, as they are written.
pub(crate) struct Parts<'a> {
    /// The user and the password, or the empty text.
    pub(crate) credentials: &'a str,
    /// Hosts and ports.
    pub(crate) authority: &'a str,
    pub(crate) database: &'a str,
    /// The text after the `?`.
    pub(crate) query: &'a str,
}

impl<'a> Parts<'a> {
    pub(crate) fn split(kind: UrlKind, text: &'a str) -> Result<Parts<'a>, UrlError> {
        let rest = kind.strip_scheme(text).ok_or(UrlError::Scheme(kind))?;
        // At most one bare '@', and no reserved character before it. Otherwise a part of the password would be taken for a
        // host, a database or a parameter, which are shown.
        let (credentials, rest) = rest.split_once('@').unwrap_or(("", rest));
        if credentials.contains(['/', '?']) || rest.contains('@') {
            return Err(UrlError::Reserved);
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        Ok(Parts { credentials, authority, database, query })
    }
}

impl Ssl {
    /// Takes over a parameter about TLS. Returns whether it is one.
    pub(crate) fn take(&mut self, parameter: &Parameter<'_>) -> Result<bool, UrlError> {
        let value = parameter.value()?;
        match parameter.name {
            "sslmode" => self.mode = Some(ssl_mode(&value).ok_or_else(|| parameter.invalid())?),
            "sslrootcert" => self.rootcert = Some(value.into_owned()),
            "sslcert" => self.cert = Some(value.as_ref().into()),
            "sslkey" => self.key = Some(value.as_ref().into()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A part of a URL as a description shows it.
pub(crate) fn encoded(text: &[u8]) -> String {
    percent_encode(text, ENCODED).to_string()
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
