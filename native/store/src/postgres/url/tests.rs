use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

use super::{Server, Url};
use crate::url::{Ssl, SslMode, UrlError};

fn parse(text: &str) -> Url {
    Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> UrlError {
    Url::parse(text).expect_err(text)
}

fn tcp(host: &str, port: u16) -> Server {
    Server::Tcp { host: host.to_owned(), hostaddr: None, port }
}

#[test]
fn both_schemes_are_read() {
    assert_eq!(parse("postgres://h").servers, [tcp("h", 5432)]);
    assert_eq!(parse("postgresql://h").servers, [tcp("h", 5432)]);
}

#[test]
fn user_password_and_database_are_percent_decoded() {
    let url = parse("postgres://us%65r:p%40ss%2Fw%3Frd%26@h/my%20db");
    assert_eq!(url.config.get_user(), Some("user"));
    assert_eq!(url.config.get_password(), Some(b"p@ss/w?rd&".as_slice()));
    assert_eq!(url.config.get_dbname(), Some("my db"));
}

#[test]
fn the_user_may_be_named_by_parameters() {
    let url = parse("postgres:///?host=h1,h2&port=1,2&user=u&password=p%40&dbname=d");
    assert_eq!(url.servers, [tcp("h1", 1), tcp("h2", 2)]);
    assert_eq!(url.config.get_user(), Some("u"));
    assert_eq!(url.config.get_password(), Some(b"p@".as_slice()));
    assert_eq!(url.config.get_dbname(), Some("d"));
}

#[test]
fn several_hosts_have_a_port_each_or_one_for_all() {
    assert_eq!(parse("postgres://h1:1,h2,h3:3/").servers, [tcp("h1", 1), tcp("h2", 5432), tcp("h3", 3)]);
    assert_eq!(parse("postgres:///?host=h1,h2&port=7").servers, [tcp("h1", 7), tcp("h2", 7)]);
    assert!(matches!(error("postgres:///?host=h1,h2,h3&port=1,2"), UrlError::Counts { hosts: 3, ports: 2, .. }));
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    let url = parse("postgres://[::1]:5433,[fe80::2]/d");
    assert_eq!(url.servers, [tcp("::1", 5433), tcp("fe80::2", 5432)]);
    assert_eq!(url.description(), "postgres://[::1]:5433,[fe80::2]:5432/d");
    assert!(matches!(error("postgres://[::1/d"), UrlError::Malformed(..)));
}

#[test]
fn a_unix_socket_is_a_host() {
    let socket = [Server::Socket { folder: "/run/pg".into(), port: 5433 }];
    assert_eq!(parse("postgres://u@%2Frun%2Fpg:5433/d").servers, socket);
    let url = parse("postgres:///d?host=/run/pg&port=5433");
    assert_eq!(url.servers, socket);
    assert_eq!(url.description(), "postgres://%2Frun%2Fpg:5433/d");
}

#[test]
fn hostaddr_spares_the_lookup_and_stands_in_for_a_missing_host() {
    let server = |host: &str| Server::Tcp { host: host.to_owned(), hostaddr: Some([127, 0, 0, 1].into()), port: 5432 };
    assert_eq!(parse("postgres://h/d?hostaddr=127.0.0.1").servers, [server("h")]);
    assert_eq!(parse("postgres:///d?hostaddr=127.0.0.1").servers, [server("127.0.0.1")]);
    assert!(matches!(error("postgres://h1,h2?hostaddr=127.0.0.1"), UrlError::Counts { .. }));
    assert!(matches!(error("postgres://h?hostaddr=h"), UrlError::Value { parameter: "hostaddr", .. }));
}

#[test]
fn a_host_is_named_and_named_once() {
    for text in ["postgres://", "postgres:///d", "postgres://u@/d", "postgres://h1,,h2", "postgres://:5432/d"] {
        assert!(matches!(error(text), UrlError::NoHost(_)), "{text}");
    }
    assert!(matches!(error("postgres://h?host=h2"), UrlError::Twice("host")));
    assert!(matches!(error("postgres://h?port=1"), UrlError::Twice("port")));
}

#[test]
fn the_drivers_parameters_reach_the_driver() {
    let url = parse(
        "postgres://h?target_session_attrs=read-write&load_balance_hosts=random&connect_timeout=7\
         &keepalives=0&keepalives_idle=1&keepalives_interval=2&keepalives_count=3\
         &application_name=a%20b&options=-c%20work_mem=8MB&channel_binding=require",
    );
    assert!(url.shuffled);
    assert!(url.sets("connect_timeout") && !url.sets("sslmode"));
    let config = url.config;
    assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(7)));
    assert!(!config.get_keepalives());
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(1));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(2)));
    assert_eq!(config.get_keepalives_retries(), Some(3));
    assert_eq!(config.get_application_name(), Some("a b"));
    assert_eq!(config.get_options(), Some("-c work_mem=8MB"));
    assert_eq!(config.get_channel_binding(), ChannelBinding::Require);
}

