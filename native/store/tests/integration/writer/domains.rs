//! Domains: additions, changes of the status, listings.

use super::*;

on_every_database! {
    writers_that_open_an_empty_database_together_all_succeed
    a_new_domain_gets_an_enabled_row_and_one_event
    a_row_that_is_there_is_left_as_it_is_and_reported
    a_batch_is_answered_in_its_order
    a_batch_of_a_thousand_is_added_at_once
    an_empty_batch_changes_nothing
    a_switch_finds_no_row
    a_switch_of_another_nodes_host_type_is_refused
    a_switch_of_a_domain_in_removal_is_refused
    a_switch_to_what_is_so_already_changes_nothing
    a_switch_that_changes_something_writes_one_event
    of_two_equal_switches_at_once_one_changes_something
    settings_say_what_the_row_says
    pages_visit_every_row_once_and_in_order
    a_page_may_begin_after_a_domain_that_is_not_there
    a_listing_keeps_to_each_filter_and_to_all_of_them
    a_prefix_is_taken_literally
    a_change_whose_event_is_refused_changes_nothing
    changes_are_told_with_what_the_rows_say_now
    a_survey_counts_the_rows_of_each_host_type
    a_domain_is_added_with_the_status_that_it_is_to_have
}

fn writers_that_open_an_empty_database_together_all_succeed(fixture: &mut Fixture) {
    let opener = &fixture.opener;
    thread::scope(|scope| {
        for opening in (0..4).map(|_| scope.spawn(|| opener.connect_writer().map(drop))).collect::<Vec<_>>() {
            opening.join().unwrap().unwrap();
        }
    });
}

fn a_new_domain_gets_an_enabled_row_and_one_event(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let longest = "a".repeat(DomainName::MAX_BYTES);
    for (place, domain) in ["a.example", "пример.рф", "it's.example", LONG, &longest].into_iter().enumerate() {
        let inserted = insert(&mut *writer, &[(domain, "type1")]).unwrap();
        assert_eq!(inserted.len(), 1);
        assert_eq!(events(fixture).last(), Some(&event(added(&inserted[0]), domain)));
        assert!(rows(fixture)[place].ends_with(&format!(" {domain} type1 1")));
        assert_eq!((rows(fixture).len(), events(fixture).len()), (place + 1, place + 1));
    }
}

fn a_row_that_is_there_is_left_as_it_is_and_reported(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for (status, known) in [(0, Status::Disabled), (1, Status::Enabled), (2, Status::Deleting), (7, Status::Unknown(7))]
    {
        let domain = format!("d{status}.example");
        put_row(fixture, &domain, "type1", status);
        let before = rows(fixture);
        for host_type in ["type1", "type2"] {
            let inserted = insert(&mut *writer, &[(&domain, host_type)]).unwrap();
            assert_eq!(inserted, [InsertOutcome::Exists(settings("type1", known))]);
        }
        assert_eq!(rows(fixture), before);
    }
    assert_eq!(events(fixture), [""; 0]);
}

fn a_batch_is_answered_in_its_order(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "m.example", "type2", 0);
    let pairs = [("z.example", "type1"), ("m.example", "type1"), ("a.example", "type2"), ("k.example", "type1")];
    let inserted = insert(&mut *writer, &pairs).unwrap();
    assert_eq!(inserted.len(), 4);
    assert_eq!(inserted[1], InsertOutcome::Exists(settings("type2", Status::Disabled)));
    let mut expected: Vec<_> = [0, 2, 3].map(|place| (added(&inserted[place]), pairs[place].0)).into();
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(id, domain)| event(id, domain)).collect();
    assert_eq!(events(fixture), expected);
    let found = fixture.read("SELECT domain || ' ' || host_type || ' ' || status FROM domain_settings");
    let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
    let expected = ["a.example type2 1", "k.example type1 1", "m.example type2 0", "z.example type1 1"];
    assert_eq!(found, expected.into());
}

fn a_batch_of_a_thousand_is_added_at_once(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let domains: Vec<_> = (0..1000).map(|n| format!("tenant-{n}.example")).collect();
    let pairs: Vec<_> = domains.iter().map(|domain| (domain.as_str(), "type1")).collect();
    let inserted = insert(&mut *writer, &pairs).unwrap();
    let mut expected: Vec<_> = inserted.iter().map(added).zip(&domains).collect();
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(id, domain)| event(id, domain)).collect();
    assert_eq!(events(fixture), expected);
    assert_eq!(rows(fixture).len(), 1000);
}

