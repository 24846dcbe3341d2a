//! Passwords of domain admins: a password does not outlive the row that its name depends on, whatever happens at the same
//! time.

use std::thread;
use std::time::{Duration, Instant};

use domain_store::{
    Activation, BeginRemovalOutcome, DeleteOutcome, Found, InsertOutcome, JobOutcome, Lease, NameOrigin, NewDomain,
    OldDomain, Writer,
};

use crate::support::{Fixture, eventually, name};
use crate::writer::events;

on_every_database! {
    a_password_is_stored_replaced_and_deleted_without_an_event
    a_password_is_stored_only_where_its_row_is_enabled
    a_password_of_a_subdomain_is_stored_only_where_its_parents_row_is_enabled
    a_password_holds_no_longer_than_its_row
    an_addition_deletes_the_passwords_that_an_earlier_life_left
    an_addition_of_what_is_there_leaves_its_passwords
    a_removal_deletes_the_passwords_of_the_domain_and_of_its_subdomains
    of_passwords_set_in_a_loop_beside_a_removal_none_is_left
}

const LEASE: Lease<'_> = Lease { owner: "one@host", milliseconds: 3_600_000 };
const PARENT: NameOrigin<'_> = NameOrigin::SubdomainOf("a.example");

/// A deadline that only a failing test reaches.
fn until() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn put(writer: &mut dyn Writer, domain: &str, origin: NameOrigin<'_>) -> Found {
    writer.put_password(&name(domain), origin, "stored", until()).unwrap()
}

fn holds(writer: &mut dyn Writer, domain: &str, origin: NameOrigin<'_>) -> bool {
    writer.password(&name(domain), origin, until()).unwrap().is_some()
}

fn insert(writer: &mut dyn Writer, domain: &str, subdomains: &[&str]) -> InsertOutcome {
    let subdomains: Vec<_> = subdomains.iter().map(|&name| name.to_owned()).collect();
    let pair =
        NewDomain { domain: &name(domain), host_type: "type1", status: Activation::Enabled, subdomains: &subdomains };
    writer.insert(&[pair], until()).unwrap().remove(0)
}

fn put_row(fixture: &mut Fixture, domain: &str, status: i64) {
    fixture.write(&format!(
        "DELETE FROM domain_settings WHERE domain = '{domain}';
         INSERT INTO domain_settings (domain, host_type, status) VALUES ('{domain}', 'type1', {status})"
    ));
}

fn admins(fixture: &mut Fixture) -> Vec<String> {
    fixture.read("SELECT domain FROM domain_admins ORDER BY domain")
}

fn leave_admins(fixture: &mut Fixture, domains: &[&str]) {
    for domain in domains {
        fixture.write(&format!("INSERT INTO domain_admins (domain, pass_details) VALUES ('{domain}', 'left')"));
    }
}

fn a_password_is_stored_only_where_its_row_is_enabled(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(put(&mut *writer, "a.example", NameOrigin::Row), Found::No);
    for (status, stored) in [(0, Found::No), (2, Found::No), (7, Found::No), (1, Found::Yes)] {
        put_row(fixture, "a.example", status);
        assert_eq!(put(&mut *writer, "a.example", NameOrigin::Row), stored, "status {status}");
    }
    assert_eq!(put(&mut *writer, "static.example", NameOrigin::StaticDomain), Found::Yes);
    assert_eq!(admins(fixture), ["a.example", "static.example"]);
}

fn a_password_of_a_subdomain_is_stored_only_where_its_parents_row_is_enabled(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(put(&mut *writer, "muc.a.example", PARENT), Found::No);
    for (status, stored) in [(0, Found::No), (2, Found::No), (1, Found::Yes)] {
        put_row(fixture, "a.example", status);
        assert_eq!(put(&mut *writer, "muc.a.example", PARENT), stored, "status {status}");
    }
    assert_eq!(put(&mut *writer, "muc.type1.example", NameOrigin::ConfiguredSubdomain), Found::Yes);
    // A subdomain with a row is another tenant's domain, although the caller takes it for a subdomain.
    for domain in ["muc.a.example", "muc.type1.example"] {
        put_row(fixture, domain, 1);
    }
    assert_eq!(put(&mut *writer, "muc.a.example", PARENT), Found::No);
    assert_eq!(put(&mut *writer, "muc.type1.example", NameOrigin::ConfiguredSubdomain), Found::No);
}

fn a_password_holds_no_longer_than_its_row(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", 1);
    put(&mut *writer, "a.example", NameOrigin::Row);
    put(&mut *writer, "muc.a.example", PARENT);
    for (status, held) in [(0, true), (1, true), (2, false)] {
        put_row(fixture, "a.example", status);
        assert_eq!(holds(&mut *writer, "a.example", NameOrigin::Row), held, "status {status}");
        assert_eq!(holds(&mut *writer, "muc.a.example", PARENT), held, "status {status}");
    }
    fixture.write("DELETE FROM domain_settings");
    assert!(!holds(&mut *writer, "a.example", NameOrigin::Row));
    assert!(!holds(&mut *writer, "muc.a.example", PARENT));
    // Neither a domain nor a subdomain any more.
    assert!(!holds(&mut *writer, "muc.a.example", NameOrigin::Row));
    // Rows do not matter.
    leave_admins(fixture, &["static.example", "muc.type1.example"]);
    assert!(holds(&mut *writer, "static.example", NameOrigin::StaticDomain));
    assert!(holds(&mut *writer, "muc.type1.example", NameOrigin::ConfiguredSubdomain));
}

