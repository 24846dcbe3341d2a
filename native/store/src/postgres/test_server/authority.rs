//! A certificate authority for tests, and its certificates.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key, both in PEM form.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The authority's own certificate, in PEM form.
    pub(crate) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for a common name, and for hosts in its subjectAltName.
    pub(crate) fn issue(&self, common_name: &str, hosts: &[&str]) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = named(common_name, hosts).signed_by(&key, &self.0).unwrap();
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A self-signed server's certificate that is marked as an authority, like those of `openssl req -x509`. It expires at the
/// end of the year `until`.
pub(crate) fn self_signed(hosts: &[&str], until: i32) -> Issued {
    let key = KeyPair::generate().unwrap();
    let mut params = named("self-signed", hosts);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(until, 12, 31);
    let certificate = params.self_signed(&key).unwrap();
    Issued { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// Writes a file and returns its path.
pub(crate) fn write(folder: &Path, name: &str, contents: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, contents).unwrap();
    path
}

fn named(common_name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}
