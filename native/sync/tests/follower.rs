//! The follower on SQLite: what it requests of its owner, when it changes the table, how it ends.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_core::{DomainName, Progress};
use domain_store::{Activation, IdentityMatch, NewDomain};
use domain_sync::{Ended, Evidence, Force, GateMode, Permit, PruneOptions, Reason, Repairs, Report, RowWarning, State};
use support::{Fixture, Message, OwnerReply};

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
    fixture.open();
    assert_eq!(fixture.host_type("a.example"), None);
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
fn an_explicit_event_is_obeyed_whatever_is_kept() {
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
