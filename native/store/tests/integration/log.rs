//! What every store guarantees about the log of events: how it is read and pruned, and the database's identity.

use std::sync::Barrier;
use std::thread;

use domain_core::EventId;
use domain_store::{Event, Events, IdRange, InvalidRow, InvalidRowReason, LogBounds, LogPosition, Row, Store};

use crate::support::{Fixture, eventually, name};

on_every_database! {
    an_empty_log_has_no_bounds
    events_say_what_their_rows_say_now
    events_whose_rows_make_no_sense_are_told_apart
    events_come_in_order_and_no_more_than_asked_for
    the_anchor_is_the_event_at_the_cursor
    as_many_events_come_with_an_anchor_as_without
    any_cursor_will_do
    a_dummy_event_counts_and_says_nothing
    ranges_bring_the_events_in_them_and_no_other
    ranges_list_the_ids_in_them_and_no_other
    ranges_without_events_bring_nothing
    a_wide_range_with_one_event_brings_that_one
    the_limit_is_on_all_ranges_together
    one_database_has_one_identity
    an_empty_log_has_nothing_to_prune
    what_was_there_is_pruned_but_for_the_newest
    what_came_later_stays
    no_more_is_pruned_than_asked_for
    a_log_that_others_pruned_is_pruned_further
    two_who_prune_at_once_delete_everything_once
}

fn id(id: i64) -> EventId {
    EventId(id)
}

fn range(first: i64, last: i64) -> IdRange {
    IdRange { first: id(first), last: id(last) }
}

fn bounds(oldest: i64, newest: i64) -> LogBounds {
    LogBounds::From { oldest: id(oldest), newest: id(newest) }
}

/// An event of [`Fixture::write_events`], whose domain has no row.
fn event(number: i64) -> Event {
    Event { id: id(number), row: Some(Row::NotEnabled(name(&format!("d{number}.example")))) }
}

fn ids(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.id.0).collect()
}

fn an_empty_log_has_no_bounds(fixture: &mut Fixture) {
    let events = fixture.store().events(id(0), EventId(i64::MIN), 10).unwrap();
    assert_eq!(events, Events { bounds: LogBounds::Empty, anchor: None, events: vec![] });
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
    let rows = [on.clone(), off("off.example"), off("going.example"), off("gone.example"), on.clone()];
    let all: Vec<_> = (1..).zip(rows).map(|(number, row)| Event { id: id(number), row: Some(row) }).collect();
    let events = store.events(id(0), EventId(i64::MIN), 10).unwrap();
    assert_eq!(events, Events { bounds: bounds(1, 5), anchor: None, events: all.clone() });
    let mut some = store.events_in(&[range(1, 5)], 10).unwrap();
    some.sort_by_key(|event| event.id);
    assert_eq!(some, all);
    fixture.write("DELETE FROM domain_settings WHERE domain = 'on.example'");
    let now = vec![Event { id: id(5), row: Some(off("on.example")) }];
    assert_eq!(store.events(id(4), EventId(i64::MIN), 10).unwrap().events, now);
    assert_eq!(store.events_in(&[range(5, 5)], 10).unwrap(), now);
}

fn events_whose_rows_make_no_sense_are_told_apart(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write(
        "INSERT INTO domain_settings (domain, host_type, status) VALUES
             ('odd.example', 'type1', 7), ('stranger.example', 'type9', 1)",
    );
    fixture.write("INSERT INTO domain_events (domain) VALUES ('Upper.example'), ('odd.example'), ('stranger.example')");
    let events = store.events(id(0), EventId(i64::MIN), 10).unwrap().events;
    assert_eq!(
        events.iter().map(Event::domain).collect::<Vec<_>>(),
        ["Upper.example", "odd.example", "stranger.example"]
    );
    let invalid =
        |domain: &str, reason| Row::Invalid(InvalidRow { domain: domain.into(), name: Some(name(domain)), reason });
    assert!(matches!(
        &events[0].row,
        Some(Row::Invalid(InvalidRow { name: None, reason: InvalidRowReason::InvalidDomain(_), .. }))
    ));
    assert_eq!(events[1].row, Some(invalid("odd.example", InvalidRowReason::UnknownStatus(7))));
    assert_eq!(events[2].row, Some(invalid("stranger.example", InvalidRowReason::UnknownHostType("type9".into()))));
}

