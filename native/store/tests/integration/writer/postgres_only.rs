//! What only PostgreSQL does: notifications, conflicts, deadlines, rights.

use std::collections::BTreeMap;

use domain_store::{Database, Timeouts};
use postgres::fallible_iterator::FallibleIterator;

use super::*;

/// The number of writers' connections that wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'mongoose_domain' AND wait_event_type = 'Lock'";

#[test]
fn every_change_notifies_and_nothing_else_does() {
    let fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    let mut listener = postgres::Client::connect(&fixture.url, postgres::NoTls).unwrap();
    listener.batch_execute("LISTEN mongoose_domain_events").unwrap();
    // The number of notifications before this one.
    let mut heard = || {
        listener.batch_execute("NOTIFY mongoose_domain_events, 'counted'").unwrap();
        let mut notifications = listener.notifications();
        let mut coming = notifications.timeout_iter(Duration::from_secs(30));
        let mut count = 0;
        while coming.next().unwrap().expect("a notification").payload() != "counted" {
            count += 1;
        }
        count
    };
    added(&insert(&mut *writer, &[("a.example", "type1"), ("b.example", "type1")]).unwrap()[0]);
    assert_eq!(heard(), 1);
    insert(&mut *writer, &[("a.example", "type1")]).unwrap();
    assert_eq!(set_status(&mut *writer, "a.example", Activation::Enabled, ALLOWED), SetStatusOutcome::Unchanged);
    assert_eq!(set_status(&mut *writer, "none.example", Activation::Enabled, ALLOWED), SetStatusOutcome::NotFound);
    assert_eq!(begin(&mut *writer, "none.example", ONE), BeginRemovalOutcome::NotFound);
    writer.put_password(&name("a.example"), NameOrigin::StaticDomain, "stored", until()).unwrap();
    assert_eq!(heard(), 0);
    assert!(matches!(
        set_status(&mut *writer, "a.example", Activation::Disabled, ALLOWED),
        SetStatusOutcome::Changed(..)
    ));
    assert_eq!(heard(), 1);
    claimed(&begin(&mut *writer, "a.example", ONE));
    assert_eq!(heard(), 1);
    writer.note_removal(&name("a.example"), HandlerProgress { done: 1, of: 1 }, ONE, until()).unwrap();
    writer.finish_removal(&name("a.example"), TWO.owner, &[], until()).unwrap();
    assert_eq!(heard(), 0);
    assert_eq!(writer.finish_removal(&name("a.example"), ONE.owner, &[], until()).unwrap(), JobOutcome::Updated);
    assert_eq!(heard(), 1);
    // Every declaration notifies, also one that is repeated.
    for ttl in [seconds(HOUR), seconds(HOUR), Ttl::Forever] {
        declare(&mut *writer, "type1", ttl);
        assert_eq!(heard(), 1);
    }
    freshness(&mut *writer);
    assert_eq!(heard(), 0);
}

#[test]
fn after_a_lost_race_nothing_was_changed_and_the_next_try_succeeds() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    let mut other = postgres::Client::connect(&fixture.url, postgres::NoTls).unwrap();
    let mut race = other.transaction().unwrap();
    race.execute("INSERT INTO domain_settings (domain, host_type) VALUES ('b.example', 'type2')", &[]).unwrap();
    let pairs = [("a.example", "type1"), ("b.example", "type1")];
    let first = thread::scope(|scope| {
        let inserting = scope.spawn(|| insert(&mut *writer, &pairs));
        eventually(|| fixture.read(WAITING) == ["1"]);
        race.commit().unwrap();
        inserting.join().unwrap()
    });
    let inserted = match first {
        Err(StoreError::Conflict { .. }) => {
            let domains = fixture.read("SELECT domain FROM domain_settings");
            assert_eq!((domains, events(&mut fixture).len()), (vec!["b.example".to_owned()], 0));
            insert(&mut *writer, &pairs).unwrap()
        }
        other => other.unwrap(),
    };
    assert_eq!(events(&mut fixture), [event(added(&inserted[0]), "a.example")]);
    assert_eq!(inserted[1], InsertOutcome::Exists(settings("type2", Status::Enabled)));
}

#[test]
fn of_two_who_add_a_domain_at_once_exactly_one_adds_it() {
    const ROUNDS: usize = 60;
    let mut fixture = Fixture::postgres();
    let mut writers = [fixture.writer(), fixture.writer()];
    let start = Barrier::new(2);
    // Ten domains in each round. The other writer adds five of them, too.
    let all = |writer: &mut Box<dyn Writer>, offset: usize| -> Vec<(String, EventId)> {
        let mut mine = Vec::new();
        for round in 0..ROUNDS {
            let domains: Vec<_> = (offset..offset + 10).map(|n| format!("d{}.example", round * 15 + n)).collect();
            let pairs: Vec<_> = domains.iter().map(|domain| (domain.as_str(), "type1")).collect();
            let deadline = until();
            start.wait();
            let inserted = loop {
                match insert(&mut **writer, &pairs) {
                    Err(StoreError::Conflict { .. }) if Instant::now() < deadline => (),
                    result => break result.unwrap(),
                }
            };
            for (domain, inserted) in domains.into_iter().zip(inserted) {
                match inserted {
                    InsertOutcome::Added(id) => mine.push((domain, id)),
                    other => assert_eq!(other, InsertOutcome::Exists(settings("type1", Status::Enabled))),
                }
            }
        }
        mine
    };
    let [one, two] = writers.each_mut();
    let (one, two) = thread::scope(|scope| {
        let two = scope.spawn(|| all(two, 5));
        (all(one, 0), two.join().unwrap())
    });
    let mut adders = BTreeMap::<String, u32>::new();
    for (domain, _) in one.iter().chain(&two) {
        *adders.entry(domain.clone()).or_default() += 1;
    }
    let twice: Vec<_> = adders.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "added by both: {twice:?}");
    let there = fixture.read("SELECT domain FROM domain_settings");
    assert_eq!(there.len(), ROUNDS * 15);
    let nobodys: Vec<_> = there.iter().filter(|domain| !adders.contains_key(*domain)).collect();
    assert!(nobodys.is_empty(), "added by neither: {nobodys:?}");
    let mut expected: Vec<_> = one.iter().chain(&two).map(|(domain, id)| (*id, domain)).collect();
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(id, domain)| event(id, domain)).collect();
    assert_eq!(events(&mut fixture), expected);
}

