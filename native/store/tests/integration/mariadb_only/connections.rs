//! Which server a connection leads to, and how it is encrypted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use domain_store::{Database, DatabaseIdentity, Store, StoreError, Timeouts};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::LONG_TIME;
use crate::support::{Fixture, MariadbClient};

/// A port on which no server listens: it is obsolete, and reserved for root.
const DEAD_PORT: u16 = 1;

fn connect(url: &str) -> Result<Box<dyn Store>, StoreError> {
    let timeouts = Timeouts { connect: LONG_TIME, statement: LONG_TIME, lock: LONG_TIME };
    Database::parse(url, timeouts).unwrap().connect(Default::default(), Default::default())
}

fn identity(url: &str) -> DatabaseIdentity {
    connect(url).unwrap().identity().unwrap().expect("one that is told")
}

fn error(url: &str) -> String {
    connect(url).map(drop).unwrap_err().to_string()
}

/// The port in the URL of a database.
fn port(url: &str) -> &str {
    url.rsplit_once('/').and_then(|(place, _)| place.rsplit_once(':')).expect("a URL with a port").1
}

#[test]
fn the_first_usable_host_is_taken() {
    let fixture = Fixture::mariadb();
    let url = fixture.url.replace("127.0.0.1", &format!("127.0.0.1:{DEAD_PORT},127.0.0.1"));
    assert_eq!(identity(&url), identity(&fixture.url));
    let dead = format!("mysql://mongoose@127.0.0.1:{DEAD_PORT},127.0.0.1:{DEAD_PORT}/d");
    let text = error(&dead);
    assert_eq!(text.matches("127.0.0.1:1: Connection refused").count(), 2, "{text}");
}

#[test]
fn a_database_or_a_user_that_is_not_there_is_named_without_the_password() {
    let fixture = Fixture::mariadb();
    let url = fixture.url.replace("mongoose@", "nobody:secret@");
    let text = error(&url);
    assert!(text.contains("Access denied for user 'nobody'") && !text.contains("secret"), "{text}");
    let url = format!("{}/nowhere", fixture.url.rsplit_once('/').unwrap().0);
    let text = error(&url);
    assert!(text.contains("Unknown database 'nowhere'"), "{text}");
    assert!(
        !Database::parse(&url.replace("mongoose@", "mongoose:secret@"), TIMEOUTS)
            .unwrap()
            .description()
            .contains("secret")
    );
}

const TIMEOUTS: Timeouts = Timeouts { connect: LONG_TIME, statement: LONG_TIME, lock: LONG_TIME };

/// A server with TLS, whose certificate names `localhost`. It takes no changes but those of its user `mongoose`.
struct TlsServer {
    folder: TempDir,
    url: String,
    /// PEM files of the authority that issued the certificates, and of another one.
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
        let folder = tempfile::tempdir().unwrap();
        // The server's user reads the files.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let write = |name: &str, contents: &str| {
            let path = folder.path().join(name);
            fs::write(&path, contents).unwrap();
            path
        };
        let authority = Authority::new();
        let ca = write("ca.pem", &authority.0.pem());
        let other_ca = write("other.pem", &Authority::new().0.pem());
        for (name, hosts) in [("server", &["localhost"][..]), ("client", &[])] {
            let (certificate, key) = authority.issue(hosts);
            write(&format!("{name}.crt"), &certificate);
            write(&format!("{name}.key"), &key);
        }
        let option = |option: &str, file: &str| format!("--{option}={}", folder.path().join(file).display());
        let started = script("start", folder.path())
            .args([option("ssl-cert", "server.crt"), option("ssl-key", "server.key"), option("ssl-ca", "ca.pem")])
            .output()
            .unwrap();
        assert!(started.status.success(), "{started:?}");
        let url = String::from_utf8(started.stdout).unwrap().trim().to_owned();
        MariadbClient::connect(&url).run(
            "CREATE USER encrypted REQUIRE SSL; CREATE USER certified REQUIRE X509;
             GRANT ALL ON mongoose.* TO encrypted, certified",
        );
        TlsServer { folder, url, ca, other_ca }
    }

    fn url(&self, user: &str, host: &str, parameters: &str) -> String {
        format!("mysql://{user}@{host}:{}/mongoose?{parameters}", port(&self.url))
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        // Not a failure of a test.
        let _ = script("stop", self.folder.path()).status();
    }
}

