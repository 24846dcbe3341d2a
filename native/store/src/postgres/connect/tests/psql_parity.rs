//! Compares connections with psql's: with the same URL and the same server, a connection succeeds, and has TLS, if and only
//! if psql's does. The certificates have all kinds of keys, signatures and errors, and a real server uses one after the
//! other.
//!
//! [`KNOWN`] lists the remaining differences with their reasons. docs/configuration.md lists them, too.

mod certificates;

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use self::certificates::{CLIENTS, PREPARE, SHOWN, TOOLS};
use super::*;

/// Known differences: the beginning of the case's name, a part of its parameters, and the reason. A case may differ only
/// with some versions of OpenSSL.
const KNOWN: &[(&str, &str, &str)] = &[
    ("key ed448", "sslrootcert", "signatures of Ed448 keys are not verified here, so nor is such a server"),
    (
        "key ed448",
        "channel_binding=require",
        "a password is bound only to a server that proved its certificate its own",
    ),
    ("key rsa1024", "channel_binding=require", "the same: a key of 1024 bits proves nothing"),
    ("signed by ed448", "sslrootcert", "signatures of Ed448 keys are not verified here"),
    ("signed by rsa2048 sha224", "sslrootcert", "certificates have SHA-256, SHA-384 or SHA-512"),
    ("signed by rsa2048 with pss, longest salt", "sslrootcert", "the salt is as long as the hash, as TLS has it"),
    ("signed by rsa-pss, longest salt", "sslrootcert", "the same"),
    ("signed by ed", "channel_binding=prefer", "libpq gives up where the signature has no hash; this goes on unbound"),
    ("TLSv1.2: key rsa-pss", "", "rustls has these keys for TLS 1.3 only"),
    ("TLSv1.2: key p521", "", "with TLS 1.2 the server wants its curve among those for the key exchange"),
    ("TLSv1.2: key ed448", "", "rustls has these keys for TLS 1.3 only"),
    ("TLSv1.3: key ed448", "sslrootcert", "signatures of Ed448 keys are not verified here"),
    ("TLSv1.2: client rsa-pss", "", "such keys cannot sign here"),
    ("TLSv1.3: client rsa-pss", "", "such keys cannot sign here"),
    ("TLSv1.2: client ed448", "", "such keys cannot sign here"),
    ("TLSv1.3: client ed448", "", "such keys cannot sign here"),
    ("postgres", "sslmode=allow", "allow is taken as prefer: TLS comes first"),
    ("secretive", "sslmode=allow", "allow is taken as prefer: TLS comes first"),
];

const HBA: &str = "\
hostssl all certified 127.0.0.1/32 cert
hostnossl all clear 127.0.0.1/32 trust
hostssl all covered 127.0.0.1/32 trust
host all secretive 127.0.0.1/32 scram-sha-256
host all clear,covered,certified 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust
local all all trust
";

/// The server accepts everything; psql uses the system's rules.
const LENIENT: &str = "\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
CipherString = ALL:@SECLEVEL=0
";

/// The result of an attempt to connect.
enum Connected {
    Tls,
    Clear,
    Refused(String),
}

impl Connected {
    fn is(&self, other: &Connected) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Connected::Tls => f.write_str("connects with TLS"),
            Connected::Clear => f.write_str("connects without TLS"),
            Connected::Refused(reason) => write!(f, "is refused ({})", reason.replace('\n', " ")),
        }
    }
}

struct Beside {
    server: TestServer,
    folder: TempDir,
    cases: usize,
    /// The case, the parameters, and both results.
    different: Vec<(String, String, String)>,
}

