//! What only SQLite does: events become visible in the order of their ids, and its file can be replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::{Activation, InsertOutcome, NewDomain, OpenTransactions, StoreError};

use crate::support::{Fixture, name};
use crate::writer::{ALLOWED, ONE, added, begin, claimed, insert, set_status, until};

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
    // The old file is kept, so that the new one has another inode.
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

/// The follower depends on this, since SQLite does not tell which transactions are open.
#[test]
fn on_sqlite_events_show_in_the_order_of_their_ids() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 40;
    let mut fixture = Fixture::sqlite();
    let mut writers: [_; THREADS] = std::array::from_fn(|_| fixture.writer());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writing: Vec<_> = writers
            .iter_mut()
            .enumerate()
            .map(|(thread, writer)| {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let domains: [_; 3] = std::array::from_fn(|n| format!("d{thread}-{round}-{n}.example"));
                        let pairs: Vec<_> = domains.iter().map(|domain| (domain.as_str(), "type1")).collect();
                        added(&insert(&mut **writer, &pairs).unwrap()[0]);
                        set_status(&mut **writer, &domains[0], Activation::Disabled, ALLOWED);
                        claimed(&begin(&mut **writer, &domains[1], ONE));
                        writer.finish_removal(&name(&domains[1]), ONE.owner, &[], until()).unwrap();
                    }
                })
            })
            .collect();
        let reading = scope.spawn(|| {
            let mut known = Vec::<i64>::new();
            loop {
                // Read before the events, so that the last read returns all of them.
                let last = done.load(Ordering::Relaxed);
                let ids = fixture.read("SELECT id FROM domain_events ORDER BY id");
                let ids: Vec<i64> = ids.iter().map(|id| id.parse().unwrap()).collect();
                assert!(ids.starts_with(&known), "an id below {:?} appeared", known.last());
                known = ids;
                if last {
                    return known.len();
                }
            }
        });
        let written: Vec<_> = writing.into_iter().map(|writing| writing.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(written.iter().all(Result::is_ok));
        assert_eq!(reading.join().unwrap(), THREADS * ROUNDS * 6);
    });
}
