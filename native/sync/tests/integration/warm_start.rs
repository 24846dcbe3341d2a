//! A follower that starts while its database is away, and the snapshot file that it serves from.

use std::time::Duration;

use domain_sync::{Permit, Reason, Report, State};

use crate::support::{Fixture, OwnerReply};

/// A node that served two domains and was stopped.
fn stopped() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.use_snapshots();
    fixture.enable("a.example", "type1");
    fixture.enable("b.example", "type2");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.stop(&follower);
    fixture.crash();
    fixture
}

#[test]
fn a_node_serves_from_its_file_while_the_database_is_away() {
    let mut fixture = stopped();
    fixture.hide_database();
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.until_reported(|report| matches!(report, Report::SnapshotLoaded { count: 2, .. }));
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
    assert_eq!(fixture.host_type("b.example"), Some("type2".into()));
    assert_eq!(fixture.host_type("static.example"), Some("static".into()));
    while follower.status().state != State::Away {
        assert!(fixture.sync(&follower).is_err());
    }
    assert!(follower.status().stale);
    assert_eq!(follower.status().cursor, Some(domain_core::EventId(2)));
}

#[test]
fn then_it_follows_on_and_compares() {
    let mut fixture = stopped();
    fixture.hide_database();
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    assert!(fixture.sync(&follower).is_err());
    fixture.show_database();
    fixture.change("DELETE FROM domain_settings WHERE domain = 'a.example'", "a.example");
    fixture.write("INSERT INTO domain_settings (domain, host_type) VALUES ('silent.example', 'type1')");
    while fixture.sync(&follower).is_err() {}
    assert_eq!(fixture.host_type("a.example"), None);
    assert_eq!(fixture.host_type("b.example"), Some("type2".into()));
    assert_eq!(fixture.host_type("silent.example"), Some("type1".into()));
    assert!(!follower.status().stale);
    assert_eq!((follower.status().loads, follower.status().events), (1, 1));
    fixture.expect_report(|report| matches!(report, Report::Converged { reason: Reason::WarmStart, .. }));
}

#[test]
fn a_database_that_was_emptied_meanwhile_takes_no_route_with_it() {
    let mut fixture = stopped();
    fixture.write("DELETE FROM domain_settings; DELETE FROM domain_events");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
    assert_eq!(follower.status().kept, 2);
    // Nor when it happens again.
    fixture.stop(&follower);
    fixture.crash();
    fixture.enable("c.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    assert_eq!((fixture.table.counts().dynamic, follower.status().kept), (3, 2));
    fixture.fresh("type1");
    fixture.synced(&follower);
    assert_eq!((fixture.host_type("a.example"), fixture.host_type("b.example")), (None, Some("type2".into())));
}

#[test]
fn gaps_are_remembered() {
    let mut fixture = Fixture::new();
    fixture.use_snapshots();
    fixture.write("INSERT INTO domain_events (id, domain) VALUES (1, ''), (10, '')");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.stop(&follower);
    fixture.crash();
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write("INSERT INTO domain_settings (domain, host_type) VALUES ('late.example', 'type1')");
    fixture.write("INSERT INTO domain_events (id, domain) VALUES (5, 'late.example')");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("late.example"), Some("type1".into()));
    assert_eq!(follower.status().loads, 1);
}

#[test]
fn an_unusable_file_is_refused_and_the_database_is_loaded() {
    let mut fixture = stopped();
    let file = fixture.use_snapshots();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture
        .expect_report(|report| matches!(report, Report::SnapshotRefused { error, .. } if error.contains("damaged")));
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
    fixture.expect_report(|report| matches!(report, Report::Loaded { count: 2, .. }));
    // The next one replaces it.
    fixture.stop(&follower);
    fixture.crash();
    fixture.hide_database();
    fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.until_reported(|report| matches!(report, Report::SnapshotLoaded { count: 2, .. }));
}

#[test]
fn a_file_that_is_something_else_is_refused_and_left_alone() {
    let mut fixture = Fixture::new();
    let file = fixture.use_snapshots();
    std::fs::write(&file, "not a snapshot").unwrap();
    fixture.enable("a.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.stop(&follower);
    fixture.expect_report(|report| matches!(report, Report::SnapshotRefused { .. }));
    assert_eq!(std::fs::read(&file).unwrap(), b"not a snapshot");
}

#[test]
fn a_file_that_cannot_be_written_is_reported_once() {
    let mut fixture = Fixture::new();
    let file = fixture.use_snapshots();
    std::fs::create_dir(file.with_extension("snapshot.new")).unwrap();
    fixture.options.warm_start.as_mut().unwrap().interval = Duration::from_millis(1);
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    for n in 0..10 {
        fixture.enable(&format!("d{n}.example"), "type1");
        fixture.synced(&follower);
    }
    fixture.until_reported(|report| matches!(report, Report::SnapshotFailed { .. }));
    fixture.stop(&follower);
    let failed = |report: &&Report| matches!(report, Report::SnapshotFailed { .. });
    assert_eq!(fixture.reports().iter().filter(failed).count(), 1);
    assert_eq!(fixture.table.counts().dynamic, 10);
}

#[test]
fn the_file_is_written_at_an_interval() {
    let mut fixture = Fixture::new();
    let file = fixture.use_snapshots();
    fixture.options.warm_start.as_mut().unwrap().interval = Duration::from_millis(1);
    fixture.enable("a.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    while !file.exists() {
        fixture.synced(&follower);
    }
}
