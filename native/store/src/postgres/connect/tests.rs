//! Connections to real servers.

mod bounds;
mod psql_parity;
mod servers;
mod session;
mod tls;

use std::fs;
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::SimpleQueryMessage;

use super::*;
use crate::postgres::test_server::TestServer;
use crate::postgres::test_server::authority::{Authority, write};
use crate::{Database, UrlSource};

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    statement: Duration::from_secs(30),
    lock: Duration::from_millis(2500),
};

/// A port on which no server listens: it is obsolete, and reserved for root.
const DEAD_PORT: u16 = 1;

/// The password of the user `secretive`, with every reserved character of a URL.
const PASSWORD: &str = "p@ss/w?rd&=#%:'";
const PASSWORD_ENCODED: &str = "p%40ss%2Fw%3Frd%26=#%25:'";

const PG_HBA: &str = "\
hostssl all certified 127.0.0.1/32 cert
host all certified 127.0.0.1/32 reject
host all secretive 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
local all all trust
";

/// A server with TLS, whose certificate names `localhost` and `db.example.com`.
struct TlsServer {
    server: TestServer,
    files: TempDir,
    /// PEM files of the authority that issued the certificate, and of another one.
    ca: PathBuf,
    other_ca: PathBuf,
}

impl TlsServer {
    /// The running server, or else a new one. It ends with the last test that uses it.
    fn shared() -> Arc<TlsServer> {
        static SHARED: Mutex<Weak<TlsServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(TlsServer::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    fn start() -> TlsServer {
        let authority = Authority::new("authority");
        let issued = authority.issue("server", &["localhost", "db.example.com"]);
        let server = TestServer::start_with_files(
            &["ssl=on", "ssl_ca_file=ca.crt", "password_encryption=scram-sha-256"],
            &[
                ("server.crt", &issued.certificate),
                ("server.key", &issued.key),
                ("ca.crt", &authority.certificate()),
                ("pg_hba.conf", PG_HBA),
            ],
        );
        let quoted = PASSWORD.replace('\'', "''");
        run(
            &format!("postgres://postgres@{}", socket(&server)),
            &format!("CREATE ROLE certified LOGIN; CREATE ROLE secretive LOGIN PASSWORD '{quoted}'"),
        );
        let files = TempDir::new().unwrap();
        let client = authority.issue("certified", &[]);
        write(files.path(), "client.crt", &client.certificate);
        write(files.path(), "client.key", &client.key);
        TlsServer {
            ca: write(files.path(), "ca.pem", &authority.certificate()),
            other_ca: write(files.path(), "other.pem", &Authority::new("other").certificate()),
            server,
            files,
        }
    }

    /// A URL to this server under another name, for the database `postgres`.
    fn url(&self, user: &str, host: &str, parameters: &str) -> String {
        let port = self.server.port();
        format!("postgres://{user}@{host}:{port}/postgres?hostaddr=127.0.0.1&{parameters}")
    }

    /// Whether the connection that these parameters make has TLS.
    fn has_tls(&self, host: &str, parameters: &str) -> Result<bool, ConnectError> {
        query(&self.url("postgres", host, parameters), HAS_TLS).map(|answer| answer == "t")
    }
}

const HAS_TLS: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// Runs a future to completion.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn target(url: &str, timeouts: &Timeouts) -> Target {
    Target::new(url, timeouts).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Connects and runs statements. Returns the first column of the first row of the result, if any.
fn execute(url: &str, timeouts: &Timeouts, sql: &str) -> Result<Option<String>, ConnectError> {
    block_on(async {
        let (client, mut connection) = target(url, timeouts).connect().await?;
        let driver =
            tokio::spawn(async move { while let Some(Ok(_)) = poll_fn(|cx| connection.poll_message(cx)).await {} });
        let answer = client.simple_query(sql).await.unwrap();
        drop(client);
        driver.await.unwrap();
        Ok(answer.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    })
}

fn query(url: &str, sql: &str) -> Result<String, ConnectError> {
    execute(url, &TIMEOUTS, sql).map(|answer| answer.expect("a row"))
}

fn run(url: &str, sql: &str) {
    execute(url, &TIMEOUTS, sql).unwrap();
}

fn socket(server: &TestServer) -> String {
    let folder = server.folder().display().to_string().replace('/', "%2F");
    format!("{folder}:{}/postgres", server.port())
}
