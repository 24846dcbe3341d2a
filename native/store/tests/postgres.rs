//! What only PostgreSQL does: it notifies, it can be locked, it can cut a connection.

mod support;

use std::time::Duration;

use domain_core::EventId;
use domain_store::{Database, StoreError, Timeouts};
use support::Fixture;

const LONG_TIME: Duration = Duration::from_secs(3600);

#[test]
fn a_notification_ends_the_wait() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.wait(LONG_TIME));
        fixture.write("NOTIFY mongoose_domain_events");
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn a_notification_during_a_call_is_not_lost() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    fixture
        .write("BEGIN; INSERT INTO domain_events (domain) VALUES ('a.example'); NOTIFY mongoose_domain_events; COMMIT");
    store.events(EventId(0), 10).unwrap();
    store.wait(LONG_TIME).unwrap();
}

#[test]
fn a_cut_connection_ends_the_wait_with_the_reason() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.wait(LONG_TIME));
        fixture.write("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mongoose_domain' AND datname = current_database()");
        let error = waiting.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("waiting for changes"), "{error}");
    });
}

#[test]
fn a_stop_ends_a_statement_that_waits_for_a_lock() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    fixture.write("BEGIN; LOCK TABLE domain_events");
    let signal = fixture.signal.clone();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| store.events(EventId(0), 10));
        signal.stop();
        assert!(matches!(reading.join().unwrap(), Err(StoreError::Stopped)));
    });
}

#[test]
fn a_statement_that_waits_for_a_lock_ends_at_its_limit() {
    let mut fixture = Fixture::postgres();
    drop(fixture.store());
    fixture.write("BEGIN; LOCK TABLE domain_events");
    let short = Duration::from_millis(200);
    let timeouts = Timeouts { connect: LONG_TIME, statement: short, lock: LONG_TIME };
    let database = Database::parse(&fixture.url, timeouts).unwrap();
    let mut store = database.connect(Default::default(), Default::default()).unwrap();
    let error = store.events(EventId(0), 10).unwrap_err().to_string();
    assert!(error.contains("reading domain_events"), "{error}");
}

#[test]
fn a_database_that_is_not_there_is_named_without_the_password() {
    let fixture = Fixture::postgres();
    let url = fixture.url.replace("mongoose@", "mongoose:secret@");
    let url = format!("{}/nowhere", url.rsplit_once('/').unwrap().0);
    let database =
        Database::parse(&url, Timeouts { connect: LONG_TIME, statement: LONG_TIME, lock: LONG_TIME }).unwrap();
    let error = database.connect(Default::default(), Default::default()).map(drop).unwrap_err().to_string();
    assert!(error.contains("nowhere") && error.contains("does not exist"), "{error}");
    assert!(!error.contains("secret") && !database.description().contains("secret"), "{error}");
}
