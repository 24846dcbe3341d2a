//! Who asks: HTTP's Basic authentication.
//!
//! There is one global admin, whose name and password are configured, or none: then whoever can reach the port
//! is taken for it. Where there is none, somebody who sends credentials all the same is refused: they expect
//! to be checked.
//!
//! Whoever compares a password does it by `attempt`, so that guessing is slowed (see `throttle`):
//!
//! ```text
//! let role = guard.attempt(&peer, &username, async {
//!     match domain_of(&username) {
//!         None => Ok(guard.is_admin(&username, &password).then_some(Role::Admin)),
//!         Some(domain) => match node.check_password(&domain, &password).await { ... }
//!     }
//! }).await?;
//! ```
//!
//! A client certificate stands for credentials only at the doors that say so.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::RwLock;
use subtle::ConstantTimeEq;

use crate::config::{Config, Credentials};
use crate::peer::Peer;
use crate::throttle::{Throttle, TooMany};

/// Knows the global admin, and whose certificates stand for it.
pub struct Guard {
    credentials: Arc<CurrentCredentials>,
    certificates: Certificates,
    throttle: Throttle,
}

/// The global admin's credentials, if there are any. The node reads the password again every few seconds, and says
/// what it is then.
pub struct CurrentCredentials(RwLock<Option<Credentials>>);

impl CurrentCredentials {
    /// Those that the door opens with.
    pub fn new(config: &Config) -> Arc<CurrentCredentials> {
        Arc::new(CurrentCredentials(RwLock::new(config.credentials.clone())))
    }

    /// Others take their place from the next request on. A door that opened without any stays without.
    pub fn renew(&self, credentials: Credentials) {
        if let Some(current) = self.0.write().as_mut() {
            *current = credentials;
        }
    }

    fn are(&self, username: &str, password: &str) -> bool {
        self.0.read().as_ref().is_some_and(|credentials| credentials.are(username, password))
    }

    fn are_none(&self) -> bool {
        self.0.read().is_none()
    }
}

/// Which verified client certificates stand for credentials.
enum Certificates {
    /// None is asked for.
    None,
    /// All of them.
    All,
    /// Those with one of these names.
    Named(Vec<String>),
}

/// What a request says of who asks.
#[derive(PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It names nobody, or not rightly.
    Unauthorized,
    /// Too many attempts from its address wait already, after many that failed.
    TooMany,
}

impl From<TooMany> for Denied {
    fn from(TooMany: TooMany) -> Denied {
        Denied::TooMany
    }
}

impl fmt::Debug for Claim {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Claim::None => "None",
            Claim::Basic { .. } => "Basic(..)",
            Claim::Malformed => "Malformed",
        })
    }
}

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
    /// One who knows whom the configuration names.
    pub fn new(config: &Config, credentials: Arc<CurrentCredentials>) -> Guard {
        let certificates = match &config.tls {
            Some(tls) if tls.client_ca.is_some() => match &tls.allowed_names {
                Some(names) => Certificates::Named(names.clone()),
                None => Certificates::All,
            },
            _ => Certificates::None,
        };
        Guard { credentials, certificates, throttle: Throttle::default() }
    }

    /// Whether this is the global admin.
    pub async fn admit(&self, peer: &Peer, headers: &HeaderMap) -> Result<(), Denied> {
        match (self.is_open(), Claim::of(headers)) {
            (true, Claim::None) => Ok(()),
            (_, Claim::Basic { username, password }) => {
                self.attempt(peer, &username, async { Ok(self.is_admin(&username, &password).then_some(())) }).await
            }
            _ => Err(Denied::Unauthorized),
        }
    }

    /// Whether this is the global admin, or somebody whose certificate stands for its credentials.
    ///
    /// Where certificates are asked for and no credentials are configured, the certificate is needed.
    pub async fn admit_certified(&self, peer: &Peer, headers: &HeaderMap) -> Result<(), Denied> {
        match (&self.certificates, self.is_open()) {
            _ if self.is_certified(peer) => Ok(()),
            (Certificates::All | Certificates::Named(_), true) => Err(Denied::Unauthorized),
            _ => self.admit(peer, headers).await,
        }
    }

    /// Runs a check of credentials in this name, after the wait that the peer's address has earned by failures.
    ///
    /// The check answers `Ok(Some(_))` for right credentials, `Ok(None)` for wrong ones, and an error when it
    /// could not tell.
    pub async fn attempt<T, E: From<Denied>>(
        &self,
        peer: &Peer,
        username: &str,
        check: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<T, E> {
        let check = async { check.await.map_err(Untold::Check) };
        match self.throttle.attempt(peer.address.ip(), username, check).await {
            Ok(Some(told)) => Ok(told),
            Ok(None) => Err(Denied::Unauthorized.into()),
            Err(Untold::TooMany) => Err(Denied::TooMany.into()),
            Err(Untold::Check(error)) => Err(error),
        }
    }

    /// Whether these are the global admin's. Not slowed: only for a check within `attempt`.
    pub fn is_admin(&self, username: &str, password: &str) -> bool {
        self.credentials.are(username, password)
    }

    /// Whether anybody who can reach the port is taken for the global admin.
    pub fn is_open(&self) -> bool {
        self.credentials.are_none()
    }

    fn is_certified(&self, peer: &Peer) -> bool {
        let Some(shown) = &peer.certificate else { return false };
        let counts = match &self.certificates {
            Certificates::None => false,
            Certificates::All => true,
            Certificates::Named(allowed) => shown.has_one_of(allowed),
        };
        counts && shown.is_good()
    }
}

/// Why an attempt was not told.
enum Untold<E> {
    TooMany,
    Check(E),
}

impl<E> From<TooMany> for Untold<E> {
    fn from(TooMany: TooMany) -> Untold<E> {
        Untold::TooMany
    }
}

impl Credentials {
    /// Takes the same time wherever they differ.
    fn are(&self, username: &str, password: &str) -> bool {
        let name = self.username.as_bytes().ct_eq(username.as_bytes());
        bool::from(name & self.password.as_bytes().ct_eq(password.as_bytes()))
    }
}
