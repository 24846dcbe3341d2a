//! Where the URL of a database is kept.
//!
//! The URL, and so the password in it, is read again for each connection: a secret that is exchanged while a
//! node runs is used by the next connection, and needs no restart.

use std::fmt;
use std::fs;
use std::path::PathBuf;

/// Where to read the URL.
#[derive(Clone)]
pub enum UrlSource {
    /// It is this text.
    Url(String),
    /// The contents of this file.
    File(PathBuf),
    /// The value of this environment variable.
    Variable {
        /// The variable's name.
        name: String,
        /// Reads a variable. The environment that is meant is not that of this process's C library.
        read: fn(&str) -> Option<Vec<u8>>,
    },
}

/// Why a URL could not be read. It never shows what was read.
#[derive(Debug, thiserror::Error)]
#[error("the database's URL cannot be read from {location}: {reason}")]
pub struct Unreadable {
    location: String,
    reason: String,
}

impl UrlSource {
    /// The URL as it is now. Space around what a file or a variable holds is no part of it.
    pub(crate) fn read(&self) -> Result<String, Unreadable> {
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

    fn unreadable(&self, reason: impl fmt::Display) -> Unreadable {
        Unreadable { location: self.to_string(), reason: reason.to_string() }
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
