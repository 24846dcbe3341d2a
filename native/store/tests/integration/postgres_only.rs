//! What only PostgreSQL does: it notifies, its tables can be locked, it can close a connection, and its transactions may
//! end in another order than they began.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::{Activation, Database, NewDomain, OpenTransactions, Store, StoreError, Timeouts, TransactionId};

use crate::support::{Fixture, name};

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
    store.events(EventId(0), EventId(i64::MIN), 10).unwrap();
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
        let reading = scope.spawn(|| store.events(EventId(0), EventId(i64::MIN), 10));
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
    let error = store.events(EventId(0), EventId(i64::MIN), 10).unwrap_err().to_string();
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

// Transactions whose events are not visible yet.

/// Another session.
fn session(fixture: &Fixture) -> postgres::Client {
    postgres::Client::connect(&fixture.url, postgres::NoTls).unwrap()
}

fn known(store: &mut dyn Store) -> HashSet<TransactionId> {
    match store.open_transactions().unwrap() {
        OpenTransactions::Known(writers) => writers,
        OpenTransactions::Unknown => panic!("this database tells who writes"),
    }
}

fn ids(store: &mut dyn Store) -> Vec<i64> {
    store.events(EventId(0), EventId(i64::MIN), 100).unwrap().events.iter().map(|event| event.id.0).collect()
}

#[test]
fn a_transaction_that_inserted_an_event_shows_until_the_event_does() {
    let fixture = Fixture::postgres();
    let mut store = fixture.store();
    let (mut one, mut two) = (session(&fixture), session(&fixture));
    assert_eq!(known(&mut *store), [].into());
    one.batch_execute("BEGIN; INSERT INTO domain_events (domain) VALUES ('a.example')").unwrap();
    let first = known(&mut *store);
    assert!(matches!(first.iter().collect::<Vec<_>>()[..], [TransactionId::Open(_)]), "{first:?}");
    two.batch_execute("BEGIN; INSERT INTO domain_events (domain) VALUES ('b.example')").unwrap();
    let both = known(&mut *store);
    assert!(both.len() == 2 && both.is_superset(&first), "{both:?}, and earlier {first:?}");
    assert!(ids(&mut *store).is_empty());
    two.batch_execute("COMMIT").unwrap();
    assert_eq!(known(&mut *store), first);
    assert_eq!(ids(&mut *store), [2]);
    one.batch_execute("COMMIT").unwrap();
    assert_eq!(known(&mut *store), [].into());
    assert_eq!(ids(&mut *store), [1, 2]);
    // The next transaction of the same session has another id.
    one.batch_execute("BEGIN; INSERT INTO domain_events (domain) VALUES ('a.example')").unwrap();
    let next = known(&mut *store);
    assert!(next.len() == 1 && next.is_disjoint(&first), "{next:?}, and earlier {first:?}");
    one.batch_execute("ROLLBACK").unwrap();
    assert_eq!(known(&mut *store), [].into());
}

#[test]
fn a_transaction_that_only_took_an_id_shows_until_its_end() {
    let fixture = Fixture::postgres();
    let mut store = fixture.store();
    let mut other = session(&fixture);
    other.batch_execute("BEGIN; SELECT nextval('domain_events_id_seq')").unwrap();
    let first = known(&mut *store);
    assert_eq!(first.len(), 1, "{first:?}");
    other.batch_execute("INSERT INTO domain_events (id, domain) VALUES (1, 'a.example')").unwrap();
    assert_eq!(known(&mut *store), first);
    other.batch_execute("COMMIT").unwrap();
    assert_eq!(known(&mut *store), [].into());
    assert_eq!(ids(&mut *store), [1]);
}

#[test]
fn a_transaction_that_inserted_an_id_of_its_own_shows_until_its_end() {
    let fixture = Fixture::postgres();
    let mut store = fixture.store();
    let mut other = session(&fixture);
    other.batch_execute("BEGIN; INSERT INTO domain_events (id, domain) VALUES (5, 'a.example')").unwrap();
    assert_eq!(known(&mut *store).len(), 1);
    other.batch_execute("COMMIT").unwrap();
    assert_eq!(known(&mut *store), [].into());
    assert_eq!(ids(&mut *store), [5]);
}

#[test]
fn what_a_savepoint_wrote_shows_as_long_as_its_transaction() {
    let fixture = Fixture::postgres();
    let mut store = fixture.store();
    let mut other = session(&fixture);
    other.batch_execute("BEGIN; SAVEPOINT s; INSERT INTO domain_events (domain) VALUES ('a.example')").unwrap();
    other.batch_execute("RELEASE s").unwrap();
    assert_eq!(known(&mut *store).len(), 1);
    other.batch_execute("COMMIT").unwrap();
    assert_eq!(known(&mut *store), [].into());
}

