//! Tables with values that their schema should not allow: the readable rows are returned, and the others are counted.

use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::{
    Activation, DomainSettings, Filter, InsertOutcome, Lease, NewDomain, Status, UnreadableRows, Writer,
};

use crate::support::{Fixture, name};
use crate::writer::{ONE, begin, insert, removals};

on_every_database! {
    a_value_that_is_longer_than_any_name_spoils_its_row_alone_and_is_not_kept
}

fn until() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// A database of each kind that may hold a text that is not one, with three readable rows, `a`, `c` and `e`, and two
/// unreadable ones: `b\xff` is not UTF-8, and neither is the host type of `d`. MariaDB checks that a text is one.
fn databases() -> [Fixture; 2] {
    let mut postgres = Fixture::postgres_without_encoding();
    let mut sqlite = Fixture::sqlite();
    for fixture in [&postgres, &sqlite] {
        drop((fixture.store(), fixture.writer()));
    }
    postgres.write(include_str!("../../../../priv/sql/removals.sql"));
    postgres.write(include_str!("../../../../priv/sql/freshness.sql"));
    sqlite.write(include_str!("../../../../priv/sql/freshness.sql"));
    postgres.write(&statements(r"E'b\xff'", r"E't\xff'"));
    sqlite.write(&statements("CAST(x'62ff' AS TEXT)", "CAST(x'74ff' AS TEXT)"));
    [postgres, sqlite]
}

fn statements(b: &str, host_type: &str) -> String {
    format!(
        "INSERT INTO domain_settings (domain, host_type) VALUES
            ('a', 'type1'), ({b}, 'type1'), ('c', 'type1'), ('d', {host_type}), ('e', 'type1');
         INSERT INTO domain_events (domain) VALUES ('a'), ({b}), ('c'), ('d'), ('e');
         INSERT INTO domain_removals (domain, host_type, owner, lease_until, handlers) VALUES
            ('a', 'type1', 'one', 0, 1), ({b}, 'type1', 'one', 0, 1), ('c', 'type1', 'one', 0, -1);
         INSERT INTO domain_freshness (domain, expire_time) VALUES ('type1', 1), ({host_type}, 1)"
    )
}

fn left_out(found: &UnreadableRows) -> Vec<String> {
    assert_eq!(found.count, found.examples.len() as u64);
    found.examples.iter().map(ToString::to_string).collect()
}

const B: &str = r#"domain_settings "b\xff": domain is not UTF-8"#;
const D: &str = r#"domain_settings "d": host_type is not UTF-8"#;

#[test]
fn a_listing_leaves_out_counts_and_names_the_rows_that_cannot_be_read() {
    for fixture in databases() {
        let mut writer = fixture.writer();
        let found = writer.list(&Filter::default(), 10, until()).unwrap();
        let domains: Vec<_> = found.rows.iter().map(|row| row.domain.as_str()).collect();
        assert_eq!((domains, left_out(&found.left_out)), (vec!["a", "c", "e"], vec![B.to_owned(), D.to_owned()]));
    }
}

#[test]
fn a_listing_page_by_page_ends_and_names_each_row_once() {
    for fixture in databases() {
        let mut writer = fixture.writer();
        for size in 1..=4 {
            let (mut seen, mut named, mut filter) = (Vec::new(), Vec::new(), Filter::default());
            loop {
                let page = writer.list(&filter, size, until()).unwrap();
                named.extend(left_out(&page.left_out));
                seen.extend(page.rows.iter().map(|row| row.domain.clone()));
                if page.rows.len() < size as usize {
                    break;
                }
                filter.after = seen.last().cloned();
            }
            assert_eq!((seen.join(" "), named), ("a c e".to_owned(), vec![B.to_owned(), D.to_owned()]), "{size}");
        }
    }
}

#[test]
fn changes_go_on_behind_an_event_that_cannot_be_read() {
    for fixture in databases() {
        let mut writer = fixture.writer();
        let mut changes = |after, limit| {
            let found = writer.changes(Some(EventId(after)), limit, until()).unwrap();
            let domains: Vec<_> = found.rows.iter().map(|change| change.domain.clone()).collect();
            (domains.join(" "), found.left_out.count)
        };
        assert_eq!(changes(0, 10), ("a c e".to_owned(), 2));
        assert_eq!(changes(0, 2), ("a c".to_owned(), 1));
        assert_eq!(changes(1, 1), ("c".to_owned(), 1));
        assert_eq!(changes(5, 1), (String::new(), 0));
    }
}

