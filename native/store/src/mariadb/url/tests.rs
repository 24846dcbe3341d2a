use super::*;
use crate::url::SslMode;

fn parse(text: &str) -> Url {
    Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> UrlError {
    Url::parse(text).expect_err(text)
}

fn tcp(host: &str, port: u16) -> Server {
    Server::Tcp { host: host.to_owned(), port }
}

#[test]
fn both_schemes_are_read() {
    assert_eq!(parse("mysql://h/d").servers, [tcp("h", 3306)]);
    assert_eq!(parse("mariadb://h/d").servers, [tcp("h", 3306)]);
    assert!(matches!(error("maria://h/d"), UrlError::Scheme(UrlKind::Mariadb)));
}

#[test]
fn user_password_and_database_are_percent_decoded() {
    let url = parse("mysql://us%65r:p%40ss%2Fw%3Frd%26@h/my%20db");
    assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("user"), Some("p@ss/w?rd&")));
    assert_eq!(url.database, "my db");
    let url = parse("mysql://u@h/d");
    assert_eq!((url.user.as_deref(), url.password), (Some("u"), None));
    assert_eq!(parse("mysql://h/d").user, None);
}

#[test]
fn several_hosts_have_a_port_each() {
    assert_eq!(parse("mysql://h1:1,h2,h3:3/d").servers, [tcp("h1", 1), tcp("h2", 3306), tcp("h3", 3)]);
    for text in ["mysql://h:0/d", "mysql://h:x/d", "mysql://h:65536/d", "mysql://h:/d", "mysql://h:1:2/d"] {
        assert!(matches!(error(text), UrlError::Malformed(..)), "{text}");
    }
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    let url = parse("mysql://[::1]:5433,[fe80::2]/d");
    assert_eq!(url.servers, [tcp("::1", 5433), tcp("fe80::2", 3306)]);
    assert_eq!(url.description(), "mysql://[::1]:5433,[fe80::2]:3306/d");
    for text in ["mysql://[::1/d", "mysql://[h]/d", "mysql://[::1]x/d"] {
        assert!(matches!(error(text), UrlError::Malformed(..)), "{text}");
    }
}

#[test]
fn a_unix_socket_is_a_host_or_a_parameter() {
    let socket = [Server::Socket("/run/m.sock".into())];
    assert_eq!(parse("mysql://u@%2Frun%2Fm.sock/d").servers, socket);
    let url = parse("mysql://u@/d?socket=/run/m.sock");
    assert_eq!(url.servers, socket);
    assert_eq!(url.description(), "mysql://u@%2Frun%2Fm.sock/d");
    assert!(matches!(error("mysql://u@%2Frun%2Fm.sock:1/d"), UrlError::Malformed(..)));
    assert!(matches!(error("mysql://h/d?socket=/run/m.sock"), UrlError::Twice("socket")));
    assert!(matches!(error("mysql:///d?socket=m.sock"), UrlError::Value { parameter: "socket", .. }));
}

#[test]
fn a_host_and_a_database_are_named() {
    for text in ["mysql:///d", "mysql://u@/d", "mysql://h1,,h2/d", "mysql://:3306/d"] {
        assert!(matches!(error(text), UrlError::NoHost(_)), "{text}");
    }
    for text in ["mysql://h", "mysql://h/", "mysql://h?sslmode=require"] {
        assert!(matches!(error(text), UrlError::NoDatabase(_)), "{text}");
    }
}

#[test]
fn parameters_mean_what_they_mean_for_postgresql() {
    let url = parse(
        "mysql://h/d?sslmode=verify-full&sslrootcert=/ca%20s.pem&sslcert=c&sslkey=k&connect_timeout=7\
         &target_session_attrs=read-write",
    );
    assert_eq!(url.ssl.mode, Some(SslMode::VerifyFull));
    assert_eq!(url.ssl.rootcert.as_deref(), Some("/ca s.pem"));
    assert_eq!((url.ssl.cert, url.ssl.key), (Some("c".into()), Some("k".into())));
    assert_eq!((url.connect_timeout, url.writable), (Some(Duration::from_secs(7)), true));
    for wrong in ["sslmode=on", "connect_timeout=x", "target_session_attrs=primary"] {
        let (name, _) = wrong.split_once('=').unwrap();
        let error = error(&format!("mysql://h/d?{wrong}"));
        assert!(matches!(error, UrlError::Value { parameter, .. } if parameter == name), "{error}");
    }
}

#[test]
fn an_unknown_or_repeated_parameter_is_reported_by_its_name() {
    let text = error("mysql://h/d?charset=utf8").to_string();
    assert!(text.contains("unknown parameter charset; known are connect_timeout, socket, "), "{text}");
    assert!(matches!(error("mysql://h/d?socket=/a&socket=/b"), UrlError::Twice("socket")));
    assert!(matches!(error("mysql://h/d?sslmode"), UrlError::NoValue));
}

#[test]
fn a_description_has_neither_password_nor_parameters() {
    let url = parse("mariadb://u:hunter2@h1:1,h2/d?sslmode=require");
    assert_eq!(url.description(), "mysql://u@h1:1,h2:3306/d");
    assert_eq!(format!("{url:?}"), "Url(mysql://u@h1:1,h2:3306/d)");
}

/// In each of them, `hunter2` is the password or a part of it.
#[test]
fn no_error_shows_the_password() {
    for text in [
        "mysq://u:hunter2@h/d",
        "u:hunter2@h",
        "mysql://u:hunter2",
        "mysql://u:hunter2/d",
        "mysql://u:hunter2@",
        "mysql://u:hunter2@/d",
        "mysql://u:hunter2@[h/d",
        "mysql://u:hunter2@h:port/d",
        "mysql://%ff:hunter2@h/d",
        "mysql://u:hunter2%ff@h/d",
        "mysql://u:hunter2@%ff/d",
        "mysql://u:hunter2@h/%ff",
        "mysql://u:a@hunter2@h/d",
        "mysql://u:a@hunter2/b@h/d",
        "mysql://u:a/hunter2@h/d",
        "mysql://u:5432/hunter2@h/d",
        "mysql://u:5432/hunter2?x=y@h/d",
        "mysql://u:5432?hunter2=y@h/d",
        "mysql://u:a?hunter2@h/d",
        "mysql://u:hunter2@h/d?x=y",
        "mysql://u:hunter2@h/d?sslmode=on",
    ] {
        let error = error(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}: {error}");
    }
}
