//! TLS as the `ssl*` parameters of a database URL require it.
//!
//! | `sslmode` | the connection | the server's certificate |
//! |---|---|---|
//! | `disable` | never TLS | |
//! | `allow`, `prefer` (default) | TLS where the server has it | not verified: stops no attacker |
//! | `require` | always TLS | not verified: stops eavesdroppers, but not an impostor |
//! | `verify-ca` | always TLS | leads to a trusted root; the host does not matter |
//! | `verify-full` | always TLS | leads to a trusted root, and names the host |
//!
//! The certificates in the file `sslrootcert` are trusted; without a file, or with `system`, the system's roots. With a
//! file, `allow`, `prefer` and `require` verify like `verify-ca`, as in libpq. With `system`, only `verify-ca` and
//! `verify-full` (the default then) are accepted. `verify-ca` with `system` proves little, since the system trusts
//! authorities that issue certificates to everybody.
//!
//! A connection succeeds if and only if psql's connection with the same URL does. So where nothing is verified, any kind of
//! certificate is accepted, and `allow` and `prefer` try again without TLS when a connection with TLS fails.
//! `connect/tests/psql_parity.rs` compares both and lists the remaining differences.
//!
//! Revocation lists are not consulted, and a Unix socket never has TLS.
//!
//! | file | idea |
//! |---|---|
//! | `chain` | whether a certificate leads to a trusted root |
//! | `names` | whether it names a host |
//! | `key` | whether its key has signed the handshake |
//! | `stream` | the stream for the driver, with TLS or without |

mod chain;
mod key;
mod names;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio_postgres::error::SqlState;

use chain::Trusted;
use key::{AnyCurve, PssKey};
pub(crate) use stream::Connector;
use stream::Offer;

use super::url::Server;
use crate::url::pem::{certificates, private_key};
use crate::url::{Ssl, SslMode, UrlError};

/// How connections are encrypted and verified.
#[derive(Clone)]
pub(crate) struct Tls(Connector);

impl Tls {
    /// Reads the files that the URL names.
    pub(crate) fn new(ssl: &Ssl) -> Result<Tls, UrlError> {
        let mode = ssl.mode()?;
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
            Some(file) if !ssl.is_system() => Trusted::from_file(Path::new(file)),
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

    /// The connector of one attempt at this server.
    pub(crate) fn for_attempt(&self, server: &Server) -> Connector {
        match server {
            Server::Socket { .. } => Connector::clear(),
            Server::Tcp { .. } => self.0.anew(),
        }
    }
}

impl Connector {
    /// Whether an attempt that failed like this is repeated without TLS: because TLS itself failed, or because the server
    /// refuses connections with TLS.
    pub(crate) fn may_retry_without_tls(&self, reason: &tokio_postgres::Error) -> bool {
        self.offer() == Some(Offer::Prefer)
            && self.has_begun_tls()
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

/// The configuration, without the verifier, which depends on the host.
fn client_config(ssl: &Ssl) -> Result<ClientConfig, UrlError> {
    // Explicit, because other libraries in the process may change the process-wide default.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier { verify: Arc::new(Verify::Nothing), host: String::new(), provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        // Fails only for a provider without cipher suites for these versions.
        .expect("the provider supports TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match ssl.client()? {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(client_certificate(cert, key, &provider)?))),
    };
    if ssl.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(config)
}

/// The client's certificate, of any kind. The server decides whether it is acceptable.
fn client_certificate(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, UrlError> {
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

/// Verifies the certificate of one host.
#[derive(Debug)]
struct Verifier {
    verify: Arc<Verify>,
    host: String,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// The algorithms of signatures of certificates.
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

    /// Verifies that the server owns its certificate, whatever else is verified. Only where nothing else is, a key of an
    /// unknown kind is accepted, because an impostor could show another certificate anyway. Such a connection has no
    /// channel binding, which depends on this proof.
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
            && !names::names_host(&chain::parse(end_entity)?, &self.host)
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