fn events_come_in_order_and_no_more_than_asked_for(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[5, 3, 9, 4]);
    let events = store.events(id(3), EventId(i64::MIN), 2).unwrap();
    let expected = Events { bounds: bounds(3, 9), anchor: Some("d3.example".into()), events: vec![event(4), event(5)] };
    assert_eq!(events, expected);
}

fn the_anchor_is_the_event_at_the_cursor(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[3, 5]);
    fixture.write("INSERT INTO domain_events (id, domain) VALUES (7, '')");
    let mut anchor = |cursor| store.events(id(cursor), EventId(i64::MIN), 10).unwrap().anchor;
    assert_eq!(anchor(3).as_deref(), Some("d3.example"));
    assert_eq!(anchor(4), None);
    assert_eq!(anchor(5).as_deref(), Some("d5.example"));
    assert_eq!(anchor(7).as_deref(), Some(""));
    assert_eq!(anchor(8), None);
}

fn as_many_events_come_with_an_anchor_as_without(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[1, 3, 4, 5, 6]);
    let mut after = |cursor, limit| ids(&store.events(id(cursor), EventId(i64::MIN), limit).unwrap().events);
    for cursor in [1, 2] {
        assert!(after(cursor, 0).is_empty());
        assert_eq!(after(cursor, 1), [3]);
        assert_eq!(after(cursor, 3), [3, 4, 5]);
        assert_eq!(after(cursor, 4), [3, 4, 5, 6]);
        assert_eq!(after(cursor, u32::MAX), [3, 4, 5, 6]);
    }
}

fn any_cursor_will_do(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[1, i64::MAX]);
    let mut read = |cursor| {
        let events = store.events(id(cursor), EventId(i64::MIN), 10).unwrap();
        assert_eq!(events.bounds, bounds(1, i64::MAX));
        (events.anchor.is_some(), ids(&events.events))
    };
    assert_eq!(read(i64::MIN), (false, vec![1, i64::MAX]));
    assert_eq!(read(-1), (false, vec![1, i64::MAX]));
    assert_eq!(read(i64::MAX - 1), (false, vec![i64::MAX]));
    assert_eq!(read(i64::MAX), (true, vec![]));
}

fn a_dummy_event_counts_and_says_nothing(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write("INSERT INTO domain_events (domain) VALUES ('')");
    let dummy = Event { id: id(1), row: None };
    assert_eq!(dummy.domain(), "");
    assert_eq!(store.events(id(0), EventId(i64::MIN), 10).unwrap().events, vec![dummy.clone()]);
    assert_eq!(store.events_in(&[range(1, 1)], 10).unwrap(), [dummy]);
}

fn ranges_bring_the_events_in_them_and_no_other(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[1, 2, 3, 5, 8, 9]);
    let mut read = |ranges: &[IdRange]| {
        let mut events = store.events_in(ranges, 100).unwrap();
        events.sort_by_key(|event| event.id);
        events
    };
    assert_eq!(read(&[range(2, 2)]), [event(2)]);
    assert_eq!(read(&[range(2, 8)]), [2, 3, 5, 8].map(event));
    assert_eq!(read(&[range(9, 20), range(4, 6), range(-5, 1)]), [1, 5, 9].map(event));
    assert_eq!(read(&[range(i64::MIN, i64::MAX)]), [1, 2, 3, 5, 8, 9].map(event));
}

