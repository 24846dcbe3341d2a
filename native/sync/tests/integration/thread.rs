//! The follower's thread: what it requests of its owner, when it changes the table, how it ends and hands over.

use domain_core::Progress;
use domain_sync::{Ended, Permit, Report, State};

use crate::support::{Fixture, Message, OwnerReply};

#[test]
fn it_loads_and_then_follows() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));

    fixture.enable("b.example", "type2");
    fixture.change("UPDATE domain_settings SET host_type = 'type2' WHERE domain = 'a.example'", "a.example");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), Some("type2".into()));
    assert_eq!(fixture.host_type("b.example"), Some("type2".into()));

    fixture.change("UPDATE domain_settings SET status = 0 WHERE domain = 'a.example'", "a.example");
    fixture.change("DELETE FROM domain_settings WHERE domain = 'b.example'", "b.example");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), None);
    assert_eq!(fixture.host_type("b.example"), None);

    let status = follower.status();
    assert_eq!((status.state, status.loads, status.events), (State::Following, 1, 4));
}

#[test]
fn an_event_that_is_applied_twice_changes_nothing() {
    let mut fixture = Fixture::new();
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.enable("a.example", "type1");
    fixture.write("INSERT INTO domain_events (domain) SELECT 'a.example' FROM domain_events");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
    assert_eq!(fixture.table.counts().dynamic, 1);
}

#[test]
fn more_events_than_a_page_are_followed_to_the_end() {
    let mut fixture = Fixture::new();
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    let numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)";
    fixture.write(&format!(
        "{numbers} INSERT INTO domain_settings (domain, host_type) SELECT 't' || n || '.example', 'type1' FROM n;
         INSERT INTO domain_events (domain) SELECT domain FROM domain_settings"
    ));
    fixture.synced(&follower);
    assert_eq!(fixture.table.counts().dynamic, 3000);
    assert_eq!(follower.status().events, 3000);
}

#[test]
fn nothing_is_applied_without_a_permit() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Requested));
    fixture.expect(Message::PermitRequest);
    assert_eq!(fixture.host_type("a.example"), None);
    follower.grant();
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
}

#[test]
fn a_stop_ends_the_wait_for_a_permit_and_nothing_is_applied() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Requested));
    fixture.expect(Message::PermitRequest);
    follower.stop();
    fixture.expect(Message::Ended(Ended::Stopped));
    assert_eq!(fixture.host_type("a.example"), None);
    assert_eq!(follower.status().state, State::Ended);
}

#[test]
fn an_owner_that_is_gone_ends_the_thread() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.start(OwnerReply::Always(Permit::Gone));
    fixture.expect(Message::Ended(Ended::Stopped));
    assert_eq!(fixture.host_type("a.example"), None);
}

#[test]
fn a_panic_ends_the_thread_and_is_reported() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.start(OwnerReply::Panic);
    fixture.expect(Message::Ended(Ended::Panicked("on purpose".into())));
}

#[test]
fn the_next_follower_goes_on_where_the_last_one_was() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    let first = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&first);
    first.stop();
    fixture.expect(Message::Ended(Ended::Stopped));
    // This row has no event, so only a load would find it.
    fixture.write("INSERT INTO domain_settings (domain, host_type) VALUES ('silent.example', 'type1')");
    fixture.enable("b.example", "type1");

    let second = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&second);
    assert_eq!(second.status().loads, 0);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
    assert_eq!(fixture.host_type("b.example"), Some("type1".into()));
    assert_eq!(fixture.host_type("silent.example"), None);
}

#[test]
fn a_follower_that_is_stopped_while_it_waits_for_the_lock_ends() {
    let mut fixture = Fixture::new();
    let first = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&first);
    let second = fixture.start(OwnerReply::Always(Permit::Granted));
    second.stop();
    fixture.expect(Message::Ended(Ended::Stopped));
    assert_eq!(second.status().state, State::Ended);
    // The first one goes on.
    fixture.enable("a.example", "type1");
    fixture.synced(&first);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
}

#[test]
fn a_second_follower_waits_until_the_first_has_gone() {
    let mut fixture = Fixture::new();
    let first = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&first);
    let second = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.enable("a.example", "type1");
    fixture.synced(&first);
    assert_eq!(second.status().loads + second.status().events, 0);
    first.stop();
    fixture.expect(Message::Ended(Ended::Stopped));
    fixture.enable("b.example", "type1");
    fixture.synced(&second);
    assert_eq!(fixture.host_type("b.example"), Some("type1".into()));
    assert_eq!(second.status().events, 1);
}

#[test]
fn emptying_the_table_leads_to_a_new_load() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    // The follower may load the table again before it is asked to.
    fixture.open();
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
    assert_eq!(follower.status().loads, 2);
}

#[test]
fn a_closed_table_is_left_alone() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.table.close();
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    assert_eq!(follower.status().loads, 0);
    assert_eq!(fixture.table.progress().1, Progress::Closed);
}

#[test]
fn a_reset_removes_what_the_load_does_not_bring() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.enable("b.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    // The row is gone without an event.
    fixture.write("DELETE FROM domain_settings WHERE domain = 'a.example'");
    fixture.table.reset_progress();
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), None);
    assert_eq!(fixture.host_type("b.example"), Some("type1".into()));
    fixture.expect_report(|report| *report == Report::OutdatedRemoved { count: 1 });
}
