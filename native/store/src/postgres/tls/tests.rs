use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tempfile::TempDir;

use super::*;
use crate::postgres::test_server::authority::{Authority, Issued, self_signed, write};
use crate::postgres::url::Url;

fn tls(parameters: &str) -> Result<Tls, UrlError> {
    Tls::new(&Url::parse(&format!("postgres://h?{parameters}")).unwrap().ssl)
}

fn error(parameters: &str) -> String {
    tls(parameters).expect_err(parameters).to_string()
}

/// Verifies a server's certificate `shown` with the trusted certificates `trusted`.
fn verdict(full: bool, trusted: &str, shown: &Issued, host: &'static str) -> Result<(), rustls::Error> {
    let folder = TempDir::new().unwrap();
    let trusted = Trusted::from_file(&write(folder.path(), "ca.pem", trusted)).unwrap();
    let verifier = Verifier {
        verify: Arc::new(if full { Verify::ChainAndName(trusted) } else { Verify::Chain(trusted) }),
        host: host.to_owned(),
        provider: Arc::new(aws_lc_rs::default_provider()),
    };
    let shown = CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap();
    let host = ServerName::try_from(host).unwrap();
    verifier.verify_server_cert(&shown, &[], &host, &[], UnixTime::now()).map(|_| ())
}

#[test]
fn verify_full_wants_a_trusted_root_and_the_right_name() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let shown = ours.issue("db", &["db.example.com", "*.eu.example.com", "192.0.2.1"]);
    let full = |trusted: &Authority, host| verdict(true, &trusted.certificate(), &shown, host);
    full(&ours, "db.example.com").unwrap();
    full(&ours, "one.eu.example.com").unwrap();
    full(&ours, "192.0.2.1").unwrap();
    full(&ours, "db.example.org").unwrap_err();
    full(&ours, "192.0.2.2").unwrap_err();
    full(&other, "db.example.com").unwrap_err();
}

#[test]
fn verify_ca_wants_a_trusted_root_and_any_name() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let shown = ours.issue("db", &["db.example.com"]);
    verdict(false, &ours.certificate(), &shown, "db.example.org").unwrap();
    verdict(false, &other.certificate(), &shown, "db.example.com").unwrap_err();
}

#[test]
fn an_authority_of_the_same_name_is_another_one() {
    let (ours, impostor) = (Authority::new("same"), Authority::new("same"));
    let shown = impostor.issue("db", &["db.example.com"]);
    verdict(true, &ours.certificate(), &shown, "db.example.com").unwrap_err();
    verdict(false, &ours.certificate(), &shown, "db.example.com").unwrap_err();
}

#[test]
fn a_common_name_is_a_host_name_only_without_others() {
    let ours = Authority::new("ours");
    let full = |shown: &Issued, host| verdict(true, &ours.certificate(), shown, host);
    full(&ours.issue("db.example.com", &[]), "db.example.com").unwrap();
    full(&ours.issue("db.example.com", &[]), "db.example.org").unwrap_err();
    full(&ours.issue("db.example.com", &["other.example.com"]), "db.example.com").unwrap_err();
    full(&ours.issue("192.0.2.1", &["192.0.2.2"]), "192.0.2.1").unwrap_err();
    full(&ours.issue("192.0.2.1", &["db.example.com"]), "192.0.2.1").unwrap();
}

#[test]
fn a_server_may_show_the_very_certificate_that_is_trusted() {
    let shown = self_signed(&["db.example.com"], 4000);
    verdict(true, &shown.certificate, &shown, "db.example.com").unwrap();
    verdict(false, &shown.certificate, &shown, "db.example.org").unwrap();
    verdict(true, &shown.certificate, &shown, "db.example.org").unwrap_err();
    let other = self_signed(&["db.example.com"], 4000);
    verdict(false, &other.certificate, &shown, "db.example.com").unwrap_err();
}

