//! What every store promises, asked of PostgreSQL and of SQLite in the same words.
//!
//! PostgreSQL's side needs a server: `MONGOOSE_DOMAIN_TEST_PG` is the URL of one where databases may
//! be created, as `make test` provides.

mod support;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use domain_core::EventId;
use domain_store::{Bounds, Events, Row, Store, StoreError, Unfit};
use support::{Fixture, LONG, name};

/// Names each promise once and has both stores keep it.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod postgres { $(#[test] fn $promise() { super::$promise(&mut super::Fixture::postgres()) })* }
        mod sqlite { $(#[test] fn $promise() { super::$promise(&mut super::Fixture::sqlite()) })* }
    };
}

promises! {
    absent_tables_are_created_and_present_ones_are_used
    stores_that_open_an_empty_database_together_all_succeed
    a_foreign_table_is_refused_by_table_and_column
    an_extra_column_is_none_of_our_business
    a_load_brings_every_enabled_row_and_no_other
    a_load_comes_in_batches_of_the_given_size
    rows_that_make_no_sense_are_told_apart
    a_load_shows_one_moment
    a_load_that_is_broken_off_leaves_the_store_usable
    an_empty_log_has_no_bounds
    events_say_what_their_rows_say_now
    events_come_in_order_and_no_more_than_asked_for
    a_dummy_event_counts_and_says_nothing
    a_wait_ends_when_woken
    a_wake_before_the_wait_is_not_lost
    a_stop_ends_the_wait
}

fn load(store: &mut dyn Store) -> (Vec<Row>, Option<EventId>) {
    let mut all = Vec::new();
    let newest = store.load(1000, &mut |rows| {
        all.extend(rows);
        ControlFlow::Continue(())
    });
    all.sort_by_key(|row| format!("{row:?}"));
    (all, newest.unwrap())
}

fn absent_tables_are_created_and_present_ones_are_used(fixture: &mut Fixture) {
    drop(fixture.store());
    fixture.write("INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1')");
    fixture.write("INSERT INTO domain_events (domain) VALUES ('a.example')");
    fixture.write("INSERT INTO domain_admins (domain, pass_details) VALUES ('a.example', 'x')");
    let (rows, newest) = load(&mut *fixture.store());
    assert_eq!(rows, vec![Row::Enabled(name("a.example"), fixture.host_type("type1"))]);
    assert_eq!(newest, Some(EventId(1)));
}

fn stores_that_open_an_empty_database_together_all_succeed(fixture: &mut Fixture) {
    let opener = &fixture.opener;
    std::thread::scope(|scope| {
        for opening in (0..4).map(|_| scope.spawn(|| opener.connect().map(drop))).collect::<Vec<_>>() {
            opening.join().unwrap().unwrap();
        }
    });
}

fn a_foreign_table_is_refused_by_table_and_column(fixture: &mut Fixture) {
    fixture.write("CREATE TABLE domain_events (id BIGINT, domain REAL)");
    let error = fixture.opener.connect().map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("domain_events.domain"), "{text}");
    fixture.write("DROP TABLE domain_events");
    // Nothing was created beside it, so this name is free.
    fixture.write(
        "CREATE TABLE domain_settings (id BIGINT, domain VARCHAR(250), host_type VARCHAR(250), enabled BOOLEAN)",
    );
    let text = fixture.opener.connect().map(drop).unwrap_err().to_string();
    assert!(text.contains("domain_settings has no column status") && text.contains("migration"), "{text}");
}

fn an_extra_column_is_none_of_our_business(fixture: &mut Fixture) {
    drop(fixture.store());
    fixture.write("ALTER TABLE domain_settings ADD COLUMN note TEXT");
    fixture.write("INSERT INTO domain_settings (domain, host_type, note) VALUES ('a.example', 'type1', 'x')");
    assert_eq!(load(&mut *fixture.store()).0.len(), 1);
}

fn a_load_brings_every_enabled_row_and_no_other(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write(
        "INSERT INTO domain_settings (domain, host_type, status) VALUES
             ('disabled.example', 'type1', 0), ('enabled.example', 'type1', 1), ('deleting.example', 'type1', 2),
             ('пример.рф', 'type2', 1)",
    );
    fixture.write(&format!("INSERT INTO domain_settings (domain, host_type) VALUES ('{LONG}', 'type2')"));
    let mut expected = vec![
        Row::Enabled(name("enabled.example"), fixture.host_type("type1")),
        Row::Enabled(name(LONG), fixture.host_type("type2")),
        Row::Enabled(name("пример.рф"), fixture.host_type("type2")),
    ];
    expected.sort_by_key(|row| format!("{row:?}"));
    assert_eq!(load(&mut *store), (expected, Some(EventId(0))));
}

fn a_load_comes_in_batches_of_the_given_size(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.fill(2500);
    let mut sizes = Vec::new();
    let mut take = |rows: Vec<Row>| {
        sizes.push(rows.len());
        ControlFlow::Continue(())
    };
    store.load(1000, &mut take).unwrap();
    assert_eq!(sizes, [1000, 1000, 500]);
}

