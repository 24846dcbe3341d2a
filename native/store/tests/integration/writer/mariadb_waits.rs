//! Changes on MariaDB that wait for another session, which holds a lock at a chosen point.

use domain_store::{Database, Found, Timeouts};

use super::*;
use crate::support::MariadbClient;

const PARENT: NameOrigin<'_> = NameOrigin::SubdomainOf("a.example");

fn put(writer: &mut dyn Writer, domain: &str, origin: NameOrigin<'_>) -> Found {
    writer.put_password(&name(domain), origin, "stored", until()).unwrap()
}

fn admins(fixture: &mut Fixture) -> Vec<String> {
    fixture.read("SELECT domain FROM domain_admins ORDER BY domain")
}

/// A session that sees what others have written and not committed.
fn uncommitted(fixture: &Fixture) -> MariadbClient {
    fixture.session("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
}

/// A session with a transaction in which another program claims `a.example` and `muc.a.example`, as a writer does.
fn claiming(fixture: &Fixture) -> MariadbClient {
    fixture.session(
        "START TRANSACTION;
         INSERT INTO domain_admins (domain, pass_details) VALUES ('a.example', ''), ('muc.a.example', '')
             ON DUPLICATE KEY UPDATE pass_details = domain_admins.pass_details",
    )
}

#[test]
fn a_password_that_waits_for_a_removal_is_not_stored() {
    let mut fixture = Fixture::mariadb();
    let mut writer = fixture.writer();
    put_row(&mut fixture, "a.example", "type1", 1);
    for (domain, origin) in [("a.example", NameOrigin::Row), ("muc.a.example", PARENT)] {
        let mut removal = claiming(&fixture);
        thread::scope(|scope| {
            let putting = scope.spawn(|| put(&mut *writer, domain, origin));
            removal.run(
                "UPDATE domain_settings SET status = 2 WHERE domain = 'a.example'; DELETE FROM domain_admins; COMMIT",
            );
            assert_eq!(putting.join().unwrap(), Found::No, "{domain}");
        });
        assert_eq!(admins(&mut fixture), [""; 0]);
    }
}

#[test]
fn a_password_of_a_subdomain_that_waits_for_an_addition_of_its_name_is_not_stored() {
    let mut fixture = Fixture::mariadb();
    let mut writer = fixture.writer();
    put_row(&mut fixture, "a.example", "type1", 1);
    let mut addition = claiming(&fixture);
    thread::scope(|scope| {
        let putting = scope.spawn(|| put(&mut *writer, "muc.a.example", PARENT));
        addition.run(
            "INSERT INTO domain_settings (domain, host_type) VALUES ('muc.a.example', 'type1');
             DELETE FROM domain_admins; COMMIT",
        );
        assert_eq!(putting.join().unwrap(), Found::No);
    });
    assert_eq!(admins(&mut fixture), [""; 0]);
    // The writer is still usable.
    assert_eq!(put(&mut *writer, "muc.a.example", NameOrigin::Row), Found::Yes);
}

/// A removal that begins while a password is written waits for it, and deletes it.
fn waits_for_a_password_and_deletes_it(remove: impl FnOnce(&mut dyn Writer) + Send) {
    let mut fixture = Fixture::mariadb();
    let mut writer = fixture.writer();
    put_row(&mut fixture, "a.example", "type1", 1);
    let mut putting = fixture
        .session("START TRANSACTION; INSERT INTO domain_admins VALUES ('a.example', 'written and not committed')");
    let gone = "SELECT id FROM domain_settings WHERE domain = 'a.example' AND status = 1";
    thread::scope(|scope| {
        let removing = scope.spawn(|| remove(&mut *writer));
        // The row is served until the password is stored.
        let mut present = uncommitted(&fixture);
        assert_eq!(present.run(gone).len(), 1);
        putting.run("COMMIT");
        removing.join().unwrap();
        assert_eq!(present.run(gone), [""; 0]);
    });
    assert_eq!(admins(&mut fixture), [""; 0]);
}

#[test]
fn a_removal_that_waits_for_a_password_deletes_it() {
    waits_for_a_password_and_deletes_it(|writer| {
        claimed(&begin(writer, "a.example", ONE));
    });
}

#[test]
fn a_deletion_that_waits_for_a_password_deletes_it() {
    waits_for_a_password_and_deletes_it(|writer| {
        let old = OldDomain { domain: &name("a.example"), host_type: "type1", subdomains: &[] };
        assert!(matches!(writer.delete(&[old], until()).unwrap()[..], [DeleteOutcome::Deleted(_)]));
    });
}

#[test]
fn a_statement_that_hangs_ends_at_its_deadline() {
    let fixture = Fixture::mariadb();
    let mut writer = fixture.writer();
    let _claimed = claiming(&fixture);
    let (domain, began, limit) = (name("a.example"), Instant::now(), Duration::from_millis(200));
    let new = NewDomain { domain: &domain, host_type: "type1", status: Activation::Enabled, subdomains: &[] };
    let error = writer.insert(&[new], began + limit).unwrap_err();
    assert!(matches!(error, StoreError::Timeout { doing: "adding domains", .. }), "{error:?}");
    // Before the server's own time-out.
    assert!((limit..Duration::from_secs(15)).contains(&began.elapsed()));
    assert!(!writer.is_alive());
}

#[test]
fn a_lock_that_is_held_too_long_refuses_a_change_and_leaves_the_writer_usable() {
    let mut fixture = Fixture::mariadb();
    drop(fixture.writer());
    let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
    let timeouts = Timeouts { connect: hour, statement: hour, lock: second };
    let database = Database::parse(&fixture.url, timeouts).unwrap();
    let mut writer = database.connect_writer(fixture.signal.clone()).unwrap();
    let mut other = claiming(&fixture);
    let error = insert(&mut *writer, &[("a.example", "type1"), ("b.example", "type1")]).unwrap_err();
    assert!(matches!(&error, StoreError::Refused { reason, .. } if reason.contains("1205")), "{error:?}");
    other.run("ROLLBACK");
    assert_eq!((rows(&mut fixture).len(), admins(&mut fixture).len()), (0, 0));
    added(&insert(&mut *writer, &[("a.example", "type1")]).unwrap()[0]);
}

#[test]
fn a_stop_ends_a_change_that_waits_for_a_lock() {
    let mut fixture = Fixture::mariadb();
    let mut writer = fixture.writer();
    let _other =
        fixture.session("START TRANSACTION; INSERT INTO domain_settings (domain, host_type) VALUES ('b', 'x')");
    let signal = fixture.signal.clone();
    let mut present = uncommitted(&fixture);
    thread::scope(|scope| {
        let inserting = scope.spawn(|| insert(&mut *writer, &[("a", "type1"), ("b", "type1")]));
        // It has inserted the first row.
        eventually(|| present.run("SELECT id FROM domain_settings WHERE domain = 'a'").len() == 1);
        signal.stop();
        assert!(matches!(inserting.join().unwrap(), Err(StoreError::Stopped)));
    });
    drop(writer);
    eventually(|| present.run("SELECT id FROM domain_settings WHERE domain = 'a'").is_empty());
    assert_eq!(rows(&mut fixture), [""; 0]);
}

#[test]
fn a_user_who_may_only_read_reads_and_is_refused_everything_else() {
    let mut fixture = Fixture::mariadb();
    drop(fixture.writer());
    let user = format!("reads_{}", fixture.url.rsplit_once('/').unwrap().1);
    fixture.write(&format!("CREATE USER {user}; GRANT SELECT ON {}.* TO {user}", &user["reads_".len()..]));
    let database = fixture.url.replacen("//mongoose@", &format!("//{user}@"), 1);
    let limit = Duration::from_secs(30);
    let database = Database::parse(&database, Timeouts { connect: limit, statement: limit, lock: limit }).unwrap();
    let mut reader = database.connect_writer(fixture.signal.clone()).unwrap();
    assert_eq!(freshness(&mut *reader), []);
    for _ in 0..2 {
        let errors = [
            reader.upsert_freshness("type1", Ttl::Forever, until()).unwrap_err(),
            insert(&mut *reader, &[("a.example", "type1")]).unwrap_err(),
            reader.begin_removal(&name("a.example"), "type1", 0, ONE, &[], until()).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(&error, StoreError::Refused { reason, .. } if reason.contains("denied")), "{error:?}");
        }
        // After a refusal the writer is still usable.
        assert_eq!(reader.settings(&name("a.example"), until()).unwrap(), None);
    }
    let found: Vec<_> = reader.findings(until()).unwrap().into_iter().map(|finding| finding.found).collect();
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[..3].iter().all(|found| found.contains("may not change")) && found[3].contains("may not create it"));
    assert_eq!(freshness_tables(&mut fixture), ["0"]);
    declare(&mut *fixture.writer(), "type1", Ttl::Forever);
    assert_eq!(declared(&mut *reader).expiry, Expiry::Never);
    drop(reader);
    fixture.write(&format!("DROP USER {user}"));
}
