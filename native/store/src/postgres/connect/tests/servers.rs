//! Which of several servers is connected to.

use std::net::TcpListener;

use super::*;

#[test]
fn the_next_host_is_tried_when_one_is_dead() {
    let server = TlsServer::shared();
    let url = format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", DEAD_PORT, server.server.port());
    assert_eq!(query(&url, "SELECT 1").unwrap(), "1");
    for _ in 0..8 {
        let url = format!("{url}?load_balance_hosts=random");
        assert_eq!(query(&url, "SELECT 1").unwrap(), "1");
    }
}

#[test]
fn the_next_host_is_tried_when_one_hangs() {
    let server = TlsServer::shared();
    // The system accepts connections for it. It never sends anything.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let hosts = format!("127.0.0.1:{},localhost:{}", hanging.local_addr().unwrap().port(), server.server.port());
    let url = format!("postgres://postgres@{hosts}/postgres?connect_timeout=1");
    assert_eq!(query(&url, "SELECT 1").unwrap(), "1");
}

#[test]
fn every_failed_attempt_is_reported() {
    let url = format!("postgres://u@127.0.0.1:{},nowhere.invalid:1/d", DEAD_PORT);
    let error = query(&url, "SELECT 1").unwrap_err();
    let [(first, Failure::Refused(_)), (second, Failure::Lookup(_))] = &error.failures[..] else {
        panic!("{error:?}");
    };
    assert!(first.starts_with("127.0.0.1:"), "{first}");
    assert_eq!(second, "nowhere.invalid:1");
    assert!(error.to_string().contains("onnection refused"), "{error}");
}

#[test]
fn read_write_skips_a_read_only_server() {
    let server = TlsServer::shared();
    let read_only = TestServer::start(&["default_transaction_read_only=on"]);
    let url = |attrs| {
        format!(
            "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs={attrs}",
            read_only.port(),
            server.server.port()
        )
    };
    let port = |attrs| query(&url(attrs), "SHOW port").unwrap();
    assert_eq!(port("any"), read_only.port().to_string());
    assert_eq!(port("read-only"), read_only.port().to_string());
    assert_eq!(port("read-write"), server.server.port().to_string());
    let alone = format!("postgres://postgres@127.0.0.1:{}/postgres?target_session_attrs=read-write", read_only.port());
    let error = query(&alone, "SHOW port").unwrap_err().to_string();
    assert!(error.contains("does not allow writes"), "{error}");
}

#[test]
fn the_url_and_the_files_that_it_names_are_read_again_for_each_connection() {
    let server = TlsServer::shared();
    let (ca, url) = (server.files.path().join("exchanged.pem"), server.files.path().join("exchanged.url"));
    fs::copy(&server.other_ca, &ca).unwrap();
    fs::write(&url, "postgres://nobody@127.0.0.1:1/postgres\n").unwrap();
    let database = Database::new(UrlSource::File(url.clone()), TIMEOUTS).unwrap();
    let connect = || database.connect_writer(Arc::default()).map(|_| ()).map_err(|error| error.to_string());
    let refused = |words: &str| {
        let error = connect().unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    refused("onnection refused");
    let parameters = format!("sslmode=verify-full&sslrootcert={}", ca.display());
    fs::write(&url, format!(" {}\n", server.url("postgres", "localhost", &parameters))).unwrap();
    refused("certificate");
    assert!(database.description().contains("postgres@localhost"), "{}", database.description());
    fs::copy(&server.ca, &ca).unwrap();
    connect().unwrap();
    fs::remove_file(&ca).unwrap();
    refused("exchanged.pem");
    fs::copy(&server.ca, &ca).unwrap();
    fs::remove_file(&url).unwrap();
    refused("exchanged.url");
}
