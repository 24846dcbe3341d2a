//! Where the URL of a database is kept.
//!
//! The URL, and so the password in it, is read again for each connection. A secret that is replaced while a node runs is
//! used by the next connection, without a restart.

use std::fmt;
use std::fs;
use std::path::PathBuf;

/// Where to read a URL.
#[derive(Clone)]
pub enum UrlSource {
    /// This text.
    Url(String),
    /// The contents of this file.
    File(PathBuf),
    /// The value of this environment variable.
    Variable {
        /// The variable's name.
        name: String,
        /// Reads a variable. The environment is Erlang's, which differs from that of the C library.
        read: fn(&str) -> Option<Vec<u8>>,
    },
}

/// Why a URL could not be read. Never shows the text that was read.
#[derive(Debug, thiserror::Error)]
#[error("the database's URL cannot be read from {location}: {reason}")]
pub struct UrlSourceError {
    location: String,
    reason: String,
}

impl UrlSource {
    /// The present URL. White space around the contents of a file or a variable is removed.
    pub(crate) fn read(&self) -> Result<String, UrlSourceError> {
        let bytes = match self {
            UrlSource::Url(url) => return Ok(url.clone()),
            UrlSource::File(path) => fs::read(path).map_err(|error| self.unreadable(error))?,
            UrlSource::Variable { name, read } => read(name).ok_or_else(|| self.unreadable("it is not set"))?,
        };
        let text = String::from_utf8(bytes).map_err(|_| self.unreadable("it is not UTF-8"))?;
        match text.trim() {
            "" => Err(self.unreadable("it is empty")),
            url => Ok(url.to_owned()),
        }
    }

    fn unreadable(&self, reason: impl fmt::Display) -> UrlSourceError {
        UrlSourceError { location: self.to_string(), reason: reason.to_string() }
    }
}

impl fmt::Display for UrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlSource::Url(_) => f.write_str("the configuration"),
            UrlSource::File(path) => write!(f, "the file {}", path.display()),
            UrlSource::Variable { name, .. } => write!(f, "the environment variable {name}"),
        }
    }
}