#[test]
fn jobs_removals_and_declarations_leave_out_what_cannot_be_read() {
    const LEASE: Lease<'_> = Lease { owner: "two", milliseconds: 60_000 };
    let expected = [
        r#"domain_removals "b\xff": domain is not UTF-8"#.to_owned(),
        r#"domain_removals "c": handlers is no number in range"#.to_owned(),
    ];
    for mut fixture in databases() {
        fixture.write("UPDATE domain_settings SET status = 2");
        let mut writer = fixture.writer();
        let removals = writer.removals(None, until()).unwrap();
        assert_eq!((removals.rows.len(), left_out(&removals.left_out)), (1, expected.to_vec()));
        let allowed = ["type1".to_owned()];
        let taken = writer.take_over_removals(LEASE, &allowed, 10, until()).unwrap();
        let mut named = left_out(&taken.left_out);
        named.sort();
        assert_eq!((taken.held.len(), taken.void.len(), named), (1, 0, expected.to_vec()));
        assert_eq!(writer.renew_removals(LEASE, until()).unwrap().held.len(), 1);
        let declared = writer.freshness(until()).unwrap();
        assert_eq!((declared.rows.len(), declared.left_out.count), (1, 1));
    }
}

#[test]
fn a_survey_counts_what_listings_leave_out() {
    for fixture in databases() {
        let survey = fixture.writer().survey(until()).unwrap();
        assert_eq!(survey.host_types, [("type1".to_owned(), 4), (r"t\xff".to_owned(), 1)]);
        let mut named = left_out(&survey.left_out);
        named.sort();
        assert_eq!(named, [B, D]);
    }
}

/// The other domains of a batch are added, and details are returned.
#[test]
fn a_row_that_cannot_be_read_fails_no_other() {
    for fixture in databases() {
        let mut writer = fixture.writer();
        let (d, f) = (name("d"), name("f"));
        let pairs = [
            NewDomain { domain: &d, host_type: "type1", status: Activation::Enabled, subdomains: &[] },
            NewDomain { domain: &f, host_type: "type1", status: Activation::Enabled, subdomains: &[] },
        ];
        let there = DomainSettings { host_type: r"t\xff".to_owned(), status: Status::Enabled };
        let found = writer.insert(&pairs, until()).unwrap();
        assert!(
            matches!(&found[..], [InsertOutcome::Exists(found), InsertOutcome::Added(_)] if *found == there),
            "{found:?}"
        );
        assert_eq!(writer.settings(&d, until()).unwrap(), Some(there));
    }
}

#[test]
fn null_where_a_table_allows_it_fails_nothing() {
    null_fails_nothing(&mut Fixture::postgres(), "id bigserial");
    null_fails_nothing(&mut Fixture::mariadb(), "id bigint unsigned auto_increment primary key");
}

