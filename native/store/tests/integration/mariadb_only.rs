//! What only MariaDB does: its tables may compare names as dictionaries do, and may hold a name twice; it notifies nobody;
//! an id may be handed out before a smaller one shows; several servers may take changes.

mod connections;
mod names;
mod transactions;

use std::time::Duration;

use domain_core::EventId;
use domain_store::{Database, IdRange, Row, Store, StoreError, Timeouts};

use crate::support::{Fixture, MariadbClient};

/// A time-out that only a failing test reaches.
const LONG_TIME: Duration = Duration::from_secs(3600);

fn session(fixture: &Fixture) -> MariadbClient {
    MariadbClient::connect(&fixture.url)
}

fn ids(store: &mut dyn Store) -> Vec<i64> {
    store.events(EventId(0), EventId(i64::MIN), 100).unwrap().events.iter().map(|event| event.id.0).collect()
}

fn rows_of_a_load(store: &mut dyn Store) -> Vec<Row> {
    let mut rows = Vec::new();
    let loaded = store.load(1000, 10, &mut |batch| {
        rows.extend(batch);
        std::ops::ControlFlow::Continue(())
    });
    loaded.unwrap().expect("nothing broke it off");
    rows
}

#[test]
fn a_new_event_ends_the_wait() {
    let mut fixture = Fixture::mariadb();
    let mut store = fixture.store();
    fixture.write_events(&[1, 2]);
    assert_eq!(ids(&mut *store), [1, 2]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.wait(LONG_TIME));
        fixture.write_events(&[3]);
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(ids(&mut *store), [1, 2, 3]);
}

#[test]
fn an_event_before_the_wait_is_not_lost() {
    let mut fixture = Fixture::mariadb();
    let mut store = fixture.store();
    rows_of_a_load(&mut *store);
    fixture.write_events(&[1]);
    store.wait(LONG_TIME).unwrap();
}

#[test]
fn an_event_that_was_not_read_ends_the_wait() {
    let mut fixture = Fixture::mariadb();
    let mut store = fixture.store();
    fixture.write_events(&[1, 2]);
    // The bounds of this read have the second one.
    assert_eq!(store.events(EventId(0), EventId(i64::MIN), 1).unwrap().events.len(), 1);
    store.wait(LONG_TIME).unwrap();
}

#[test]
fn an_event_that_comes_late_ends_the_wait() {
    let mut fixture = Fixture::mariadb();
    let mut store = fixture.store();
    fixture.write_events(&[1, 5]);
    assert_eq!(ids(&mut *store), [1, 5]);
    store.watch(&[IdRange { first: EventId(2), last: EventId(4) }]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.wait(LONG_TIME));
        fixture.write_events(&[3]);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn a_wait_without_an_event_ends_at_its_limit() {
    let fixture = Fixture::mariadb();
    let mut store = fixture.store();
    ids(&mut *store);
    // Longer than the time between two looks.
    store.wait(Duration::from_millis(500)).unwrap();
}

#[test]
fn a_cut_connection_ends_the_wait_with_the_reason() {
    let mut fixture = Fixture::mariadb();
    let mut store = fixture.store();
    let (_, database) = fixture.url.rsplit_once('/').unwrap();
    let of_the_store = format!("FROM information_schema.PROCESSLIST WHERE DB = '{database}' AND ID <> CONNECTION_ID()");
    let id = fixture.read(&format!("SELECT ID {of_the_store}")).pop().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.wait(LONG_TIME));
        fixture.write(&format!("KILL CONNECTION {id}"));
        let error = waiting.join().unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Failed { doing: "waiting for changes", .. }), "{error:?}");
    });
}

#[test]
fn a_stop_ends_a_statement_that_waits_for_a_lock() {
    let fixture = Fixture::mariadb();
    let mut store = fixture.store();
    let mut other = session(&fixture);
    other.run("LOCK TABLES domain_events WRITE");
    let signal = fixture.signal.clone();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| store.events(EventId(0), EventId(i64::MIN), 10));
        signal.stop();
        assert!(matches!(reading.join().unwrap(), Err(StoreError::Stopped)));
    });
}

#[test]
fn a_statement_that_waits_for_a_lock_ends_at_its_limit() {
    let fixture = Fixture::mariadb();
    drop(fixture.store());
    let short = Duration::from_millis(200);
    let timeouts = Timeouts { connect: LONG_TIME, statement: short, lock: LONG_TIME };
    let database = Database::parse(&fixture.url, timeouts).unwrap();
    let mut store = database.connect(Default::default(), Default::default()).unwrap();
    let mut other = session(&fixture);
    other.run("LOCK TABLES domain_events WRITE");
    let error = store.events(EventId(0), EventId(i64::MIN), 10).unwrap_err().to_string();
    assert!(error.contains("reading domain_events"), "{error}");
    // Dropping a connection whose statement was given up blocks nothing.
    drop(store);
}

#[test]
fn a_reader_that_is_refused_to_prune_reads_on() {
    let mut fixture = Fixture::mariadb();
    drop(fixture.store());
    fixture.write_events(&[1, 2, 3]);
    let mut reader = fixture.reader();
    let position = reader.position().unwrap();
    let refused = reader.prune(&position, EventId(i64::MIN), 10).unwrap_err();
    assert!(matches!(&refused, StoreError::Refused { reason, .. } if reason.contains("DELETE")), "{refused:?}");
    assert_eq!(ids(&mut *reader), [1, 2, 3]);
    assert_eq!(reader.identity().unwrap(), fixture.store().identity().unwrap());
}

#[test]
fn late_events_may_still_be_inserted_below_those_that_are_pruned() {
    let mut fixture = Fixture::mariadb();
    let mut store = fixture.store();
    fixture.write_events(&[10, 20, 30]);
    let position = store.position().unwrap();
    let mut late = session(&fixture);
    late.run("SET innodb_lock_wait_timeout = 1; BEGIN; INSERT INTO domain_events VALUES (15, 'late.example')");
    assert_eq!(store.prune(&position, EventId(i64::MIN), 10).unwrap().count, 2);
    late.run("INSERT INTO domain_events VALUES (16, 'late.example'); COMMIT");
    assert_eq!(fixture.event_ids(), [15, 16, 30]);
}

#[test]
fn a_table_without_transactions_is_refused() {
    let mut fixture = Fixture::mariadb();
    fixture.write("CREATE TABLE domain_events (id BIGINT AUTO_INCREMENT PRIMARY KEY, domain VARCHAR(250)) ENGINE=Aria");
    let error = fixture.opener.connect().map(drop).unwrap_err().to_string();
    assert!(error.contains("domain_events has the engine Aria") && error.contains("ENGINE=InnoDB"), "{error}");
}

#[test]
fn a_table_that_this_project_makes_compares_names_as_bytes() {
    let mut fixture = Fixture::mariadb();
    drop(fixture.store());
    let collations = "SELECT COLLATION_NAME FROM information_schema.COLUMNS
                       WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME IN ('domain', 'host_type')";
    assert_eq!(fixture.read(collations), ["utf8mb4_nopad_bin"; 4]);
    // A unique index that took two of them for the same would refuse the second one.
    fixture.write(
        "INSERT INTO domain_settings (domain, host_type) VALUES ('strasse.example', 'type1'), ('STRASSE.example', 'type1'),
             ('straße.example', 'type1'), ('strässe.example', 'type1'), ('strasse.example ', 'type1')",
    );
    assert_eq!(rows_of_a_load(&mut *fixture.store()).len(), 5);
}