fn ranges_list_the_ids_in_them_and_no_other(fixture: &mut Fixture) {
    let mut store = fixture.store();
    assert_eq!(store.ids_in(&[]).unwrap(), []);
    assert_eq!(store.ids_in(&[range(1, 100)]).unwrap(), []);
    fixture.write_events(&[1, 2, 3, 5, 8, 9]);
    assert_eq!(store.ids_in(&[]).unwrap(), []);
    assert_eq!(store.ids_in(&[range(2, 3)]).unwrap(), [2, 3].map(id));
    assert_eq!(store.ids_in(&[range(-5, 1), range(4, 8), range(10, 20)]).unwrap(), [1, 5, 8].map(id));
    assert_eq!(store.ids_in(&[range(1, i64::MAX)]).unwrap(), [1, 2, 3, 5, 8, 9].map(id));
}

fn ranges_without_events_bring_nothing(fixture: &mut Fixture) {
    let mut store = fixture.store();
    assert_eq!(store.events_in(&[], 10).unwrap(), []);
    assert_eq!(store.events_in(&[range(1, 100)], 10).unwrap(), []);
    fixture.write_events(&[1, 5]);
    assert_eq!(store.events_in(&[], 10).unwrap(), []);
    assert_eq!(store.events_in(&[range(2, 4), range(6, 6)], 10).unwrap(), []);
    assert_eq!(store.events_in(&[range(1, 5)], 0).unwrap(), []);
}

fn a_wide_range_with_one_event_brings_that_one(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[1, 700_000, 2_000_000]);
    assert_eq!(store.events_in(&[range(2, 1_000_001)], 10).unwrap(), [event(700_000)]);
}

fn the_limit_is_on_all_ranges_together(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[1, 2, 3, 11, 12, 13]);
    let ranges = [range(1, 3), range(5, 6), range(11, 13)];
    for (limit, expected) in [(0, 0), (2, 2), (4, 4), (6, 6), (100, 6), (u32::MAX, 6)] {
        let mut found = ids(&store.events_in(&ranges, limit).unwrap());
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), expected, "of at most {limit}: {found:?}");
    }
}

fn one_database_has_one_identity(fixture: &mut Fixture) {
    let mut other = Fixture::like(fixture);
    let identity = |fixture: &mut Fixture| fixture.store().identity().unwrap().expect("one that is told");
    let mut store = fixture.store();
    let first = store.identity().unwrap().unwrap();
    fixture.fill(10);
    assert_eq!(identity(fixture), first);
    assert_eq!(store.identity().unwrap().unwrap(), first);
    assert_ne!(identity(&mut other), first);
}

fn an_empty_log_has_nothing_to_prune(fixture: &mut Fixture) {
    let mut store = fixture.store();
    let moment = store.position().unwrap();
    assert_eq!(moment.newest, None);
    assert_eq!(store.prune(&moment, EventId(i64::MIN), 10).unwrap().count, 0);
    fixture.write_events(&[1, 2]);
    assert_eq!(store.prune(&moment, EventId(i64::MIN), 10).unwrap().count, 0);
    assert_eq!(fixture.event_ids(), [1, 2]);
}

/// Prunes until no event of that position is left.
fn prune_all(store: &mut dyn Store, moment: &LogPosition) -> u64 {
    let mut count = 0;
    loop {
        match store.prune(moment, EventId(i64::MIN), 1000).unwrap().count {
            0 => return count,
            more => count += more,
        }
    }
}

fn what_was_there_is_pruned_but_for_the_newest(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[1, 2, 5, 7]);
    let moment = fixture.position(&mut *store);
    assert_eq!(moment.newest, Some(id(7)));
    assert_eq!(prune_all(&mut *store, &moment), 3);
    assert_eq!(fixture.event_ids(), [7]);
    let moment = fixture.position(&mut *store);
    assert_eq!(store.prune(&moment, EventId(i64::MIN), 10).unwrap().count, 0);
    assert_eq!(fixture.event_ids(), [7]);
}

fn what_came_later_stays(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[1, 2, 5]);
    let moment = fixture.position(&mut *store);
    fixture.write_events(&[6, 7]);
    assert_eq!(prune_all(&mut *store, &moment), 2);
    assert_eq!(fixture.event_ids(), [5, 6, 7]);
    assert!(store.position().unwrap().time >= moment.time);
}

