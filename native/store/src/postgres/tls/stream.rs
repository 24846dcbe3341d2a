//! The stream for the driver, with TLS or without.
//!
//! TLS is negotiated here. The driver is told that TLS begins with the first byte. If the driver negotiated TLS, it would
//! read a connection without TLS directly, without the limits of `message_limits`.
//!
//! The stream provides the driver's `channel_binding`, which binds a password to this connection: the digest of the
//! server's certificate, by the hash of its signature, or by SHA-256 instead of MD5 and SHA-1. There is none if the
//! signature has no separate hash (Ed25519), or if the server has not proven that it owns the certificate.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, IpAddr, Ipv4Addr, ServerName};
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as TlsClient;
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::signature_algorithm::SignatureAlgorithm;

use super::{Verifier, Verify, chain, key};
use crate::postgres::message_limits::LimitedStream;

/// Begins connections to any host.
#[derive(Clone)]
pub(crate) struct Connector {
    /// None: never with TLS.
    tls: Option<TlsStart>,
    has_begun_tls: Arc<AtomicBool>,
}

/// How TLS begins.
#[derive(Clone)]
struct TlsStart {
    offer: Offer,
    config: Arc<ClientConfig>,
    verify: Arc<Verify>,
}

/// How TLS is negotiated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// Ask for TLS, and continue without it if the server refuses.
    Prefer,
    /// Ask for TLS, and fail if the server refuses.
    Require,
    /// Begin TLS at once.
    Direct,
}

/// The SSLRequest message.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

impl Connector {
    pub(super) fn new(offer: Offer, config: ClientConfig, verify: Verify) -> Connector {
        let tls = TlsStart { offer, config: Arc::new(config), verify: Arc::new(verify) };
        Connector { tls: Some(tls), has_begun_tls: Arc::default() }
    }

    /// A connector without TLS.
    pub(crate) fn clear() -> Connector {
        Connector { tls: None, has_begun_tls: Arc::default() }
    }

    /// A connector for another attempt.
    pub(crate) fn anew(&self) -> Connector {
        Connector { has_begun_tls: Arc::default(), ..self.clone() }
    }

    /// Whether TLS was begun.
    pub(crate) fn has_begun_tls(&self) -> bool {
        self.has_begun_tls.load(Ordering::Relaxed)
    }

    pub(super) fn offer(&self) -> Option<Offer> {
        self.tls.as_ref().map(|tls| tls.offer)
    }

    /// The connector for one host.
    pub(crate) fn to_host(&self, host: &str) -> HostConnector {
        let tls = self.tls.as_ref().map(|TlsStart { offer, config, verify }| {
            let mut config = ClientConfig::clone(config);
            let verifier = Verifier {
                verify: Arc::clone(verify),
                host: host.to_owned(),
                provider: Arc::clone(config.crypto_provider()),
            };
            config.dangerous().set_certificate_verifier(Arc::new(verifier));
            // A name that is invalid in DNS is not sent, like an address. The verifier knows the host.
            let nameless = || ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0])));
            let name = ServerName::try_from(host.to_owned()).unwrap_or_else(|_| nameless());
            (*offer, TlsConnector::from(Arc::new(config)), name)
        });
        HostConnector { tls, has_begun_tls: Arc::clone(&self.has_begun_tls) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
    type Stream = Stream<S>;
    type TlsConnect = HostConnector;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<HostConnector, Infallible> {
        Ok(self.to_host(host))
    }
}

/// Begins a connection to one host.
pub(crate) struct HostConnector {
    tls: Option<(Offer, TlsConnector, ServerName<'static>)>,
    has_begun_tls: Arc<AtomicBool>,
}

impl HostConnector {
    async fn begin<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S) -> io::Result<Stream<S>> {
        let Some((offer, connector, name)) = self.tls else { return Ok(Stream::Clear(LimitedStream::new(stream))) };
        if offer != Offer::Direct {
            stream.write_all(&SSL_REQUEST).await?;
            // Exactly one byte: an attacker may have sent more before TLS begins.
            match (stream.read_u8().await?, offer) {
                (b'S', _) => (),
                (b'N', Offer::Prefer) => return Ok(Stream::Clear(LimitedStream::new(stream))),
                (b'N', _) => return Err(io::Error::other("server does not support TLS")),
                _ => {
                    return Err(io::Error::other(
                        "the server does not answer as PostgreSQL does; check the URL's host and port",
                    ));
                }
            }
        }
        self.has_begun_tls.store(true, Ordering::Relaxed);
        Ok(Stream::Tls(Box::new(LimitedStream::new(connector.connect(name, stream).await?))))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for HostConnector {
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(self.begin(stream))
    }
}

/// The stream that the driver reads and writes.
pub(crate) enum Stream<S> {
    Clear(LimitedStream<S>),
    Tls(Box<LimitedStream<TlsClient<S>>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let Stream::Tls(stream) = self else { return ChannelBinding::none() };
        let (_, session) = stream.get_ref().get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        shown.and_then(digest).map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// The digest of a certificate for channel binding (RFC 5929).
fn digest(shown: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let certificate = chain::parse(shown).ok()?;
    let known = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    if !key::is_verifiable(&certificate, &known) {
        return None;
    }
    let digest = |hash: Hash| match hash {
        Hash::Sha224 => Sha224::digest(shown).to_vec(),
        Hash::Sha256 => Sha256::digest(shown).to_vec(),
        Hash::Sha384 => Sha384::digest(shown).to_vec(),
        Hash::Sha512 => Sha512::digest(shown).to_vec(),
    };
    let algorithm = &certificate.signature_algorithm;
    if algorithm.algorithm != key::RSA_PSS {
        return hash(&algorithm.algorithm).map(digest);
    }
    match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => hash(parameters.hash_algorithm_oid()).map(digest),
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// The hash for channel binding, by the algorithm of a signature or by the hash of an RSA-PSS signature.
fn hash(oid: &Oid<'_>) -> Option<Hash> {
    const HASHES: [(Oid<'static>, Hash); 15] = [
        (oid!(1.2.840.113549.1.1.4), Hash::Sha256), // MD5 with RSA
        (oid!(1.2.840.113549.1.1.5), Hash::Sha256), // SHA-1 with RSA
        (oid!(1.2.840.113549.1.1.14), Hash::Sha224),
        (oid!(1.2.840.113549.1.1.11), Hash::Sha256),
        (oid!(1.2.840.113549.1.1.12), Hash::Sha384),
        (oid!(1.2.840.113549.1.1.13), Hash::Sha512),
        (oid!(1.2.840.10045.4.1), Hash::Sha256), // SHA-1 with ECDSA
        (oid!(1.2.840.10045.4.3.1), Hash::Sha224),
        (oid!(1.2.840.10045.4.3.2), Hash::Sha256),
        (oid!(1.2.840.10045.4.3.3), Hash::Sha384),
        (oid!(1.2.840.10045.4.3.4), Hash::Sha512),
        (oid!(1.3.14.3.2.26), Hash::Sha256), // SHA-1 by itself
        (oid!(2.16.840.1.101.3.4.2.1), Hash::Sha256),
        (oid!(2.16.840.1.101.3.4.2.2), Hash::Sha384),
        (oid!(2.16.840.1.101.3.4.2.3), Hash::Sha512),
    ];
    HASHES.iter().find(|(known, _)| known == oid).map(|(_, hash)| *hash)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Clear(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Stream::Clear(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Stream::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
