//! Who asks: HTTP's Basic authentication.
//!
//! There is one global admin, whose name and password are configured, or none: then whoever can reach the port
//! is taken for it. Where there is none, somebody who sends credentials all the same is refused: they expect
//! to be checked.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;

use crate::config::Credentials;

/// Knows the global admin.
pub struct Guard {
    credentials: Option<Credentials>,
}

/// What a request says of who asks.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing, or something that is not Basic.
    None,
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// A header that makes no sense.
    Malformed,
}

/// The request is not from whom it must be.
#[derive(Debug, PartialEq, Eq)]
pub struct Denied;

impl Claim {
    /// What the headers say.
    pub fn of(headers: &HeaderMap) -> Claim {
        let Some(header) = headers.get(AUTHORIZATION) else { return Claim::None };
        let Ok(header) = header.to_str() else { return Claim::Malformed };
        let Some((scheme, value)) = header.split_once(' ') else { return Claim::Malformed };
        if !scheme.eq_ignore_ascii_case("basic") {
            return Claim::None;
        }
        let decoded = BASE64_STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some((username, password)) => Claim::Basic { username: username.into(), password: password.into() },
            None => Claim::Malformed,
        }
    }
}

impl Guard {
    /// One who knows this admin.
    pub fn new(credentials: Option<Credentials>) -> Guard {
        Guard { credentials }
    }

    /// Whether this is the global admin.
    pub fn admit(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match (&self.credentials, Claim::of(headers)) {
            (None, Claim::None) => Ok(()),
            (Some(credentials), Claim::Basic { username, password }) if credentials.are(&username, &password) => Ok(()),
            _ => Err(Denied),
        }
    }
}

impl Credentials {
    /// Takes the same time wherever they differ.
    fn are(&self, username: &str, password: &str) -> bool {
        let name = self.username.as_bytes().ct_eq(username.as_bytes());
        bool::from(name & self.password.as_bytes().ct_eq(password.as_bytes()))
    }
}
