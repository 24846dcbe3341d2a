//! Whether the certificate that a server shows leads to a trusted root, as OpenSSL sees it for psql.
//!
//! Every certificate on the way, the root included, is in its time, may be used for servers, and, but for the
//! server's own, is an authority's. The way ends at a root: a certificate in the file `sslrootcert` (or among the
//! system's) that names itself as its issuer. Other certificates of that file only make the way complete.
//!
//! webpki, which rustls verifies with, checks this anew, and name constraints besides. It is not asked about what
//! it never takes for a server's certificate, X.509 v1 and authorities' own: such a certificate is refused if an
//! authority on its way constrains names.

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

use super::certificates;
use super::key::signed_by;
use crate::postgres::url::UrlError;

/// How many certificates may lie between a server's and a root, as many as OpenSSL takes by far.
const LONGEST: usize = 10;

/// How many signatures are looked at for one server, however its certificates name each other.
const MOST_SIGNATURES: usize = 100;

/// The certificates that a server's certificate may lead to.
#[derive(Debug)]
pub(super) struct Trusted {
    roots: Vec<CertificateDer<'static>>,
    /// Those that only lead on.
    between: Vec<CertificateDer<'static>>,
}

impl Trusted {
    pub(super) fn from_file(path: &Path) -> Result<Trusted, UrlError> {
        let mut trusted = Trusted { roots: Vec::new(), between: Vec::new() };
        for certificate in certificates("sslrootcert", path)? {
            let is_root = parse(&certificate).map(|parsed| is_root(&parsed)).map_err(|_| UrlError::Contents {
                parameter: "sslrootcert",
                path: path.to_owned(),
                problem: "holds a certificate that can't be read: replace it".to_owned(),
            })?;
            if is_root { &mut trusted.roots } else { &mut trusted.between }.push(certificate);
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
        Ok(Trusted { roots, between: Vec::new() })
    }

    /// Whether the certificate that a server shows, with those that it sends along, leads here.
    pub(super) fn verify(
        &self,
        shown: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), rustls::Error> {
        let certificate = parse(shown)?;
        // One that cannot be read leads nowhere.
        let roots: Vec<_> = self.roots.iter().filter_map(|one| parse(one).ok()).collect();
        let between: Vec<_> = sent.iter().chain(&self.between).filter_map(|one| parse(one).ok()).collect();
        let webpki = webpki_reads(shown, &certificate);
        let mut way = Way {
            roots: &roots,
            between: &between,
            now: seconds(now)?,
            algorithms,
            constraints: if webpki.is_some() { Constraints::LeftToWebpki } else { Constraints::Refused },
            signatures: MOST_SIGNATURES,
            problem: CertificateError::UnknownIssuer,
        };
        if !way.begins_well(&certificate) || !way.leads_to_root(&certificate, 0) {
            return Err(way.problem.into());
        }
        let Some(parsed) = webpki else { return Ok(()) };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.roots.iter().cloned());
        let between: Vec<_> = sent.iter().chain(&self.between).cloned().collect();
        match verify_server_cert_signed_by_trust_anchor(&parsed, &store, &between, now, algorithms) {
            // The very certificate is a root: there is no authority to ask about it.
            Err(_) if self.roots.iter().any(|root| root == shown) => Ok(()),
            verdict => verdict,
        }
    }
}

/// The certificate for webpki, if it is of a kind that webpki takes.
fn webpki_reads<'a>(der: &'a CertificateDer<'a>, certificate: &X509Certificate<'_>) -> Option<ParsedCertificate<'a>> {
    if certificate.version() != X509Version::V3 || certificate.is_ca() {
        return None;
    }
    ParsedCertificate::try_from(der).ok()
}

/// Who judges what an authority says about the names that it makes certificates out to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Constraints {
    LeftToWebpki,
    Refused,
}

/// The search for a root.
struct Way<'a> {
    roots: &'a [X509Certificate<'a>],
    between: &'a [X509Certificate<'a>],
    now: ASN1Time,
    algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    constraints: Constraints,
    /// How many more may be looked at.
    signatures: usize,
    /// What was met on the way, for the error.
    problem: CertificateError,
}

impl Way<'_> {
    /// Whether a server may show this certificate.
    fn begins_well(&mut self, shown: &X509Certificate<'_>) -> bool {
        let usage = shown.key_usage().ok().flatten();
        let serves = usage.is_none_or(|usage| {
            usage.value.digital_signature() || usage.value.key_encipherment() || usage.value.key_agreement()
        });
        if !serves {
            self.problem = CertificateError::InvalidPurpose;
        }
        serves
    }

    /// Whether the certificate, above which there are `above` authorities on this way, is good and leads on.
    fn leads_to_root(&mut self, certificate: &X509Certificate<'_>, above: usize) -> bool {
        if let Err(problem) = self.judge(certificate) {
            self.problem = problem;
            return false;
        }
        if self.roots.iter().any(|root| root.as_raw() == certificate.as_raw()) {
            return true;
        }
        if above == LONGEST {
            return false;
        }
        let (roots, between) = (self.roots, self.between);
        roots.iter().chain(between).any(|issuer| {
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

    /// What holds for every certificate.
    fn judge(&self, certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
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

    /// Whether the certificate may sign others, `below` of which are authorities' own on this way.
    fn is_authority(&self, certificate: &X509Certificate<'_>, below: usize) -> bool {
        if certificate.key_usage().ok().flatten().is_some_and(|usage| !usage.value.key_cert_sign()) {
            return false;
        }
        match certificate.basic_constraints() {
            Ok(Some(constraints)) => {
                let longest = constraints.value.path_len_constraint.map_or(usize::MAX, |longest| longest as usize);
                constraints.value.ca && below <= longest
            }
            // A root from before there was a word for it, or one whose key is for signing certificates.
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
