//! Requests that wait at the same time, and travel together.

use super::*;

on_every_database! {
    each_caller_of_several_gets_its_own_answer
    a_caller_who_is_gone_or_late_keeps_no_company
    no_request_overtakes_an_earlier_one_about_the_same_domain
    statuses_that_are_changed_together_have_their_own_outcomes
    domains_that_are_deleted_together_have_their_own_outcomes
}

/// Keeps the only worker busy until the returned value is dropped, so that the next requests wait together.
fn busy(workers: &Workers) -> impl Drop + use<> {
    let (release, wait) = channel::<()>();
    let (began, begins) = channel::<()>();
    let slow = Box::new(move |_: Result<Completed, OperationError>| {
        began.send(()).unwrap();
        // Ends with an error when the sender is dropped.
        let _ = wait.recv();
    });
    workers.submit(Request::Details(name("none.example")), LONG, Box::new(|| true), slow).unwrap();
    begins.recv_timeout(LONG).expect("the worker's reply");
    Release(Some(release))
}

struct Release(Option<std::sync::mpsc::Sender<()>>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// The outcome of an addition of one domain.
fn outcome(answer: &std::sync::mpsc::Receiver<Outcome>) -> Result<InsertOutcome, OperationError> {
    match heard(answer).unwrap() {
        Response::Inserted(mut outcomes) => {
            assert_eq!(outcomes.len(), 1);
            outcomes.remove(0)
        }
        other => panic!("{other:?}"),
    }
}

fn is_added(answer: &std::sync::mpsc::Receiver<Outcome>) -> bool {
    matches!(outcome(answer), Ok(InsertOutcome::Added(_)))
}

fn each_caller_of_several_gets_its_own_answer(fixture: &mut Fixture) {
    let workers = fixture.workers(1, 1000);
    let old = (name("old.example"), fixture.host_type("type2"), Activation::Disabled);
    ask(&workers, Request::Insert(vec![old]));
    let insert = |domains: &[&str]| {
        submit(&workers, Request::Insert(domains.iter().map(|domain| fixture.pair(domain)).collect()), LONG).unwrap()
    };
    let release = busy(&workers);
    let alone: Vec<_> = (0..50).map(|n| insert(&[&format!("d{n}.example")])).collect();
    let (exists, first, again) = (insert(&["old.example"]), insert(&["twice.example"]), insert(&["twice.example"]));
    let batch = insert(&["x.example", "old.example", "y.example"]);
    drop(release);
    assert!(alone.iter().all(is_added));
    let old = DomainSettings { host_type: "type2".to_owned(), status: Status::Disabled };
    assert_eq!(outcome(&exists), Ok(InsertOutcome::Exists(old.clone())));
    let twice = DomainSettings { host_type: "type1".to_owned(), status: Status::Enabled };
    assert!(is_added(&first));
    assert_eq!(outcome(&again), Ok(InsertOutcome::Exists(twice)));
    match heard(&batch).unwrap() {
        Response::Inserted(all) => match &all[..] {
            [Ok(InsertOutcome::Added(x)), Ok(InsertOutcome::Exists(there)), Ok(InsertOutcome::Added(y))] => {
                assert!(*there == old && x != y);
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    for n in 0..50 {
        let details = ask(&workers, Request::Details(name(&format!("d{n}.example"))));
        assert!(matches!(details, Response::Details(Some(_))), "{n}: {details:?}");
    }
}

fn a_caller_who_is_gone_or_late_keeps_no_company(fixture: &mut Fixture) {
    let workers = fixture.workers(1, 100);
    let insert = |domain| Request::Insert(vec![fixture.pair(domain)]);
    let release = busy(&workers);
    let first = submit(&workers, insert("a.example"), LONG).unwrap();
    let (reply, gone) = channel();
    let reply = Box::new(move |result: Result<Completed, _>| drop(reply.send(result.map(|done| done.response))));
    workers.submit(insert("gone.example"), LONG, Box::new(|| false), reply).unwrap();
    let late = submit(&workers, insert("late.example"), Duration::ZERO).unwrap();
    let last = submit(&workers, insert("b.example"), LONG).unwrap();
    drop(release);
    assert!(is_added(&first) && is_added(&last));
    assert_eq!(heard(&gone), Err(OperationError::Abandoned));
    assert_eq!(heard(&late), Err(OperationError::Expired));
    for domain in ["gone.example", "late.example"] {
        assert_eq!(ask(&workers, Request::Details(name(domain))), Response::Details(None));
    }
}

fn no_request_overtakes_an_earlier_one_about_the_same_domain(fixture: &mut Fixture) {
    let workers = fixture.workers(1, 100);
    let insert = |domain| submit(&workers, Request::Insert(vec![fixture.pair(domain)]), LONG).unwrap();
    let release = busy(&workers);
    let first = insert("a.example");
    let before = submit(&workers, Request::Details(name("b.example")), LONG).unwrap();
    let off = submit(&workers, Request::SetStatus(name("a.example"), Activation::Disabled), LONG).unwrap();
    let (second, third) = (insert("b.example"), insert("c.example"));
    drop(release);
    assert!([first, second, third].iter().all(is_added));
    assert_eq!(heard(&before).unwrap(), Response::Details(None));
    assert!(matches!(heard(&off).unwrap(), Response::StatusSet(SetStatusOutcome::Changed(..))));
}

fn statuses_that_are_changed_together_have_their_own_outcomes(fixture: &mut Fixture) {
    let workers = fixture.workers(1, 100);
    let pairs = (0..10).map(|n| fixture.pair(&format!("d{n}.example"))).collect();
    ask(&workers, Request::Insert(pairs));
    let set = |domain: &str, wanted| submit(&workers, Request::SetStatus(name(domain), wanted), LONG).unwrap();
    let (on, off) = (Activation::Enabled, Activation::Disabled);
    let release = busy(&workers);
    let disabled: Vec<_> = (0..10).map(|n| set(&format!("d{n}.example"), off)).collect();
    let (none, again) = (set("none.example", on), set("d3.example", on));
    drop(release);
    for answer in &disabled {
        assert!(matches!(heard(answer).unwrap(), Response::StatusSet(SetStatusOutcome::Changed(..))));
    }
    assert_eq!(heard(&none).unwrap(), Response::StatusSet(SetStatusOutcome::NotFound));
    // Not taken along, since it would be about the same domain.
    assert!(matches!(heard(&again).unwrap(), Response::StatusSet(SetStatusOutcome::Changed(..))));
}

fn domains_that_are_deleted_together_have_their_own_outcomes(fixture: &mut Fixture) {
    let workers = fixture.workers(1, 100);
    let pairs = (0..10).map(|n| fixture.pair(&format!("d{n}.example"))).collect();
    ask(&workers, Request::Insert(pairs));
    ask(&workers, Request::BeginRemoval(name("d3.example"), fixture.host_type("type1"), 1));
    let delete = |domain: &str, host_type: &str| {
        submit(&workers, Request::Delete(name(domain), fixture.host_type(host_type)), LONG).unwrap()
    };
    let release = busy(&workers);
    let deleted: Vec<_> = (4..10).map(|n| delete(&format!("d{n}.example"), "type1")).collect();
    let (none, wrong) = (delete("none.example", "type1"), delete("d0.example", "type2"));
    let (in_removal, again) = (delete("d3.example", "type1"), delete("d4.example", "type1"));
    drop(release);
    for answer in &deleted {
        assert!(matches!(heard(answer).unwrap(), Response::Deleted(DeleteOutcome::Deleted(_))));
    }
    assert_eq!(heard(&none).unwrap(), Response::Deleted(DeleteOutcome::NotFound));
    assert_eq!(heard(&wrong).unwrap(), Response::Deleted(DeleteOutcome::WrongHostType));
    assert_eq!(heard(&in_removal).unwrap(), Response::Deleted(DeleteOutcome::Kept));
    assert_eq!(heard(&again).unwrap(), Response::Deleted(DeleteOutcome::NotFound));
}

/// The number of transactions that have written events.
fn transactions(fixture: &mut Fixture) -> i64 {
    fixture.client().query_one("SELECT count(DISTINCT xmin::text) FROM domain_events", &[]).unwrap().get(0)
}

#[test]
fn requests_that_wait_together_are_one_transaction_and_a_refused_one_leaves_the_others_alone() {
    let mut fixture = Fixture::postgres();
    let workers = fixture.workers(1, 1000);
    let insert =
        |fixture: &Fixture, domain: &str| submit(&workers, Request::Insert(vec![fixture.pair(domain)]), LONG).unwrap();
    let release = busy(&workers);
    let answers: Vec<_> = (0..100).map(|n| insert(&fixture, &format!("d{n}.example"))).collect();
    drop(release);
    assert!(answers.iter().all(is_added));
    assert_eq!(transactions(&mut fixture), 1);

    fixture
        .client()
        .batch_execute("ALTER TABLE domain_settings ADD CONSTRAINT no_underscores CHECK (domain !~ '_')")
        .unwrap();
    let release = busy(&workers);
    let answers: Vec<_> = (0..100)
        .map(|n| (n, insert(&fixture, &if n == 42 { "e_42.example".to_owned() } else { format!("e{n}.example") })))
        .collect();
    drop(release);
    for (n, answer) in &answers {
        match outcome(answer) {
            Ok(InsertOutcome::Added(_)) => assert_ne!(*n, 42),
            Err(refused) => assert!(*n == 42 && refused.refusal().unwrap().contains("no_underscores"), "{refused:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(transactions(&mut fixture) < 10);
}

#[test]
fn a_status_that_is_refused_leaves_the_others_alone() {
    let mut fixture = Fixture::postgres();
    let workers = fixture.workers(1, 100);
    let pairs = (0..10).map(|n| fixture.pair(&format!("d{n}.example"))).collect();
    ask(&workers, Request::Insert(pairs));
    let set = |wanted| {
        let release = busy(&workers);
        let request = |n| Request::SetStatus(name(&format!("d{n}.example")), wanted);
        let answers: Vec<_> = (0..10).map(|n| submit(&workers, request(n), LONG).unwrap()).collect();
        drop(release);
        answers
    };
    for answer in set(Activation::Disabled) {
        assert!(matches!(heard(&answer).unwrap(), Response::StatusSet(SetStatusOutcome::Changed(..))));
    }
    // The additions are one transaction, and these changes another one.
    assert_eq!(transactions(&mut fixture), 2);
    let refuse = "ALTER TABLE domain_settings ADD CONSTRAINT off CHECK (domain <> 'd4.example' OR status = 0)";
    fixture.client().batch_execute(refuse).unwrap();
    for (n, answer) in set(Activation::Enabled).iter().enumerate() {
        match heard(answer) {
            Ok(answer) => {
                assert!(matches!(answer, Response::StatusSet(SetStatusOutcome::Changed(..))), "{answer:?}");
                assert_ne!(n, 4);
            }
            Err(refused) => assert!(n == 4 && refused.refusal().is_some(), "{refused:?}"),
        }
    }
}

#[test]
fn a_deletion_that_is_refused_leaves_the_others_alone() {
    let mut fixture = Fixture::postgres();
    let workers = fixture.workers(1, 100);
    ask(&workers, Request::Insert((0..10).map(|n| fixture.pair(&format!("d{n}.example"))).collect()));
    let refer = "ALTER TABLE domain_settings ADD UNIQUE (domain);
                 CREATE TABLE invoices (domain varchar(250) REFERENCES domain_settings (domain));
                 INSERT INTO invoices VALUES ('d4.example')";
    fixture.client().batch_execute(refer).unwrap();
    let release = busy(&workers);
    let request = |n| Request::Delete(name(&format!("d{n}.example")), fixture.host_type("type1"));
    let answers: Vec<_> = (0..10).map(|n| submit(&workers, request(n), LONG).unwrap()).collect();
    drop(release);
    for (n, answer) in answers.iter().enumerate() {
        match heard(answer) {
            Ok(answer) => {
                assert!(matches!(answer, Response::Deleted(DeleteOutcome::Deleted(_))), "{answer:?}");
                assert_ne!(n, 4);
            }
            Err(refused) => assert!(n == 4 && refused.refusal().is_some(), "{refused:?}"),
        }
    }
}

#[test]
fn a_failure_of_what_travels_together_is_everybodys() {
    let mut fixture = Fixture::postgres();
    let workers = fixture.workers(1, 1000);
    ask(&workers, Request::Details(name("none.example")));
    fixture.client().batch_execute("ALTER TABLE domain_events RENAME TO other_events").unwrap();
    let release = busy(&workers);
    let answers: Vec<_> = (0..10)
        .map(|n| submit(&workers, Request::Insert(vec![fixture.pair(&format!("d{n}.example"))]), LONG).unwrap())
        .collect();
    drop(release);
    for answer in &answers {
        let failure = heard(answer).unwrap_err();
        assert!(matches!(failure, OperationError::Database(StoreError::Refused { .. })), "{failure:?}");
        assert_eq!(failure.kind(), FailureKind::NotMade);
    }
}