fn no_more_is_pruned_than_asked_for(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[1, 2, 3, 4, 5, 6]);
    let moment = fixture.position(&mut *store);
    for (limit, pruned, left) in [(0, 0, 6), (2, 2, 4), (1, 1, 3), (10, 2, 1), (10, 0, 1)] {
        assert_eq!(store.prune(&moment, EventId(i64::MIN), limit).unwrap().count, pruned);
        assert_eq!(fixture.event_ids().len(), left);
    }
    assert_eq!(fixture.event_ids(), [6]);
}

fn a_log_that_others_pruned_is_pruned_further(fixture: &mut Fixture) {
    let mut store = fixture.store();
    fixture.write_events(&[1, 2, 3, 4]);
    let moment = fixture.position(&mut *store);
    fixture.write("DELETE FROM domain_events WHERE id IN (2, 4)");
    // The event that is the newest now stays.
    assert_eq!(prune_all(&mut *store, &moment), 1);
    assert_eq!(fixture.event_ids(), [3]);
}

fn two_who_prune_at_once_delete_everything_once(fixture: &mut Fixture) {
    const EVENTS: i64 = 2000;
    let mut stores = [fixture.store(), fixture.store()];
    let all: Vec<_> = (1..=EVENTS).collect();
    fixture.write_events(&all);
    let moment = fixture.position(&mut *stores[0]);
    let start = Barrier::new(stores.len());
    let pruned: u64 = thread::scope(|scope| {
        let pruning = stores.each_mut().map(|store| {
            scope.spawn(|| {
                start.wait();
                let mut count = 0;
                // Events that the other one is about to delete may be skipped.
                eventually(|| {
                    count += store.prune(&moment, EventId(i64::MIN), 100).unwrap().count;
                    store.events(id(0), EventId(i64::MIN), 2).unwrap().events.len() == 1
                });
                count
            })
        });
        pruning.into_iter().map(|pruning| pruning.join().unwrap()).sum()
    });
    assert_eq!(pruned, EVENTS as u64 - 1);
    assert_eq!(fixture.event_ids(), [EVENTS]);
}

// The same in different SQL for each database.

/// `literal` is the domain in SQL: the byte 255 and `.example`.
fn a_domain_that_is_no_utf8(fixture: &mut Fixture, literal: &str) {
    let mut store = fixture.store();
    fixture.write(&format!("INSERT INTO domain_events (domain) VALUES ({literal}), ({literal})"));
    fixture.write(&format!("INSERT INTO domain_settings (domain, host_type) VALUES ({literal}, 'type1')"));
    let lossy = "\u{fffd}.example";
    let events = store.events(id(1), EventId(i64::MIN), 10).unwrap();
    assert_eq!(events.anchor.as_deref(), Some(lossy));
    let some = store.events_in(&[range(2, 2)], 10).unwrap();
    assert_eq!(some, events.events);
    let row = some[0].row.clone().unwrap();
    assert!(
        matches!(&row, Row::Invalid(InvalidRow { name: None, reason: InvalidRowReason::InvalidDomain(_), .. })),
        "{row:?}"
    );
    assert_eq!(some[0].domain(), lossy);
    let mut rows = Vec::new();
    let loaded = store.load(10, 10, &mut |batch| {
        rows.extend(batch);
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!(loaded.unwrap().unwrap().newest_domain.as_deref(), Some(lossy));
    assert_eq!(rows, [row]);
}

#[test]
fn postgres_without_encoding_tells_a_domain_that_is_no_utf8() {
    a_domain_that_is_no_utf8(&mut Fixture::postgres_without_encoding(), r"E'\xff.example'");
}

#[test]
fn sqlite_tells_a_domain_that_is_no_utf8() {
    a_domain_that_is_no_utf8(&mut Fixture::sqlite(), "CAST(x'ff2e6578616d706c65' AS TEXT)");
}
