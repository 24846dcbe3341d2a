//! Comparisons with the database: what calls for one, what it repairs, what the gate keeps.

use std::time::Duration;

use domain_sync::{Evidence, Force, GateMode, Permit, Reason, Repairs, Report};

use crate::support::{Fixture, OwnerReply};

#[test]
fn a_log_that_lost_events_leads_to_a_comparison() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.enable("b.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write(
        "DELETE FROM domain_settings WHERE domain = 'a.example';
         DELETE FROM domain_events;
         INSERT INTO domain_settings (domain, host_type) VALUES ('c.example', 'type1');
         INSERT INTO domain_events (id, domain) VALUES (50, 'c.example')",
    );
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), None);
    assert_eq!(fixture.host_type("b.example"), Some("type1".into()));
    assert_eq!(fixture.host_type("c.example"), Some("type1".into()));
    fixture.expect_report(|report| matches!(report, Report::OutOfSync { .. }));
    fixture.expect_report(|report| matches!(report, Report::Converged { reason: Reason::LogTruncated, .. }));
}

#[test]
fn a_database_that_was_emptied_takes_no_route_with_it() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.enable("b.example", "type2");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write("DELETE FROM domain_settings; DELETE FROM domain_events");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()), "routes are not thrown away");
    assert_eq!(follower.status().kept, 2);
    fixture.expect_report(|report| {
        matches!(report, Report::Kept { count: 2, evidence: Some(Evidence::NoRows), host_types } if host_types.len() == 2)
    });
    // It is filled again, and half is there.
    fixture.enable("a.example", "type1");
    fixture.synced(&follower);
    let nothing = Repairs { kept: 1, ..Repairs::default() };
    assert_eq!(fixture.converge(&follower, Force::No), nothing, "the evidence holds until the host types are fresh");
    // That type1 is fresh says nothing of type2.
    fixture.fresh("type1");
    assert_eq!(fixture.converge(&follower, Force::No), nothing);
    assert_eq!(fixture.host_type("b.example"), Some("type2".into()));
    fixture.fresh("type2");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("b.example"), None);
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
    assert_eq!(follower.status().kept, 0);
}

#[test]
fn evidence_ends_when_nothing_is_kept_any_more() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.enable("b.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write("DELETE FROM domain_settings; DELETE FROM domain_events");
    fixture.synced(&follower);
    assert_eq!(follower.status().kept, 2);
    fixture.enable("a.example", "type1");
    fixture.enable("b.example", "type1");
    fixture.synced(&follower);
    assert_eq!(fixture.converge(&follower, Force::No), Repairs::default());
    // What is missing from here on was deleted, and not lost.
    fixture.write("DELETE FROM domain_settings WHERE domain = 'a.example'");
    assert_eq!(fixture.converge(&follower, Force::No), Repairs { removed: 1, ..Repairs::default() });
    assert_eq!(fixture.host_type("a.example"), None);
}

#[test]
fn an_explicit_event_is_applied_whatever_is_kept() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    fixture.enable("b.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write("DELETE FROM domain_settings; DELETE FROM domain_events");
    fixture.synced(&follower);
    fixture.change("SELECT 1", "a.example");
    fixture.synced(&follower);
    assert_eq!(fixture.host_type("a.example"), None);
    assert_eq!(fixture.host_type("b.example"), Some("type1".into()));
}

#[test]
fn a_forced_comparison_removes_what_was_kept() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write("DELETE FROM domain_settings; DELETE FROM domain_events");
    fixture.synced(&follower);
    let repairs = Repairs { removed: 1, ..Repairs::default() };
    assert_eq!(fixture.converge(&follower, Force::Yes), repairs);
    assert_eq!(fixture.host_type("a.example"), None);
}

#[test]
fn what_a_comparison_removes_is_the_gates_choice() {
    for (mode, left) in [(GateMode::Off, None), (GateMode::OnLoss, None), (GateMode::Always, Some("type1".into()))] {
        let mut fixture = Fixture::new();
        fixture.options.gate.mode = mode;
        fixture.enable("a.example", "type1");
        fixture.enable("b.example", "type1");
        let follower = fixture.start(OwnerReply::Always(Permit::Granted));
        fixture.synced(&follower);
        fixture.write("DELETE FROM domain_settings WHERE domain = 'a.example'");
        fixture.converge(&follower, Force::No);
        assert_eq!(fixture.host_type("a.example"), left, "{mode:?}");
        fixture.write("DELETE FROM domain_settings; DELETE FROM domain_events");
        fixture.synced(&follower);
        let expected = if mode == GateMode::Off { None } else { Some("type1".into()) };
        assert_eq!(fixture.host_type("b.example"), expected, "{mode:?}");
    }
}

#[test]
fn a_comparison_repairs_changes_without_events_and_reports_them() {
    let mut fixture = Fixture::new();
    for domain in ["a.example", "b.example", "c.example"] {
        fixture.enable(domain, "type1");
    }
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write("DELETE FROM domain_settings WHERE domain = 'a.example'");
    fixture.write("UPDATE domain_settings SET host_type = 'type2' WHERE domain = 'b.example'");
    fixture.write("INSERT INTO domain_settings (domain, host_type) VALUES ('d.example', 'type1')");
    // This change has an event, so it is no repair.
    fixture.enable("e.example", "type1");
    assert_eq!(fixture.converge(&follower, Force::No), Repairs { added: 1, changed: 1, removed: 1, kept: 0 });
    for (domain, host_type) in
        [("a.example", None), ("b.example", Some("type2")), ("d.example", Some("type1")), ("e.example", Some("type1"))]
    {
        assert_eq!(fixture.host_type(domain).as_deref(), host_type);
    }
    assert_eq!(fixture.converge(&follower, Force::No), Repairs::default());
}

#[test]
fn the_table_is_compared_periodically() {
    let mut fixture = Fixture::new();
    fixture.options.converge_interval = Duration::from_millis(10);
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    fixture.write("INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1')");
    fixture.until_reported(|report| {
        let repairs = Repairs { added: 1, ..Repairs::default() };
        matches!(report, Report::Converged { reason: Reason::Periodic, repairs: reported, .. } if *reported == repairs)
    });
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()));
}

#[test]
fn another_file_in_the_databases_place_is_another_database() {
    let mut fixture = Fixture::new();
    fixture.enable("a.example", "type1");
    let follower = fixture.start(OwnerReply::Always(Permit::Granted));
    fixture.synced(&follower);
    // The same rows and events but one, as if from an old copy.
    fixture.replace_database(
        "DELETE FROM domain_settings; INSERT INTO domain_settings (domain, host_type) VALUES ('b.example', 'type1')",
    );
    while fixture.sync(&follower).is_err() {}
    assert_eq!(fixture.host_type("b.example"), Some("type1".into()));
    assert_eq!(fixture.host_type("a.example"), Some("type1".into()), "kept: this may be an old copy");
    fixture.expect_report(|report| matches!(report, Report::OtherDatabase { .. }));
    fixture.expect_report(|report| matches!(report, Report::Kept { evidence: Some(Evidence::OtherDatabase), .. }));
}