fn an_empty_batch_changes_nothing(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(insert(&mut *writer, &[]).unwrap(), []);
    assert_eq!((rows(fixture).len(), events(fixture).len()), (0, 0));
}

fn a_switch_finds_no_row(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for wanted in [Activation::Enabled, Activation::Disabled] {
        assert_eq!(set_status(&mut *writer, "a.example", wanted, ALLOWED), SetStatusOutcome::NotFound);
    }
    assert_eq!((rows(fixture).len(), events(fixture).len()), (0, 0));
}

fn a_switch_of_another_nodes_host_type_is_refused(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type9", 1);
    for allowed in [ALLOWED, &[]] {
        for wanted in [Activation::Enabled, Activation::Disabled] {
            assert_eq!(set_status(&mut *writer, "a.example", wanted, allowed), SetStatusOutcome::UnknownHostType);
        }
    }
    assert_eq!(rows(fixture), ["1 a.example type9 1"]);
    assert_eq!(events(fixture).len(), 0);
}

fn a_switch_of_a_domain_in_removal_is_refused(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type1", 2);
    for wanted in [Activation::Enabled, Activation::Disabled] {
        assert_eq!(set_status(&mut *writer, "a.example", wanted, ALLOWED), SetStatusOutcome::Deleting);
    }
    assert_eq!(rows(fixture), ["1 a.example type1 2"]);
    assert_eq!(events(fixture).len(), 0);
}

fn a_switch_to_what_is_so_already_changes_nothing(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "off.example", "type1", 0);
    put_row(fixture, "on.example", "type1", 1);
    assert_eq!(set_status(&mut *writer, "off.example", Activation::Disabled, ALLOWED), SetStatusOutcome::Unchanged);
    assert_eq!(set_status(&mut *writer, "on.example", Activation::Enabled, ALLOWED), SetStatusOutcome::Unchanged);
    assert_eq!(rows(fixture), ["1 off.example type1 0", "2 on.example type1 1"]);
    assert_eq!(events(fixture).len(), 0);
}

fn a_switch_that_changes_something_writes_one_event(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type2", 1);
    put_row(fixture, "odd.example", "type1", 7);
    put_row(fixture, "other.example", "type1", 1);
    let mut expected = Vec::new();
    for (domain, wanted) in
        [("a.example", Activation::Disabled), ("a.example", Activation::Enabled), ("odd.example", Activation::Disabled)]
    {
        match set_status(&mut *writer, domain, wanted, ALLOWED) {
            SetStatusOutcome::Changed(id, _) => expected.push(event(id, domain)),
            other => panic!("{domain} {wanted:?}: {other:?}"),
        }
        assert_eq!(events(fixture), expected);
    }
    assert_eq!(rows(fixture), ["1 a.example type2 1", "2 odd.example type1 0", "3 other.example type1 1"]);
}

fn of_two_equal_switches_at_once_one_changes_something(fixture: &mut Fixture) {
    const ROUNDS: usize = 50;
    let mut writers = [fixture.writer(), fixture.writer()];
    put_row(fixture, "a.example", "type1", 1);
    let start = Barrier::new(2);
    let switch = |writer: &mut Box<dyn Writer>| -> Vec<SetStatusOutcome> {
        let wanted = [Activation::Disabled, Activation::Enabled].into_iter().cycle().take(ROUNDS);
        let switched = wanted.map(|wanted| {
            start.wait();
            set_status(&mut **writer, "a.example", wanted, ALLOWED)
        });
        switched.collect()
    };
    let [one, two] = writers.each_mut();
    let (one, two) = thread::scope(|scope| {
        let two = scope.spawn(|| switch(two));
        (switch(one), two.join().unwrap())
    });
    for round in one.iter().zip(&two) {
        let fine = matches!(
            round,
            (SetStatusOutcome::Changed(..), SetStatusOutcome::Unchanged)
                | (SetStatusOutcome::Unchanged, SetStatusOutcome::Changed(..))
        );
        assert!(fine, "{round:?}");
    }
    assert_eq!(events(fixture).len(), ROUNDS);
}

fn settings_say_what_the_row_says(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(writer.settings(&name("a.example"), until()).unwrap(), None);
    for (status, known) in [(0, Status::Disabled), (1, Status::Enabled), (2, Status::Deleting), (7, Status::Unknown(7))]
    {
        let domain = format!("d{status}.example");
        put_row(fixture, &domain, "type9", status);
        assert_eq!(writer.settings(&name(&domain), until()).unwrap(), Some(settings("type9", known)));
    }
}

