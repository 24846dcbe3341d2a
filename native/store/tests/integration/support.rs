//! A database of its own for each test, and a second connection that writes plain SQL to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use domain_core::{DomainName, HostTypeId, HostTypes};
use domain_store::{Database, LogPosition, Signal, Store, StoreError, Timeouts, Writer};
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

/// A name that is too long to be stored in an entry of the table.
pub const LONG: &str = "a-name-of-more-than-fifty-four-bytes-needs-memory-of-its-own.example";

pub fn name(text: &str) -> DomainName {
    DomainName::new(text).unwrap()
}

/// Waits until `condition` holds, and fails after a time-out.
pub fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub struct Fixture {
    pub opener: Opener,
    plain: Plain,
    pub signal: Arc<Signal>,
    pub url: String,
}

/// Opens connections to the tested database.
pub struct Opener {
    database: Database,
    host_types: Arc<HostTypes>,
    signal: Arc<Signal>,
}

impl Opener {
    /// The same for the database of another URL.
    fn elsewhere(&self, url: &str) -> Opener {
        Opener { database: database(url), host_types: self.host_types.clone(), signal: self.signal.clone() }
    }

    pub fn connect(&self) -> Result<Box<dyn Store>, StoreError> {
        self.database.connect(self.host_types.clone(), self.signal.clone())
    }

    pub fn connect_writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        self.database.connect_writer(self.signal.clone())
    }
}

enum Plain {
    Postgres(Box<postgres::Client>),
    Mariadb(MariadbClient),
    Sqlite { connection: rusqlite::Connection, _folder: TempDir },
}

fn database(url: &str) -> Database {
    let limit = Duration::from_secs(30);
    Database::parse(url, Timeouts { connect: limit, statement: limit, lock: limit }).unwrap()
}

/// The user who may only read this database.
fn reader_of(database: &str) -> String {
    format!("{database}_reader")
}

/// A connection to MariaDB that runs plain SQL. Its session has the server's own settings.
pub struct MariadbClient {
    conn: mysql_async::Conn,
    runtime: tokio::runtime::Runtime,
}

impl MariadbClient {
    pub fn connect(url: &str) -> MariadbClient {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = mysql_async::OptsBuilder::from_opts(mysql_async::Opts::from_url(url).unwrap());
        let connecting = mysql_async::Conn::new(options.prefer_socket(false));
        let conn = runtime.block_on(connecting).expect("a connection to write by");
        let mut client = MariadbClient { conn, runtime };
        // Texts are joined and written as in the other databases.
        client.run("SET sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES')");
        client
    }

    /// Runs one or several statements. Returns the first column of the first one, as texts.
    pub fn run(&mut self, sql: &str) -> Vec<String> {
        let MariadbClient { conn, runtime } = self;
        // On a thread of its own: within a load's callback, another runtime may be running.
        let rows: Vec<mysql_async::Row> = std::thread::scope(|scope| {
            scope.spawn(|| runtime.block_on(conn.query(sql))).join().expect("a writer that does not panic").unwrap()
        });
        let text = |row: &mysql_async::Row| row.get::<Option<String>, _>(0).unwrap();
        rows.iter().map(|row| text(row).unwrap_or_else(|| "NULL".to_owned())).collect()
    }
}

impl Fixture {
    pub fn postgres() -> Fixture {
        Fixture::postgres_with("")
    }

