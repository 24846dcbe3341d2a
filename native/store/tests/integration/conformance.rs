//! What every store guarantees about its tables, its load and its wait. `log` tests the rest.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use domain_core::EventId;
use domain_store::{IdRange, InvalidRowReason, LoadSummary, LogBounds, Row, Store, StoreError, TableContents};

use crate::support::{Fixture, LONG, eventually, name};

on_every_database! {
    absent_tables_are_created_and_present_ones_are_used
    stores_that_open_an_empty_database_together_all_succeed
    a_foreign_table_is_refused_by_table_and_column
    an_extra_column_is_none_of_our_business
    a_load_brings_every_enabled_row_and_no_other
    a_load_comes_in_batches_of_the_given_size
    rows_that_make_no_sense_are_told_apart
    a_load_shows_one_moment
    a_load_that_is_broken_off_leaves_the_store_usable
    a_load_of_an_empty_database_finds_nothing
    a_load_tells_the_logs_ends_and_whom_its_newest_event_is_about
    a_load_tells_the_gaps_with_the_largest_ids
    a_row_counts_whatever_its_status
    nothing_is_fresh_where_there_is_no_such_table
    fresh_is_what_expires_later_than_now
    fresh_is_rounded_to_the_second
    a_wait_ends_when_woken
    a_wake_before_the_wait_is_not_lost
    a_stop_ends_the_wait
}

/// More gaps than any test makes.
const GAPS: usize = 10;

fn load(store: &mut dyn Store) -> (Vec<Row>, LoadSummary) {
    let mut all = Vec::new();
    let loaded = store.load(1000, GAPS, &mut |rows| {
        all.extend(rows);
        ControlFlow::Continue(())
    });
    all.sort_by_key(|row| format!("{row:?}"));
    (all, loaded.unwrap().expect("nothing broke it off"))
}

fn range(first: i64, last: i64) -> IdRange {
    IdRange { first: EventId(first), last: EventId(last) }
}

fn from(oldest: i64, newest: i64) -> LogBounds {
    LogBounds::From { oldest: EventId(oldest), newest: EventId(newest) }
}

fn absent_tables_are_created_and_present_ones_are_used(fixture: &mut Fixture) {
    drop(fixture.store());
    fixture.write("INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1')");
    fixture.write("INSERT INTO domain_events (domain) VALUES ('a.example')");
    fixture.write("INSERT INTO domain_admins (domain, pass_details) VALUES ('a.example', 'x')");
    let (rows, loaded) = load(&mut *fixture.store());
    assert_eq!(rows, vec![Row::Enabled(name("a.example"), fixture.host_type("type1"))]);
    assert_eq!(loaded.bounds, from(1, 1));
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
    assert_eq!(load(&mut *store).0, expected);
}

fn a_load_comes_in_batches_of_the_given_size(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.fill(2500);
    let mut sizes = Vec::new();
    let mut take = |rows: Vec<Row>| {
        sizes.push(rows.len());
        ControlFlow::Continue(())
    };
    store.load(1000, GAPS, &mut take).unwrap();
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
    let invalid = |domain: &str| {
        rows.iter().find_map(|row| match row {
            Row::Invalid(row) if row.domain == domain => Some((row.name.is_some(), row.reason.clone())),
            _ => None,
        })
    };
    assert!(matches!(invalid("Upper.example"), Some((false, InvalidRowReason::InvalidDomain(_)))));
    assert_eq!(invalid("odd.example"), Some((true, InvalidRowReason::UnknownStatus(7))));
    assert_eq!(invalid("stranger.example"), Some((true, InvalidRowReason::UnknownHostType("type9".into()))));
    assert!(rows.contains(&Row::Enabled(name("good.example"), fixture.host_type("type1"))));
    assert_eq!(rows.len(), 4);
}

fn a_load_shows_one_moment(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.fill(20_000);
    fixture.write("CREATE TABLE domain_freshness (domain VARCHAR(250) PRIMARY KEY, expire_time BIGINT NOT NULL)");
    fixture.write(&format!("INSERT INTO domain_freshness VALUES ('type1', {})", i64::MAX));
    fixture.write_events(&[1, 3]);
    let mut count = 0;
    let loaded = store.load(100, GAPS, &mut |rows| {
        if count == 0 {
            fixture.write("DELETE FROM domain_settings");
            fixture.write("DELETE FROM domain_events WHERE id = 3");
            fixture.write("DELETE FROM domain_freshness");
            fixture.write_events(&[2, 4]);
        }
        count += rows.len();
        ControlFlow::Continue(())
    });
    let expected = LoadSummary {
        bounds: from(1, 3),
        newest_domain: Some("d3.example".into()),
        gaps: vec![range(2, 2)],
        rows: TableContents::NotEmpty,
        fresh: vec![fixture.host_type("type1")],
    };
    assert_eq!((loaded.unwrap(), count), (Some(expected), 20_000));
    let (rows, loaded) = load(&mut *store);
    assert_eq!((rows, loaded.bounds, loaded.rows), (vec![], from(1, 4), TableContents::Empty));
    assert_eq!((loaded.newest_domain.as_deref(), loaded.gaps), (Some("d4.example"), vec![range(3, 3)]));
    assert_eq!(loaded.fresh, []);
}