fn null_fails_nothing(fixture: &mut Fixture, id: &str) {
    fixture.write(&format!(
        "CREATE TABLE domain_settings ({id}, domain text, host_type text, status smallint);
         INSERT INTO domain_settings (domain, host_type, status)
         VALUES ('a', 'type1', 1), ('b', NULL, 1), ('c', 'type1', NULL), (NULL, 'type1', 1), ('d', NULL, NULL)"
    ));
    let mut store = fixture.store();
    let mut rows = 0;
    store
        .load(10, 10, &mut |batch| {
            rows += batch.len();
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(rows, 5);
    fixture.write("INSERT INTO domain_events (domain) VALUES ('a'), ('b'), ('c'), ('d')");
    assert_eq!(store.events(EventId(0), EventId(0), 10).unwrap().events.len(), 4);
    nothing_fails(&mut *fixture.writer(), 4);
}

/// SQLite accepts values of any type in every column.
#[test]
fn values_of_other_types_fail_nothing() {
    let mut fixture = Fixture::sqlite();
    drop(fixture.store());
    fixture.write(
        "INSERT INTO domain_settings (domain, host_type, status)
         VALUES ('a', 'type1', 1), (x'62', 'type1', 1), ('c', x'00', 1), ('d', 'type1', 'on'), ('e', 'type1', 1.5)",
    );
    nothing_fails(&mut *fixture.writer(), 4);
    fixture.write("INSERT INTO domain_settings (domain, host_type, status) VALUES ('f', 'type1', 70000)");
    let mut writer = fixture.writer();
    let listed = writer.list(&Filter::default(), 10, until()).unwrap().rows;
    assert_eq!(listed.last().map(|row| row.settings.status), Some(Status::Unknown(70_000)));
}

fn nothing_fails(writer: &mut dyn Writer, bad: u64) {
    let listed = writer.list(&Filter::default(), 10, until()).unwrap();
    assert_eq!(listed.rows.len(), 1);
    let survey = writer.survey(until()).unwrap();
    assert_eq!(survey.left_out.count, bad, "{:?}", survey.left_out);
    for domain in ["c", "d"] {
        writer.settings(&name(domain), until()).unwrap();
    }
}

fn a_value_that_is_longer_than_any_name_spoils_its_row_alone_and_is_not_kept(fixture: &mut Fixture) {
    let (mut store, mut writer) = (fixture.store(), fixture.writer());
    insert(&mut *writer, &[("gone.example", "type1")]).unwrap();
    begin(&mut *writer, "gone.example", ONE);
    if fixture.url.starts_with("postgres") {
        fixture.write(
            "ALTER TABLE domain_settings DROP CONSTRAINT domain_settings_pkey;
             ALTER TABLE domain_settings ALTER domain TYPE text, ALTER host_type TYPE text;
             DROP INDEX i_domain_events_domain; ALTER TABLE domain_events ALTER domain TYPE text",
        );
    }
    if fixture.url.starts_with("mysql") {
        fixture.write(
            "ALTER TABLE domain_settings DROP INDEX i_domain_settings_domain, MODIFY domain LONGTEXT, MODIFY host_type LONGTEXT;
             ALTER TABLE domain_events DROP INDEX i_domain_events_domain, MODIFY domain LONGTEXT;
             ALTER TABLE domain_removals MODIFY failure LONGTEXT",
        );
    }
    // Longer than the longest accepted message.
    let huge = "x".repeat(3_000_000);
    fixture.write(&format!(
        "INSERT INTO domain_settings (domain, host_type)
             VALUES ('{huge}', 'type1'), ('a.example', '{huge}'), ('b.example', 'type1');
         INSERT INTO domain_events (domain) VALUES ('{huge}'), ('a.example'), ('b.example');
         UPDATE domain_removals SET failure = '{huge}'"
    ));
    let small = |what: String| assert!(what.len() < 6000, "{} bytes: {}", what.len(), &what[..2000]);

    let mut rows = Vec::new();
    let loaded = store.load(1000, 10, &mut |some| {
        rows.extend(some);
        std::ops::ControlFlow::Continue(())
    });
    loaded.unwrap().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows.iter().filter(|row| matches!(row, domain_store::Row::Invalid(_))).count(), 2, "{rows:?}");
    small(format!("{rows:?}"));
    small(format!("{:?}", store.events(EventId(0), EventId(i64::MIN), 10).unwrap()));
    let ranges = [domain_store::IdRange { first: EventId(0), last: EventId(100) }];
    small(format!("{:?}", store.events_in(&ranges, 10).unwrap()));

    let listed = writer.list(&Filter::default(), 10, until()).unwrap();
    let domains: Vec<_> = listed.rows.iter().map(|listed| listed.domain.as_str()).collect();
    assert_eq!(domains, ["b.example", "gone.example"]);
    assert!(listed.left_out.examples[0].to_string().ends_with("host_type is longer than 1000 bytes"), "{listed:?}");
    small(format!("{listed:?}"));
    assert_eq!(writer.survey(until()).unwrap().left_out.count, 2);
    small(format!("{:?}", writer.survey(until()).unwrap()));
    small(format!("{:?}", writer.settings(&name("a.example"), until()).unwrap()));
    let changes = writer.changes(Some(EventId(0)), 10, until()).unwrap();
    assert_eq!((changes.rows.last().unwrap().domain.as_str(), changes.left_out.count), ("b.example", 2));
    small(format!("{changes:?}"));
    assert_eq!(removals(&mut *writer)[0].failure.as_ref().unwrap().len(), 1000);
    // Both connections are still usable.
    assert!(writer.is_alive());
    assert_eq!(writer.settings(&name("b.example"), until()).unwrap().unwrap().host_type, "type1");
}
