//! What the workers guarantee with both databases.

use super::*;

on_every_database! {
    every_request_is_answered
    a_password_is_right_or_wrong_or_not_there
    a_password_of_a_subdomain_ends_with_its_parent_and_is_never_a_domains
    a_password_that_resourceprep_refuses_is_not_stored
    a_corrupt_stored_password_is_told_apart_from_a_wrong_one
    a_request_without_time_is_answered_too_late
    a_stop_answers_everything_that_waits_and_ends_the_threads
    a_dropped_handle_lets_the_workers_answer_what_waits_and_end
    instances_that_add_the_same_domains_at_once_add_each_once
}

fn every_request_is_answered(fixture: &mut Fixture) {
    let workers = fixture.workers(2, 10);
    let a = || name("a.example");
    let settings = |status| DomainSettings { host_type: "type1".to_owned(), status };
    let job = || RemovalJob { domain: "a.example".to_owned(), host_type: "type1".to_owned(), handlers: 2 };

    let pairs = vec![fixture.pair("a.example"), (name("b.example"), fixture.host_type("type2"), Activation::Enabled)];
    match ask(&workers, Request::Insert(pairs)) {
        Response::Inserted(all) => {
            assert!(matches!(all[..], [Ok(InsertOutcome::Added(_)), Ok(InsertOutcome::Added(_))]), "{all:?}")
        }
        other => panic!("{other:?}"),
    }
    let again = ask(&workers, Request::Insert(vec![fixture.pair("a.example")]));
    assert_eq!(again, Response::Inserted(vec![Ok(InsertOutcome::Exists(settings(Status::Enabled)))]));

    let off = ask(&workers, Request::SetStatus(a(), Activation::Disabled));
    assert!(matches!(off, Response::StatusSet(SetStatusOutcome::Changed(..))), "{off:?}");
    assert_eq!(
        ask(&workers, Request::SetStatus(a(), Activation::Disabled)),
        Response::StatusSet(SetStatusOutcome::Unchanged)
    );
    let none = ask(&workers, Request::SetStatus(name("none.example"), Activation::Enabled));
    assert_eq!(none, Response::StatusSet(SetStatusOutcome::NotFound));

    assert_eq!(ask(&workers, Request::Details(a())), Response::Details(Some(settings(Status::Disabled))));
    assert_eq!(ask(&workers, Request::Details(name("none.example"))), Response::Details(None));
    let filter = Filter { status: Some(0), ..Filter::default() };
    let row = ListedDomain { domain: "a.example".to_owned(), settings: settings(Status::Disabled) };
    assert_eq!(ask(&workers, Request::List(filter, 10)), Response::Listed(readable(vec![row])));

    let begin = |host_type| Request::BeginRemoval(a(), fixture.host_type(host_type), 2);
    assert_eq!(ask(&workers, begin("type2")), Response::RemovalBegun(BeginRemovalOutcome::WrongHostType));
    let begun = ask(&workers, begin("type1"));
    assert!(matches!(begun, Response::RemovalBegun(BeginRemovalOutcome::Claimed(_))), "{begun:?}");
    let held = RemovalJobs { held: vec![job()], ..RemovalJobs::default() };
    assert_eq!(ask(&workers, Request::RenewRemovals), Response::RemovalsRenewed(held));
    assert_eq!(ask(&workers, Request::TakeOverRemovals(10)), Response::RemovalsTakenOver(RemovalJobs::default()));
    let handlers = HandlerProgress { done: 1, of: 2 };
    assert_eq!(ask(&workers, Request::NoteRemoval(a(), handlers)), Response::RemovalUpdated(JobOutcome::Updated));
    for which in [None, Some(a())] {
        match ask(&workers, Request::Removals(which)) {
            Response::Removals(jobs) => {
                assert_eq!(jobs.rows.len(), 1);
                assert_eq!((jobs.rows[0].handlers, jobs.rows[0].lease), (handlers, LeaseState::Running));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        ask(&workers, Request::FailRemoval(a(), "on purpose".to_owned())),
        Response::RemovalUpdated(JobOutcome::Updated)
    );
    assert_eq!(ask(&workers, Request::FinishRemoval(a())), Response::RemovalUpdated(JobOutcome::NotOwned));
    let begun = ask(&workers, begin("type1"));
    assert!(matches!(begun, Response::RemovalBegun(BeginRemovalOutcome::Claimed(_))), "{begun:?}");
    assert_eq!(ask(&workers, Request::FinishRemoval(a())), Response::RemovalUpdated(JobOutcome::Updated));
    assert_eq!(ask(&workers, Request::Details(a())), Response::Details(None));

    assert_eq!(ask(&workers, Request::Freshness), Response::Freshness(readable(vec![])));
    let hour = Ttl::Seconds(NonZeroU32::new(3600).unwrap());
    for (domain, ttl) in [("type1", hour), ("any name", Ttl::Forever)] {
        assert_eq!(ask(&workers, Request::UpsertFreshness(domain.to_owned(), ttl)), Response::FreshnessDeclared);
    }
    match ask(&workers, Request::Freshness) {
        Response::Freshness(declared) => {
            let found: Vec<_> = declared.rows.iter().map(|one| (one.domain.as_str(), one.expiry)).collect();
            assert!(matches!(found[..], [("any name", Expiry::Never), ("type1", Expiry::In(1..))]), "{found:?}");
        }
        other => panic!("{other:?}"),
    }
}

fn a_password_is_right_or_wrong_or_not_there(fixture: &mut Fixture) {
    let workers = fixture.workers(2, 10);
    let a = || name("a.example");
    let check = |text| ask(&workers, Request::CheckPassword(a(), secret(text)));
    assert_eq!(check("secret"), Response::PasswordChecked(PasswordCheck::NotFound));
    assert_eq!(ask(&workers, Request::DeletePassword(a())), Response::PasswordDeleted(Found::No));
    assert_eq!(ask(&workers, Request::PutPassword(a(), secret("secret"))), Response::NotServed);
    ask(&workers, Request::Insert(vec![fixture.pair("a.example")]));
    for (put, wrong) in [("secret", "Secret"), ("пароль", "secret")] {
        assert_eq!(ask(&workers, Request::PutPassword(a(), secret(put))), Response::PasswordStored);
        assert_eq!(check(put), Response::PasswordChecked(PasswordCheck::Right));
        assert_eq!(check(wrong), Response::PasswordChecked(PasswordCheck::Wrong));
    }
    assert_eq!(ask(&workers, Request::DeletePassword(a())), Response::PasswordDeleted(Found::Yes));
    assert_eq!(check("пароль"), Response::PasswordChecked(PasswordCheck::NotFound));
}

fn a_password_of_a_subdomain_ends_with_its_parent_and_is_never_a_domains(fixture: &mut Fixture) {
    let workers = fixture.workers(2, 10);
    let type1 = fixture.host_type("type1");
    fixture.table.register_pattern(type1, &Pattern::Prefix((*b"muc.").into()));
    let (parent, sub) = (name("mine.example"), name("muc.mine.example"));
    let put = || ask(&workers, Request::PutPassword(sub.clone(), secret("secret")));
    let right = || ask(&workers, Request::CheckPassword(sub.clone(), secret("secret")));
    let add = |domain: &str| {
        let added = ask(&workers, Request::Insert(vec![fixture.pair(domain)]));
        assert!(
            matches!(&added, Response::Inserted(all) if matches!(all[..], [Ok(InsertOutcome::Added(_))])),
            "{added:?}"
        );
    };
    // Like the follower.
    let source = fixture.table.new_source();
    let show = |domain: &DomainName| fixture.table.insert(domain, type1, source).map(|_| ()).unwrap();
    let remove = |domain: &DomainName| {
        ask(&workers, Request::BeginRemoval(domain.clone(), type1, 0));
        fixture.table.delete(domain).unwrap();
        assert_eq!(
            ask(&workers, Request::FinishRemoval(domain.clone())),
            Response::RemovalUpdated(JobOutcome::Updated)
        );
    };

    add("mine.example");
    show(&parent);
    assert_eq!((put(), right()), (Response::PasswordStored, Response::PasswordChecked(PasswordCheck::Right)));
    remove(&parent);
    assert_eq!((put(), right()), (Response::NotServed, Response::PasswordChecked(PasswordCheck::NotFound)));
    add("mine.example");
    show(&parent);
    assert_eq!(
        right(),
        Response::PasswordChecked(PasswordCheck::NotFound),
        "the parent is another one of the same name"
    );

    // It gets a row of its own. It is no subdomain any more, even before this node's table has that row.
    assert_eq!(put(), Response::PasswordStored);
    add("muc.mine.example");
    assert_eq!((right(), put()), (Response::PasswordChecked(PasswordCheck::NotFound), Response::NotServed));
    show(&sub);
    assert_eq!((put(), right()), (Response::PasswordStored, Response::PasswordChecked(PasswordCheck::Right)));
    // It stays a domain without its former parent.
    remove(&parent);
    assert_eq!(right(), Response::PasswordChecked(PasswordCheck::Right));
}

fn a_password_that_resourceprep_refuses_is_not_stored(fixture: &mut Fixture) {
    let workers = fixture.workers(1, 10);
    let put = |text| ask(&workers, Request::PutPassword(name("a.example"), secret(text)));
    ask(&workers, Request::Insert(vec![fixture.pair("a.example")]));
    assert_eq!(put("bell\u{7}"), Response::PasswordRefused);
    let check = || ask(&workers, Request::CheckPassword(name("a.example"), secret("bell\u{7}")));
    assert_eq!(check(), Response::PasswordChecked(PasswordCheck::NotFound));
    assert_eq!(put("secret"), Response::PasswordStored);
    assert_eq!(check(), Response::PasswordChecked(PasswordCheck::Wrong));
}

fn a_corrupt_stored_password_is_told_apart_from_a_wrong_one(fixture: &mut Fixture) {
    let workers = fixture.workers(1, 10);
    let mut writer = database(&fixture.url).connect_writer(Arc::<Signal>::default()).unwrap();
    ask(&workers, Request::Insert(vec![fixture.pair("a.example")]));
    for stored in ["", "secret", "==MULTI_SCRAM==,10,", "==SCRAM==,,,,"] {
        writer.put_password(&name("a.example"), NameOrigin::StaticDomain, stored, Instant::now() + LONG).unwrap();
        let checked = ask(&workers, Request::CheckPassword(name("a.example"), secret("secret")));
        assert_eq!(checked, Response::PasswordChecked(PasswordCheck::Corrupt), "{stored:?}");
    }
}

fn a_request_without_time_is_answered_too_late(fixture: &mut Fixture) {
    let workers = fixture.workers(1, 10);
    let failure = try_ask(&workers, Request::Insert(vec![fixture.pair("a.example")]), Duration::ZERO).unwrap_err();
    assert!(matches!(failure, OperationError::Expired), "{failure:?}");
    assert_eq!(failure.kind(), FailureKind::Expired);
    assert_eq!(ask(&workers, Request::Details(name("a.example"))), Response::Details(None));
}

fn a_stop_answers_everything_that_waits_and_ends_the_threads(fixture: &mut Fixture) {
    let workers = fixture.workers(2, 101);
    let insert = |n| Request::Insert(vec![fixture.pair(&format!("d{n}.example"))]);
    let answers: Vec<_> = (0..100).map(|n| submit(&workers, insert(n), 3 * LONG).unwrap()).collect();
    workers.stop();
    let after = submit(&workers, insert(100), LONG).unwrap();
    for answer in &answers {
        match heard(answer) {
            Ok(answer) => assert!(matches!(answer, Response::Inserted(_)), "{answer:?}"),
            Err(OperationError::Unavailable(_) | OperationError::Database(StoreError::Stopped)) => (),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(matches!(heard(&after), Err(OperationError::Unavailable(_))));
    drop(workers);
    threads_end(fixture);
}

fn a_dropped_handle_lets_the_workers_answer_what_waits_and_end(fixture: &mut Fixture) {
    let workers = fixture.workers(2, 100);
    let insert = |n| Request::Insert(vec![fixture.pair(&format!("d{n}.example"))]);
    let answers: Vec<_> = (0..20).map(|n| submit(&workers, insert(n), LONG).unwrap()).collect();
    drop(workers);
    for answer in &answers {
        let answer = heard(answer).unwrap();
        assert!(matches!(answer, Response::Inserted(_)), "{answer:?}");
    }
    threads_end(fixture);
}

fn instances_that_add_the_same_domains_at_once_add_each_once(fixture: &mut Fixture) {
    const DOMAINS: usize = 60;
    let instances = [fixture.workers(2, 100), fixture.workers(2, 100)];
    // Each domain is in ten batches, five of each instance.
    let batch = |from: usize| (0..20).map(|n| format!("d{}.example", (from * 4 + n) % DOMAINS)).collect::<Vec<_>>();
    let asked: Vec<_> = (0..30)
        .map(|n| {
            let domains = batch(n / 2);
            let pairs = domains.iter().map(|domain| fixture.pair(domain)).collect();
            (domains, submit(&instances[n % 2], Request::Insert(pairs), LONG).unwrap())
        })
        .collect();
    let mut added = BTreeMap::<String, Vec<EventId>>::new();
    for (domains, answer) in asked {
        let Response::Inserted(inserted) = heard(&answer).unwrap() else { panic!("another answer") };
        assert_eq!(inserted.len(), domains.len());
        for (domain, inserted) in domains.into_iter().zip(inserted) {
            let ids = added.entry(domain).or_default();
            match inserted {
                Ok(InsertOutcome::Added(id)) => ids.push(id),
                Ok(InsertOutcome::Exists(settings)) => assert_eq!(settings.status, Status::Enabled),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(added.len(), DOMAINS);
    let Response::Listed(rows) = ask(&instances[0], Request::List(Filter::default(), 1000)) else {
        panic!("another answer")
    };
    assert_eq!(rows.rows.len(), DOMAINS);
    let odd: Vec<_> = added.iter().filter(|(_, ids)| ids.len() != 1).collect();
    assert!(odd.is_empty(), "not added exactly once, by the answers: {odd:?}");
}