/// Names whose order depends on the collation.
const STRANGE: [&str; 12] = [
    "a.example",
    "a-b.example",
    "ab.example",
    "a_b.example",
    "a%b.example",
    "axb.example",
    "Upper.example",
    "upper.example",
    "пример.рф",
    "примерно.рф",
    "é.example",
    "zz.example",
];

fn listed(writer: &mut dyn Writer, filter: &Filter, limit: u32) -> Vec<String> {
    writer.list(filter, limit, until()).unwrap().rows.into_iter().map(|row| row.domain).collect()
}

fn pages_visit_every_row_once_and_in_order(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for domain in STRANGE {
        put_row(fixture, domain, "type1", 1);
    }
    fixture.fill(100);
    let all = fixture.read("SELECT domain FROM domain_settings ORDER BY domain");
    for limit in [1, 7, 56, 112, 1000] {
        let mut filter = Filter::default();
        let mut visited = Vec::new();
        loop {
            let page = listed(&mut *writer, &filter, limit);
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            filter.after = Some(last.clone());
            visited.extend(page);
        }
        assert_eq!(visited, all);
    }
}

fn a_page_may_begin_after_a_domain_that_is_not_there(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for domain in ["a.example", "c.example", "e.example"] {
        put_row(fixture, domain, "type1", 1);
    }
    let after = |domain: &str| Filter { after: Some(domain.to_owned()), ..Filter::default() };
    assert_eq!(listed(&mut *writer, &after("b.example"), 10), ["c.example", "e.example"]);
    assert_eq!(listed(&mut *writer, &after("z.example"), 10), [""; 0]);
}

fn a_listing_keeps_to_each_filter_and_to_all_of_them(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a1.example", "type1", 1);
    put_row(fixture, "a2.example", "type1", 0);
    put_row(fixture, "a3.example", "type2", 1);
    put_row(fixture, "b1.example", "type1", 1);
    put_row(fixture, "b2.example", "type1", 2);
    put_row(fixture, "b3.example", "type9", 7);
    let any = Filter::default;
    let type1 = Some("type1".to_owned());
    let a = Some("a".to_owned());
    let mut list = |filter: Filter| listed(&mut *writer, &filter, 10);
    assert_eq!(list(any()).len(), 6);
    let found = list(Filter { host_type: type1.clone(), ..any() });
    assert_eq!(found, ["a1.example", "a2.example", "b1.example", "b2.example"]);
    assert_eq!(list(Filter { host_type: Some("type3".to_owned()), ..any() }), [""; 0]);
    assert_eq!(list(Filter { status: Some(1), ..any() }), ["a1.example", "a3.example", "b1.example"]);
    assert_eq!(list(Filter { status: Some(0), ..any() }), ["a2.example"]);
    assert_eq!(list(Filter { status: Some(2), ..any() }), ["b2.example"]);
    assert_eq!(list(Filter { prefix: a.clone(), ..any() }), ["a1.example", "a2.example", "a3.example"]);
    assert_eq!(list(Filter { prefix: Some(String::new()), ..any() }).len(), 6);
    let after = Some("a1.example".to_owned());
    let all = Filter { after: after.clone(), host_type: type1, status: Some(0), prefix: a };
    assert_eq!(list(all), ["a2.example"]);
    let one = writer.list(&Filter { after, ..any() }, 1, until()).unwrap().rows;
    assert_eq!(one, [ListedDomain { domain: "a2.example".to_owned(), settings: settings("type1", Status::Disabled) }]);
    let odd = writer.list(&Filter { status: Some(7), ..any() }, 10, until()).unwrap().rows;
    assert_eq!(
        odd,
        [ListedDomain { domain: "b3.example".to_owned(), settings: settings("type9", Status::Unknown(7)) }]
    );
}

fn a_prefix_is_taken_literally(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let special = ["a*b.example", "a?b.example", "a[x]b.example", r"a\b.example", "a''b.example"];
    for domain in STRANGE.into_iter().chain(special) {
        put_row(fixture, domain, "type1", 1);
    }
    let mut with = |prefix: &str| {
        let filter = Filter { prefix: Some(prefix.to_owned()), ..Filter::default() };
        listed(&mut *writer, &filter, 100)
    };
    for domain in ["a_b.example", "a%b.example", "a*b.example", "a?b.example", "a[x]b.example", r"a\b.example"] {
        assert_eq!(with(&domain[..2]), [domain]);
        assert_eq!(with(domain), [domain]);
    }
    assert_eq!(with("a'"), ["a'b.example"]);
    assert_eq!(with("%"), [""; 0]);
    assert_eq!(with("U"), ["Upper.example"]);
    assert_eq!(with("примерн"), ["примерно.рф"]);
    assert_eq!(with("пример").len(), 2);
    assert_eq!(with("a.example.and.more"), [""; 0]);
}

