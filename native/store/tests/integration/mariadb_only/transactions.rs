//! Transactions whose events are not visible yet. InnoDB lists those of all databases of a server, and of all tests.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use domain_core::EventId;
use domain_store::{IdRange, OpenTransactions, Store, TransactionId};

use super::{ids, session};
use crate::support::{Fixture, eventually};

/// Whoever reads the list keeps others from a new one, so these tests run one by one.
static ALONE: Mutex<()> = Mutex::new(());

/// The writers, as soon as the server makes a new list of them.
fn known(store: &mut dyn Store) -> HashSet<TransactionId> {
    let mut known = None;
    eventually(|| {
        if let OpenTransactions::Known(writers) = store.open_transactions().unwrap() {
            known = Some(writers);
        }
        known.is_some()
    });
    known.expect("the wait was not in vain")
}

/// The writers of this session.
fn of_session(store: &mut dyn Store, session: &str) -> Vec<TransactionId> {
    let own = |writer: &TransactionId| matches!(writer, TransactionId::Open(name) if name.starts_with(session));
    known(store).into_iter().filter(own).collect()
}

#[test]
fn a_transaction_that_inserted_an_event_shows_until_the_event_does() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let fixture = Fixture::mariadb();
    let mut store = fixture.store();
    let (mut one, mut two) = (session(&fixture), session(&fixture));
    let first = one.run("SELECT CONCAT(CONNECTION_ID(), ' ')").pop().unwrap();
    one.run("BEGIN; INSERT INTO domain_events (domain) VALUES ('a.example')");
    let writers = of_session(&mut *store, &first);
    assert_eq!(writers.len(), 1);
    two.run("INSERT INTO domain_events (domain) VALUES ('b.example')");
    assert_eq!(ids(&mut *store), [2]);
    assert_eq!(of_session(&mut *store, &first), writers);
    one.run("COMMIT");
    assert!(of_session(&mut *store, &first).is_empty());
    let late = store.events_in(&[IdRange { first: EventId(1), last: EventId(1) }], 10).unwrap();
    assert_eq!(late.len(), 1);
}

#[test]
fn a_transaction_that_only_reads_is_no_writer() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let fixture = Fixture::mariadb();
    let mut store = fixture.store();
    let mut reader = session(&fixture);
    let own = reader.run("SELECT CONCAT(CONNECTION_ID(), ' ')").pop().unwrap();
    reader.run("START TRANSACTION WITH CONSISTENT SNAPSHOT; SELECT COUNT(*) FROM domain_events");
    assert!(of_session(&mut *store, &own).is_empty());
    // It becomes one with its first row.
    reader.run("INSERT INTO domain_events (domain) VALUES ('a.example')");
    assert_eq!(of_session(&mut *store, &own).len(), 1);
}

#[test]
fn a_prepared_transaction_is_a_writer_until_its_second_phase() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let fixture = Fixture::mariadb();
    let mut store = fixture.store();
    let mut other = session(&fixture);
    let xid = format!("'{}'", fixture.url.rsplit_once('/').unwrap().1);
    other.run(&format!("XA START {xid}; INSERT INTO domain_events (domain) VALUES ('a.example'); XA END {xid}"));
    other.run(&format!("XA PREPARE {xid}"));
    // It outlives its session.
    drop(other);
    eventually(|| known(&mut *store).contains(&TransactionId::Prepared));
    session(&fixture).run(&format!("XA COMMIT {xid}"));
    eventually(|| !known(&mut *store).contains(&TransactionId::Prepared));
    assert_eq!(ids(&mut *store), [1]);
}

#[test]
fn a_user_without_the_right_to_see_transactions_follows_without() {
    let mut fixture = Fixture::mariadb();
    drop(fixture.store());
    let mut reader = fixture.reader();
    fixture.write_events(&[1, 3]);
    assert_eq!(reader.open_transactions().unwrap(), OpenTransactions::Unknown);
    assert_eq!(ids(&mut *reader), [1, 3]);
}
