//! TLS as the `ssl*` parameters of a database URL require it.
//!
//! | `sslmode` | the connection | the server's certificate |
//! |---|---|---|
//! | `disable` | never TLS | |
//! | `allow`, `prefer` (default) | TLS where the server has it | not verified: stops no attacker |
//! | `require` | always TLS | not verified: stops eavesdroppers, but not an impostor |
//! | `verify-ca`, `verify-full` | always TLS | leads to a trusted root, and names the host |
//!
//! The certificates in the file `sslrootcert` are trusted; without a file, or with `system`, the system's roots. With a file,
//! `allow`, `prefer` and `require` verify, too. With `system`, only `verify-ca` and `verify-full` (the default then) are
//! accepted. A Unix socket never has TLS.
//!
//! So the modes are those of PostgreSQL, and the driver verifies by the rules of webpki. It compares the name even for
//! `verify-ca`: the option that should disable this looks for a text that rustls no longer writes. Stricter than
//! asked is the safe side.

use std::fmt;
use std::path::Path;

use mysql_async::{ClientIdentity, DriverError, Error, IoError, SslOpts};
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;

use super::url::Server;
use crate::url::pem::{certificates, private_key};
use crate::url::{Ssl, SslMode, UrlError};

/// How connections are encrypted and verified.
#[derive(Clone)]
pub(super) enum Tls {
    Off,
    Prefer(SslOpts),
    Require(SslOpts),
}

impl Tls {
    /// Reads the files that the URL names.
    pub(super) fn new(ssl: &Ssl) -> Result<Tls, UrlError> {
        let mode = ssl.mode()?;
        if mode == SslMode::Disable {
            return Ok(Tls::Off);
        }
        let mut options = SslOpts::default().with_client_identity(client_identity(ssl)?);
        options = if mode >= SslMode::VerifyCa || ssl.rootcert.is_some() {
            let roots = match ssl.rootcert.as_deref() {
                Some(file) if !ssl.is_system() => certificates("sslrootcert", Path::new(file))?,
                _ => system_roots()?,
            };
            let roots = roots.into_iter().map(|root| root.to_vec().into()).collect();
            options.with_root_certs(roots).with_disable_built_in_roots(true)
        } else {
            // The driver's own roots stay: it needs some, though it ignores what they say.
            options.with_danger_accept_invalid_certs(true)
        };
        // The driver asks for the process's provider of cryptography, of which there is none by default where several are
        // compiled in: then it would panic. If another part of the process has chosen one, that one will do.
        if CryptoProvider::get_default().is_none() {
            let _ = aws_lc_rs::default_provider().install_default();
        }
        Ok(if mode < SslMode::Require { Tls::Prefer(options) } else { Tls::Require(options) })
    }

    /// The options of an attempt at this server.
    pub(super) fn for_attempt(&self, server: &Server) -> Option<SslOpts> {
        match (self, server) {
            (Tls::Off, _) | (_, Server::Socket(_)) => None,
            (Tls::Prefer(options) | Tls::Require(options), Server::Tcp { .. }) => Some(options.clone()),
        }
    }

    /// Whether an attempt that failed like this is repeated without TLS: because the server has none, or because TLS itself
    /// failed.
    pub(super) fn may_retry_without(&self, error: &Error) -> bool {
        let failed = match error {
            Error::Driver(DriverError::NoClientSslFlagFromServer) | Error::Io(IoError::Tls(_)) => true,
            Error::Io(IoError::Io(error)) => error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
            _ => false,
        };
        failed && matches!(self, Tls::Prefer(_))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tls::Off => "Off",
            Tls::Prefer(_) => "On(Prefer)",
            Tls::Require(_) => "On(Require)",
        })
    }
}

/// The client's certificate and its key, as the PEM that the driver reads.
fn client_identity(ssl: &Ssl) -> Result<Option<ClientIdentity>, UrlError> {
    let Some((cert, key)) = ssl.client()? else { return Ok(None) };
    certificates("sslcert", cert)?;
    private_key(key)?;
    let contents = |parameter, path: &Path| {
        std::fs::read(path).map_err(|error| UrlError::File { parameter, path: path.to_owned(), error })
    };
    Ok(Some(ClientIdentity::new(contents("sslcert", cert)?.into(), contents("sslkey", key)?.into())))
}

/// The system's roots that webpki can read: a single other one would make the driver refuse all.
fn system_roots() -> Result<Vec<CertificateDer<'static>>, UrlError> {
    let found = rustls_native_certs::load_native_certs();
    let readable = |root: &CertificateDer<'static>| RootCertStore::empty().add(root.clone()).is_ok();
    let roots: Vec<_> = found.certs.into_iter().filter(readable).collect();
    if roots.is_empty() {
        let reasons = found.errors.iter().map(|error| format!("; {error}")).collect();
        return Err(UrlError::NoSystemRoots(reasons));
    }
    Ok(roots)
}
