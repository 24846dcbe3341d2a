//! What workers promise, on PostgreSQL and on SQLite; and what becomes of requests when the database
//! hangs, goes or was never there.
//!
//! PostgreSQL's side needs a server: `MONGOOSE_DOMAIN_TEST_PG` is the URL of one where databases may
//! be created, as `make test` provides.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use domain_core::{DomainName, EventId, HostTypeId, Pattern, Table};
use domain_ops::{
    FailureKind, Iterations, OperationError, Options, Overloaded, PasswordCheck, Request, Response, Secret, Workers,
};
use domain_store::{
    Activation, BeginRemovalOutcome, Database, DomainSettings, Expiry, Filter, Found, HandlerProgress, InsertOutcome,
    JobOutcome, LeaseState, ListedDomain, NameOrigin, Readable, RemovalJob, RemovalJobs, Sequence, SetStatusOutcome,
    Signal, Status, StoreError, Timeouts, Ttl,
};
use tempfile::TempDir;

/// Names each promise once and has both databases keep it.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod postgres_keeps { $(#[test] fn $promise() { super::$promise(&mut super::Bench::postgres()) })* }
        mod sqlite_keeps { $(#[test] fn $promise() { super::$promise(&mut super::Bench::sqlite()) })* }
    };
}

promises! {
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

/// An answer of which every row could be read.
fn readable<T>(rows: Vec<T>) -> Readable<T> {
    Readable { rows, ..Readable::default() }
}

/// Far longer than any test takes: who waits for it has failed.
const LONG: Duration = Duration::from_secs(30);

/// A database of its own for each test, and a table that allows type1 and type2.
struct Bench {
    url: String,
    table: Arc<Table>,
    /// For plain SQL.
    client: Option<postgres::Client>,
    _folder: Option<TempDir>,
}

impl Bench {
    fn postgres() -> Bench {
        let url = new_url();
        create(&url);
        let client = postgres::Client::connect(&url, postgres::NoTls).expect("a connection for plain SQL");
        Bench { url, table: table(), client: Some(client), _folder: None }
    }

    fn sqlite() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("domains.db").display());
        Bench { url, table: table(), client: None, _folder: Some(folder) }
    }

    fn workers(&self, count: u32, queue: usize) -> Workers {
        start(&self.url, &self.table, count, queue)
    }

    fn host_type(&self, name: &str) -> HostTypeId {
        self.table.host_types().id(name).unwrap()
    }

    fn pair(&self, domain: &str) -> (DomainName, HostTypeId, Activation) {
        (name(domain), self.host_type("type1"), Activation::Enabled)
    }

    fn client(&mut self) -> &mut postgres::Client {
        self.client.as_mut().expect("a test of PostgreSQL")
    }

    /// Holds the table of domains until it is dropped. A connection of its own, since what a transaction
    /// sees of other connections stays the same.
    fn lock(&self) -> postgres::Client {
        let mut client = postgres::Client::connect(&self.url, postgres::NoTls).unwrap();
        client.batch_execute("BEGIN; LOCK TABLE domain_settings").unwrap();
        client
    }

    /// How many of the workers' connections `condition` holds for.
    fn connections(&mut self, condition: &str) -> i64 {
        let ours = "datname = current_database() AND application_name = 'mongoose_domain'";
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE {ours} AND {condition}");
        self.client().query_one(&sql, &[]).unwrap().get(0)
    }

    /// Waits until that many connections wait for a lock.
    fn hang(&mut self, count: i64) {
        eventually(|| self.connections("wait_event_type = 'Lock'") == count);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.client.is_some() {
            drop_database(&self.url);
        }
    }
}

/// The URL of a database that is not there yet.
fn new_url() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("MONGOOSE_DOMAIN_TEST_PG").expect(
        "MONGOOSE_DOMAIN_TEST_PG is not set: it is the URL of a PostgreSQL server where this test may create \
         databases. `make test` starts one and sets it; `scripts/postgres` starts one by hand",
    );
    let (place, _) = server.rsplit_once('/').expect("a URL that names a database");
    format!("{place}/ops_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn create(url: &str) {
    beside(url, |name| format!("CREATE DATABASE {name}")).expect("a database for this test");
}