fn script(command: &str, folder: &Path) -> Command {
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/mariadb"));
    script.arg(command).arg(folder.join("data"));
    script
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = named("authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for these hosts and its key, both in PEM form.
    fn issue(&self, hosts: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = named("node", hosts).signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

fn named(common_name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

#[test]
fn tls_is_used_where_the_server_has_it_and_where_it_is_required() {
    let server = TlsServer::shared();
    for parameters in ["", "sslmode=allow", "sslmode=prefer", "sslmode=require"] {
        connect(&server.url("encrypted", "127.0.0.1", parameters)).unwrap();
    }
    let text = error(&server.url("encrypted", "127.0.0.1", "sslmode=disable"));
    assert!(text.contains("Access denied"), "{text}");
    // A server without a certificate has no TLS before MariaDB 11.4, and makes a certificate from then on.
    let mut other = Fixture::mariadb();
    connect(&other.url).unwrap();
    let required = format!("{}?sslmode=require", other.url);
    if other.read("SELECT @@have_ssl") == ["YES"] {
        connect(&required).unwrap();
    } else {
        let text = error(&required);
        assert!(text.contains("server does not have this capability"), "{text}");
    }
}

#[test]
fn a_certificate_is_verified_with_its_host_where_that_is_required() {
    let server = TlsServer::shared();
    let (ca, other_ca) = (server.ca.display(), server.other_ca.display());
    for mode in ["verify-full", "verify-ca", "require"] {
        let parameters = |ca: &dyn std::fmt::Display| format!("sslmode={mode}&sslrootcert={ca}");
        connect(&server.url("encrypted", "localhost", &parameters(&ca))).unwrap();
        let text = error(&server.url("encrypted", "localhost", &parameters(&other_ca)));
        assert!(text.contains("invalid peer certificate"), "{mode}: {text}");
    }
    let text = error(&server.url("encrypted", "127.0.0.1", &format!("sslmode=verify-full&sslrootcert={ca}")));
    assert!(text.contains("not valid for name"), "{text}");
    // Without a file, the system's authorities are trusted, and this is none of them.
    let text = error(&server.url("encrypted", "localhost", "sslmode=verify-full"));
    assert!(text.contains("invalid peer certificate") || text.contains("no root certificates"), "{text}");
}

#[test]
fn a_client_shows_its_certificate() {
    let server = TlsServer::shared();
    let certificate = format!("sslcert={}&sslkey={}", server.file("client.crt"), server.file("client.key"));
    connect(&server.url("certified", "127.0.0.1", &certificate)).unwrap();
    let text = error(&server.url("certified", "127.0.0.1", "sslmode=require"));
    assert!(text.contains("Access denied"), "{text}");
}

#[test]
fn a_unix_socket_is_a_server() {
    let server = TlsServer::shared();
    let socket = server.file("data/socket");
    let encoded = socket.replace('/', "%2F");
    let same = identity(&server.url);
    assert_eq!(identity(&format!("mysql://mongoose@{encoded}/mongoose")), same);
    assert_eq!(identity(&format!("mariadb://mongoose@/mongoose?socket={socket}")), same);
}

#[test]
fn a_server_that_takes_no_changes_is_passed_over_where_that_is_required() {
    let (read_only, other) = (TlsServer::start(), Fixture::mariadb());
    MariadbClient::connect(&read_only.url).run("SET GLOBAL read_only = 1");
    let (_, database) = other.url.rsplit_once('/').unwrap();
    MariadbClient::connect(&read_only.url).run(&format!("CREATE DATABASE {database}"));
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", port(&read_only.url), port(&other.url));
    let url = format!("mysql://mongoose@{hosts}/{database}");
    assert_ne!(identity(&url), identity(&other.url));
    assert_eq!(identity(&format!("{url}?target_session_attrs=read-write")), identity(&other.url));
    // A server that ceases to take changes is left.
    let url = format!("mysql://mongoose@127.0.0.1:{}/{database}?target_session_attrs=read-write", port(&read_only.url));
    let mut admin = MariadbClient::connect(&read_only.url);
    admin.run("SET GLOBAL read_only = 0");
    let mut store = connect(&url).unwrap();
    super::ids(&mut *store);
    admin.run("SET GLOBAL read_only = 1");
    let text = store.events(domain_core::EventId(0), domain_core::EventId(0), 10).unwrap_err().to_string();
    assert!(text.contains("takes no changes any more"), "{text}");
}
