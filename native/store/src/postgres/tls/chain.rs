//! Whether a server's certificate leads to a trusted root, by the rules of OpenSSL, which psql uses.
//!
//! Every certificate of the chain, including the root, has to be valid now and usable for servers, and all but the server's
//! have to be authorities. The chain ends at a root: a certificate in the file `sslrootcert` (or of the system) that
//! names itself as its issuer. Other certificates in that file may be intermediate ones of the chain.
//!
//! webpki, which rustls uses, verifies the chain again, with name constraints. It does not accept X.509 v1 or an authority
//! as a server's certificate. So for such a certificate it is not used, and the certificate is refused if an authority
//! of its chain constrains names.

use std::path::Path;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::key::signed_by;
use crate::url::UrlError;
use crate::url::pem::certificates;

/// The largest number of certificates between the server's and the root. Real chains are shorter.
const MAX_DEPTH: usize = 10;

/// The largest number of signatures that are verified for one server, whatever its certificates refer to.
const MAX_SIGNATURES: usize = 100;

/// The trusted certificates.
#[derive(Debug)]
pub(super) struct Trusted {
    roots: Vec<CertificateDer<'static>>,
    /// The other certificates of the file.
    intermediates: Vec<CertificateDer<'static>>,
}

impl Trusted {
    pub(super) fn from_file(path: &Path) -> Result<Trusted, UrlError> {
        let mut trusted = Trusted { roots: Vec::new(), intermediates: Vec::new() };
        for certificate in certificates("sslrootcert", path)? {
            let is_root = parse(&certificate).map(|parsed| is_root(&parsed)).map_err(|_| UrlError::Contents {
                parameter: "sslrootcert",
                path: path.to_owned(),
                problem: "holds a certificate that can't be read: replace it".to_owned(),
            })?;
            if is_root { &mut trusted.roots } else { &mut trusted.intermediates }.push(certificate);
        }
        Ok(trusted)
    }

    pub(super) fn from_system() -> Result<Trusted, UrlError> {
        let found = rustls_native_certs::load_native_certs();
        let readable = found.certs.into_iter().filter(|certificate| parse(certificate).is_ok());
        let roots: Vec<_> = readable.collect();
        if roots.is_empty() {
            let reasons = found.errors.iter().map(|error| format!("; {error}")).collect();
            return Err(UrlError::NoSystemRoots(reasons));
        }
        Ok(Trusted { roots, intermediates: Vec::new() })
    }

    /// Verifies that a server's certificate, with the ones that the server sends along, leads to a trusted root.
    pub(super) fn verify(
        &self,
        shown: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), rustls::Error> {
        let certificate = parse(shown)?;
        // An unreadable certificate cannot be part of a chain.
        let roots: Vec<_> = self.roots.iter().filter_map(|one| parse(one).ok()).collect();
        let intermediates: Vec<_> = sent.iter().chain(&self.intermediates).filter_map(|one| parse(one).ok()).collect();
        let webpki = for_webpki(shown, &certificate);
        let mut search = Search {
            roots: &roots,
            intermediates: &intermediates,
            now: seconds(now)?,
            algorithms,
            constraints: if webpki.is_some() { Constraints::LeftToWebpki } else { Constraints::Refused },
            signatures: MAX_SIGNATURES,
            problem: CertificateError::UnknownIssuer,
        };
        if !search.is_for_server(&certificate) || !search.leads_to_root(&certificate, 0) {
            return Err(search.problem.into());
        }
        let Some(parsed) = webpki else { return Ok(()) };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.roots.iter().cloned());
        let intermediates: Vec<_> = sent.iter().chain(&self.intermediates).cloned().collect();
        match verify_server_cert_signed_by_trust_anchor(&parsed, &store, &intermediates, now, algorithms) {
            // The certificate itself is a trusted root, so it has no authority.
            Err(_) if self.roots.iter().any(|root| root == shown) => Ok(()),
            verdict => verdict,
        }
    }
}

/// The certificate for webpki, if webpki accepts its kind.
fn for_webpki<'a>(der: &'a CertificateDer<'a>, certificate: &X509Certificate<'_>) -> Option<ParsedCertificate<'a>> {
    if certificate.version() != X509Version::V3 || certificate.is_ca() {
        return None;
    }
    ParsedCertificate::try_from(der).ok()
}

