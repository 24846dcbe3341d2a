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
//! libpq. With `system` only `verify-ca` and `verify-full` (then the default) are taken; the former means
//! little, since the system trusts authorities that make out certificates to everybody.
//!
//! What psql connects to by the same URL is connected to, and what it refuses is refused: where nothing is verified
//! a certificate of any kind will do, since nothing follows from it, and `allow` and `prefer` try again without TLS
//! when a connection with it fails. `connect/tests/psql_parity.rs` compares both and names the differences that are left.
//!
//! No revocation list is consulted, and a Unix socket never has TLS.
//!
//! | file | idea |
//! |---|---|
//! | `chain` | whether a certificate leads to a trusted root |
//! | `names` | whether it is made out to a host |
//! | `key` | whether its key has signed the handshake |
//! | `stream` | a connection for the driver |

mod chain;
mod key;
mod names;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio_postgres::error::SqlState;

use chain::Trusted;
use key::{AnyCurve, PssKey};
pub(crate) use stream::Connector;
use stream::Offer;

use super::url::{Server, Ssl, SslMode, UrlError};

/// How connections are made private.
#[derive(Clone)]
pub(crate) struct Tls(Connector);

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
            return Ok(Tls(Connector::clear()));
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
        let offer = match mode {
            _ if ssl.direct => Offer::Direct,
            SslMode::Disable | SslMode::Allow | SslMode::Prefer => Offer::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Offer::Require,
        };
        Ok(Tls(Connector::new(offer, client_config(ssl)?, verify)))
    }

    /// What begins the connection of one attempt with this server.
    pub(crate) fn for_attempt(&self, server: &Server) -> Connector {
        match server {
            Server::Socket { .. } => Connector::clear(),
            Server::Tcp { .. } => self.0.anew(),
        }
    }
}

impl Connector {
    /// Whether an attempt that failed so is repeated without TLS: TLS itself failed, or the server lets nobody in over
    /// TLS.
    pub(crate) fn may_do_without_after(&self, reason: &tokio_postgres::Error) -> bool {
        self.offer() == Some(Offer::Prefer)
            && self.began()
            && reason.code().is_none_or(|code| *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.offer() {
            None => "Off",
            Some(Offer::Prefer) => "On(Prefer)",
            Some(Offer::Require | Offer::Direct) => "On(Require)",
        })
    }
}

/// All but what is verified, which depends on the host.
fn client_config(ssl: &Ssl) -> Result<ClientConfig, UrlError> {
    // Explicit: the process-wide default belongs to whoever else lives in the process.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier { verify: Arc::new(Verify::Nothing), host: String::new(), provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        // It fails only for a provider without cipher suites for these versions; this one has them.
        .expect("the provider supports TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match (&ssl.cert, &ssl.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => return Err(UrlError::HalfClientCertificate("sslkey")),
        (None, Some(_)) => return Err(UrlError::HalfClientCertificate("sslcert")),
        (Some(cert), Some(key)) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own_certificate(cert, key, &provider)?)))
        }
    };
    if ssl.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(config)
}

/// The certificate that we show, of any kind: whether it will do is for the server to say.
fn own_certificate(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, UrlError> {
    let unusable = |problem: String| UrlError::Contents {
        parameter: "sslkey",
        path: key.to_owned(),
        problem: format!("can't be used with the certificate {}: {problem}", cert.display()),
    };
    let chain = certificates("sslcert", cert)?;
    let signing = provider.key_provider.load_private_key(private_key(key)?).map_err(|error| {
        unusable(format!(
            "{error}; it must be an RSA key of 2048 to 8192 bits, an EC key on P-256, P-384 or P-521, or an Ed25519 key"
        ))
    })?;
    let certified =
        chain.first().and_then(|own| chain::parse(own).ok().map(|own| own.tbs_certificate.subject_pki.raw.to_vec()));
    match (certified, signing.public_key()) {
        (None, _) => Err(unusable("the certificate can't be read".to_owned())),
        (Some(certified), Some(own)) if certified != own.as_ref() => {
            Err(unusable("it is the key of another one".to_owned()))
        }
        _ => Ok(CertifiedKey::new(chain, signing)),
    }
}

const UNVERIFIABLE: &str = "the key in the server's certificate can't be verified here: it must be an RSA key of 2048 to \
     8192 bits, an EC key on P-256, P-384 or P-521, or an Ed25519 key";

/// What is verified about the server's certificate.
#[derive(Debug)]
enum Verify {
    Nothing,
    Chain(Trusted),
    ChainAndName(Trusted),
}

/// Judges the certificate that one host shows.
#[derive(Debug)]
struct Verifier {
    verify: Arc<Verify>,
    host: String,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// The signatures that certificates may have.
    fn algorithms(&self) -> &'static [&'static dyn SignatureVerificationAlgorithm] {
        static ALL: LazyLock<Vec<&'static dyn SignatureVerificationAlgorithm>> = LazyLock::new(|| {
            let known = aws_lc_rs::default_provider().signature_verification_algorithms;
            let pss =
                [SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PSS_SHA384, SignatureScheme::RSA_PSS_SHA512];
            let of_pss_keys = pss.iter().filter_map(|pss| {
                let (_, algorithms) = known.mapping.iter().find(|(scheme, _)| scheme == pss)?;
                let algorithm: &'static dyn SignatureVerificationAlgorithm = Box::leak(Box::new(PssKey(algorithms[0])));
                Some(algorithm)
            });
            known.all.iter().copied().chain(of_pss_keys).collect()
        });
        &ALL
    }

    /// The server must own the certificate that it shows, verified or not. Only where nothing is verified, one whose
    /// key is of an unknown kind passes, too: who poses as the server would own another one. Such a
    /// connection has no channel binding, which relies on this.
    fn verify_handshake(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        any_curve: AnyCurve,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        match chain::parse(shown) {
            Ok(certificate) if key::is_verifiable(&certificate, known) => {
                key::verify_handshake(&certificate, message, signed, known, any_curve)?;
            }
            _ if matches!(*self.verify, Verify::Nothing) => (),
            Ok(_) => return Err(rustls::Error::General(UNVERIFIABLE.to_owned())),
            Err(error) => return Err(error),
        }
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Verify::Chain(trusted) | Verify::ChainAndName(trusted) = &*self.verify {
            trusted.verify(end_entity, intermediates, now, self.algorithms())?;
        }
        if let Verify::ChainAndName(_) = *self.verify
            && !names::is_made_out_to(&chain::parse(end_entity)?, &self.host)
        {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_handshake(message, cert, dss, AnyCurve::Yes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_handshake(message, cert, dss, AnyCurve::No)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        key::offered(&self.provider.signature_verification_algorithms)
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