#[test]
fn a_transaction_that_reads_or_writes_elsewhere_is_no_writer() {
    let fixture = Fixture::postgres();
    let mut store = fixture.store();
    let mut other = session(&fixture);
    other.batch_execute("BEGIN; SELECT * FROM domain_events; SELECT last_value FROM domain_events_id_seq").unwrap();
    assert_eq!(known(&mut *store), [].into());
    other.batch_execute("INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1')").unwrap();
    assert_eq!(known(&mut *store), [].into());
    // Nor is one in another database.
    let elsewhere = Fixture::postgres();
    drop(elsewhere.store());
    let mut other = session(&elsewhere);
    other.batch_execute("BEGIN; INSERT INTO domain_events (domain) VALUES ('a.example')").unwrap();
    assert_eq!(known(&mut *store), [].into());
}

#[test]
fn a_store_never_counts_itself_as_a_writer() {
    let mut fixture = Fixture::postgres();
    let mut stores = [fixture.store(), fixture.store()];
    fixture.write_events(&[1, 2, 3]);
    let moment = fixture.position(&mut *stores[0]);
    for store in &mut stores {
        assert_eq!(store.prune(&moment, EventId(i64::MIN), 1).unwrap().count, 1);
        assert_eq!(known(&mut **store), [].into());
    }
}

#[test]
fn a_prepared_transaction_is_a_writer_until_its_second_phase() {
    let mut fixture = Fixture::postgres();
    assert_ne!(
        fixture.read("SHOW max_prepared_transactions"),
        ["0"],
        "the test server prepares no transactions: start it with max_prepared_transactions=10"
    );
    let mut store = fixture.store();
    let mut other = session(&fixture);
    let prepare = |name: &str| {
        let name = format!("{name} of {}", fixture.url);
        format!("BEGIN; INSERT INTO domain_events (domain) VALUES ('a.example'); PREPARE TRANSACTION '{name}'")
    };
    other.batch_execute(&prepare("one")).unwrap();
    assert_eq!(known(&mut *store), [TransactionId::Prepared].into());
    // Its session begins other transactions.
    other.batch_execute("BEGIN; INSERT INTO domain_events (domain) VALUES ('b.example')").unwrap();
    let both = known(&mut *store);
    assert!(both.len() == 2 && both.contains(&TransactionId::Prepared), "{both:?}");
    other.batch_execute("COMMIT").unwrap();
    drop(other);
    let mut other = session(&fixture);
    other.batch_execute(&prepare("two")).unwrap();
    other.batch_execute(&format!("COMMIT PREPARED 'one of {}'", fixture.url)).unwrap();
    assert_eq!(known(&mut *store), [TransactionId::Prepared].into());
    assert_eq!(ids(&mut *store), [1, 2]);
    other.batch_execute(&format!("ROLLBACK PREPARED 'two of {}'", fixture.url)).unwrap();
    assert_eq!(known(&mut *store), [].into());
}

#[test]
fn nobody_can_tell_who_writes_when_ids_are_handed_out_in_advance() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    fixture.write("ALTER SEQUENCE domain_events_id_seq CACHE 10");
    assert_eq!(store.open_transactions().unwrap(), OpenTransactions::Unknown);
    fixture.write("ALTER SEQUENCE domain_events_id_seq CACHE 1");
    assert_eq!(known(&mut *store), [].into());
}

#[test]
fn nobody_can_tell_who_writes_when_the_table_has_no_sequence_of_its_own() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    fixture.write("ALTER SEQUENCE domain_events_id_seq OWNED BY NONE");
    assert_eq!(store.open_transactions().unwrap(), OpenTransactions::Unknown);
    fixture.write("DROP SEQUENCE domain_events_id_seq CASCADE");
    assert_eq!(store.open_transactions().unwrap(), OpenTransactions::Unknown);
    fixture.write("ALTER TABLE domain_events ALTER id ADD GENERATED BY DEFAULT AS IDENTITY");
    assert_eq!(known(&mut *store), [].into());
}

// A user who is no superuser and may only read.

#[test]
fn a_reader_reads_which_database_this_is() {
    let mut fixture = Fixture::postgres();
    let identity = fixture.store().identity().unwrap();
    assert!(identity.is_some());
    assert_eq!(fixture.reader().identity().unwrap(), identity);
}

#[test]
fn a_reader_reads_which_transactions_write() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    let mut reader = fixture.reader();
    assert_eq!(known(&mut *reader), [].into());
    fixture.write("BEGIN; INSERT INTO domain_events (domain) VALUES ('a.example')");
    let writers = known(&mut *reader);
    assert_eq!(writers.len(), 1);
    assert_eq!(writers, known(&mut *store));
}

