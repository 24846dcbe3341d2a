//! A database and a table for each test, and workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use domain_core::{DomainName, HostTypeId, Table};
use domain_ops::{Completed, Iterations, OperationError, Options, Overloaded, Request, Response, Secret, Workers};
use domain_store::{Activation, Database, Readable, Timeouts};
use mysql_async::prelude::Queryable;
use tempfile::TempDir;

/// Runs each test function with every database.
macro_rules! on_every_database {
    ($($test:ident)*) => {
        mod on_postgres { $(#[test] fn $test() { super::$test(&mut crate::support::Fixture::postgres()) })* }
        mod on_mariadb { $(#[test] fn $test() { super::$test(&mut crate::support::Fixture::mariadb()) })* }
        mod on_sqlite { $(#[test] fn $test() { super::$test(&mut crate::support::Fixture::sqlite()) })* }
    };
}

/// A result without unreadable rows.
pub fn readable<T>(rows: Vec<T>) -> Readable<T> {
    Readable { rows, ..Readable::default() }
}

/// A time-out that only a failing test reaches.
pub const LONG: Duration = Duration::from_secs(30);

/// A database of its own for each test, and a table that allows type1 and type2.
pub struct Fixture {
    pub url: String,
    pub table: Arc<Table>,
    /// For plain SQL on PostgreSQL.
    pub client: Option<postgres::Client>,
    _folder: Option<TempDir>,
}

impl Fixture {
    pub fn postgres() -> Fixture {
        let url = new_url();
        create(&url);
        let client = postgres::Client::connect(&url, postgres::NoTls).expect("a connection for plain SQL");
        Fixture { url, table: table(), client: Some(client), _folder: None }
    }

    pub fn mariadb() -> Fixture {
        let url = new_mariadb_url();
        beside_on_mariadb(&url, |name| format!("CREATE DATABASE {name}")).expect("a database for this test");
        Fixture { url, table: table(), client: None, _folder: None }
    }

    pub fn sqlite() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("domains.db").display());
        Fixture { url, table: table(), client: None, _folder: Some(folder) }
    }

    pub fn workers(&self, count: u32, queue: usize) -> Workers {
        start(&self.url, &self.table, count, queue)
    }

    pub fn host_type(&self, name: &str) -> HostTypeId {
        self.table.host_types().id(name).unwrap()
    }

    pub fn pair(&self, domain: &str) -> (DomainName, HostTypeId, Activation) {
        (name(domain), self.host_type("type1"), Activation::Enabled)
    }

    pub fn client(&mut self) -> &mut postgres::Client {
        self.client.as_mut().expect("a test of PostgreSQL")
    }

    /// Locks the table of domains until the returned connection is dropped. Not the connection for plain SQL, because a
    /// transaction sees no changes in `pg_stat_activity`.
    pub fn lock(&self) -> postgres::Client {
        let mut client = postgres::Client::connect(&self.url, postgres::NoTls).unwrap();
        client.batch_execute("BEGIN; LOCK TABLE domain_settings").unwrap();
        client
    }

    /// The number of the workers' connections that meet a condition.
    pub fn connections(&mut self, condition: &str) -> i64 {
        let ours = "datname = current_database() AND application_name = 'mongoose_domain'";
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE {ours} AND {condition}");
        self.client().query_one(&sql, &[]).unwrap().get(0)
    }

    /// Waits until this number of connections wait for a lock.
    pub fn hang(&mut self, count: i64) {
        eventually(|| self.connections("wait_event_type = 'Lock'") == count);
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if self.client.is_some() {
            drop_database(&self.url);
        } else if self.url.starts_with("mysql:") {
            // Errors are ignored, as they are there.
            let _ = beside_on_mariadb(&self.url, |name| format!("DROP DATABASE IF EXISTS {name}"));
        }
    }
}

/// The URL of a database that does not exist yet.
pub fn new_url() -> String {
    let server = std::env::var("MONGOOSE_DOMAIN_TEST_PG").expect(
        "MONGOOSE_DOMAIN_TEST_PG is not set: it is the URL of a PostgreSQL server where this test may create \
         databases. `make test` starts one and sets it; `scripts/postgres` starts one by hand",
    );
    beside_url(&server)
}

/// The same on MariaDB.
fn new_mariadb_url() -> String {
    let server = std::env::var("MONGOOSE_DOMAIN_TEST_MARIADB").expect(
        "MONGOOSE_DOMAIN_TEST_MARIADB is not set: it is the URL of a MariaDB server where this test may create databases. \
         `make test` starts one and sets it; `scripts/mariadb` starts one by hand",
    );
    beside_url(&server)
}

/// The URL of another database of a server.
fn beside_url(server: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (place, _) = server.rsplit_once('/').expect("a URL that names a database");
    format!("{place}/ops_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

pub fn create(url: &str) {
    beside(url, |name| format!("CREATE DATABASE {name}")).expect("a database for this test");
}

pub fn drop_database(url: &str) {
    // Errors are ignored: the whole server is deleted after the tests.
    let _ = beside(url, |name| format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
}

/// Runs a statement about a database in another database of its server.
pub fn beside(url: &str, sql: impl FnOnce(&str) -> String) -> Result<(), postgres::Error> {
    let (place, name) = url.rsplit_once('/').expect("a URL that names a database");
    postgres::Client::connect(&format!("{place}/postgres"), postgres::NoTls)?.batch_execute(&sql(name))
}

/// The same on MariaDB.
fn beside_on_mariadb(url: &str, sql: impl FnOnce(&str) -> String) -> mysql_async::Result<()> {
    let (place, name) = url.rsplit_once('/').expect("a URL that names a database");
    let options = mysql_async::OptsBuilder::from_opts(mysql_async::Opts::from_url(place)?).prefer_socket(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { mysql_async::Conn::new(options).await?.query_drop(sql(name)).await })
}

pub fn table() -> Arc<Table> {
    let table = Table::new(1);
    let allowed = ["type1", "type2"].map(|name| table.host_types().intern(name.as_bytes()).unwrap());
    table.open(&[], allowed);
    Arc::new(table)
}

pub fn database(url: &str) -> Database {
    Database::parse(url, Timeouts { connect: LONG, statement: LONG, lock: LONG }).unwrap()
}

pub fn start(url: &str, table: &Arc<Table>, workers: u32, queue: usize) -> Workers {
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

pub fn name(text: &str) -> DomainName {
    DomainName::new(text).unwrap()
}

pub fn secret(text: &str) -> Secret {
    Secret(text.to_owned())
}

pub type Outcome = Result<Response, OperationError>;

pub fn submit(workers: &Workers, request: Request, limit: Duration) -> Result<Receiver<Outcome>, Overloaded> {
    let (reply, answer) = channel();
    let reply = Box::new(move |result: Result<Completed, _>| drop(reply.send(result.map(|done| done.response))));
    workers.submit(request, limit, Box::new(|| true), reply)?;
    Ok(answer)
}

/// The result. Fails if the function was dropped without being called.
pub fn heard(answer: &Receiver<Outcome>) -> Outcome {
    answer.recv_timeout(LONG).expect("an answer")
}

pub fn try_ask(workers: &Workers, request: Request, limit: Duration) -> Outcome {
    heard(&submit(workers, request, limit).unwrap())
}

pub fn ask(workers: &Workers, request: Request) -> Response {
    try_ask(workers, request, LONG).unwrap()
}

/// Waits until `condition` holds, and fails after a time-out.
pub fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until the workers' threads have ended: each holds a reference to the table.
pub fn threads_end(fixture: &Fixture) {
    eventually(|| Arc::strong_count(&fixture.table) == 1);
}