impl Beside {
    fn start() -> Beside {
        let folder = TempDir::new().unwrap();
        script(folder.path(), PREPARE);
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        script(folder.path(), &format!("{TOOLS}\nask db; extended san"));
        let server = TestServer::start_with_environment(
            &["ssl=on", "ssl_ca_file=ca.crt", "password_encryption=scram-sha-256", "log_min_messages=log"],
            &[
                ("server.crt", &read("out.crt")),
                ("server.key", &read("db.key")),
                ("ca.crt", &read("ca.crt")),
                ("pg_hba.conf", HBA),
                ("openssl.cnf", LENIENT),
            ],
            &[("OPENSSL_CONF", "{data}/openssl.cnf")],
        );
        run(
            &format!("postgres://postgres@{}", socket(&server)),
            "CREATE ROLE certified LOGIN; CREATE ROLE clear LOGIN; CREATE ROLE covered LOGIN;
             CREATE ROLE secretive LOGIN PASSWORD 'secret'",
        );
        Beside { server, folder, cases: 0, different: Vec::new() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Makes a certificate, and has the server use it.
    fn show(&self, what: &str, how: &str) {
        self.make(what, how);
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap();
        self.reload(what, &[("server.crt", &read("out.crt")), ("server.key", &read("out.key"))]);
    }

    fn make(&self, what: &str, how: &str) {
        let trusted = "rm -f out.*; cp db.key out.key; cp ca.crt root.crt";
        script(self.folder.path(), &format!("{TOOLS}\n{trusted}\n{how} # {what}"));
    }

    fn reload(&self, what: &str, files: &[(&str, &str)]) {
        let before = self.server.log().len();
        self.server.replace_files(files);
        // The process of this connection is started after the server has read its files.
        run(&format!("postgres://postgres@{}", socket(&self.server)), "SELECT 1");
        let log = self.server.log();
        assert!(!log[before..].contains("not reloaded"), "the server does not take {what}: {}", &log[before..]);
    }

    /// Compares psql's connection with ours.
    fn compare(&mut self, what: &str, user: &str, host: &str, parameters: &str) {
        let port = self.server.port();
        let url = format!("postgres://{user}@{host}:{port}/postgres?hostaddr=127.0.0.1&{parameters}");
        let (psql, ours) = (psql(self.folder.path(), &url), ours(&url));
        self.cases += 1;
        let shown = parameters.replace(&self.path(""), "");
        if !psql.is(&ours) {
            self.different.push((what.to_owned(), shown, format!("psql {psql}; this {ours}")));
        }
    }

    /// Fails if there is an unknown difference.
    fn end(self) {
        let known = |(what, parameters, _): &&(String, String, String)| {
            KNOWN.iter().any(|(begins, has, _)| what.starts_with(begins) && parameters.contains(has))
        };
        let unknown: Vec<_> = self.different.iter().filter(|case| !known(case)).collect();
        assert!(self.cases > 0);
        assert!(unknown.is_empty(), "{} of {} cases differ:\n{unknown:#?}", unknown.len(), self.cases);
    }
}

fn script(folder: &Path, text: &str) {
    let output = Command::new("sh").args(["-euc", text]).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
}

fn psql(home: &Path, url: &str) -> Connected {
    let mut command = Command::new("psql");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    let output = command
        .env("HOME", home)
        .args(["--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--command", HAS_TLS, url])
        .stdin(Stdio::null())
        .output()
        .expect("psql is in PATH");
    match String::from_utf8_lossy(&output.stdout).trim() {
        "t" => Connected::Tls,
        "f" => Connected::Clear,
        _ => Connected::Refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn ours(url: &str) -> Connected {
    let target = match Target::new(url, &TIMEOUTS) {
        Ok(target) => target,
        Err(error) => return Connected::Refused(error.to_string()),
    };
    drop(target);
    match query(url, HAS_TLS) {
        Ok(answer) if answer == "t" => Connected::Tls,
        Ok(_) => Connected::Clear,
        Err(error) => Connected::Refused(error.to_string()),
    }
}

#[test]
fn what_psql_connects_to_is_connected_to_and_what_it_refuses_is_refused() {
    let mut beside = Beside::start();
    let root = beside.path("root.crt");
    for (what, how) in SHOWN {
        beside.show(what, how);
        let is = |kinds: &[&str]| kinds.iter().any(|kind| what.starts_with(kind));
        for (worth_it, parameters) in [
            (is(&["key", "v1", "expired"]), "sslmode=prefer".to_owned()),
            (true, "sslmode=require".to_owned()),
            (is(&["v1", "expired", "stranger"]), format!("sslmode=prefer&sslrootcert={root}")),
            (is(&["v1", "expired", "stranger"]), format!("sslmode=require&sslrootcert={root}")),
            (true, format!("sslmode=verify-ca&sslrootcert={root}")),
            (true, format!("sslmode=verify-full&sslrootcert={root}")),
        ] {
            if worth_it {
                beside.compare(what, "postgres", "db.example.com", &parameters);
            }
        }
        if what.contains("address") {
            beside.compare(what, "postgres", "127.0.0.1", &format!("sslmode=verify-full&sslrootcert={root}"));
        }
        // A password that is bound to the connection proves that both see the same certificate.
        for channel_binding in ["prefer", "require"] {
            let parameters = format!("sslmode=require&channel_binding={channel_binding}");
            if is(&["key", "signed", "v1"]) {
                beside.compare(what, "secretive:secret", "db.example.com", &parameters);
            }
        }
    }
    beside.end();
}

#[test]
fn each_version_of_tls_connects_as_with_psql() {
    let mut beside = Beside::start();
    let root = beside.path("root.crt");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let limits = format!("ssl_min_protocol_version='{version}'\nssl_max_protocol_version='{version}'\n");
        beside.reload(version, &[("postgresql.auto.conf", &limits)]);
        let kinds = SHOWN.iter().filter(|(what, _)| what.starts_with("key ") || *what == "v1" || *what == "v1 rsa");
        for (what, how) in kinds {
            beside.show(what, how);
            let what = format!("{version}: {what}");
            beside.compare(&what, "postgres", "db.example.com", "sslmode=require");
            beside.compare(&what, "postgres", "db.example.com", &format!("sslmode=verify-full&sslrootcert={root}"));
        }
    }
    beside.end();
}

#[test]
fn certificates_of_clients_log_in_as_with_psql() {
    let mut beside = Beside::start();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let limits = format!("ssl_min_protocol_version='{version}'\nssl_max_protocol_version='{version}'\n");
        beside.reload(version, &[("postgresql.auto.conf", &limits)]);
        for (what, how) in CLIENTS {
            beside.make(what, how);
            fs::set_permissions(beside.path("out.key"), fs::Permissions::from_mode(0o600)).unwrap();
            let own = format!("sslcert={}&sslkey={}", beside.path("out.crt"), beside.path("out.key"));
            let what = format!("{version}: client {what}");
            beside.compare(&what, "certified", "db.example.com", &format!("sslmode=require&{own}"));
        }
    }
    beside.end();
}

#[test]
fn where_the_server_lets_in_with_or_without_tls_only_each_sslmode_does_what_it_does_in_psql() {
    let mut beside = Beside::start();
    let (ca, stranger) = (beside.path("ca.crt"), beside.path("stranger.crt"));
    for user in ["clear", "covered", "certified", "secretive", "secretive:secret", "postgres"] {
        for parameters in [
            String::new(),
            "sslmode=disable".to_owned(),
            "sslmode=allow".to_owned(),
            "sslmode=prefer".to_owned(),
            "sslmode=require".to_owned(),
            format!("sslmode=prefer&sslrootcert={ca}"),
            format!("sslmode=prefer&sslrootcert={stranger}"),
            format!("sslmode=verify-full&sslrootcert={ca}"),
        ] {
            beside.compare(user, user, "db.example.com", &parameters);
        }
    }
    // Names that are invalid in DNS.
    for host in ["my_db", "-", "db.example.com."] {
        for mode in ["prefer", "require", "verify-ca", "verify-full"] {
            beside.compare(host, "postgres", host, &format!("sslmode={mode}&sslrootcert={ca}"));
        }
    }
    beside.end();
}