fn a_load_that_is_broken_off_leaves_the_store_usable(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.fill(20_000);
    assert_eq!(store.load(100, GAPS, &mut |_| ControlFlow::Break(())).unwrap(), None);
    // The same with the last batch.
    assert_eq!(store.load(20_001, GAPS, &mut |_| ControlFlow::Break(())).unwrap(), None);
    assert_eq!(load(&mut *store).0.len(), 20_000);
}

fn a_load_of_an_empty_database_finds_nothing(fixture: &mut Fixture) {
    let nothing = LoadSummary {
        bounds: LogBounds::Empty,
        newest_domain: None,
        gaps: vec![],
        rows: TableContents::Empty,
        fresh: vec![],
    };
    assert_eq!(load(&mut *fixture.store()), (vec![], nothing));
}

fn a_load_tells_the_logs_ends_and_whom_its_newest_event_is_about(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[9, 4, 7]);
    let (_, loaded) = load(&mut *store);
    assert_eq!((loaded.bounds, loaded.newest_domain.as_deref()), (from(4, 9), Some("d9.example")));
    fixture.write("INSERT INTO domain_events (id, domain) VALUES (10, '')");
    let (_, loaded) = load(&mut *store);
    assert_eq!((loaded.bounds, loaded.newest_domain.as_deref()), (from(4, 10), Some("")));
}

fn a_load_tells_the_gaps_with_the_largest_ids(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[3, 4, 7, 9, 10, 1_000_000]);
    let mut gaps = |limit| store.load(1000, limit, &mut |_| ControlFlow::Continue(())).unwrap().unwrap().gaps;
    let all = [range(11, 999_999), range(8, 8), range(5, 6)];
    assert_eq!(gaps(3), all);
    assert_eq!(gaps(usize::MAX), all);
    assert_eq!(gaps(2), all[..2]);
    assert_eq!(gaps(0), []);
}

fn a_row_counts_whatever_its_status(fixture: &mut Fixture) {
    let mut store = fixture.store();
    for status in [0, 1, 2] {
        assert_eq!(load(&mut *store).1.rows, TableContents::Empty);
        let row = format!("('a.example', 'type1', {status})");
        fixture.write(&format!("INSERT INTO domain_settings (domain, host_type, status) VALUES {row}"));
        assert_eq!(load(&mut *store).1.rows, TableContents::NotEmpty, "of status {status}");
        fixture.write("DELETE FROM domain_settings");
    }
}

fn nothing_is_fresh_where_there_is_no_such_table(fixture: &mut Fixture) {
    let mut store = fixture.store();
    assert_eq!(store.fresh().unwrap(), []);
    assert_eq!(load(&mut *store).1.fresh, []);
    let tables = "SELECT count(*) FROM domain_freshness";
    // The table was not created, since this succeeds.
    fixture.write("CREATE TABLE domain_freshness (domain VARCHAR(250) PRIMARY KEY, expire_time BIGINT NOT NULL)");
    assert_eq!(fixture.read(tables), ["0"]);
    assert_eq!(store.fresh().unwrap(), []);
}

/// Whether `type1` is fresh if its declaration expires at this time, in nanoseconds since 1970.
fn is_fresh(fixture: &mut Fixture, store: &mut dyn Store, expire_time: i64) -> bool {
    fixture.write("CREATE TABLE IF NOT EXISTS domain_freshness (domain VARCHAR(250) PRIMARY KEY, expire_time BIGINT)");
    fixture.write("DELETE FROM domain_freshness");
    let rows = format!("('type1', {expire_time}), ('type2', 0), ('stranger', {})", i64::MAX);
    fixture.write(&format!("INSERT INTO domain_freshness VALUES {rows}"));
    let fresh = store.fresh().unwrap();
    assert!(fresh.is_empty() || fresh == [fixture.host_type("type1")], "{fresh:?}");
    !fresh.is_empty()
}

fn fresh_is_what_expires_later_than_now(fixture: &mut Fixture) {
    let mut store = fixture.store();
    let hour = 3_600_000_000_000;
    let now = store.position().unwrap().time * 1_000_000;
    for (expire_time, fresh) in [(i64::MAX, true), (now + hour, true), (now - hour, false), (0, false)] {
        assert_eq!(is_fresh(fixture, &mut *store, expire_time), fresh);
        // The same by a load.
        assert_eq!(load(&mut *store).1.fresh.is_empty(), !fresh);
    }
}

fn fresh_is_rounded_to_the_second(fixture: &mut Fixture) {
    let mut store = fixture.store();
    // Rounded down in the first half of a second, and up in the second half, which may begin between two reads of the
    // clock.
    let (mut down, mut up) = (false, false);
    eventually(|| {
        let now = store.position().unwrap().time;
        let second = (now + 500) / 1000;
        let at_that = is_fresh(fixture, &mut *store, second * 1_000_000_000);
        let just_after = is_fresh(fixture, &mut *store, second * 1_000_000_000 + 1);
        let later = store.position().unwrap().time;
        let same = now.rem_euclid(1000).abs_diff(500) > 1 && (later + 500) / 1000 == second;
        if same {
            assert!(!at_that && just_after, "between {now} and {later}");
            *if second * 1000 <= now { &mut down } else { &mut up } = true;
        }
        down && up
    });
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

/// A time-out that only a failing test reaches.
const LONG_TIME: Duration = Duration::from_secs(3600);
