//! Whether a certificate names a host, by libpq's rule.
//!
//! A host's name is compared with every DNS name of the certificate's subjectAltName, and an address also with every
//! address there. The subject's common name is compared only if the subjectAltName has no entry of the host's kind, as
//! in certificates of `openssl x509 -req` without a file of extensions.
//!
//! A `*` matches the whole first label, and nothing else: `*.example.com` matches `db.example.com`, but neither
//! `example.com` nor `a.db.example.com`. Case is ignored.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// Whether the certificate names `host`.
pub(super) fn names_host(certificate: &X509Certificate<'_>, host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    let mut common_name_counts = true;
    let names = certificate.subject_alternative_name().ok().flatten();
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(name) => {
                common_name_counts &= address.is_some();
                if matches(name, host) {
                    return true;
                }
            }
            GeneralName::IPAddress(bytes) => {
                common_name_counts &= address.is_none();
                if address.is_some_and(|address| octets(address) == *bytes) {
                    return true;
                }
            }
            _ => (),
        }
    }
    // The first one, as in libpq.
    let common_name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    common_name_counts && common_name.is_some_and(|name| matches(name, host))
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Whether a name in a certificate, which may have a wildcard, matches the host.
fn matches(name: &str, host: &str) -> bool {
    if name.contains('\0') {
        return false;
    }
    let wildcard = name.strip_prefix('*').filter(|rest| rest.starts_with('.') && rest.len() > 1);
    match (wildcard, host.find('.')) {
        (Some(rest), Some(dot)) if dot > 0 => host[dot..].eq_ignore_ascii_case(rest),
        _ => name.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_wildcard_matches_one_whole_label() {
        assert!(matches("*.example.com", "db.Example.com"));
        assert!(matches("*.com", "example.com"));
        for host in ["example.com", "a.db.example.com", ".example.com", "xexample.com", "*"] {
            assert!(!matches("*.example.com", host), "{host}");
        }
        assert!(!matches("*", "db"));
        assert!(!matches("d*.example.com", "db.example.com"));
        assert!(!matches("*.", "db."));
    }

    #[test]
    fn other_names_are_compared_whole() {
        assert!(matches("DB.example.com", "db.EXAMPLE.com"));
        assert!(!matches("db.example.com", "db.example.com.evil.example"));
        assert!(!matches("db.example.com\0.evil.example", "db.example.com"));
    }
}