    /// A PostgreSQL database whose texts may be any bytes.
    pub fn postgres_without_encoding() -> Fixture {
        Fixture::postgres_with("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    }

    fn postgres_with(options: &str) -> Fixture {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("MONGOOSE_DOMAIN_TEST_PG").expect(
            "MONGOOSE_DOMAIN_TEST_PG is not set: it is the URL of a PostgreSQL server where this test may create \
             databases. `make test` starts one and sets it; `scripts/postgres` starts one by hand",
        );
        let name = format!("store_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        postgres::Client::connect(&server, postgres::NoTls)
            .and_then(|mut client| client.batch_execute(&format!("CREATE DATABASE {name} {options}")))
            .expect("a database for this test");
        let (place, _) = server.rsplit_once('/').expect("a URL that names a database");
        let url = format!("{place}/{name}");
        let client = postgres::Client::connect(&url, postgres::NoTls).expect("a connection to write by");
        Fixture::new(url, Plain::Postgres(Box::new(client)))
    }

    pub fn mariadb() -> Fixture {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("MONGOOSE_DOMAIN_TEST_MARIADB").expect(
            "MONGOOSE_DOMAIN_TEST_MARIADB is not set: it is the URL of a MariaDB server where this test may create \
             databases. `make test` starts one and sets it; `scripts/mariadb` starts one by hand",
        );
        let name = format!("store_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        MariadbClient::connect(&server).run(&format!("CREATE DATABASE {name}"));
        let (place, _) = server.rsplit_once('/').expect("a URL that names a database");
        let url = format!("{place}/{name}");
        let client = MariadbClient::connect(&url);
        Fixture::new(url, Plain::Mariadb(client))
    }

    pub fn sqlite() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("domains.db");
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        Fixture::new(format!("sqlite:{}", file.display()), Plain::Sqlite { connection, _folder: folder })
    }

    /// An SQLite database in this file. Plain SQL is run in another, empty database.
    pub fn sqlite_at(file: std::path::PathBuf) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        Fixture::new(format!("sqlite:{}", file.display()), Plain::Sqlite { connection, _folder: folder })
    }

    /// Another database of the same kind.
    pub fn like(other: &Fixture) -> Fixture {
        match other.plain {
            Plain::Postgres(_) => Fixture::postgres(),
            Plain::Mariadb(_) => Fixture::mariadb(),
            Plain::Sqlite { .. } => Fixture::sqlite(),
        }
    }

    fn new(url: String, plain: Plain) -> Fixture {
        let host_types = HostTypes::default();
        for name in ["type1", "type2"] {
            host_types.intern(name.as_bytes()).unwrap();
        }
        let signal = Arc::<Signal>::default();
        let opener = Opener { database: database(&url), host_types: Arc::new(host_types), signal: signal.clone() };
        Fixture { opener, plain, signal, url }
    }

    /// Another connection to a MariaDB database, with the first statements that it runs.
    pub fn session(&self, sql: &str) -> MariadbClient {
        let mut client = MariadbClient::connect(&self.url);
        client.run(sql);
        client
    }

    pub fn store(&self) -> Box<dyn Store> {
        self.opener.connect().unwrap()
    }

    /// A store of a user who is no superuser and may only read. SQLite has no users.
    pub fn reader(&mut self) -> Box<dyn Store> {
        let (place, name) = self.url.rsplit_once('/').expect("a URL that names a database");
        let (_, server) = place.rsplit_once('@').expect("a URL that names a user");
        let user = reader_of(name);
        let url = match self.plain {
            Plain::Mariadb(_) => format!("mysql://{user}@{server}/{name}"),
            _ => format!("postgres://{user}@{server}/{name}"),
        };
        self.write(&match self.plain {
            Plain::Mariadb(_) => format!("CREATE USER {user}; GRANT SELECT ON {name}.* TO {user}"),
            _ => format!("CREATE USER {user}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}"),
        });
        self.opener.elsewhere(&url).connect().unwrap()
    }

    pub fn writer(&self) -> Box<dyn Writer> {
        self.opener.connect_writer().unwrap()
    }

    pub fn host_type(&self, name: &str) -> HostTypeId {
        self.opener.host_types.id(name).unwrap()
    }

    /// Plain SQL from another connection, committed.
    pub fn write(&mut self, sql: &str) {
        match &mut self.plain {
            // On a thread of its own: within a load's callback, another runtime is running.
            Plain::Postgres(client) => std::thread::scope(|scope| {
                scope.spawn(|| client.batch_execute(sql)).join().expect("a writer that does not panic").unwrap();
            }),
            Plain::Mariadb(client) => drop(client.run(sql)),
            Plain::Sqlite { connection, .. } => connection.execute_batch(sql).unwrap(),
        }
    }

    /// Plain SQL from another connection: the first column, as texts.
    pub fn read(&mut self, sql: &str) -> Vec<String> {
        match &mut self.plain {
            Plain::Postgres(client) => {
                let messages = client.simple_query(sql).unwrap();
                let row = |message| match message {
                    postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
                    _ => None,
                };
                messages.into_iter().filter_map(row).collect()
            }
            Plain::Mariadb(client) => client.run(sql),
            Plain::Sqlite { connection, .. } => {
                let mut select = connection.prepare(sql).unwrap();
                let text = |row: &rusqlite::Row<'_>| {
                    Ok(match row.get(0)? {
                        rusqlite::types::Value::Integer(number) => number.to_string(),
                        rusqlite::types::Value::Text(text) => text,
                        other => format!("{other:?}"),
                    })
                };
                select.query_map([], text).unwrap().collect::<Result<_, _>>().unwrap()
            }
        }
    }

    /// Counts rows for the planner of statements, as the database does by itself at some time.
    pub fn analyze(&mut self) {
        self.write(match &self.plain {
            Plain::Postgres(_) | Plain::Sqlite { .. } => "ANALYZE",
            Plain::Mariadb(_) => "ANALYZE TABLE domain_settings, domain_removals",
        });
    }

    /// Makes the database refuse every event from now on.
    pub fn refuse_events(&mut self) {
        let sql = match &self.plain {
            Plain::Postgres(_) => "ALTER TABLE domain_events ADD CONSTRAINT none_today CHECK (false) NOT VALID",
            Plain::Mariadb(_) => {
                "CREATE TRIGGER none_today BEFORE INSERT ON domain_events FOR EACH ROW
                 SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'none_today'"
            }
            Plain::Sqlite { .. } => {
                "CREATE TRIGGER none_today BEFORE INSERT ON domain_events BEGIN SELECT RAISE(ABORT, 'none_today'); END"
            }
        };
        self.write(sql);
    }

    /// Writes events with these ids, in this order, whose domains are `d1.example` and so on.
    pub fn write_events(&mut self, ids: &[i64]) {
        let rows: Vec<_> = ids.iter().map(|id| format!("({id}, 'd{id}.example')")).collect();
        self.write(&format!("INSERT INTO domain_events (id, domain) VALUES {}", rows.join(",")));
    }

    /// The log's position, as soon as no transaction of another test is older than its events: PostgreSQL has one horizon
    /// for all databases of a server.
    pub fn position(&mut self, store: &mut dyn Store) -> LogPosition {
        let mut settled = None;
        eventually(|| {
            let moment = store.position().unwrap();
            let later =
                |horizon| format!("SELECT count(*) FROM domain_events WHERE age(xmin) <= age('{horizon}'::xid8::xid)");
            if moment.horizon.as_ref().is_none_or(|horizon| self.read(&later(horizon)) == ["0"]) {
                settled = Some(moment);
            }
            settled.is_some()
        });
        settled.expect("the wait was not in vain")
    }

    /// The ids of all events.
    pub fn event_ids(&mut self) -> Vec<i64> {
        let ids = self.read("SELECT id FROM domain_events ORDER BY id");
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    /// Enables `tenant-1.example` and so on.
    pub fn fill(&mut self, count: usize) {
        let rows: Vec<_> = (1..=count).map(|n| format!("('tenant-{n}.example', 'type1')")).collect();
        self.write(&format!("INSERT INTO domain_settings (domain, host_type) VALUES {}", rows.join(",")));
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Plain::Mariadb(client) = &mut self.plain {
            let (_, name) = self.url.rsplit_once('/').unwrap_or_default();
            client.run(&format!("DROP DATABASE {name}; DROP USER IF EXISTS {}", reader_of(name)));
        }
        if let Plain::Postgres(client) = &mut self.plain {
            // A prepared transaction that a failed test leaves behind would hold back the horizon of all others.
            let prepared = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()";
            for row in client.query(prepared, &[]).unwrap_or_default() {
                let _ = client.batch_execute(&format!("ROLLBACK PREPARED '{}'", row.get::<_, String>(0)));
            }
            // Errors are ignored: the whole server is deleted after the tests.
            let (place, name) = self.url.rsplit_once('/').unwrap_or_default();
            let dropped =
                postgres::Client::connect(&format!("{place}/postgres"), postgres::NoTls).and_then(|mut other| {
                    other.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))?;
                    other.batch_execute(&format!("DROP USER IF EXISTS {}", reader_of(name)))
                });
            drop((client, dropped));
        }
    }
}
