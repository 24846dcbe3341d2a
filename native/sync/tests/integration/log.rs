//! The log of events where it is not what it was: ids that are inserted by hand, jump, or run backwards; pruning.

use std::time::Duration;

use domain_sync::{Evidence, Permit, PruneOptions, Report};

use crate::support::{Fixture, OwnerReply};

#[test]
fn ids_inserted_by_hand_below_the_oldest_and_into_gaps_are_followed() {
    let mut fixture = Fixture::new();
    fixture.write("INSERT INTO domain_events (id, domain) VALUES (100, ''), (200, '')");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    for (id, domain) in [(50, "a.example"), (40, "b.example"), (45, "c.example"), (150, "d.example"), (-7, "e.example")]
    {
        fixture.write(&format!("INSERT INTO domain_settings (domain, host_type) VALUES ('{domain}', 'type1')"));
        fixture.write(&format!("INSERT INTO domain_events (id, domain) VALUES ({id}, '{domain}')"));
        fixture.synced(&follower);
        assert_eq!(fixture.host_type(domain), Some("type1".into()), "{id}");
    }
    assert_eq!(follower.status().loads, 1, "nothing was compared for it");
}

#[test]
fn a_jump_of_the_ids_is_followed() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write("INSERT INTO domain_settings (domain, host_type) VALUES ('b.example', 'type1')");
    fixture.write("INSERT INTO domain_events (id, domain) VALUES (1000000000000, 'b.example')");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("b.example"), Some("type1".into()));
    assert_eq!((follower.status().loads, follower.status().events), (1, 1));
}

#[test]
fn a_log_whose_last_event_is_another_one_is_another_log() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.enable("b.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    // As after a restore: the ids went on, but not from where they were.
    fixture.write("DELETE FROM domain_settings WHERE domain = 'b.example'");
    fixture.write("UPDATE domain_events SET domain = 'a.example' WHERE id = 2");
    fixture.enable("c.example", "type1");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("b.example"), Some("type1".into()));
    assert_eq!(fixture.host_type("c.example"), Some("type1".into()));
    fixture.expect_report(|report| matches!(report, Report::Kept { evidence: Some(Evidence::IdsBackwards), .. }));
}

#[test]
fn old_events_are_pruned_by_the_databases_clock_and_the_newest_stays() {
    let mut fixture = Fixture::new();
    fixture.options.pruning = PruneOptions { interval: Duration::from_millis(1), max_age: Duration::from_millis(20) };
    for n in 0..10 {
        fixture.enable(&format!("d{n}.example"), "type1");
    }
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    while fixture.events() > 1 {
        fixture.synced(&follower);
    }
    fixture.enable("a.example", "type1");
    while fixture.events() > 1 {
        fixture.synced(&follower);
    }
    for _ in 0..100 {
        fixture.synced(&follower);
    }
    assert_eq!(fixture.events(), 1);
    assert_eq!(fixture.table.counts().dynamic, 11);
    assert_eq!(follower.status().loads, 1);
}

#[test]
fn a_log_that_was_empty_may_begin_with_any_id() {
    let mut fixture = Fixture::new();
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write("INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1')");
    fixture.write("INSERT INTO domain_events (id, domain) VALUES (500, 'a.example')");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
    assert!(!fixture.reports().iter().any(|report| matches!(report, Report::OutOfSync { .. })));
}

#[test]
fn ids_that_ran_backwards_lead_to_a_load() {
    let mut fixture = Fixture::new();
    for domain in ["a.example", "b.example", "c.example"] {
        fixture.enable(domain, "type1");
    }
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write(
        "DELETE FROM domain_events WHERE id > 1;
         INSERT INTO domain_settings (domain, host_type) VALUES ('d.example', 'type1')",
    );
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("d.example"), Some("type1".into()));
    fixture.expect_report(|report| matches!(report, Report::OutOfSync { .. }));
}
