//! The key of a certificate, and its signatures.
//!
//! rustls reads certificates like a web browser: it refuses X.509 v1, and unknown extensions, before it reads the key. Here
//! only the key is read.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use rustls::{DigitallySignedStruct, PeerMisbehaved, SignatureScheme};
use x509_parser::asn1_rs::{Any, FromDer, Oid, Sequence, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;

/// The signature schemes of RSA-PSS keys, which rustls does not name, and the same schemes of other RSA keys.
const PSS_KEYS: [(SignatureScheme, SignatureScheme); 3] = [
    (SignatureScheme::Unknown(0x0809), SignatureScheme::RSA_PSS_SHA256),
    (SignatureScheme::Unknown(0x080a), SignatureScheme::RSA_PSS_SHA384),
    (SignatureScheme::Unknown(0x080b), SignatureScheme::RSA_PSS_SHA512),
];

/// The identifier of RSA-PSS keys, and of their signatures.
pub(super) const RSA_PSS: Oid<'static> = oid!(1.2.840.113549.1.1.10);

/// The sizes of RSA keys in bits whose signatures can be verified.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The signature schemes that a server may use. Ed448 is only for servers that are not verified.
pub(super) fn offered(known: &WebPkiSupportedAlgorithms) -> Vec<SignatureScheme> {
    let pss = PSS_KEYS.iter().map(|(scheme, _)| *scheme);
    known.supported_schemes().into_iter().chain(pss).chain([SignatureScheme::ED448]).collect()
}

/// Whether signatures of the certificate's key can be verified.
pub(super) fn is_verifiable(certificate: &X509Certificate<'_>, known: &WebPkiSupportedAlgorithms) -> bool {
    let key = certificate.public_key();
    if let Ok(PublicKey::RSA(rsa)) = key.parsed() {
        // The first octet of the modulus may be a zero for the sign.
        let bits = 8 * rsa.modulus.iter().skip_while(|octet| **octet == 0).count();
        return RSA_BITS.contains(&bits);
    }
    key.algorithm.algorithm == RSA_PSS
        || algorithm_of_key(certificate)
            .is_some_and(|id| known.all.iter().any(|known| known.public_key_alg_id().as_ref() == id))
}

/// Verifies the certificate's signature on the handshake. In TLS 1.2 the scheme does not name the curve.
pub(super) fn verify_handshake(
    certificate: &X509Certificate<'_>,
    message: &[u8],
    signed: &DigitallySignedStruct,
    known: &WebPkiSupportedAlgorithms,
    any_curve: AnyCurve,
) -> Result<(), rustls::Error> {
    let unsuitable = || rustls::Error::from(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme);
    let is_pss_key = certificate.public_key().algorithm.algorithm == RSA_PSS;
    let scheme = match PSS_KEYS.iter().find(|(scheme, _)| *scheme == signed.scheme) {
        Some((_, scheme)) if is_pss_key => *scheme,
        Some(_) => return Err(unsuitable()),
        None if is_pss_key => return Err(unsuitable()),
        None => signed.scheme,
    };
    let (_, algorithms) = known.mapping.iter().find(|(known, _)| *known == scheme).ok_or_else(unsuitable)?;
    let algorithms = match any_curve {
        AnyCurve::Yes => algorithms,
        AnyCurve::No => &algorithms[..1],
    };
    let id = algorithm_of_key(certificate);
    let algorithm = algorithms.iter().find(|known| is_pss_key || Some(known.public_key_alg_id().as_ref()) == id);
    algorithm
        .ok_or_else(unsuitable)?
        .verify_signature(&certificate.public_key().subject_public_key.data, message, signed.signature())
        .map_err(|_| rustls::CertificateError::BadSignature.into())
}

/// Whether a signature scheme may be used with a key on any curve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AnyCurve {
    Yes,
    No,
}

/// Whether `issuer`'s key signed `certificate`.
pub(super) fn signed_by(
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
    known: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    let (Some(signature), Some(key)) = (algorithm_of_signature(certificate), algorithm_of_key(issuer)) else {
        return false;
    };
    known.iter().any(|known| {
        known.signature_alg_id().as_ref() == signature
            && known.public_key_alg_id().as_ref() == key
            && known
                .verify_signature(
                    &issuer.public_key().subject_public_key.data,
                    certificate.tbs_certificate.as_ref(),
                    &certificate.signature_value.data,
                )
                .is_ok()
    })
}

/// The contents of the AlgorithmIdentifier of the key.
fn algorithm_of_key<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    let (_, key) = Sequence::from_der(certificate.tbs_certificate.subject_pki.raw).ok()?;
    contents(borrowed(key)?)
}

/// The contents of the AlgorithmIdentifier of the signature.
fn algorithm_of_signature<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    let (_, whole) = Sequence::from_der(certificate.as_raw()).ok()?;
    let (rest, _) = Any::from_der(borrowed(whole)?).ok()?;
    contents(rest)
}

fn contents(der: &[u8]) -> Option<&[u8]> {
    borrowed(Sequence::from_der(der).ok()?.1)
}

fn borrowed(sequence: Sequence<'_>) -> Option<&[u8]> {
    match sequence.content {
        std::borrow::Cow::Borrowed(content) => Some(content),
        std::borrow::Cow::Owned(_) => None,
    }
}

/// Verifies signatures of RSA-PSS keys, by the algorithm for the same signatures of other RSA keys.
#[derive(Debug)]
pub(super) struct PssKey(pub(super) &'static dyn SignatureVerificationAlgorithm);

impl SignatureVerificationAlgorithm for PssKey {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        self.0.verify_signature(key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        // `RSA_PSS` without parameters: a key for any hash.
        AlgorithmIdentifier::from_slice(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a")
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0.signature_alg_id()
    }
}
