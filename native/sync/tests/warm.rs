//! A follower that starts while its database is away, and the file that it serves from.

mod support;

use std::time::Duration;

use domain_sync::{Leave, Reason, Report, State};
use support::{Answer, Bench};

/// A node that served two domains and was stopped.
fn stopped() -> Bench {
    let mut bench = Bench::new();
    bench.use_snapshots();
    bench.enable("a.example", "type1");
    bench.enable("b.example", "type2");
    let follower = bench.start(Answer::Always(Leave::Granted));
    bench.synced(&follower);
    bench.stop(&follower);
    bench.crash();
    bench
}

#[test]
fn a_node_serves_from_its_file_while_the_database_is_away() {
    let mut bench = stopped();
    bench.hide_database();
    let follower = bench.start(Answer::Always(Leave::Granted));
    bench.until_reported(|report| matches!(report, Report::SnapshotLoaded { count: 2, .. }));
    assert_eq!(bench.host_type("a.example"), Some("type1".into()));
    assert_eq!(bench.host_type("b.example"), Some("type2".into()));
    assert_eq!(bench.host_type("static.example"), Some("static".into()));
    while follower.status().state != State::Away {
        assert!(bench.sync(&follower).is_err());
    }
    assert!(follower.status().stale);
    assert_eq!(follower.status().cursor, Some(domain_core::EventId(2)));
}

#[test]
fn then_it_follows_on_and_compares() {
    let mut bench = stopped();
    bench.hide_database();
    let follower = bench.start(Answer::Always(Leave::Granted));
    assert!(bench.sync(&follower).is_err());
    bench.show_database();
    bench.change("DELETE FROM domain_settings WHERE domain = 'a.example'", "a.example");
    bench.write("INSERT INTO domain_settings (domain, host_type) VALUES ('silent.example', 'type1')");
    while bench.sync(&follower).is_err() {}
    assert_eq!(bench.host_type("a.example"), None);
    assert_eq!(bench.host_type("b.example"), Some("type2".into()));
    assert_eq!(bench.host_type("silent.example"), Some("type1".into()));
    assert!(!follower.status().stale);
    assert_eq!((follower.status().loads, follower.status().events), (1, 1));
    bench.expect_report(|report| matches!(report, Report::Converged { reason: Reason::WarmStart, .. }));
}

#[test]
fn a_database_that_was_emptied_meanwhile_takes_no_route_with_it() {
    let mut bench = stopped();
    bench.write("DELETE FROM domain_settings; DELETE FROM domain_events");
    let follower = bench.start(Answer::Always(Leave::Granted));
    bench.synced(&follower);
    assert_eq!(bench.host_type("a.example"), Some("type1".into()));
    assert_eq!(follower.status().kept, 2);
    // Nor when it happens again.
    bench.stop(&follower);
    bench.crash();
    bench.enable("c.example", "type1");
    let follower = bench.start(Answer::Always(Leave::Granted));
    bench.synced(&follower);
    assert_eq!((bench.table.counts().dynamic, follower.status().kept), (3, 2));
    bench.fresh("type1");
    bench.synced(&follower);
    assert_eq!((bench.host_type("a.example"), bench.host_type("b.example")), (None, Some("type2".into())));
}

#[test]
fn holes_are_remembered() {
    let mut bench = Bench::new();
    bench.use_snapshots();
    bench.write("INSERT INTO domain_events (id, domain) VALUES (1, ''), (10, '')");
    let follower = bench.start(Answer::Always(Leave::Granted));
    bench.synced(&follower);
    bench.stop(&follower);
    bench.crash();
    let follower = bench.start(Answer::Always(Leave::Granted));
    bench.synced(&follower);
    bench.write("INSERT INTO domain_settings (domain, host_type) VALUES ('late.example', 'type1')");
    bench.write("INSERT INTO domain_events (id, domain) VALUES (5, 'late.example')");
    bench.synced(&follower);
    assert_eq!(bench.host_type("late.example"), Some("type1".into()));
    assert_eq!(follower.status().loads, 1);
}

#[test]
fn a_file_that_is_of_no_use_is_refused_and_the_database_is_loaded() {
    let mut bench = stopped();
    let file = bench.use_snapshots();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let follower = bench.start(Answer::Always(Leave::Granted));
    bench.synced(&follower);
    bench.expect_report(|report| matches!(report, Report::SnapshotRefused { error, .. } if error.contains("damaged")));
    assert_eq!(bench.host_type("a.example"), Some("type1".into()));
    bench.expect_report(|report| matches!(report, Report::Loaded { count: 2, .. }));
    // The next one replaces it.
    bench.stop(&follower);
    bench.crash();
    bench.hide_database();
    bench.start(Answer::Always(Leave::Granted));
    bench.until_reported(|report| matches!(report, Report::SnapshotLoaded { count: 2, .. }));
}

#[test]
fn a_file_that_is_something_else_is_refused_and_left_alone() {
    let mut bench = Bench::new();
    let file = bench.use_snapshots();
    std::fs::write(&file, "a letter to my aunt").unwrap();
    bench.enable("a.example", "type1");
    let follower = bench.start(Answer::Always(Leave::Granted));
    bench.synced(&follower);
    bench.stop(&follower);
    bench.expect_report(|report| matches!(report, Report::SnapshotRefused { .. }));
    assert_eq!(std::fs::read(&file).unwrap(), b"a letter to my aunt");
}

#[test]
fn a_file_that_cannot_be_written_is_reported_once() {
    let mut bench = Bench::new();
    let file = bench.use_snapshots();
    std::fs::create_dir(file.with_extension("snapshot.new")).unwrap();
    bench.options.warm_start.as_mut().unwrap().interval = Duration::from_millis(1);
    let follower = bench.start(Answer::Always(Leave::Granted));
    for n in 0..10 {
        bench.enable(&format!("d{n}.example"), "type1");
        bench.synced(&follower);
    }
    bench.until_reported(|report| matches!(report, Report::SnapshotFailed { .. }));
    bench.stop(&follower);
    let failed = |report: &&Report| matches!(report, Report::SnapshotFailed { .. });
    assert_eq!(bench.reports().iter().filter(failed).count(), 1);
    assert_eq!(bench.table.counts().dynamic, 10);
}

#[test]
fn the_file_is_written_every_so_often() {
    let mut bench = Bench::new();
    let file = bench.use_snapshots();
    bench.options.warm_start.as_mut().unwrap().interval = Duration::from_millis(1);
    bench.enable("a.example", "type1");
    let follower = bench.start(Answer::Always(Leave::Granted));
    while !file.exists() {
        bench.synced(&follower);
    }
}