#[test]
fn a_trusted_certificate_that_has_expired_is_refused() {
    let shown = self_signed(&["db.example.com"], 2000);
    verdict(true, &shown.certificate, &shown, "db.example.com").unwrap_err();
    verdict(false, &shown.certificate, &shown, "db.example.com").unwrap_err();
}

#[test]
fn tls_is_required_from_require_on() {
    let folder = TempDir::new().unwrap();
    let file = write(folder.path(), "ca.pem", &Authority::new("ours").certificate());
    let mode = |mode: &str| format!("{:?}", tls(&format!("sslmode={mode}&sslrootcert={}", file.display())).unwrap());
    assert_eq!(mode("disable"), "Off");
    assert_eq!(mode("allow"), "On(Prefer)");
    assert_eq!(mode("prefer"), "On(Prefer)");
    assert_eq!(mode("require"), "On(Require)");
    assert_eq!(mode("verify-ca"), "On(Require)");
    assert_eq!(mode("verify-full"), "On(Require)");
    assert_eq!(format!("{:?}", tls("").unwrap()), "On(Prefer)");
}

#[test]
fn a_weak_sslmode_does_not_go_with_system_roots_or_direct_negotiation() {
    for mode in ["disable", "allow", "prefer", "require"] {
        let text = error(&format!("sslmode={mode}&sslrootcert=system"));
        assert!(text.contains("sslrootcert=system is only allowed with sslmode verify-ca"), "{text}");
    }
    for mode in ["disable", "allow", "prefer"] {
        let text = error(&format!("sslmode={mode}&sslnegotiation=direct"));
        assert!(text.contains("sslnegotiation=direct is only allowed with sslmode require"), "{text}");
    }
    tls("sslmode=require&sslnegotiation=direct").unwrap();
}

#[test]
fn direct_negotiation_says_by_alpn_what_it_is_for() {
    let alpn = |direct| {
        let ssl = Ssl { direct, ..Ssl::default() };
        client_config(&ssl).unwrap().alpn_protocols
    };
    assert_eq!(alpn(true), [b"postgresql"]);
    assert!(alpn(false).is_empty());
}

#[test]
fn a_file_that_is_no_use_is_reported_by_its_name() {
    let folder = TempDir::new().unwrap();
    let ours = Authority::new("ours");
    let (mine, other) = (ours.issue("mine", &[]), ours.issue("other", &[]));
    let file = |name, contents: &str| write(folder.path(), name, contents).display().to_string();
    let cert = file("mine.crt", &mine.certificate);
    let key = file("mine.key", &mine.key);
    let other_key = file("other.key", &other.key);
    let empty = file("empty.pem", "");
    let broken = file("broken.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    let nonsense = file("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = folder.path().join("missing.pem").display().to_string();

    for (file, problem) in [
        (&missing, "No such file"),
        (&empty, "does not hold a certificate"),
        (&key, "does not hold a certificate"),
        (&broken, "does not hold a certificate"),
        (&nonsense, "can't be read"),
    ] {
        let text = error(&format!("sslmode=verify-ca&sslrootcert={file}"));
        assert!(text.contains(file) && text.contains("sslrootcert"), "{text}");
        assert!(text.contains(problem), "{text}");
    }
    for (cert, key, wrong, problem) in [
        (&missing, &key, &missing, "No such file"),
        (&empty, &key, &empty, "does not hold a certificate"),
        (&cert, &missing, &missing, "No such file"),
        (&cert, &empty, &empty, "does not hold an unencrypted private key"),
        (&cert, &other_key, &other_key, "can't be used with the certificate"),
    ] {
        let text = error(&format!("sslcert={cert}&sslkey={key}"));
        assert!(text.contains(wrong) && text.contains(problem), "{text}");
    }
    assert!(error(&format!("sslcert={cert}")).contains("add sslkey"));
    assert!(error(&format!("sslkey={key}")).contains("add sslcert"));
    tls(&format!("sslcert={cert}&sslkey={key}")).unwrap();
    tls(&format!("sslmode=disable&sslrootcert={missing}")).unwrap();
}