/// How name constraints of an authority are handled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Constraints {
    LeftToWebpki,
    Refused,
}

/// The search for a chain to a root.
struct Search<'a> {
    roots: &'a [X509Certificate<'a>],
    intermediates: &'a [X509Certificate<'a>],
    now: ASN1Time,
    algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    constraints: Constraints,
    /// How many more signatures may be verified.
    signatures: usize,
    /// The last problem, for the error.
    problem: CertificateError,
}

impl Search<'_> {
    /// Whether a server may use this certificate.
    fn is_for_server(&mut self, shown: &X509Certificate<'_>) -> bool {
        let usage = shown.key_usage().ok().flatten();
        let serves = usage.is_none_or(|usage| {
            usage.value.digital_signature() || usage.value.key_encipherment() || usage.value.key_agreement()
        });
        if !serves {
            self.problem = CertificateError::InvalidPurpose;
        }
        serves
    }

    /// Whether the certificate, above which the chain has `above` authorities, is valid and leads to a root.
    fn leads_to_root(&mut self, certificate: &X509Certificate<'_>, above: usize) -> bool {
        if let Err(problem) = self.check(certificate) {
            self.problem = problem;
            return false;
        }
        if self.roots.iter().any(|root| root.as_raw() == certificate.as_raw()) {
            return true;
        }
        if above == MAX_DEPTH {
            return false;
        }
        let (roots, intermediates) = (self.roots, self.intermediates);
        roots.iter().chain(intermediates).any(|issuer| {
            issuer.subject().as_raw() == certificate.issuer().as_raw()
                && issuer.as_raw() != certificate.as_raw()
                && self.is_authority(issuer, above)
                && self.signed(certificate, issuer)
                && self.leads_to_root(issuer, above + 1)
        })
    }

    fn signed(&mut self, certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
        if self.signatures == 0 {
            return false;
        }
        self.signatures -= 1;
        let signed = signed_by(certificate, issuer, self.algorithms);
        if !signed {
            self.problem = CertificateError::BadSignature;
        }
        signed
    }

    /// Checks what every certificate of the chain has to meet.
    fn check(&self, certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
        let validity = certificate.validity();
        if validity.not_after < self.now {
            return Err(CertificateError::Expired);
        }
        if validity.not_before > self.now {
            return Err(CertificateError::NotValidYet);
        }
        if certificate.extended_key_usage().ok().flatten().is_some_and(|usage| !usage.value.server_auth) {
            return Err(CertificateError::InvalidPurpose);
        }
        let understood = certificate.extensions().iter().all(|extension| match extension.parsed_extension() {
            ParsedExtension::NameConstraints(_) => self.constraints == Constraints::LeftToWebpki,
            ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::SubjectAlternativeName(_) => true,
            ParsedExtension::ParseError { .. } => false,
            _ => !extension.critical,
        });
        if !understood {
            return Err(CertificateError::UnhandledCriticalExtension);
        }
        Ok(())
    }

    /// Whether the certificate may sign others. The chain has `below` authorities below it.
    fn is_authority(&self, certificate: &X509Certificate<'_>, below: usize) -> bool {
        if certificate.key_usage().ok().flatten().is_some_and(|usage| !usage.value.key_cert_sign()) {
            return false;
        }
        match certificate.basic_constraints() {
            Ok(Some(constraints)) => {
                let longest = constraints.value.path_len_constraint.map_or(usize::MAX, |longest| longest as usize);
                constraints.value.ca && below <= longest
            }
            // A root of X.509 v1 or v2, which have no such extension, or one with a key for signing certificates.
            Ok(None) => {
                (certificate.version() != X509Version::V3 && is_root(certificate))
                    || certificate.key_usage().is_ok_and(|usage| usage.is_some())
            }
            Err(_) => false,
        }
    }
}

/// Whether a certificate names itself as its issuer.
fn is_root(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// Reads a certificate of any version.
pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, rustls::Error> {
    read(der.as_ref())
}

fn read(der: &[u8]) -> Result<X509Certificate<'_>, rustls::Error> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateError::BadEncoding.into()),
    }
}

fn seconds(now: UnixTime) -> Result<ASN1Time, rustls::Error> {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    ASN1Time::from_timestamp(seconds).map_err(|_| rustls::Error::FailedToGetCurrentTime)
}
