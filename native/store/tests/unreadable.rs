//! What a writer answers where a table holds what its schema does not promise: the rows that can be read, and how
//! many cannot.

mod support;

use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::{
    Activation, DomainSettings, Filter, InsertOutcome, Lease, NewDomain, Status, UnreadableRows, Writer,
};
use support::{Fixture, name};

fn until() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// A database of either kind whose tables hold three good rows, `a`, `c` and `e`, and between them bad ones:
/// `b\xff` is no UTF-8, the host type of `d` is none.
fn databases() -> [Fixture; 2] {
    let mut postgres = Fixture::postgres_without_encoding();
    let mut sqlite = Fixture::sqlite();
    for fixture in [&postgres, &sqlite] {
        drop((fixture.store(), fixture.writer()));
    }
    postgres.write(include_str!("../../../priv/sql/removals.sql"));
    postgres.write(include_str!("../../../priv/sql/freshness.sql"));
    sqlite.write(include_str!("../../../priv/sql/freshness.sql"));
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

/// The rest of a batch is added, and details are told.
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
    let mut fixture = Fixture::postgres();
    fixture.write(
        "CREATE TABLE domain_settings (id bigserial, domain text, host_type text, status smallint);
         INSERT INTO domain_settings (domain, host_type, status)
         VALUES ('a', 'type1', 1), ('b', NULL, 1), ('c', 'type1', NULL), (NULL, 'type1', 1), ('d', NULL, NULL)",
    );
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

/// SQLite takes any value for any column.
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
