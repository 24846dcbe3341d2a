//! Clients that are known by their certificates.
//!
//! Where the configuration names authorities, a client may show a certificate, or must. The handshake says which
//! authorities count (Go's clients send a certificate only then), ends with one that is not theirs, and says why as
//! Diego's BBS does. What was true in the handshake need not be true for the next request of that connection, so the
//! certificate is looked at again for each ([`Shown::is_good`]): it may have expired, and its authority may be gone from
//! the file.
//!
//! A certificate with alternative names is known by these alone (RFC 6125, section 6.4.4), each for what it is: a name
//! that looks like an address is none.

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

use crate::config::ClientCertificate;

/// The authorities whose clients are known, as their file has them now; nothing where there is none.
#[derive(Clone, Default)]
pub struct Authorities(Arc<RwLock<Option<Arc<Verifier>>>>);

impl Authorities {
    /// Others take their place, for connections that are open, too.
    pub fn renew(&self, verifier: Option<Arc<Verifier>>) {
        *self.0.write() = verifier;
    }
}

/// A certificate that a client showed.
#[derive(Clone)]
pub struct Shown {
    chain: Arc<[CertificateDer<'static>]>,
    names: Arc<[Name]>,
    authorities: Authorities,
}

impl Shown {
    /// The certificate, and those that it was sent with.
    pub fn new(chain: &[CertificateDer<'_>], authorities: &Authorities) -> Option<Shown> {
        let names = names(chain.first()?);
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        Some(Shown { chain, names, authorities: authorities.clone() })
    }

    /// Whether it has one of these names.
    pub fn has_one_of(&self, wanted: &[String]) -> bool {
        self.names.iter().any(|name| wanted.iter().any(|wanted| name.is(wanted)))
    }

    /// Whether it would be accepted now.
    pub fn is_good(&self) -> bool {
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
    /// The subject's common name, where there is no other.
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

/// None where a certificate, though verified, cannot be read: its bearer has no name then.
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

/// Verifies what clients show.
#[derive(Debug)]
pub struct Verifier(Arc<dyn ClientCertVerifier>);

impl Verifier {
    /// One for these authorities.
    pub fn new(roots: RootCertStore, clients: ClientCertificate) -> Result<Arc<Verifier>, String> {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::new(ring::default_provider()));
        let verifier = match clients {
            ClientCertificate::Required => verifier,
            ClientCertificate::Optional => verifier.allow_unauthenticated(),
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
            // Signed by somebody else who calls himself as an authority does: an authority that is not known.
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

    fn shown(alternative: Vec<SanType>) -> Shown {
        let key = KeyPair::generate().expect("this machine makes keys");
        let mut params = CertificateParams::default();
        params.subject_alt_names = alternative;
        params.distinguished_name.push(DnType::CommonName, "192.0.2.7");
        let certificate = params.self_signed(&key).expect("nothing is missing");
        Shown::new(&[certificate.der().clone()], &Authorities::default()).expect("a certificate")
    }

    #[test]
    fn alternative_names_stand_for_what_they_are_and_the_common_name_for_nothing_beside_them() {
        let text = |text: &str| text.try_into().expect("ASCII");
        let domain = |name: &str| SanType::DnsName(text(name));
        let has = |shown: &Shown, name: &str| shown.has_one_of(&[name.to_owned()]);

        let named = shown(vec![
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
        assert!(has(&shown(Vec::new()), "192.0.2.7"), "there is no other");
        assert!(!has(&shown(vec![SanType::Rfc822Name(text("a@b.example"))]), "192.0.2.7"));
        assert!(!named.is_good(), "there are no authorities any more");
    }

    #[test]
    fn a_certificate_is_good_while_it_is_valid_and_its_authority_is_known() {
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
        };
        let verifier = |issuer: &CertifiedIssuer<'_, KeyPair>| {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone()).expect("a root");
            Some(Verifier::new(roots, ClientCertificate::Optional).expect("a verifier"))
        };
        let (own, same_name) = (authority("an authority"), authority("an authority"));
        let authorities = Authorities::default();
        authorities.renew(verifier(&own));
        let issued = |until: i32| {
            let mut params = CertificateParams::new(["client.example".to_owned()]).expect("a name");
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &own).expect("a certificate");
            Shown::new(&[certificate.der().clone()], &authorities).expect("a certificate")
        };
        let (valid, expired) = (issued(4000), issued(2020));
        assert!(valid.is_good() && !expired.is_good());
        authorities.renew(verifier(&same_name));
        assert!(!valid.is_good(), "its authority is not known any more");
    }
}