#[test]
fn nothing_is_fresh_to_a_reader_of_all_tables_but_that_one() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    let mut reader = fixture.reader();
    fixture.write("CREATE TABLE domain_freshness (domain VARCHAR(250) PRIMARY KEY, expire_time BIGINT NOT NULL)");
    fixture.write(&format!("INSERT INTO domain_freshness VALUES ('type1', {})", i64::MAX));
    assert_eq!(store.fresh().unwrap(), [fixture.host_type("type1")]);
    assert_eq!(reader.fresh().unwrap(), []);
    let loaded = reader.load(10, 10, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!(loaded.unwrap().fresh, []);
}

#[test]
fn a_reader_that_is_refused_to_prune_reads_on() {
    let mut fixture = Fixture::postgres();
    drop(fixture.store());
    let mut reader = fixture.reader();
    fixture.write_events(&[1, 2, 3]);
    let moment = fixture.position(&mut *reader);
    for _ in 0..2 {
        let error = reader.prune(&moment, EventId(i64::MIN), 10).unwrap_err();
        assert!(matches!(error, StoreError::Refused { doing: "deleting old events", .. }), "{error:?}");
    }
    assert_eq!(ids(&mut *reader), [1, 2, 3]);
}

// Pruning.

#[test]
fn an_event_that_was_not_committed_at_the_moment_is_not_pruned() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    let mut other = session(&fixture);
    fixture.write_events(&[1]);
    fixture.position(&mut *store);
    other.batch_execute("BEGIN; INSERT INTO domain_events (id, domain) VALUES (2, 'late.example')").unwrap();
    fixture.write_events(&[4]);
    let moment = store.position().unwrap();
    other.batch_execute("COMMIT").unwrap();
    // Inserted later, with an id below the newest.
    fixture.write_events(&[3]);
    assert_eq!(store.prune(&moment, EventId(i64::MIN), 10).unwrap().count, 1);
    assert_eq!(fixture.event_ids(), [2, 3, 4]);
    let moment = fixture.position(&mut *store);
    assert_eq!(store.prune(&moment, EventId(i64::MIN), 10).unwrap().count, 2);
    assert_eq!(fixture.event_ids(), [4]);
}

#[test]
fn an_id_that_is_inserted_by_hand_later_is_not_pruned() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    fixture.write_events(&[5, 6]);
    let moment = fixture.position(&mut *store);
    fixture.write_events(&[1, 2]);
    assert_eq!(store.prune(&moment, EventId(i64::MIN), 10).unwrap().count, 1);
    assert_eq!(fixture.event_ids(), [1, 2, 6]);
}

#[test]
fn an_event_that_another_has_locked_is_left_to_it() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    fixture.write_events(&[1, 2, 3, 4]);
    let moment = fixture.position(&mut *store);
    let mut other = session(&fixture);
    other.batch_execute("BEGIN; DELETE FROM domain_events WHERE id = 2").unwrap();
    // It does not wait: the lock is released after it has returned.
    assert_eq!(store.prune(&moment, EventId(i64::MIN), 10).unwrap().count, 2);
    assert_eq!(fixture.event_ids(), [2, 4]);
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(store.prune(&moment, EventId(i64::MIN), 10).unwrap().count, 1);
    assert_eq!(fixture.event_ids(), [4]);
}

#[test]
fn a_session_has_the_settings_that_it_relies_on_whatever_its_role_has() {
    let mut fixture = Fixture::postgres();
    let mut store = fixture.store();
    let mut session = session(&fixture);
    session
        .batch_execute(
            "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET default_transaction_isolation = serializable';
             EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = off';
             EXECUTE 'ALTER DATABASE ' || current_database() || ' SET idle_session_timeout = 500'; END $$",
        )
        .unwrap();
    // Each addition records its settings.
    fixture.write(
        "CREATE TABLE seen (setting text);
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO seen VALUES (current_setting('transaction_isolation')), (current_setting('synchronous_commit')),
                                    (current_setting('idle_session_timeout')), (current_setting('row_security'));
            RETURN NULL; END $$;
         CREATE TRIGGER see AFTER INSERT ON domain_settings EXECUTE FUNCTION see()",
    );
    let mut writer = fixture.writer();
    let until = Instant::now() + Duration::from_secs(30);
    writer
        .insert(
            &[NewDomain {
                domain: &name("a.example"),
                host_type: "type1",
                status: Activation::Enabled,
                subdomains: &[],
            }],
            until,
        )
        .unwrap();
    assert_eq!(fixture.read("SELECT setting FROM seen"), ["read committed", "on", "0", "off"]);
    assert!(ids(&mut *store).contains(&1));
}
