//! The log-in, and the settings of the session.

use super::*;
use crate::Timeouts;

#[test]
fn a_password_of_reserved_characters_logs_in_bound_to_the_channel() {
    let server = TlsServer::shared();
    let url =
        |password: &str, parameters: &str| server.url(&format!("secretive:{password}"), "db.example.com", parameters);
    for parameters in ["sslmode=require&channel_binding=require", "sslmode=disable"] {
        let user = query(&url(PASSWORD_ENCODED, parameters), "SELECT current_user");
        assert_eq!(user.unwrap(), "secretive");
    }
    query(&url(PASSWORD_ENCODED, "sslmode=disable&channel_binding=require"), "").unwrap_err();

    let url = url("hunter2", "sslmode=require");
    let error = query(&url, "").unwrap_err();
    assert!(error.to_string().contains("password authentication failed"), "{error}");
    let target = target(&url, &TIMEOUTS);
    let shown = format!("{error} {error:?} {target:?} {}", target.description());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_server_itself_limits_statements_locks_and_idle_transactions() {
    let server = TlsServer::shared();
    let show = |timeouts: &Timeouts, parameters: &str, name: &str| {
        let url = server.url("postgres", "db.example.com", parameters);
        execute(&url, timeouts, &format!("SHOW {name}")).unwrap().unwrap()
    };
    assert_eq!(show(&TIMEOUTS, "", "statement_timeout"), "30s");
    assert_eq!(show(&TIMEOUTS, "", "idle_in_transaction_session_timeout"), "30s");
    assert_eq!(show(&TIMEOUTS, "", "lock_timeout"), "2500ms");
    assert_eq!(show(&TIMEOUTS, "", "application_name"), "mongoose_domain");

    // The URL's settings override them.
    let own = "application_name=mine&options=-c%20statement_timeout=7s%20--work_mem=8MB";
    assert_eq!(show(&TIMEOUTS, own, "statement_timeout"), "7s");
    assert_eq!(show(&TIMEOUTS, own, "work_mem"), "8MB");
    assert_eq!(show(&TIMEOUTS, own, "lock_timeout"), "2500ms");
    assert_eq!(show(&TIMEOUTS, own, "application_name"), "mine");

    let none = Timeouts { statement: Duration::ZERO, lock: Duration::ZERO, ..TIMEOUTS };
    assert_eq!(show(&none, "", "statement_timeout"), "0");
    let least = Timeouts { statement: Duration::from_nanos(1), lock: Duration::MAX, ..TIMEOUTS };
    let config = defaults::fill_in(&Url::parse("postgres://h").unwrap(), &least);
    assert_eq!(
        config.get_options(),
        Some(
            r"-c default_transaction_isolation=read\ committed -c row_security=off -c statement_timeout=1 ".to_owned()
                + "-c lock_timeout=2147483647 -c idle_in_transaction_session_timeout=1"
        )
        .as_deref()
    );
    let config = defaults::fill_in(&Url::parse("postgres://h").unwrap(), &none);
    assert_eq!(config.get_options(), Some(r"-c default_transaction_isolation=read\ committed -c row_security=off"));
}

#[test]
fn a_session_has_the_settings_that_it_relies_on_whatever_a_role_has() {
    let server = TlsServer::shared();
    let as_superuser = server.url("postgres", "db.example.com", "");
    run(
        &as_superuser,
        "CREATE ROLE lax LOGIN; ALTER ROLE lax SET default_transaction_isolation = serializable; \
         ALTER ROLE lax SET row_security = on",
    );
    let show = |parameters: &str, name: &str| {
        query(&server.url("lax", "db.example.com", parameters), &format!("SHOW {name}")).unwrap()
    };
    assert_eq!(show("", "transaction_isolation"), "read committed");
    assert_eq!(show("", "row_security"), "off");
    // The URL's settings override them.
    assert_eq!(show("options=-c%20row_security=on", "row_security"), "on");
}

#[test]
fn a_dead_peer_is_noticed_unless_the_url_says_otherwise() {
    let defaults = |text: &str| defaults::fill_in(&Url::parse(text).unwrap(), &TIMEOUTS);
    let config = defaults("postgres://h");
    assert!(config.get_keepalives());
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(30));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(10)));
    assert_eq!(config.get_keepalives_retries(), Some(3));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(30)));
    assert_eq!(config.get_connect_timeout(), Some(&TIMEOUTS.connect));

    let config = defaults(
        "postgres://h?keepalives_idle=1&keepalives_interval=2&keepalives_count=4\
         &tcp_user_timeout=5000&connect_timeout=6",
    );
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(1));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(2)));
    assert_eq!(config.get_keepalives_retries(), Some(4));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(5)));
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(6)));

    let config = defaults("postgres://h?tcp_user_timeout=0&connect_timeout=0");
    assert_eq!(config.get_tcp_user_timeout(), None);
    assert_eq!(config.get_connect_timeout(), None);
}

#[test]
fn notifications_arrive_where_the_connection_is_polled() {
    let server = TlsServer::shared();
    let url = server.url("postgres", "db.example.com", "sslmode=require");
    block_on(async {
        let (client, mut connection) = target(&url, &TIMEOUTS).connect().await.unwrap();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(notification) = message {
                    sender.send(notification.payload().to_owned()).unwrap();
                }
            }
        });
        client.batch_execute("LISTEN here; NOTIFY here, 'news'").await.unwrap();
        assert_eq!(receiver.recv().await.unwrap(), "news");
    });
}
