//! What the `ssl*` parameters of a database URL mean.
//!
//! | `sslmode` | the connection | the server's certificate |
//! |---|---|---|
//! | `disable` | never TLS | |
//! | `allow`, `prefer` (default) | TLS where the server has it | not verified: stops no attacker |
//! | `require` | always TLS | not verified: stops who listens, not who poses as the server |
//! | `verify-ca` | always TLS | leads to a trusted root; any host's will do |
//! | `verify-full` | always TLS | leads to a trusted root, and is made out to the host |
//!
//! Trusted are the certificates in the file `sslrootcert`; without one, or with `system`, the
//! system's roots. Beside a file, `allow`, `prefer` and `require` verify as `verify-ca` does, as in
//! libpq, though the first two still go on without TLS if the server has none. With `system` only
//! `verify-ca` and `verify-full` (then the default) are taken; the former means little, since the
//! system trusts authorities that make out certificates to everybody.
//!
//! Host names are looked for in the certificate's subjectAltName only, never in its common name.
//! No revocation list is consulted. There is no second attempt without TLS after a failed one, and
//! a Unix socket never has TLS.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode as DriverSslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::{Ssl, SslMode, UrlError};

/// How connections are made private.
#[derive(Clone)]
pub(crate) enum Tls {
    Off,
    On {
        /// Whether the server may have no TLS.
        mode: DriverSslMode,
        connector: MakeRustlsConnect,
    },
}

impl Tls {
    /// Reads the files that are named.
    pub(crate) fn new(ssl: &Ssl) -> Result<Tls, UrlError> {
        let system = ssl.rootcert.as_deref() == Some("system");
        let default = if system { SslMode::VerifyFull } else { SslMode::Prefer };
        let mode = ssl.mode.unwrap_or(default);
        if system && mode < SslMode::VerifyCa {
            return Err(UrlError::WeakSslMode { parameter: "sslrootcert=system", modes: "verify-ca or verify-full" });
        }
        if ssl.direct && mode < SslMode::Require {
            return Err(UrlError::WeakSslMode {
                parameter: "sslnegotiation=direct",
                modes: "require, verify-ca or verify-full",
            });
        }
        if mode == SslMode::Disable {
            return Ok(Tls::Off);
        }
        let trusted = || match ssl.rootcert.as_deref() {
            Some(file) if !system => Trusted::from_file(Path::new(file)),
            _ => Trusted::from_system(),
        };
        let verify = match mode {
            SslMode::VerifyFull => Verify::ChainAndName(trusted()?),
            SslMode::VerifyCa => Verify::Chain(trusted()?),
            _ if ssl.rootcert.is_some() => Verify::Chain(trusted()?),
            _ => Verify::Nothing,
        };
        Ok(Tls::On {
            mode: if mode < SslMode::Require { DriverSslMode::Prefer } else { DriverSslMode::Require },
            connector: MakeRustlsConnect::new(client_config(ssl, verify)?),
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tls::Off => f.write_str("Off"),
            Tls::On { mode, .. } => write!(f, "On({mode:?})"),
        }
    }
}

fn client_config(ssl: &Ssl, verify: Verify) -> Result<ClientConfig, UrlError> {
    // Explicit: the process-wide default belongs to whoever else lives in the process.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier { verify, provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        // It fails only for a provider without cipher suites for these versions; ring has them.
        .expect("ring supports TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match (&ssl.cert, &ssl.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => return Err(UrlError::HalfClientCertificate("sslkey")),
        (None, Some(_)) => return Err(UrlError::HalfClientCertificate("sslcert")),
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(certificates("sslcert", cert)?, private_key(key)?)
            .map_err(|error| UrlError::Contents {
                parameter: "sslkey",
                path: key.clone(),
                problem: format!("can't be used with the certificate {}: {error}", cert.display()),
            })?,
    };
    if ssl.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(config)
}

/// What is verified about the server's certificate.
#[derive(Debug)]
enum Verify {
    Nothing,
    Chain(Trusted),
    ChainAndName(Trusted),
}

/// The certificates that a server's certificate may lead to.
#[derive(Debug)]
struct Trusted {
    roots: RootCertStore,
    /// The same ones as they are in the file. A server may show one of them itself, even if it says
    /// that it is an authority's: so does every certificate that `openssl req -x509` signs itself.
    named: Vec<CertificateDer<'static>>,
}

impl Trusted {
    fn from_file(path: &Path) -> Result<Trusted, UrlError> {
        let named = certificates("sslrootcert", path)?;
        let mut roots = RootCertStore::empty();
        for certificate in &named {
            roots.add(certificate.clone()).map_err(|error| UrlError::Contents {
                parameter: "sslrootcert",
                path: path.to_owned(),
                problem: format!("holds a certificate that can't be read: {error}"),
            })?;
        }
        Ok(Trusted { roots, named })
    }

    fn from_system() -> Result<Trusted, UrlError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let reasons = found.errors.iter().map(|error| format!("; {error}")).collect();
            return Err(UrlError::NoSystemRoots(reasons));
        }
        Ok(Trusted { roots, named: Vec::new() })
    }

    /// Whether the certificate that a server shows leads here, and its time is now.
    fn verify_chain(
        &self,
        shown: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), rustls::Error> {
        use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
        let result = verify_server_cert_signed_by_trust_anchor(parsed, &self.roots, intermediates, now, algorithms.all);
        match result {
            Err(rustls::Error::InvalidCertificate(
                Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
            )) => result,
            Err(_) if self.named.iter().any(|named| named == shown) => Ok(()),
            _ => result,
        }
    }
}

/// Judges the certificate that a server shows.
#[derive(Debug)]
struct Verifier {
    verify: Verify,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Verify::Chain(trusted) | Verify::ChainAndName(trusted) = &self.verify {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            let algorithms = &self.provider.signature_verification_algorithms;
            trusted.verify_chain(end_entity, &parsed, intermediates, now, algorithms)?;
            if let Verify::ChainAndName(_) = self.verify {
                verify_server_name(&parsed, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    // The server must own the certificate that it shows, verified or not.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn certificates(parameter: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, UrlError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|all| if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) })
        .map_err(|error| pem_error(parameter, path, "a certificate", error))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, UrlError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| pem_error("sslkey", path, "an unencrypted private key", error))
}

fn pem_error(parameter: &'static str, path: &Path, wanted: &str, error: pem::Error) -> UrlError {
    let path = PathBuf::from(path);
    let problem = match error {
        pem::Error::Io(error) => {
            return UrlError::File { parameter, path, error };
        }
        pem::Error::NoItemsFound => format!("does not hold {wanted}: it must, in PEM form"),
        error => format!("does not hold {wanted} in PEM form: {error}"),
    };
    UrlError::Contents { parameter, path, problem }
}
