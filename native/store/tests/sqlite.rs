//! What only SQLite does: its log is in order, and its file can be exchanged.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::{Activation, InsertOutcome, NewDomain, OpenTransactions, StoreError};
use support::{Fixture, name};

#[test]
fn nobody_writes_what_does_not_show_in_its_place() {
    let mut fixture = Fixture::sqlite();
    let mut store = fixture.store();
    fixture.write("BEGIN IMMEDIATE; INSERT INTO domain_events (domain) VALUES ('a.example')");
    assert_eq!(store.open_transactions().unwrap(), OpenTransactions::Known([].into()));
}

#[test]
fn a_file_that_was_exchanged_is_not_followed_any_more() {
    let fixture = Fixture::sqlite();
    let mut store = fixture.store();
    let before = store.identity().unwrap();
    store.events(EventId(0), EventId(i64::MIN), 10).unwrap();
    let file = fixture.url.strip_prefix("sqlite:").unwrap();
    // Kept, so that the new file is surely another one.
    fs::rename(file, format!("{file}.old")).unwrap();
    let error = store.events(EventId(0), EventId(i64::MIN), 10).unwrap_err();
    assert!(matches!(error, StoreError::Failed { doing: "looking at the database file", .. }), "{error:?}");
    for rest in ["-wal", "-shm"] {
        fs::rename(format!("{file}{rest}"), format!("{file}.old{rest}")).unwrap();
    }
    let mut other = fixture.store();
    let error = store.events(EventId(0), EventId(i64::MIN), 10).unwrap_err();
    assert!(matches!(error, StoreError::Failed { doing: "reading domain_events", .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("another file is called {file} now")), "{error}");
    assert_eq!(store.identity().unwrap(), before);
    assert_ne!(other.identity().unwrap(), before);
    other.events(EventId(0), EventId(i64::MIN), 10).unwrap();
}

#[test]
fn a_database_is_made_for_its_user_alone_and_the_rights_of_one_that_is_there_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |file: &str| fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777;
    let fixture = Fixture::sqlite_at(folder.path().join("new.db"));
    let _writer = fixture.writer();
    assert_eq!(["new.db", "new.db-wal", "new.db-shm"].map(mode), [0o600; 3]);
    let old = folder.path().join("old.db");
    fs::write(&old, "").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
    let fixture = Fixture::sqlite_at(old);
    let _writer = fixture.writer();
    assert_eq!(["old.db", "old.db-wal", "old.db-shm"].map(mode), [0o640; 3]);
}

#[test]
fn a_change_is_made_in_the_file_that_has_the_name_or_not_at_all() {
    let fixture = Fixture::sqlite();
    let mut writer = fixture.writer();
    let (domain, until) = (name("a.example"), Instant::now() + Duration::from_secs(30));
    let pairs = [NewDomain { domain: &domain, host_type: "type1", status: Activation::Enabled, subdomains: &[] }];
    let file = fixture.url.strip_prefix("sqlite:").unwrap();
    assert!(writer.is_alive());
    fs::rename(file, format!("{file}.old")).unwrap();
    for rest in ["-wal", "-shm"] {
        fs::rename(format!("{file}{rest}"), format!("{file}.old{rest}")).unwrap();
    }
    let mut other = fixture.writer();
    assert!(!writer.is_alive() && other.is_alive());
    let error = writer.insert(&pairs, until).unwrap_err();
    assert!(matches!(error, StoreError::StaleConnection { doing: "adding domains", .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("another file is called {file} now")), "{error}");
    assert_eq!(writer.settings(&domain, until).unwrap(), None);
    assert_ne!(writer.identity(until).unwrap(), other.identity(until).unwrap());
    assert!(matches!(other.insert(&pairs, until).unwrap()[..], [InsertOutcome::Added(_)]));
}
