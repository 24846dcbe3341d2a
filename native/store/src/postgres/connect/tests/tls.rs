//! What each `sslmode` accepts and refuses.

use super::*;

#[test]
fn verify_full_connects_to_the_right_name_by_the_right_authority() {
    let server = TlsServer::shared();
    let right = format!("sslmode=verify-full&sslrootcert={}", server.ca.display());
    assert!(server.has_tls("db.example.com", &right).unwrap());
    // By its name, at one of its addresses.
    let url = format!("postgres://postgres@localhost:{}/postgres?{right}", server.server.port());
    assert_eq!(query(&url, HAS_TLS).unwrap(), "t");
}

#[test]
fn verify_full_refuses_another_name() {
    let server = TlsServer::shared();
    let parameters = format!("sslmode=verify-full&sslrootcert={}", server.ca.display());
    let error = server.has_tls("wrong.example.com", &parameters).unwrap_err().to_string();
    assert!(error.contains("wrong.example.com") && error.contains("NotValidForName"), "{error}");
    // The same with an address.
    server.has_tls("127.0.0.1", &parameters).unwrap_err();
}

#[test]
fn verify_full_refuses_an_unknown_authority() {
    let server = TlsServer::shared();
    let parameters = format!("sslmode=verify-full&sslrootcert={}", server.other_ca.display());
    let error = server.has_tls("db.example.com", &parameters).unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    // The system's roots, if there are any, do not include this authority either.
    let url = server.url("postgres", "db.example.com", "sslrootcert=system");
    if Target::new(&url, &TIMEOUTS).is_ok() {
        query(&url, HAS_TLS).unwrap_err();
    }
}

#[test]
fn verify_full_judges_each_host_by_its_own_name() {
    let server = TlsServer::shared();
    let url = |hosts: [&str; 2]| {
        let port = server.server.port();
        format!(
            "postgres://postgres@{}:{port},{}:{port}/postgres?hostaddr=127.0.0.1,127.0.0.1\
             &sslmode=verify-full&sslrootcert={}",
            hosts[0],
            hosts[1],
            server.ca.display()
        )
    };
    assert_eq!(query(&url(["wrong.example.com", "db.example.com"]), HAS_TLS).unwrap(), "t");
    let error = query(&url(["wrong.example.com", "wrong.example.org"]), HAS_TLS).unwrap_err();
    assert_eq!(error.failures.len(), 2, "{error}");
}

#[test]
fn verify_ca_takes_any_name_but_no_unknown_authority() {
    let server = TlsServer::shared();
    let parameters = |ca: &PathBuf| format!("sslmode=verify-ca&sslrootcert={}", ca.display());
    assert!(server.has_tls("wrong.example.com", &parameters(&server.ca)).unwrap());
    server.has_tls("db.example.com", &parameters(&server.other_ca)).unwrap_err();
}

#[test]
fn require_verifies_nothing_without_sslrootcert_and_the_chain_with_it() {
    let server = TlsServer::shared();
    assert!(server.has_tls("wrong.example.com", "sslmode=require").unwrap());
    let parameters = |ca: &PathBuf| format!("sslmode=require&sslrootcert={}", ca.display());
    assert!(server.has_tls("wrong.example.com", &parameters(&server.ca)).unwrap());
    server.has_tls("db.example.com", &parameters(&server.other_ca)).unwrap_err();
}

#[test]
fn disable_connects_without_tls_and_prefer_with_it() {
    let server = TlsServer::shared();
    assert!(!server.has_tls("db.example.com", "sslmode=disable").unwrap());
    assert!(server.has_tls("db.example.com", "sslmode=prefer").unwrap());
    assert!(server.has_tls("db.example.com", "sslmode=allow").unwrap());
    assert!(server.has_tls("db.example.com", "").unwrap());
    let url = format!("postgres:///postgres?user=postgres&hostaddr=127.0.0.1&port={}", server.server.port());
    assert_eq!(query(&url, HAS_TLS).unwrap(), "t");
}

#[test]
fn prefer_does_without_where_the_server_has_no_tls_and_require_does_not() {
    let server = TestServer::start(&[]);
    let url = |mode| format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode={mode}", server.port());
    assert_eq!(query(&url("prefer"), HAS_TLS).unwrap(), "f");
    assert_eq!(query(&url("allow"), HAS_TLS).unwrap(), "f");
    let error = query(&url("require"), HAS_TLS).unwrap_err().to_string();
    assert!(error.contains("server does not support TLS"), "{error}");
}

#[test]
fn a_unix_socket_has_no_tls_whatever_sslmode_says() {
    let server = TlsServer::shared();
    let url = format!(
        "postgres://postgres@{}?sslmode=verify-full&sslrootcert={}",
        socket(&server.server),
        server.ca.display()
    );
    assert_eq!(query(&url, HAS_TLS).unwrap(), "f");
}

#[test]
fn a_client_certificate_logs_in() {
    let server = TlsServer::shared();
    let file = |name| server.files.path().join(name).display().to_string();
    let url = server.url(
        "certified",
        "db.example.com",
        &format!(
            "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
            server.ca.display(),
            file("client.crt"),
            file("client.key")
        ),
    );
    assert_eq!(query(&url, "SELECT current_user").unwrap(), "certified");
    let without = server.url("certified", "db.example.com", "sslmode=require");
    query(&without, "SELECT 1").unwrap_err();
}