fn an_addition_deletes_the_passwords_that_an_earlier_life_left(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "tenant.a.example", 1);
    leave_admins(fixture, &["a.example", "muc.a.example", "tenant.a.example", "other.example", "muc.other.example"]);
    let added = insert(&mut *writer, "a.example", &["muc.a.example", "tenant.a.example", "none.a.example"]);
    assert!(matches!(added, InsertOutcome::Added(_)), "{added:?}");
    // A name with a row of its own is no subdomain.
    assert_eq!(admins(fixture), ["muc.other.example", "other.example", "tenant.a.example"]);
}

fn an_addition_of_what_is_there_leaves_its_passwords(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", 1);
    leave_admins(fixture, &["a.example", "muc.a.example"]);
    let there = insert(&mut *writer, "a.example", &["muc.a.example"]);
    assert!(matches!(there, InsertOutcome::Exists(_)), "{there:?}");
    assert_eq!(admins(fixture), ["a.example", "muc.a.example"]);
}

fn a_removal_deletes_the_passwords_of_the_domain_and_of_its_subdomains(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let subdomains = ["muc.a.example", "tenant.a.example"].map(str::to_owned);
    put_row(fixture, "a.example", 1);
    put_row(fixture, "tenant.a.example", 1);
    let left = ["a.example", "muc.a.example", "tenant.a.example", "xa.example"];
    leave_admins(fixture, &left);
    let begun = writer.begin_removal(&name("a.example"), "type1", 0, LEASE, &subdomains, until()).unwrap();
    assert!(matches!(begun, BeginRemovalOutcome::Claimed(_)), "{begun:?}");
    assert_eq!(admins(fixture), ["tenant.a.example", "xa.example"]);
    // Another program stores them while the domain is in removal.
    leave_admins(fixture, &left[..2]);
    assert_eq!(
        writer.finish_removal(&name("a.example"), LEASE.owner, &subdomains, until()).unwrap(),
        JobOutcome::Updated
    );
    assert_eq!(admins(fixture), ["tenant.a.example", "xa.example"]);
}

fn of_passwords_set_in_a_loop_beside_a_removal_none_is_left(fixture: &mut Fixture) {
    let (mut writer, mut tenant) = (fixture.writer(), fixture.writer());
    let subdomains = ["muc.a.example".to_owned()];
    for round in 0..20 {
        insert(&mut *writer, "a.example", &[]);
        assert_eq!(put(&mut *tenant, "a.example", NameOrigin::Row), Found::Yes, "round {round}");
        thread::scope(|scope| {
            let last = scope.spawn(|| {
                let (mut rounds, mut last) = (0_u32, Found::Yes);
                while last == Found::Yes && rounds < 10_000 {
                    last = put(&mut *tenant, "a.example", NameOrigin::Row);
                    put(&mut *tenant, "muc.a.example", PARENT);
                    rounds += 1;
                }
                last
            });
            if round % 2 == 0 {
                writer.begin_removal(&name("a.example"), "type1", 0, LEASE, &subdomains, until()).unwrap();
                let finished = writer.finish_removal(&name("a.example"), LEASE.owner, &subdomains, until()).unwrap();
                assert_eq!(finished, JobOutcome::Updated, "round {round}");
            } else {
                let old = OldDomain { domain: &name("a.example"), host_type: "type1", subdomains: &subdomains };
                let deleted = writer.delete(&[old], until()).unwrap();
                assert!(matches!(deleted[..], [DeleteOutcome::Deleted(_)]), "round {round}");
            }
            assert_eq!(last.join().unwrap(), Found::No, "round {round}");
        });
        assert_eq!(admins(fixture), [""; 0], "round {round}");
    }
}

// Only on PostgreSQL, where several sessions write at the same time, and another one blocks them at a chosen point.

/// The number of writers' connections that wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'mongoose_domain' AND wait_event_type = 'Lock'";

fn session(fixture: &Fixture, sql: &str) -> postgres::Client {
    let mut client = postgres::Client::connect(&fixture.url, postgres::NoTls).unwrap();
    client.batch_execute(sql).unwrap();
    client
}

#[test]
fn a_password_that_waits_for_a_removal_is_not_stored() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    for (domain, origin) in [("a.example", NameOrigin::Row), ("muc.a.example", PARENT)] {
        put_row(&mut fixture, "a.example", 1);
        let mut removal = session(&fixture, "BEGIN; UPDATE domain_settings SET status = 2 WHERE domain = 'a.example'");
        thread::scope(|scope| {
            let putting = scope.spawn(|| put(&mut *writer, domain, origin));
            eventually(|| fixture.read(WAITING) == ["1"]);
            removal.batch_execute("COMMIT").unwrap();
            assert_eq!(putting.join().unwrap(), Found::No, "{domain}");
        });
        assert_eq!(admins(&mut fixture), [""; 0]);
    }
}

