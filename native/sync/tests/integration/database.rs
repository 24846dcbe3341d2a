//! Rows that cannot be used, and a database that is away or another one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_core::DomainName;
use domain_store::{Activation, IdentityMatch, NewDomain};
use domain_sync::{Permit, Report, RowWarning, State};

use crate::support::{Fixture, OwnerReply};

#[test]
fn a_bad_row_is_reported_once_and_stops_nothing() {
    let mut fixture = Fixture::new();
    fixture.write(
        "INSERT INTO domain_settings (domain, host_type, status) VALUES
             ('stranger.example', 'type9', 1), ('Upper.example', 'type1', 1), ('odd.example', 'type1', 7),
             ('static.example', 'type1', 1), ('good.example', 'type1', 1)",
    );
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("good.example"), Some("type1".into()));
    assert_eq!(fixture.host_type("static.example"), Some("static".into()));
    assert_eq!(fixture.warnings(), ["Upper.example", "odd.example", "static.example", "stranger.example"]);

    for domain in ["stranger.example", "Upper.example", "odd.example", "static.example"] {
        fixture.change("SELECT 1", domain);
    }
    fixture.open();
    fixture.table.reset_progress();
    fixture.synced(&follower);
    // A table that was opened anew may have other rules, so the warnings are given again.
    assert_eq!(fixture.warnings(), ["Upper.example", "odd.example", "static.example", "stranger.example"]);
    for domain in ["stranger.example", "Upper.example", "odd.example", "static.example"] {
        fixture.change("SELECT 1", domain);
    }
    fixture.synced(&follower);
    assert_eq!(fixture.warnings(), Vec::<String>::new());
}

#[test]
fn a_row_that_turns_bad_loses_its_route() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.enable("b.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.change("UPDATE domain_settings SET host_type = 'type9' WHERE domain = 'a.example'", "a.example");
    fixture.change("UPDATE domain_settings SET status = 9 WHERE domain = 'b.example'", "b.example");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), None);
    assert_eq!(fixture.host_type("b.example"), None);
    assert_eq!(fixture.warnings(), ["a.example", "b.example"]);
}

#[test]
fn a_host_type_that_is_known_but_not_allowed_is_a_bad_row() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "static");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), None);
    fixture.expect_report(|report| {
        let (domain, host_type) = ("a.example".to_owned(), "static".to_owned());
        *report == Report::RowWarning(RowWarning::UnknownHostType { domain, host_type })
    });
}

#[test]
fn an_absent_database_is_reported_once_and_used_when_it_comes() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.hide_database();
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    for _ in 0..3 {
        assert!(fixture.sync(&follower).is_err());
    }
    assert_eq!(follower.status().state, State::Away);
    assert!(follower.status().last_error.is_some());
    assert_eq!(fixture.host_type("static.example"), Some("static".into()));
    fixture.show_database();
    while fixture.sync(&follower).is_err() {}
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
    let away = |report: &Report| matches!(report, Report::Away { .. });
    assert_eq!(fixture.reports().iter().filter(|report| away(report)).count(), 1);
    assert_eq!(fixture.reports().iter().filter(|report| **report == Report::Back).count(), 1);
}

#[test]
fn an_event_is_found_in_the_log_that_is_followed_and_in_no_other() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    // The first is found in the log, since it was there before the follower; the second was read.
    assert_eq!(fixture.find(&follower, 1), domain_sync::Response::Synced);
    fixture.enable("b.example", "type1");
    assert_eq!(fixture.find(&follower, 2), domain_sync::Response::Synced);
    assert_eq!(fixture.host_type("b.example"), Some("type1".into()));
    assert_eq!(fixture.find(&follower, 3), domain_sync::Response::Missing);
}

#[test]
fn a_writer_in_another_database_makes_the_follower_connect_anew() {
    let mut fixture = Fixture::new();
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.replace_database("");
    let database = fixture.database();
    let mut writer = database.connect_writer(Arc::default()).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let identity = writer.identity(until).unwrap();
    assert_eq!(fixture.followed.compare(identity.as_ref()), IdentityMatch::Different);
    assert_eq!(fixture.followed.ensure_followed(identity.as_ref(), until), Ok(()));
    let domain = DomainName::new("a.example").unwrap();
    writer
        .insert(
            &[NewDomain { domain: &domain, host_type: "type1", status: Activation::Enabled, subdomains: &[] }],
            until,
        )
        .unwrap();
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
    assert!(!fixture.reports().iter().any(|report| matches!(report, Report::Away { .. })));
}