fn rows_that_make_no_sense_are_told_apart(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write(
        "INSERT INTO domain_settings (domain, host_type, status) VALUES
             ('Upper.example', 'type1', 1), ('odd.example', 'type1', 7), ('stranger.example', 'type9', 1),
             ('good.example', 'type1', 1)",
    );
    let (rows, _) = load(&mut *store);
    let misfit = |domain: &str| {
        rows.iter().find_map(|row| match row {
            Row::Misfit(misfit) if misfit.domain == domain => Some((misfit.name.is_some(), misfit.why.clone())),
            _ => None,
        })
    };
    assert!(matches!(misfit("Upper.example"), Some((false, Unfit::InvalidDomain(_)))));
    assert_eq!(misfit("odd.example"), Some((true, Unfit::UnknownStatus(7))));
    assert_eq!(misfit("stranger.example"), Some((true, Unfit::UnknownHostType("type9".into()))));
    assert!(rows.contains(&Row::Enabled(name("good.example"), fixture.host_type("type1"))));
    assert_eq!(rows.len(), 4);
}

fn a_load_shows_one_moment(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.fill(20_000);
    fixture.write("INSERT INTO domain_events (domain) VALUES ('tenant-1.example')");
    let mut count = 0;
    let newest = store.load(100, &mut |rows| {
        if count == 0 {
            fixture.write("DELETE FROM domain_settings WHERE id > 10000");
            fixture.write("INSERT INTO domain_events (domain) VALUES ('tenant-2.example')");
        }
        count += rows.len();
        ControlFlow::Continue(())
    });
    assert_eq!((newest.unwrap(), count), (Some(EventId(1)), 20_000));
}

fn a_load_that_is_broken_off_leaves_the_store_usable(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.fill(20_000);
    assert_eq!(store.load(100, &mut |_| ControlFlow::Break(())).unwrap(), None);
    assert_eq!(load(&mut *store).0.len(), 20_000);
}

fn an_empty_log_has_no_bounds(fixture: &mut Fixture) {
    let events = fixture.store().events(EventId(0), 10).unwrap();
    assert_eq!(events, Events { bounds: Bounds::Empty, rows: vec![], count: 0, last: None });
}

fn events_say_what_their_rows_say_now(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write(
        "INSERT INTO domain_settings (domain, host_type, status) VALUES
             ('on.example', 'type2', 1), ('off.example', 'type1', 0), ('going.example', 'type1', 2)",
    );
    for domain in ["on", "off", "going", "gone", "on"] {
        fixture.write(&format!("INSERT INTO domain_events (domain) VALUES ('{domain}.example')"));
    }
    let on = Row::Enabled(name("on.example"), fixture.host_type("type2"));
    let off = |text| Row::NotEnabled(name(text));
    let events = store.events(EventId(0), 10).unwrap();
    assert_eq!(
        events.rows,
        vec![on.clone(), off("off.example"), off("going.example"), off("gone.example"), on.clone()]
    );
    assert_eq!(events.bounds, Bounds::From { oldest: EventId(1), newest: EventId(5) });
    assert_eq!((events.count, events.last), (5, Some(EventId(5))));
    assert_eq!(store.events(EventId(4), 10).unwrap().rows, vec![on]);
}

fn events_come_in_order_and_no_more_than_asked_for(fixture: &mut Fixture) {
    let mut store = fixture.store();
    for id in [5, 3, 9, 4] {
        fixture.write(&format!("INSERT INTO domain_events (id, domain) VALUES ({id}, 'd{id}.example')"));
    }
    let events = store.events(EventId(3), 2).unwrap();
    assert_eq!(events.rows, vec![Row::NotEnabled(name("d4.example")), Row::NotEnabled(name("d5.example"))]);
    assert_eq!((events.count, events.last), (2, Some(EventId(5))));
    assert_eq!(events.bounds, Bounds::From { oldest: EventId(3), newest: EventId(9) });
}

fn a_dummy_event_counts_and_says_nothing(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write("INSERT INTO domain_events (domain) VALUES ('')");
    let events = store.events(EventId(0), 10).unwrap();
    assert_eq!((events.rows, events.count, events.last), (vec![], 1, Some(EventId(1))));
}

fn a_wait_ends_when_woken(fixture: &mut Fixture) {
    let mut store = fixture.store();
    let signal = Arc::clone(&fixture.signal);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.wait(LONG_TIME));
        signal.wake();
        waiting.join().unwrap().unwrap();
    });
}

fn a_wake_before_the_wait_is_not_lost(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.signal.wake();
    fixture.signal.wake();
    store.wait(LONG_TIME).unwrap();
}

fn a_stop_ends_the_wait(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.signal.stop();
    store.wait(LONG_TIME).unwrap();
    assert!(fixture.signal.is_stopped());
}

/// So long that a test which waits for it has failed.
const LONG_TIME: Duration = Duration::from_secs(3600);
