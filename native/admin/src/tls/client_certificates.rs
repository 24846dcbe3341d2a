//! Client certificates: which are verified, and the names in them.
//!
//! Where the configuration names authorities, a client may present a certificate, or must. The handshake names the
//! accepted authorities (Go's clients send a certificate only then) and fails for a certificate of another one, with
//! the alert that Diego's BBS sends. A certificate that was valid in the handshake can be invalid at a later request of
//! the same connection: it may have expired, or its authority may have been removed from the file. So each request
//! verifies it again ([`PresentedCertificate::is_valid_now`]).
//!
//! The names of a certificate are its alternative names; the common name counts only where there are none (RFC 6125,
//! section 6.4.4). Each name counts as its own kind: a DNS name that looks like an IP address is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::config::ClientAuth;

/// The current authorities; `None` where none are configured.
#[derive(Clone, Default)]
pub struct Authorities(Arc<RwLock<Option<Arc<Verifier>>>>);

impl Authorities {
    /// Replaces the authorities, for open connections, too.
    pub fn renew(&self, verifier: Option<Arc<Verifier>>) {
        *self.0.write() = verifier;
    }
}

/// A certificate that a client presented.
#[derive(Clone)]
pub struct PresentedCertificate {
    chain: Arc<[CertificateDer<'static>]>,
    names: Arc<[Name]>,
    authorities: Authorities,
}

impl PresentedCertificate {
    /// Reads the chain of a handshake, which begins with the client's certificate.
    pub fn new(chain: &[CertificateDer<'_>], authorities: &Authorities) -> Option<PresentedCertificate> {
        let names = names(chain.first()?);
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        Some(PresentedCertificate { chain, names, authorities: authorities.clone() })
    }

    /// Whether it has one of these names.
    pub fn has_one_of(&self, wanted: &[String]) -> bool {
        self.names.iter().any(|name| wanted.iter().any(|wanted| name.is(wanted)))
    }

    /// Whether it would be accepted now.
    pub fn is_valid_now(&self) -> bool {
        let verifier = self.authorities.0.read().clone();
        let (Some(verifier), [certificate, others @ ..]) = (verifier, &*self.chain) else { return false };
        verifier.verify_client_cert(certificate, others, UnixTime::now()).is_ok()
    }
}

/// A name in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Domain(String),
    Address(IpAddr),
    Uri(String),
    /// The subject's common name, if there are no alternative names.
    Common(String),
}

impl Name {
    fn is(&self, wanted: &str) -> bool {
        let address = wanted.parse::<IpAddr>();
        match self {
            Name::Domain(name) => address.is_err() && name.eq_ignore_ascii_case(wanted),
            Name::Address(own) => address == Ok(*own),
            Name::Uri(name) | Name::Common(name) => name == wanted,
        }
    }
}

/// The names of a certificate. One that rustls verifies and this parser cannot read has none.
fn names(certificate: &CertificateDer<'_>) -> Arc<[Name]> {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else { return Arc::default() };
    let Ok(alternative) = certificate.subject_alternative_name() else { return Arc::default() };
    match alternative {
        Some(names) => names.value.general_names.iter().filter_map(name).collect(),
        None => {
            let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
            common.map(|name| Name::Common(name.to_owned())).collect()
        }
    }
}

fn name(name: &GeneralName) -> Option<Name> {
    match name {
        GeneralName::DNSName(name) => Some(Name::Domain((*name).to_owned())),
        GeneralName::URI(name) => Some(Name::Uri((*name).to_owned())),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(Name::Address(Ipv4Addr::new(a, b, c, d).into())),
            _ => Some(Name::Address(Ipv6Addr::from(<[u8; 16]>::try_from(*bytes).ok()?).into())),
        },
        _ => None,
    }
}

/// Verifies client certificates.
#[derive(Debug)]
pub struct Verifier(Arc<dyn ClientCertVerifier>);

impl Verifier {
    /// A verifier for these authorities.
    pub fn new(roots: RootCertStore, clients: ClientAuth) -> Result<Arc<Verifier>, String> {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::new(ring::default_provider()));
        let verifier = match clients {
            ClientAuth::Required => verifier,
            ClientAuth::Optional => verifier.allow_unauthenticated(),
        };
        verifier.build().map(|verifier| Arc::new(Verifier(verifier))).map_err(|error| error.to_string())
    }
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.verify_client_cert(certificate, others, now).map_err(|error| match error {
            // An authority with the same name and another key is an unknown authority.
            Error::InvalidCertificate(CertificateError::BadSignature) => CertificateError::UnknownIssuer.into(),
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

    use super::*;

    fn presented(alternative: Vec<SanType>) -> PresentedCertificate {
        let key = KeyPair::generate().expect("this machine makes keys");
        let mut params = CertificateParams::default();
        params.subject_alt_names = alternative;
        params.distinguished_name.push(DnType::CommonName, "192.0.2.7");
        let certificate = params.self_signed(&key).expect("nothing is missing");
        PresentedCertificate::new(&[certificate.der().clone()], &Authorities::default()).expect("a certificate")
    }

    #[test]
    fn alternative_names_count_as_their_kind_and_the_common_name_only_alone() {
        let text = |text: &str| text.try_into().expect("ASCII");
        let domain = |name: &str| SanType::DnsName(text(name));
        let has = |certificate: &PresentedCertificate, name: &str| certificate.has_one_of(&[name.to_owned()]);

        let named = presented(vec![
            domain("client.example"),
            domain("192.0.2.2"),
            SanType::IpAddress("192.0.2.1".parse().expect("an address")),
            SanType::URI(text("spiffe://a.example/b")),
        ]);
        for name in ["client.example", "CLIENT.example", "192.0.2.1", "spiffe://a.example/b"] {
            assert!(has(&named, name), "{name}");
        }
        for name in ["192.0.2.2", "192.0.2.7", "spiffe://A.example/b", "other.example", ""] {
            assert!(!has(&named, name), "{name}");
        }
        assert!(has(&presented(Vec::new()), "192.0.2.7"), "there are no others");
        assert!(!has(&presented(vec![SanType::Rfc822Name(text("a@b.example"))]), "192.0.2.7"));
        assert!(!named.is_valid_now(), "there are no authorities");
    }

    #[test]
    fn a_certificate_is_valid_until_it_expires_or_its_authority_is_removed() {
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
        };
        let verifier = |issuer: &CertifiedIssuer<'_, KeyPair>| {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone()).expect("a root");
            Some(Verifier::new(roots, ClientAuth::Optional).expect("a verifier"))
        };
        let (own, same_name) = (authority("an authority"), authority("an authority"));
        let authorities = Authorities::default();
        authorities.renew(verifier(&own));
        let issued = |until: i32| {
            let mut params = CertificateParams::new(["client.example".to_owned()]).expect("a name");
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &own).expect("a certificate");
            PresentedCertificate::new(&[certificate.der().clone()], &authorities).expect("a certificate")
        };
        let (valid, expired) = (issued(4000), issued(2020));
        assert!(valid.is_valid_now() && !expired.is_valid_now());
        authorities.renew(verifier(&same_name));
        assert!(!valid.is_valid_now(), "its authority was removed");
    }
}
