//! Authentication: HTTP's Basic scheme, and client certificates.
//!
//! There is one global admin with a configured user name and password, or none: then every client that can reach the
//! port is the admin. Without a configured password, credentials in a request are refused all the same, because the
//! client expects that they are checked.
//!
//! Every comparison of a password goes through [`Authenticator::throttled`], which slows guessing down
//! ([`throttle`](crate::throttle)). A client certificate replaces credentials only where a handler calls
//! [`Authenticator::authenticate_or_certificate`].

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

/// Checks credentials and client certificates.
pub struct Authenticator {
    credentials: Arc<CurrentCredentials>,
    certificates: AcceptedCertificates,
    throttle: Throttle,
}

/// The global admin's credentials, if there are any. The node reads the password again every few seconds and sends it.
pub struct CurrentCredentials(RwLock<Option<Credentials>>);

impl CurrentCredentials {
    /// The credentials of the configuration.
    pub fn new(config: &Config) -> Arc<CurrentCredentials> {
        Arc::new(CurrentCredentials(RwLock::new(config.credentials.clone())))
    }

    /// Replaces the credentials. Without configured credentials, it does nothing.
    pub fn renew(&self, credentials: Credentials) {
        if let Some(current) = self.0.write().as_mut() {
            *current = credentials;
        }
    }

    fn matches(&self, username: &str, password: &str) -> bool {
        self.0.read().as_ref().is_some_and(|credentials| credentials.matches(username, password))
    }

    fn is_none(&self) -> bool {
        self.0.read().is_none()
    }
}

/// Which verified client certificates replace credentials.
enum AcceptedCertificates {
    /// None.
    None,
    /// All.
    All,
    /// Only certificates with one of these names.
    Named(Vec<String>),
}

/// The `Authorization` header of a request.
#[derive(PartialEq, Eq)]
pub enum Authorization {
    /// It is missing, or has another scheme than Basic.
    None,
    /// A user name and a password.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// It is malformed.
    Malformed,
}

/// Why a client is not authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    /// The credentials are missing or wrong.
    Unauthorized,
    /// Too many failed logins from its address.
    TooMany,
}

impl From<TooMany> for AuthError {
    fn from(TooMany: TooMany) -> AuthError {
        AuthError::TooMany
    }
}

impl fmt::Debug for Authorization {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Authorization::None => "None",
            Authorization::Basic { .. } => "Basic(..)",
            Authorization::Malformed => "Malformed",
        })
    }
}

impl Authorization {
    /// Reads the header.
    pub fn of(headers: &HeaderMap) -> Authorization {
        let Some(header) = headers.get(AUTHORIZATION) else { return Authorization::None };
        let Ok(header) = header.to_str() else { return Authorization::Malformed };
        let Some((scheme, value)) = header.split_once(' ') else { return Authorization::Malformed };
        if !scheme.eq_ignore_ascii_case("basic") {
            return Authorization::None;
        }
        let decoded = BASE64_STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some((username, password)) => Authorization::Basic { username: username.into(), password: password.into() },
            None => Authorization::Malformed,
        }
    }
}

impl Authenticator {
    /// An authenticator for this configuration.
    pub fn new(config: &Config, credentials: Arc<CurrentCredentials>) -> Authenticator {
        let certificates = match &config.tls {
            Some(tls) if tls.client_ca.is_some() => match &tls.allowed_names {
                Some(names) => AcceptedCertificates::Named(names.clone()),
                None => AcceptedCertificates::All,
            },
            _ => AcceptedCertificates::None,
        };
        Authenticator { credentials, certificates, throttle: Throttle::default() }
    }

    /// Requires the global admin's credentials.
    pub async fn authenticate(&self, peer: &Peer, headers: &HeaderMap) -> Result<(), AuthError> {
        match (self.is_open(), Authorization::of(headers)) {
            (true, Authorization::None) => Ok(()),
            (_, Authorization::Basic { username, password }) => {
                self.throttled(peer, &username, async { Ok(self.is_admin(&username, &password).then_some(())) }).await
            }
            _ => Err(AuthError::Unauthorized),
        }
    }

    /// Requires the global admin's credentials, or an accepted certificate.
    ///
    /// Where certificates are configured and credentials are not, the certificate is required.
    pub async fn authenticate_or_certificate(&self, peer: &Peer, headers: &HeaderMap) -> Result<(), AuthError> {
        match (&self.certificates, self.is_open()) {
            _ if self.is_certified(peer) => Ok(()),
            (AcceptedCertificates::All | AcceptedCertificates::Named(_), true) => Err(AuthError::Unauthorized),
            _ => self.authenticate(peer, headers).await,
        }
    }

    /// Runs a check of credentials, after the delay that earlier failures of the peer's address cause.
    ///
    /// The check returns `Ok(Some(_))` for right credentials, `Ok(None)` for wrong ones, and an error where it could
    /// not compare them.
    pub async fn throttled<T, E: From<AuthError>>(
        &self,
        peer: &Peer,
        username: &str,
        check: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<T, E> {
        let check = async { check.await.map_err(AttemptError::Check) };
        match self.throttle.attempt(peer.address.ip(), username, check).await {
            Ok(Some(checked)) => Ok(checked),
            Ok(None) => Err(AuthError::Unauthorized.into()),
            Err(AttemptError::TooMany) => Err(AuthError::TooMany.into()),
            Err(AttemptError::Check(error)) => Err(error),
        }
    }

    /// Whether these are the global admin's credentials. Call it only within [`throttled`](Self::throttled).
    pub fn is_admin(&self, username: &str, password: &str) -> bool {
        self.credentials.matches(username, password)
    }

    /// Whether every client that can reach the port is the global admin.
    pub fn is_open(&self) -> bool {
        self.credentials.is_none()
    }

    fn is_certified(&self, peer: &Peer) -> bool {
        let Some(certificate) = &peer.certificate else { return false };
        let is_accepted = match &self.certificates {
            AcceptedCertificates::None => false,
            AcceptedCertificates::All => true,
            AcceptedCertificates::Named(allowed) => certificate.has_one_of(allowed),
        };
        is_accepted && certificate.is_valid_now()
    }
}

/// Why an attempt has no result.
enum AttemptError<E> {
    TooMany,
    Check(E),
}

impl<E> From<TooMany> for AttemptError<E> {
    fn from(TooMany: TooMany) -> AttemptError<E> {
        AttemptError::TooMany
    }
}

impl Credentials {
    /// Compares in constant time, so that the time tells nothing about the password.
    fn matches(&self, username: &str, password: &str) -> bool {
        let name = self.username.as_bytes().ct_eq(username.as_bytes());
        bool::from(name & self.password.as_bytes().ct_eq(password.as_bytes()))
    }
}