#[test]
fn a_removal_that_waits_for_a_password_deletes_it() {
    waits_for_a_password_and_deletes_it(|writer| {
        writer.begin_removal(&name("a.example"), "type1", 0, LEASE, &[], until()).unwrap();
        writer.finish_removal(&name("a.example"), LEASE.owner, &[], until()).unwrap();
    });
}

#[test]
fn a_deletion_that_waits_for_a_password_deletes_it() {
    waits_for_a_password_and_deletes_it(|writer| {
        let old = OldDomain { domain: &name("a.example"), host_type: "type1", subdomains: &[] };
        writer.delete(&[old], until()).unwrap();
    });
}

fn waits_for_a_password_and_deletes_it(remove: impl FnOnce(&mut dyn Writer) + Send) {
    let mut fixture = Fixture::postgres();
    let (mut tenant, mut writer) = (fixture.writer(), fixture.writer());
    put_row(&mut fixture, "a.example", 1);
    // Storing the password waits for this session, after it has read the row. The removal waits for the password.
    let mut other = session(&fixture, "BEGIN; INSERT INTO domain_admins VALUES ('a.example', 'other')");
    thread::scope(|scope| {
        let putting = scope.spawn(|| put(&mut *tenant, "a.example", NameOrigin::Row));
        eventually(|| fixture.read(WAITING) == ["1"]);
        let removing = scope.spawn(|| remove(&mut *writer));
        eventually(|| fixture.read(WAITING) == ["2"]);
        other.batch_execute("ROLLBACK").unwrap();
        assert_eq!(putting.join().unwrap(), Found::Yes);
        removing.join().unwrap();
    });
    assert_eq!(admins(&mut fixture), [""; 0]);
}

#[test]
fn a_password_of_a_subdomain_that_waits_for_an_addition_of_its_name_is_not_stored() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    put_row(&mut fixture, "a.example", 1);
    let mut addition =
        session(&fixture, "BEGIN; INSERT INTO domain_settings (domain, host_type) VALUES ('muc.a.example', 'type1')");
    thread::scope(|scope| {
        let putting = scope.spawn(|| put(&mut *writer, "muc.a.example", PARENT));
        eventually(|| fixture.read(WAITING) == ["1"]);
        addition.batch_execute("COMMIT").unwrap();
        assert_eq!(putting.join().unwrap(), Found::No);
    });
    assert_eq!(admins(&mut fixture), [""; 0]);
    // The writer is still usable.
    assert_eq!(put(&mut *writer, "muc.a.example", NameOrigin::Row), Found::Yes);
}

#[test]
fn an_addition_that_waits_for_the_password_of_a_subdomain_of_its_name_deletes_it() {
    let mut fixture = Fixture::postgres();
    let (mut admin, mut writer) = (fixture.writer(), fixture.writer());
    put_row(&mut fixture, "a.example", 1);
    let mut other = session(&fixture, "BEGIN; INSERT INTO domain_admins VALUES ('muc.a.example', 'other')");
    thread::scope(|scope| {
        let putting = scope.spawn(|| put(&mut *admin, "muc.a.example", PARENT));
        eventually(|| fixture.read(WAITING) == ["1"]);
        let adding = scope.spawn(|| insert(&mut *writer, "muc.a.example", &[]));
        eventually(|| fixture.read(WAITING) == ["2"]);
        other.batch_execute("ROLLBACK").unwrap();
        assert_eq!(putting.join().unwrap(), Found::Yes);
        assert!(matches!(adding.join().unwrap(), InsertOutcome::Added(_)));
    });
    assert_eq!(admins(&mut fixture), [""; 0]);
}

fn a_password_is_stored_replaced_and_deleted_without_an_event(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let domain = &name("a.example");
    assert_eq!(writer.password(domain, NameOrigin::StaticDomain, until()).unwrap(), None);
    assert_eq!(writer.delete_password(domain, until()).unwrap(), Found::No);
    for stored in ["first", "it's the second: ключ"] {
        writer.put_password(domain, NameOrigin::StaticDomain, stored, until()).unwrap();
        assert_eq!(writer.password(domain, NameOrigin::StaticDomain, until()).unwrap().as_deref(), Some(stored));
    }
    writer.put_password(&name("b.example"), NameOrigin::StaticDomain, "other", until()).unwrap();
    assert_eq!(fixture.read("SELECT domain FROM domain_admins ORDER BY domain"), ["a.example", "b.example"]);
    assert_eq!(writer.delete_password(domain, until()).unwrap(), Found::Yes);
    assert_eq!(writer.password(domain, NameOrigin::StaticDomain, until()).unwrap(), None);
    assert_eq!(
        writer.password(&name("b.example"), NameOrigin::StaticDomain, until()).unwrap().as_deref(),
        Some("other")
    );
    assert_eq!(events(fixture).len(), 0);
}