fn drop_database(url: &str) {
    // Left behind it would only take room on a server that is thrown away.
    let _ = beside(url, |name| format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
}

/// Runs a statement about a database in another one of its server.
fn beside(url: &str, sql: impl FnOnce(&str) -> String) -> Result<(), postgres::Error> {
    let (place, name) = url.rsplit_once('/').expect("a URL that names a database");
    postgres::Client::connect(&format!("{place}/postgres"), postgres::NoTls)?.batch_execute(&sql(name))
}

fn table() -> Arc<Table> {
    let table = Table::new(1);
    let allowed = ["type1", "type2"].map(|name| table.host_types().intern(name.as_bytes()).unwrap());
    table.open(&[], allowed);
    Arc::new(table)
}

fn database(url: &str) -> Database {
    Database::parse(url, Timeouts { connect: LONG, statement: LONG, lock: LONG }).unwrap()
}

fn start(url: &str, table: &Arc<Table>, workers: u32, queue: usize) -> Workers {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let options = Options {
        workers,
        queue,
        iterations: Iterations::new(10).unwrap(),
        owner: format!("node-{}", LIVES.fetch_add(1, Ordering::Relaxed)),
        lease: Duration::from_secs(3600),
    };
    Workers::start(table.clone(), database(url), Arc::default(), options).unwrap()
}

fn name(text: &str) -> DomainName {
    DomainName::new(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret(text.to_owned())
}

type Outcome = Result<Response, OperationError>;

fn submit(workers: &Workers, request: Request, limit: Duration) -> Result<Receiver<Outcome>, Overloaded> {
    let (reply, answer) = channel();
    workers.submit(request, limit, Box::new(|| true), Box::new(move |result| drop(reply.send(result))))?;
    Ok(answer)
}

/// The one answer. A reply that was dropped without being called fails the test.
fn heard(answer: &Receiver<Outcome>) -> Outcome {
    answer.recv_timeout(LONG).expect("an answer")
}

fn try_ask(workers: &Workers, request: Request, limit: Duration) -> Outcome {
    heard(&submit(workers, request, limit).unwrap())
}

fn ask(workers: &Workers, request: Request) -> Response {
    try_ask(workers, request, LONG).unwrap()
}

/// Waits until `condition` holds, and fails when it still does not after a long time.
fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until the workers' threads are gone: each holds the table.
fn threads_end(bench: &Bench) {
    eventually(|| Arc::strong_count(&bench.table) == 1);
}

fn every_request_is_answered(bench: &mut Bench) {
    let workers = bench.workers(2, 10);
    let a = || name("a.example");
    let settings = |status| DomainSettings { host_type: "type1".to_owned(), status };
    let job = || RemovalJob { domain: "a.example".to_owned(), host_type: "type1".to_owned(), handlers: 2 };

    let pairs = vec![bench.pair("a.example"), (name("b.example"), bench.host_type("type2"), Activation::Enabled)];
    match ask(&workers, Request::Insert(pairs)) {
        Response::Inserted(all) => {
            assert!(matches!(all[..], [Ok(InsertOutcome::Added(_)), Ok(InsertOutcome::Added(_))]), "{all:?}")
        }
        other => panic!("{other:?}"),
    }
    let again = ask(&workers, Request::Insert(vec![bench.pair("a.example")]));
    assert_eq!(again, Response::Inserted(vec![Ok(InsertOutcome::Exists(settings(Status::Enabled)))]));

    let off = ask(&workers, Request::SetStatus(a(), Activation::Disabled));
    assert!(matches!(off, Response::StatusSet(SetStatusOutcome::Changed(_))), "{off:?}");
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

    let begin = |host_type| Request::BeginRemoval(a(), bench.host_type(host_type), 2);
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

fn a_password_is_right_or_wrong_or_not_there(bench: &mut Bench) {
    let workers = bench.workers(2, 10);
    let a = || name("a.example");
    let check = |text| ask(&workers, Request::CheckPassword(a(), secret(text)));
    assert_eq!(check("secret"), Response::PasswordChecked(PasswordCheck::NotFound));
    assert_eq!(ask(&workers, Request::DeletePassword(a())), Response::PasswordDeleted(Found::No));
    assert_eq!(ask(&workers, Request::PutPassword(a(), secret("secret"))), Response::NotServed);
    ask(&workers, Request::Insert(vec![bench.pair("a.example")]));
    for (put, wrong) in [("secret", "Secret"), ("пароль", "secret")] {
        assert_eq!(ask(&workers, Request::PutPassword(a(), secret(put))), Response::PasswordStored);
        assert_eq!(check(put), Response::PasswordChecked(PasswordCheck::Right));
        assert_eq!(check(wrong), Response::PasswordChecked(PasswordCheck::Wrong));
    }
    assert_eq!(ask(&workers, Request::DeletePassword(a())), Response::PasswordDeleted(Found::Yes));
    assert_eq!(check("пароль"), Response::PasswordChecked(PasswordCheck::NotFound));
}

fn a_password_of_a_subdomain_ends_with_its_parent_and_is_never_a_domains(bench: &mut Bench) {
    let workers = bench.workers(2, 10);
    let type1 = bench.host_type("type1");
    bench.table.register_pattern(type1, &Pattern::Prefix((*b"muc.").into()));
    let (parent, sub) = (name("mine.example"), name("muc.mine.example"));
    let put = || ask(&workers, Request::PutPassword(sub.clone(), secret("secret")));
    let right = || ask(&workers, Request::CheckPassword(sub.clone(), secret("secret")));
    let add = |domain: &str| {
        let added = ask(&workers, Request::Insert(vec![bench.pair(domain)]));
        assert!(
            matches!(&added, Response::Inserted(all) if matches!(all[..], [Ok(InsertOutcome::Added(_))])),
            "{added:?}"
        );
    };
    // What the follower does.
    let source = bench.table.new_source();
    let show = |domain: &DomainName| bench.table.insert(domain, type1, source).map(|_| ()).unwrap();
    let remove = |domain: &DomainName| {
        ask(&workers, Request::BeginRemoval(domain.clone(), type1, 0));
        bench.table.delete(domain).unwrap();
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

    // It becomes a tenant of its own: also before this node's table shows that, it is no subdomain any more.
    assert_eq!(put(), Response::PasswordStored);
    add("muc.mine.example");
    assert_eq!((right(), put()), (Response::PasswordChecked(PasswordCheck::NotFound), Response::NotServed));
    show(&sub);
    assert_eq!((put(), right()), (Response::PasswordStored, Response::PasswordChecked(PasswordCheck::Right)));
    // And stays one without its former parent.
    remove(&parent);
    assert_eq!(right(), Response::PasswordChecked(PasswordCheck::Right));
}

fn a_password_that_resourceprep_refuses_is_not_stored(bench: &mut Bench) {
    let workers = bench.workers(1, 10);
    let put = |text| ask(&workers, Request::PutPassword(name("a.example"), secret(text)));
    ask(&workers, Request::Insert(vec![bench.pair("a.example")]));
    assert_eq!(put("bell\u{7}"), Response::PasswordRefused);
    let check = || ask(&workers, Request::CheckPassword(name("a.example"), secret("bell\u{7}")));
    assert_eq!(check(), Response::PasswordChecked(PasswordCheck::NotFound));
    assert_eq!(put("secret"), Response::PasswordStored);
    assert_eq!(check(), Response::PasswordChecked(PasswordCheck::Wrong));
}

fn a_corrupt_stored_password_is_told_apart_from_a_wrong_one(bench: &mut Bench) {
    let workers = bench.workers(1, 10);
    let mut writer = database(&bench.url).connect_writer(Arc::<Signal>::default()).unwrap();
    ask(&workers, Request::Insert(vec![bench.pair("a.example")]));
    for stored in ["", "secret", "==MULTI_SCRAM==,10,", "==SCRAM==,,,,"] {
        writer.put_password(&name("a.example"), NameOrigin::StaticDomain, stored, Instant::now() + LONG).unwrap();
        let checked = ask(&workers, Request::CheckPassword(name("a.example"), secret("secret")));
        assert_eq!(checked, Response::PasswordChecked(PasswordCheck::Corrupt), "{stored:?}");
    }
}

fn a_request_without_time_is_answered_too_late(bench: &mut Bench) {
    let workers = bench.workers(1, 10);
    let failure = try_ask(&workers, Request::Insert(vec![bench.pair("a.example")]), Duration::ZERO).unwrap_err();
    assert!(matches!(failure, OperationError::Expired), "{failure:?}");
    assert_eq!(failure.kind(), FailureKind::Expired);
    assert_eq!(ask(&workers, Request::Details(name("a.example"))), Response::Details(None));
}

fn a_stop_answers_everything_that_waits_and_ends_the_threads(bench: &mut Bench) {
    let workers = bench.workers(2, 101);
    let insert = |n| Request::Insert(vec![bench.pair(&format!("d{n}.example"))]);
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
    threads_end(bench);
}

fn a_dropped_handle_lets_the_workers_answer_what_waits_and_end(bench: &mut Bench) {
    let workers = bench.workers(2, 100);
    let insert = |n| Request::Insert(vec![bench.pair(&format!("d{n}.example"))]);
    let answers: Vec<_> = (0..20).map(|n| submit(&workers, insert(n), LONG).unwrap()).collect();
    drop(workers);
    for answer in &answers {
        let answer = heard(answer).unwrap();
        assert!(matches!(answer, Response::Inserted(_)), "{answer:?}");
    }
    threads_end(bench);
}

fn instances_that_add_the_same_domains_at_once_add_each_once(bench: &mut Bench) {
    const DOMAINS: usize = 60;
    let instances = [bench.workers(2, 100), bench.workers(2, 100)];
    // Each domain is in ten batches, five of each instance.
    let batch = |from: usize| (0..20).map(|n| format!("d{}.example", (from * 4 + n) % DOMAINS)).collect::<Vec<_>>();
    let asked: Vec<_> = (0..30)
        .map(|n| {
            let domains = batch(n / 2);
            let pairs = domains.iter().map(|domain| bench.pair(domain)).collect();
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

// What becomes of requests when the database hangs, goes or was never there.

/// A worker with a database that has this against some changes.
fn refusing(sql: &str) -> (Bench, Workers) {
    let mut bench = Bench::postgres();
    let workers = bench.workers(1, 10);
    assert_eq!(ask(&workers, Request::Details(name("a.example"))), Response::Details(None));
    bench.client().batch_execute(sql).unwrap();
    (bench, workers)
}

fn adds(workers: &Workers, bench: &Bench, domain: &str) {
    let added = ask(workers, Request::Insert(vec![bench.pair(domain)]));
    assert!(matches!(&added, Response::Inserted(all) if matches!(all[..], [Ok(InsertOutcome::Added(_))])), "{added:?}");
}

#[test]
fn of_a_batch_the_rows_that_the_database_takes_are_made_and_each_other_one_has_its_own_reason() {
    let (mut bench, workers) = refusing(
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
        .map(|domain| bench.pair(&domain))
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
    let mut count =
        |table: &str| bench.client().query_one(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().get::<_, i64>(0);
    assert_eq!([count("domain_settings"), count("domain_events")], [995, 995]);
}

#[test]
fn a_change_of_a_row_that_the_database_refuses_is_answered_with_the_reason() {
    let (mut bench, workers) = refusing(
        "ALTER TABLE domain_settings ADD CONSTRAINT always_served CHECK (status = 1);
         CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    );
    adds(&workers, &bench, "a.example");
    let off = || Request::SetStatus(name("a.example"), Activation::Disabled);
    for request in [off(), Request::BeginRemoval(name("a.example"), bench.host_type("type1"), 0)] {
        let failure = try_ask(&workers, request, LONG).unwrap_err();
        let reason = failure.refusal().expect("a reason");
        assert!(reason.contains("always_served") && !reason.contains("Failing row"), "{reason}");
    }
    bench
        .client()
        .batch_execute(
            "ALTER TABLE domain_settings DROP CONSTRAINT always_served;
             CREATE TRIGGER skip BEFORE UPDATE ON domain_settings FOR EACH ROW EXECUTE FUNCTION skip()",
        )
        .unwrap();
    // What is not made is not confirmed.
    assert_eq!(try_ask(&workers, off(), LONG).unwrap_err().refusal(), Some(StoreError::SKIPPED));
}

#[test]
fn a_refusal_of_the_statement_is_no_refusal_of_a_row() {
    let (bench, workers) = refusing("ALTER TABLE domain_settings RENAME COLUMN host_type TO other");
    let pairs = vec![bench.pair("a.example"), bench.pair("b.example")];
    let failure = try_ask(&workers, Request::Insert(pairs), LONG).unwrap_err();
    assert!(matches!(failure, OperationError::Database(StoreError::Refused { .. })), "{failure:?}");
}

#[test]
fn what_ends_the_tries_tells_the_last_reason() {
    let (bench, workers) = refusing(
        "CREATE FUNCTION race() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'lost to nobody' USING ERRCODE = '40001'; END $$;
         CREATE TRIGGER race BEFORE INSERT ON domain_settings FOR EACH ROW EXECUTE FUNCTION race()",
    );
    let failure = try_ask(&workers, Request::Insert(vec![bench.pair("a.example")]), LONG).unwrap_err();
    assert!(matches!(failure, OperationError::Contended { tries: 10, .. }), "{failure:?}");
    assert!(failure.to_string().contains("lost to nobody"), "{failure}");
    assert_eq!(failure.kind(), FailureKind::NotMade);
}

#[test]
fn a_sequence_that_is_behind_is_named_with_what_mends_it() {
    let (mut bench, workers) = refusing(
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
        let failure = try_ask(&workers, Request::Insert(vec![bench.pair("a.example")]), LONG).unwrap_err();
        assert!(matches!(failure, OperationError::Database(StoreError::Refused { .. })), "{failure:?}");
        assert!(failure.to_string().contains(&remedy), "{failure}");
        bench.client().batch_execute(&remedy).unwrap();
    }
    adds(&workers, &bench, "a.example");
    assert_eq!(remedies(), [""; 0]);
    // An id that somebody took by hand is passed by.
    let taken = "INSERT INTO domain_events (id, domain) SELECT max(id) + 1, 'hand.example' FROM domain_events";
    bench.client().batch_execute(taken).unwrap();
    adds(&workers, &bench, "b.example");
}

#[test]
fn a_full_queue_refuses_at_once() {
    let mut bench = Bench::postgres();
    let workers = bench.workers(1, 2);
    ask(&workers, Request::Details(name("a.example")));
    let lock = bench.lock();
    let details = || Request::Details(name("a.example"));
    let mut answers = vec![submit(&workers, details(), LONG).unwrap()];
    bench.hang(1);
    answers.extend((0..2).map(|_| submit(&workers, details(), LONG).unwrap()));
    let began = Instant::now();
    for _ in 0..10 {
        assert!(matches!(submit(&workers, details(), LONG), Err(Overloaded)));
    }
    // The lock is still held.
    assert!(began.elapsed() < LONG / 3);
    assert!(answers.iter().all(|answer| answer.try_recv().is_err()));
    drop(lock);
    for answer in answers {
        assert_eq!(heard(&answer).unwrap(), Response::Details(None));
    }
}

#[test]
fn a_request_whose_time_is_over_before_its_turn_is_answered_too_late() {
    let bench = Bench::postgres();
    let workers = bench.workers(1, 10);
    ask(&workers, Request::Details(name("a.example")));
    let lock = bench.lock();
    let insert = |domain| Request::Insert(vec![bench.pair(domain)]);
    let (first, second) = (insert("a.example"), insert("b.example"));
    let first = submit(&workers, first, Duration::from_millis(500)).unwrap();
    let second = submit(&workers, second, Duration::from_millis(100)).unwrap();
    let failure = heard(&first).unwrap_err();
    assert!(matches!(failure, OperationError::Database(StoreError::Timeout { .. })), "{failure:?}");
    assert_eq!(failure.kind(), FailureKind::Timeout);
    let failure = heard(&second).unwrap_err();
    assert!(matches!(failure, OperationError::Expired), "{failure:?}");
    drop(lock);
    // The worker has another connection, and works on.
    assert_eq!(ask(&workers, Request::Details(name("b.example"))), Response::Details(None));
}

#[test]
fn after_the_server_closed_the_connections_the_next_requests_succeed() {
    let mut bench = Bench::postgres();
    let workers = bench.workers(2, 10);
    let details = || Request::Details(name("a.example"));
    ask(&workers, details());
    // Both workers at once, so that there are two connections.
    let lock = bench.lock();
    let answers = [(); 2].map(|()| submit(&workers, details(), LONG).unwrap());
    bench.hang(2);
    drop(lock);
    for answer in answers {
        heard(&answer).unwrap();
    }
    let ports = "SELECT client_port, pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE datname = current_database() AND application_name = 'mongoose_domain'";
    let ports: Vec<i32> = bench.client().query(ports, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(ports.len(), 2);
    eventually(|| bench.connections("true") == 0 && ports.iter().all(|&port| is_closed(port)));
    for _ in 0..4 {
        assert_eq!(try_ask(&workers, details(), LONG).unwrap(), Response::Details(None));
    }
}

/// Whether this machine knows that the other end of its connection from `port` was closed, if it says.
fn is_closed(port: i32) -> bool {
    let connections = ["tcp", "tcp6"].map(|kind| std::fs::read_to_string(format!("/proc/net/{kind}")));
    let connections = connections.into_iter().flatten().collect::<String>();
    let from = format!(":{port:04X}");
    !connections.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        matches!(fields[..], [_, local, _, "01", ..] if local.ends_with(&from))
    })
}

#[test]
fn without_a_server_the_answer_is_unavailable_when_the_time_is_over() {
    // The port of a listener that is gone.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://someone:topsecret@127.0.0.1:{port}/nowhere");
    let workers = start(&url, &table(), 2, 10);
    let (began, limit) = (Instant::now(), Duration::from_millis(500));
    let failure = try_ask(&workers, Request::Details(name("a.example")), limit).unwrap_err();
    // The time it takes to say so is not the database's.
    assert!(began.elapsed() < limit + Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(matches!(failure, OperationError::Unavailable(_)), "{failure:?}");
    assert_eq!(failure.kind(), FailureKind::NotMade);
    let text = failure.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
    assert!(!text.contains("topsecret"), "{text}");
}

#[test]
fn when_the_database_is_back_the_next_request_succeeds() {
    let url = new_url();
    let workers = start(&url, &table(), 1, 10);
    // No database yet, for so long that attempts to connect have become rare.
    let failure = try_ask(&workers, Request::Details(name("a.example")), Duration::from_secs(3)).unwrap_err();
    assert!(matches!(failure, OperationError::Unavailable(_)), "{failure:?}");
    create(&url);
    let answer = try_ask(&workers, Request::Details(name("a.example")), Duration::from_secs(2));
    drop_database(&url);
    assert_eq!(answer.unwrap(), Response::Details(None));
}

#[test]
fn a_stop_breaks_off_requests_that_hang_in_the_database() {
    let mut bench = Bench::postgres();
    let workers = bench.workers(2, 10);
    ask(&workers, Request::Details(name("a.example")));
    let lock = bench.lock();
    let hour = Duration::from_secs(3600);
    let insert = |n| Request::Insert(vec![bench.pair(&format!("d{n}.example"))]);
    let requests: Vec<_> = (0..5).map(insert).collect();
    let answers: Vec<_> = requests.into_iter().map(|request| submit(&workers, request, hour).unwrap()).collect();
    bench.hang(2);
    let began = Instant::now();
    workers.stop();
    for (place, answer) in answers.iter().enumerate() {
        let failure = heard(answer).unwrap_err();
        match place {
            0 | 1 => assert!(matches!(failure, OperationError::Database(StoreError::Stopped)), "{failure:?}"),
            _ => assert!(matches!(failure, OperationError::Unavailable(_)), "{failure:?}"),
        }
    }
    drop(workers);
    threads_end(&bench);
    assert!(began.elapsed() < LONG / 3);
    // Nobody holds a connection any longer; the server's side waits for the lock until it looks.
    drop(lock);
    eventually(|| bench.connections("true") == 0);
}

#[test]
fn a_stop_breaks_off_requests_that_wait_for_a_connection() {
    let url = new_url();
    let table = table();
    let workers = start(&url, &table, 2, 10);
    // There is no such database, and so many requests wait that both workers have one.
    let details = || Request::Details(name("a.example"));
    let answers = [(); 4].map(|()| submit(&workers, details(), 3 * LONG).unwrap());
    assert!(matches!(answers[0].recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout)));
    workers.stop();
    for answer in &answers {
        let failure = answer.recv_timeout(Duration::from_secs(5)).expect("an answer soon after the stop").unwrap_err();
        let stopped = matches!(failure, OperationError::Unavailable(_) | OperationError::Database(StoreError::Stopped));
        assert!(stopped, "{failure:?}");
    }
    drop(workers);
    eventually(|| Arc::strong_count(&table) == 1);
}

#[test]
fn a_worker_whose_reply_takes_its_time_keeps_no_other_from_working() {
    let bench = Bench::sqlite();
    let workers = bench.workers(2, 10);
    let (release, wait) = channel::<()>();
    let slow = Box::new(move |_: Outcome| wait.recv().unwrap());
    workers.submit(Request::Details(name("a.example")), LONG, Box::new(|| true), slow).unwrap();
    for _ in 0..4 {
        assert_eq!(ask(&workers, Request::Details(name("a.example"))), Response::Details(None));
    }
    release.send(()).unwrap();
}