fn a_change_whose_event_is_refused_changes_nothing(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type1", 1);
    put_row(fixture, "going.example", "type1", 1);
    writer.put_password(&name("a.example"), NameOrigin::StaticDomain, "stored", until()).unwrap();
    claimed(&begin(&mut *writer, "going.example", ONE));
    writer.put_password(&name("going.example"), NameOrigin::StaticDomain, "stored", until()).unwrap();
    let before = (rows(fixture), events(fixture), removals(&mut *writer));
    fixture.refuse_events();
    let refused = |error: StoreError| {
        let named = error.to_string().contains("none_today");
        assert!(matches!(error, StoreError::RowRefused { .. }) && named, "{error:?}");
    };
    let allowed = ["type1".to_owned()];
    let a = &name("a.example");
    refused(insert(&mut *writer, &[("new.example", "type1")]).unwrap_err());
    refused(writer.set_status(a, Activation::Disabled, &allowed, until()).unwrap_err());
    refused(writer.begin_removal(a, "type1", 2, ONE, &[], until()).unwrap_err());
    refused(writer.finish_removal(&name("going.example"), ONE.owner, &[], until()).unwrap_err());
    // The writer is still usable.
    assert_eq!((rows(fixture), events(fixture), removals(&mut *writer)), before);
    for domain in ["a.example", "going.example"] {
        assert_eq!(
            writer.password(&name(domain), NameOrigin::StaticDomain, until()).unwrap().as_deref(),
            Some("stored")
        );
    }
}

fn changes_are_told_with_what_the_rows_say_now(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(writer.changes(None, 10, until()).unwrap().rows, []);
    put_row(fixture, "kept.example", "type1", 1);
    put_row(fixture, "off.example", "type2", 0);
    fixture.write(
        "INSERT INTO domain_events (domain) VALUES ('kept.example'), (''), ('gone.example'), ('off.example'), ('')",
    );
    let changed = |id, domain: &str, settings| ChangedDomain { id: EventId(id), domain: domain.to_owned(), settings };
    let all = [
        changed(1, "kept.example", Some(DomainSettings { host_type: "type1".to_owned(), status: Status::Enabled })),
        changed(3, "gone.example", None),
        changed(4, "off.example", Some(DomainSettings { host_type: "type2".to_owned(), status: Status::Disabled })),
    ];
    assert_eq!(writer.changes(Some(EventId(0)), 10, until()).unwrap().rows, all);
    assert_eq!(writer.changes(Some(EventId(1)), 1, until()).unwrap().rows, all[1..2]);
    assert_eq!(writer.changes(None, 10, until()).unwrap().rows, all[2..]);
    assert_eq!(writer.changes(Some(EventId(4)), 10, until()).unwrap().rows, []);
}

fn a_domain_is_added_with_the_status_that_it_is_to_have(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let settings = |status| DomainSettings { host_type: "type1".to_owned(), status };
    for (domain, wanted, status) in
        [("off.example", Activation::Disabled, Status::Disabled), ("on.example", Activation::Enabled, Status::Enabled)]
    {
        let added = insert_as(&mut *writer, &[(domain, "type1")], wanted).unwrap();
        assert!(matches!(added[..], [InsertOutcome::Added(_)]), "{added:?}");
        assert_eq!(writer.settings(&name(domain), until()).unwrap(), Some(settings(status)));
    }
    let again = insert_as(&mut *writer, &[("off.example", "type1")], Activation::Enabled).unwrap();
    assert_eq!(again, [InsertOutcome::Exists(settings(Status::Disabled))]);
}

fn a_survey_counts_the_rows_of_each_host_type(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(writer.survey(until()).unwrap().host_types, []);
    for (domain, host_type, status) in [("a", "type2", 1), ("b", "Type", 0), ("c", "type2", 2)] {
        put_row(fixture, domain, host_type, status);
    }
    let Survey { time, host_types, .. } = writer.survey(until()).unwrap();
    assert_eq!(host_types, [("Type".to_owned(), 1), ("type2".to_owned(), 2)]);
    let own = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    assert!((time - own).abs() < 60_000, "{time} is not {own}");
}