#[test]
fn a_writer_is_alive_until_its_connection_is_cut_and_asks_nobody() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    assert!(writer.is_alive());
    writer.settings(&name("a.example"), until()).unwrap();
    let changed = "SELECT state_change FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'mongoose_domain'";
    let before = fixture.read(changed);
    assert_eq!(before.len(), 1);
    assert!((0..100).all(|_| writer.is_alive()));
    assert_eq!(fixture.read(changed), before);
    fixture.write(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'mongoose_domain'",
    );
    eventually(|| !writer.is_alive());
    assert!(!writer.is_alive());
    let error = writer.settings(&name("a.example"), until()).unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
}

#[test]
fn a_statement_that_hangs_ends_at_its_deadline() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    fixture.write("BEGIN; LOCK TABLE domain_settings");
    let (domain, began, limit) = (name("a.example"), Instant::now(), Duration::from_millis(200));
    let pair = NewDomain { domain: &domain, host_type: "type1", status: Activation::Enabled, subdomains: &[] };
    let error = writer.insert(&[pair], began + limit).unwrap_err();
    assert!(matches!(error, StoreError::Timeout { doing: "adding domains", .. }), "{error:?}");
    // Before the server's own time-out.
    assert!((limit..Duration::from_secs(15)).contains(&began.elapsed()));
}

#[test]
fn a_statement_that_hangs_ends_at_the_limit_for_statements() {
    let mut fixture = Fixture::postgres();
    drop(fixture.writer());
    let hour = Duration::from_secs(3600);
    let timeouts = Timeouts { connect: hour, statement: Duration::from_millis(200), lock: hour };
    let database = Database::parse(&fixture.url, timeouts).unwrap();
    let mut writer = database.connect_writer(fixture.signal.clone()).unwrap();
    fixture.write("BEGIN; LOCK TABLE domain_settings");
    let error = writer.settings(&name("a.example"), Instant::now() + hour).unwrap_err();
    // The server has the same time-out, and either may be first.
    assert!(matches!(error, StoreError::Timeout { .. } | StoreError::Refused { .. }), "{error:?}");
}

#[test]
fn a_stop_ends_a_change_that_waits_for_a_lock() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    let mut other = postgres::Client::connect(&fixture.url, postgres::NoTls).unwrap();
    other.batch_execute("BEGIN; LOCK TABLE domain_settings").unwrap();
    let signal = fixture.signal.clone();
    thread::scope(|scope| {
        let inserting = scope.spawn(|| insert(&mut *writer, &[("a.example", "type1")]));
        eventually(|| fixture.read(WAITING) == ["1"]);
        signal.stop();
        assert!(matches!(inserting.join().unwrap(), Err(StoreError::Stopped)));
    });
}

#[test]
fn the_table_of_removals_is_made_where_another_server_prepared_the_database() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    let there = "SELECT count(*) FROM pg_class WHERE relname = 'domain_removals'";
    added(&insert(&mut *writer, &[("a.example", "type1")]).unwrap()[0]);
    assert_eq!(fixture.read(there), ["0"]);
    claimed(&begin(&mut *writer, "a.example", ONE));
    assert_eq!(fixture.read(there), ["1"]);
}

#[test]
fn a_user_who_may_only_read_reads_freshness_and_makes_no_table() {
    let mut fixture = Fixture::postgres();
    drop(fixture.writer());
    let (_, database) = fixture.url.rsplit_once('/').unwrap();
    let user = format!("reader_of_{database}");
    fixture.write(&format!(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {user} LOGIN;
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user};
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {user}"
    ));
    let url = fixture.url.replacen("://mongoose@", &format!("://{user}@"), 1);
    let second = Duration::from_secs(1);
    let timeouts = Timeouts { connect: 30 * second, statement: 30 * second, lock: 30 * second };
    let database = Database::parse(&url, timeouts).unwrap();
    let mut reader = database.connect_writer(fixture.signal.clone()).unwrap();
    assert_eq!(freshness(&mut *reader), []);
    // After a refusal the writer is still usable.
    for _ in 0..2 {
        match reader.upsert_freshness("type1", Ttl::Forever, until()).unwrap_err() {
            StoreError::Refused { reason, .. } => assert!(reason.contains("permission denied"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(freshness(&mut *reader), []);
    }
    assert_eq!(freshness_tables(&mut fixture), ["0"]);
    declare(&mut *fixture.writer(), "type1", Ttl::Forever);
    assert_eq!(declared(&mut *reader).expiry, Expiry::Never);
    drop(reader);
    fixture.write(&format!("DROP OWNED BY {user}; DROP ROLE {user}"));
}