#[test]
fn tcp_user_timeout_is_in_milliseconds_as_in_libpq() {
    let timeout = |text| parse(text).config.get_tcp_user_timeout().copied();
    assert_eq!(timeout("postgres://h?tcp_user_timeout=1500"), Some(Duration::from_millis(1500)));
    assert_eq!(timeout("postgres://h?tcp_user_timeout=0"), None);
    assert!(matches!(error("postgres://h?tcp_user_timeout=1s"), UrlError::Value { .. }));
}

#[test]
fn what_is_said_about_tls_is_kept_word_for_word() {
    assert_eq!(parse("postgres://h").ssl, Ssl::default());
    let ssl =
        parse("postgres://h?sslmode=verify-full&sslrootcert=/ca%20s.pem&sslcert=c&sslkey=k&sslnegotiation=direct").ssl;
    assert_eq!(ssl.mode, Some(SslMode::VerifyFull));
    assert_eq!(ssl.rootcert.as_deref(), Some("/ca s.pem"));
    assert_eq!(ssl.cert, Some("c".into()));
    assert_eq!(ssl.key, Some("k".into()));
    assert!(ssl.direct);
}

#[test]
fn a_wrong_value_is_reported_by_its_parameter_and_what_it_may_be() {
    for mode in ["primary", "standby", "prefer-standby"] {
        let text = error(&format!("postgres://h?target_session_attrs={mode}")).to_string();
        assert!(text.contains("target_session_attrs must be any, read-write or read-only"), "{text}");
    }
    let text = error("postgres://h?sslmode=on").to_string();
    assert!(text.contains("sslmode must be disable, allow, prefer"), "{text}");
    for name in
        ["channel_binding", "connect_timeout", "keepalives", "keepalives_count", "load_balance_hosts", "sslnegotiation"]
    {
        let wrong = error(&format!("postgres://h?{name}=x"));
        assert!(matches!(wrong, UrlError::Value { parameter, .. } if parameter == name), "{wrong}");
    }
    assert!(matches!(error("postgres://h?user=%ff"), UrlError::Value { parameter: "user", .. }));
}

#[test]
fn an_unknown_or_repeated_parameter_is_reported_by_its_name() {
    let text = error("postgres://h?gssencmode=disable").to_string();
    assert!(text.contains("unknown parameter gssencmode; known are application_name, "), "{text}");
    assert!(matches!(error("postgres://h?user=a&user=b"), UrlError::Twice("user")));
    assert!(matches!(error("postgres://h?sslmode"), UrlError::NoValue));
}

#[test]
fn a_description_has_neither_password_nor_parameters() {
    let url = parse("postgresql://u:hunter2@h1:1,h2/d?application_name=a&sslmode=require");
    assert_eq!(url.description(), "postgres://u@h1:1,h2:5432/d");
    assert_eq!(format!("{url:?}"), "Url(postgres://u@h1:1,h2:5432/d)");
    let url = parse("postgres:///d?host=h&user=a%20b&password=hunter2");
    assert_eq!(url.description(), "postgres://a%20b@h:5432/d");
    assert!(!format!("{url:?}").contains("hunter2"));
}

/// In each of them, `hunter2` is the password or a part of it.
#[test]
fn no_error_shows_the_password() {
    for text in [
        "postgre://u:hunter2@h/d",
        "host=h user=u password=hunter2",
        "u:hunter2@h",
        "postgres://u:hunter2",
        "postgres://u:hunter2/d",
        "postgres://u:hunter2@",
        "postgres://u:hunter2@/d",
        "postgres://u:hunter2@[h/d",
        "postgres://u:hunter2@h:port/d",
        "postgres://u:hunter2@h:99999/d",
        "postgres://%ff:hunter2@h/d",
        "postgres://u:hunter2@%ff/d",
        "postgres://u:hunter2@h/%ff",
        "postgres://u:a@hunter2@h/d",
        "postgres://u:a@hunter2/b@h/d",
        "postgres://u:a/hunter2@h/d",
        "postgres://u:5432/hunter2@h/d",
        "postgres://u:5432/hunter2?x=y@h/d",
        "postgres://u:5432?hunter2=y@h/d",
        "postgres://u:a?hunter2@h/d",
        "postgres://u:a@?hunter2=1@h/d",
        "postgres://u:hunter2@h/d?x=y",
        "postgres://u:hunter2@h/d?sslmode=on",
        "postgres://u:hunter2@h,h2?hostaddr=127.0.0.1",
        "postgres://h/d?password=hunter2&x=y",
        "postgres://h/d?password=hunter2&port=x",
        "postgres://h/d?password=a&hunter2",
        "postgres://h/d?password=a&hunter2=b",
        "postgres://h/d?sslmode=require;password=hunter2",
        "postgres://h/d?password=hunter2%ff",
    ] {
        let error = error(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}: {error}");
    }
}
