//! Changes that the database refuses.

use super::*;

/// A worker with a database that refuses some changes because of this SQL.
fn refusing(sql: &str) -> (Fixture, Workers) {
    let mut fixture = Fixture::postgres();
    let workers = fixture.workers(1, 10);
    assert_eq!(ask(&workers, Request::Details(name("a.example"))), Response::Details(None));
    fixture.client().batch_execute(sql).unwrap();
    (fixture, workers)
}

fn adds(workers: &Workers, fixture: &Fixture, domain: &str) {
    let added = ask(workers, Request::Insert(vec![fixture.pair(domain)]));
    assert!(matches!(&added, Response::Inserted(all) if matches!(all[..], [Ok(InsertOutcome::Added(_))])), "{added:?}");
}

#[test]
fn of_a_batch_the_rows_that_the_database_takes_are_made_and_each_other_one_has_its_own_reason() {
    let (mut fixture, workers) = refusing(
        "ALTER TABLE domain_settings ADD CONSTRAINT no_underscores CHECK (domain !~ '_');
         CREATE TABLE reserved (domain text PRIMARY KEY);
         INSERT INTO reserved VALUES ('d999.example');
         CREATE FUNCTION reserve() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF NEW.domain = 'd17.example' THEN RAISE EXCEPTION '% is not for sale', NEW.domain USING HINT = 'ask sales'; END IF;
           IF NEW.domain = 'd18.example' THEN RETURN NULL; END IF;
           IF NEW.domain = 'd19.example' THEN PERFORM NEW.domain::int; END IF;
           INSERT INTO reserved VALUES (NEW.domain);
           RETURN NEW; END $$;
         CREATE TRIGGER reserve BEFORE INSERT ON domain_settings FOR EACH ROW EXECUTE FUNCTION reserve()",
    );
    let pairs: Vec<_> = (0..1000)
        .map(|n| if n == 500 { "d_500.example".to_owned() } else { format!("d{n}.example") })
        .map(|domain| fixture.pair(&domain))
        .collect();
    let Response::Inserted(outcomes) = ask(&workers, Request::Insert(pairs)) else { panic!("another answer") };
    let refused: Vec<_> = outcomes
        .iter()
        .enumerate()
        .filter_map(|(place, outcome)| Some((place, outcome.as_ref().err()?.refusal().expect("a reason").to_owned())))
        .collect();
    let places: Vec<_> = refused.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [17, 18, 19, 500, 999]);
    let words = [
        "d17.example is not for sale; ask sales",
        "a trigger or a rule skips it",
        "integer",
        "no_underscores",
        "reserved_pkey",
    ];
    for ((place, reason), word) in refused.iter().zip(words) {
        assert!(reason.contains(word), "{place}: {reason}");
        assert!(reason.len() <= StoreError::MAX_REASON_BYTES);
    }
    let mut count = |table: &str| {
        fixture.client().query_one(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().get::<_, i64>(0)
    };
    assert_eq!([count("domain_settings"), count("domain_events")], [995, 995]);
}

#[test]
fn a_change_of_a_row_that_the_database_refuses_is_answered_with_the_reason() {
    let (mut fixture, workers) = refusing(
        "ALTER TABLE domain_settings ADD CONSTRAINT always_served CHECK (status = 1);
         CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    );
    adds(&workers, &fixture, "a.example");
    let off = || Request::SetStatus(name("a.example"), Activation::Disabled);
    for request in [off(), Request::BeginRemoval(name("a.example"), fixture.host_type("type1"), 0)] {
        let failure = try_ask(&workers, request, LONG).unwrap_err();
        let reason = failure.refusal().expect("a reason");
        assert!(reason.contains("always_served") && !reason.contains("Failing row"), "{reason}");
    }
    fixture
        .client()
        .batch_execute(
            "ALTER TABLE domain_settings DROP CONSTRAINT always_served;
             CREATE TRIGGER skip BEFORE UPDATE ON domain_settings FOR EACH ROW EXECUTE FUNCTION skip()",
        )
        .unwrap();
    // A change that was not made is not confirmed.
    assert_eq!(try_ask(&workers, off(), LONG).unwrap_err().refusal(), Some(StoreError::SKIPPED));
}

#[test]
fn a_refusal_of_the_statement_is_no_refusal_of_a_row() {
    let (fixture, workers) = refusing("ALTER TABLE domain_settings RENAME COLUMN host_type TO other");
    let pairs = vec![fixture.pair("a.example"), fixture.pair("b.example")];
    let failure = try_ask(&workers, Request::Insert(pairs), LONG).unwrap_err();
    assert!(matches!(failure, OperationError::Database(StoreError::Refused { .. })), "{failure:?}");
}

#[test]
fn what_ends_the_tries_tells_the_last_reason() {
    let (fixture, workers) = refusing(
        "CREATE FUNCTION race() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'lost to nobody' USING ERRCODE = '40001'; END $$;
         CREATE TRIGGER race BEFORE INSERT ON domain_settings FOR EACH ROW EXECUTE FUNCTION race()",
    );
    let failure = try_ask(&workers, Request::Insert(vec![fixture.pair("a.example")]), LONG).unwrap_err();
    assert!(matches!(failure, OperationError::Contended { tries: 10, .. }), "{failure:?}");
    assert!(failure.to_string().contains("lost to nobody"), "{failure}");
    assert_eq!(failure.kind(), FailureKind::NotMade);
}

#[test]
fn a_sequence_that_is_behind_is_named_with_what_mends_it() {
    let (mut fixture, workers) = refusing(
        "INSERT INTO domain_settings (id, domain, host_type)
         SELECT n, 'old' || n || '.example', 'type1' FROM generate_series(1, 1000) n;
         INSERT INTO domain_events (id, domain) SELECT n, 'old' || n || '.example' FROM generate_series(1, 1000) n",
    );
    let remedies = || match ask(&workers, Request::Sequences) {
        Response::Sequences(all) => all.iter().filter(|one| one.is_behind()).map(Sequence::remedy).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let wanted = ["domain_settings", "domain_events"]
        .map(|table| format!("SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"));
    let mut found = remedies();
    found.sort();
    assert!(found.iter().eq(wanted.iter().rev()), "{found:?}");
    for remedy in wanted {
        let failure = try_ask(&workers, Request::Insert(vec![fixture.pair("a.example")]), LONG).unwrap_err();
        assert!(matches!(failure, OperationError::Database(StoreError::Refused { .. })), "{failure:?}");
        assert!(failure.to_string().contains(&remedy), "{failure}");
        fixture.client().batch_execute(&remedy).unwrap();
    }
    adds(&workers, &fixture, "a.example");
    assert_eq!(remedies(), [""; 0]);
    // A single id that was inserted by hand is skipped.
    let taken = "INSERT INTO domain_events (id, domain) SELECT max(id) + 1, 'hand.example' FROM domain_events";
    fixture.client().batch_execute(taken).unwrap();
    adds(&workers, &fixture, "b.example");
}
