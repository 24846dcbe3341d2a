//! Beside psql: by the same URL to the same server, we connect if and only if psql does, and with TLS if and only if
//! psql has it. The certificates are made with `openssl`, of every kind of key and signature and with whatever can be
//! wrong with them; the server is a real one, which shows one after the other.
//!
//! [`KNOWN`] are the differences that are left, with their reasons. docs/configuration.md names them, too.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

/// Cases that end another way than psql's: what begins so, with parameters that have this in them, and why. A case
/// need not differ with every version of OpenSSL.
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

/// The server takes whatever there is; psql has the system's own rules.
const LENIENT: &str = "\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
CipherString = ALL:@SECLEVEL=0
";

/// Makes what all certificates need: keys, an authority, and what certificates say.
const PREPARE: &str = r#"
key() { openssl genpkey -out "$1.key" -algorithm "$2" ${3:+-pkeyopt "$3"} 2>/dev/null; }
key rsa1024 RSA rsa_keygen_bits:1024
key rsa2048 RSA rsa_keygen_bits:2048
key rsa3072 RSA rsa_keygen_bits:3072
key rsa4096 RSA rsa_keygen_bits:4096
key pss2048 RSA-PSS rsa_keygen_bits:2048
for curve in 256 384 521; do key "p$curve" EC "ec_paramgen_curve:P-$curve"; done
key ed25519 ED25519
key ed448 ED448
cp p256.key db.key
key ca EC ec_paramgen_curve:P-256
key between EC ec_paramgen_curve:P-256
openssl req -x509 -key ca.key -subj /CN=ca -days 100 -out ca.crt
openssl req -x509 -key p384.key -subj /CN=stranger -days 100 -out stranger.crt
openssl req -new -key between.key -subj /CN=between -out between.csr
echo 'subjectAltName=DNS:db.example.com' >san
printf '%s\n' 'basicConstraints=critical,CA:true' >authority
printf '%s\n' '[req]' 'distinguished_name=name' '[name]' >nothing
"#;

/// What makes a certificate: `ask KEY SUBJECT` the request out.csr, `extended FILE OPTION...` has the authority sign it
/// with the extensions in that file, `old OPTION...` as X.509 v1, and `v1 NAME OPTION...` signs NAME.csr so. `past` is
/// the options for a certificate that has expired.
///
/// Versions of OpenSSL differ: without -x509v1 the newer ones, which alone know it, add extensions; and what ends before
/// it begins, as with `-days -1`, they don't make.
const TOOLS: &str = r#"
ask() { openssl req -new -key "$1.key" -subj "${2:-/CN=db.example.com}" -out out.csr; }
extended() { file=$1; shift
    openssl x509 -req -in out.csr -CA "${CA:-ca}.crt" -CAkey "${CA:-ca}.key" -days 50 -out out.crt -extfile "$file" "$@" 2>/dev/null; }
says() { printf '%s\n' 'subjectAltName=DNS:db.example.com' "$@" >said; extended said; }
v1() { name=$1; shift
    openssl req -x509v1 -config nothing -in "$name.csr" -days 50 -out "$name.crt" "$@" 2>/dev/null ||
        openssl x509 -req -in "$name.csr" -days 50 -out "$name.crt" "$@" 2>/dev/null
    openssl x509 -in "$name.crt" -noout -text | grep -q 'Version: 1 '; }
old() { v1 out -CA "${CA:-ca}.crt" -CAkey "${CA:-ca}.key" "$@"; }
past() { if openssl x509 -help 2>&1 | grep -q -e -not_after
    then echo -not_before 20200101000000Z -not_after 20200102000000Z; else echo -days -1; fi; }
root() { openssl req -x509 -key "$1.key" -subj "/CN=$1" -days 50 -out "$1.crt" ${2:+$2}; }
via() { openssl x509 -req -in between.csr -CA ca.crt -CAkey ca.key -days 50 -extfile "$1" -out between.crt 2>/dev/null; }
"#;

/// What a server may show: a name, and a script that leaves `out.crt`, if it makes another key `out.key`, and, if it
/// is another one than `ca.crt`, the trusted `root.crt`.
const SHOWN: &[(&str, &str)] = &[
    // Kinds of keys.
    ("key rsa1024", "ask rsa1024; extended san; cp rsa1024.key out.key"),
    ("key rsa2048", "ask rsa2048; extended san; cp rsa2048.key out.key"),
    ("key rsa3072", "ask rsa3072; extended san; cp rsa3072.key out.key"),
    ("key rsa4096", "ask rsa4096; extended san; cp rsa4096.key out.key"),
    ("key rsa-pss", "ask pss2048; extended san; cp pss2048.key out.key"),
    ("key p256", "ask p256; extended san; cp p256.key out.key"),
    ("key p384", "ask p384; extended san; cp p384.key out.key"),
    ("key p521", "ask p521; extended san; cp p521.key out.key"),
    ("key ed25519", "ask ed25519; extended san; cp ed25519.key out.key"),
    ("key ed448", "ask ed448; extended san; cp ed448.key out.key"),
    // Kinds of signatures.
    ("signed by rsa1024", "root rsa1024; cp rsa1024.crt root.crt; ask db; CA=rsa1024 extended san"),
    ("signed by rsa2048 sha1", "root rsa2048; cp rsa2048.crt root.crt; ask db; CA=rsa2048 extended san -sha1"),
    ("signed by rsa2048 sha224", "root rsa2048; cp rsa2048.crt root.crt; ask db; CA=rsa2048 extended san -sha224"),
    ("signed by rsa2048 sha256", "root rsa2048; cp rsa2048.crt root.crt; ask db; CA=rsa2048 extended san -sha256"),
    ("signed by rsa3072 sha384", "root rsa3072; cp rsa3072.crt root.crt; ask db; CA=rsa3072 extended san -sha384"),
    ("signed by rsa4096 sha512", "root rsa4096; cp rsa4096.crt root.crt; ask db; CA=rsa4096 extended san -sha512"),
    (
        "signed by rsa2048 with pss",
        "root rsa2048; cp rsa2048.crt root.crt; ask db; \
        CA=rsa2048 extended san -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
    ),
    (
        "signed by rsa2048 with pss, sha512",
        "root rsa2048; cp rsa2048.crt root.crt; ask db; \
        CA=rsa2048 extended san -sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
    ),
    (
        "signed by rsa2048 with pss, longest salt",
        "root rsa2048; cp rsa2048.crt root.crt; ask db; \
        CA=rsa2048 extended san -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max",
    ),
    (
        "signed by rsa-pss",
        "root pss2048; cp pss2048.crt root.crt; ask db; \
        CA=pss2048 extended san -sigopt rsa_pss_saltlen:digest",
    ),
    ("signed by rsa-pss, longest salt", "root pss2048; cp pss2048.crt root.crt; ask db; CA=pss2048 extended san"),
    ("signed by p256 sha1", "ask db; extended san -sha1"),
    ("signed by p256 sha384", "ask db; extended san -sha384"),
    ("signed by p256 sha512", "ask db; extended san -sha512"),
    ("signed by p384", "root p384; cp p384.crt root.crt; ask db; CA=p384 extended san"),
    ("signed by p521 sha256", "root p521; cp p521.crt root.crt; ask db; CA=p521 extended san -sha256"),
    ("signed by p521 sha512", "root p521; cp p521.crt root.crt; ask db; CA=p521 extended san -sha512"),
    ("signed by ed25519", "root ed25519; cp ed25519.crt root.crt; ask db; CA=ed25519 extended san"),
    ("signed by ed448", "root ed448; cp ed448.crt root.crt; ask db; CA=ed448 extended san"),
    // X.509 v1.
    ("v1", "ask db; old"),
    ("v1 of another name", "ask db /CN=other.example.com; old"),
    ("v1 rsa", "ask rsa2048; old; cp rsa2048.key out.key"),
    ("v1 by a stranger", "root p384 ; ask db; CA=p384 old"),
    ("v1 that is its own root", "ask db; v1 out -key db.key; cp out.crt root.crt"),
    (
        "v1 root",
        "ask p384 /CN=p384; mv out.csr p384.csr; v1 p384 -key p384.key; \
        cp p384.crt root.crt; ask db; CA=p384 extended san",
    ),
    ("v1 between", "v1 between -CA ca.crt -CAkey ca.key; ask db; CA=between extended san; cat between.crt >>out.crt"),
    ("v1 below an authority between", "via authority; ask db; CA=between old; cat between.crt >>out.crt"),
    // Times.
    ("expired", "ask db; extended san $(past)"),
    ("expired v1", "ask db; old $(past)"),
    (
        "expired root",
        "ask p384 /CN=p384; \
        openssl x509 -req -in out.csr -key p384.key $(past) -extfile authority -out p384.crt 2>/dev/null; \
        cp p384.crt root.crt; ask db; CA=p384 extended san",
    ),
    // Names.
    ("name in the common name only", "ask db; echo 'keyUsage=digitalSignature' >said; extended said"),
    (
        "name in the common name, another one beside it",
        "ask db; echo 'subjectAltName=DNS:other.example.com' >said; extended said",
    ),
    (
        "name in the common name, an address beside it",
        "ask db; echo 'subjectAltName=IP:127.0.0.1' >said; extended said",
    ),
    ("another name", "ask db /CN=other.example.com; echo 'subjectAltName=DNS:other.example.com' >said; extended said"),
    ("name by a wildcard", "ask db /CN=x; echo 'subjectAltName=DNS:*.example.com' >said; extended said"),
    ("name by a wildcard for more", "ask db /CN=x; echo 'subjectAltName=DNS:*.com' >said; extended said"),
    ("no name", "ask db /O=nobody; old"),
    ("an address", "ask db /CN=x; echo 'subjectAltName=IP:127.0.0.1' >said; extended said"),
    // Ways to a root.
    ("stranger", "cp p384.key stranger.key; ask db; CA=stranger extended san"),
    (
        "its own root",
        "openssl req -x509 -key db.key -subj /CN=db.example.com -days 50 -addext subjectAltName=DNS:db.example.com -out out.crt; \
        cp out.crt root.crt",
    ),
    (
        "its own root, no authority",
        "ask db; openssl x509 -req -in out.csr -signkey db.key -days 50 -extfile san -out out.crt 2>/dev/null; cp out.crt root.crt",
    ),
    (
        "its own root, which nobody trusts",
        "openssl req -x509 -key db.key -subj /CN=db.example.com -days 50 -out out.crt",
    ),
    (
        "its own root, whose key only signs",
        "openssl req -x509 -key db.key -subj /CN=db.example.com -days 50 \
        -addext keyUsage=keyCertSign -out out.crt; cp out.crt root.crt",
    ),
    (
        "an authority's own, signed by another one",
        "ask db; printf '%s\n' 'basicConstraints=CA:true' 'subjectAltName=DNS:db.example.com' >said; extended said",
    ),
    ("trusted itself, not its authority", "ask db; extended san; cp out.crt root.crt"),
    ("an authority between that is sent", "via authority; ask db; CA=between extended san; cat between.crt >>out.crt"),
    ("an authority between that is not sent", "via authority; ask db; CA=between extended san"),
    (
        "an authority between that is in the file",
        "via authority; ask db; CA=between extended san; cat ca.crt between.crt >root.crt",
    ),
    (
        "an authority between, alone in the file",
        "via authority; ask db; CA=between extended san; cp between.crt root.crt",
    ),
    (
        "an authority below one that may have none",
        "via authority; openssl req -x509 -key ca.key -subj /CN=ca -days 50 \
        -addext basicConstraints=critical,CA:true,pathlen:0 -out root.crt; ask db; CA=between extended san; cat between.crt >>out.crt",
    ),
    ("below one that is no authority", "via san; ask db; CA=between extended san; cat between.crt >>out.crt"),
    (
        "below a root that is no authority",
        "openssl req -new -key p384.key -subj /CN=p384 -out out.csr; \
        openssl x509 -req -in out.csr -signkey p384.key -days 50 -extfile san -out p384.crt 2>/dev/null; \
        cp p384.crt root.crt; ask db; CA=p384 extended san",
    ),
    (
        "below one whose key may not sign",
        "printf '%s\n' basicConstraints=critical,CA:true keyUsage=digitalSignature >weak; via weak; \
        ask db; CA=between extended san; cat between.crt >>out.crt",
    ),
    (
        "within the names of its authority",
        "printf '%s\n' basicConstraints=critical,CA:true 'nameConstraints=critical,permitted;DNS:example.com' >weak; \
        via weak; ask db; CA=between extended san; cat between.crt >>out.crt",
    ),
    (
        "outside the names of its authority",
        "printf '%s\n' basicConstraints=critical,CA:true 'nameConstraints=critical,permitted;DNS:example.org' >weak; \
        via weak; ask db; CA=between extended san; cat between.crt >>out.crt",
    ),
    // What it is for.
    ("for servers", "ask db; says extendedKeyUsage=serverAuth keyUsage=critical,digitalSignature"),
    ("for clients", "ask db; says extendedKeyUsage=clientAuth"),
    ("for signing certificates only", "ask db; says keyUsage=keyCertSign"),
    (
        "below one for clients",
        "printf '%s\n' basicConstraints=critical,CA:true extendedKeyUsage=clientAuth >weak; via weak; \
        ask db; CA=between extended san; cat between.crt >>out.crt",
    ),
    ("with what nobody knows", "ask db; says 1.2.3.4=ASN1:NULL"),
    ("with what nobody knows and everybody must", "ask db; says 1.2.3.4=critical,ASN1:NULL"),
];

/// Certificates that a client shows: how `out.crt` and `out.key` come about.
const CLIENTS: &[(&str, &str)] = &[
    ("rsa2048", "ask rsa2048 /CN=certified; old; cp rsa2048.key out.key"),
    (
        "rsa2048 in PKCS1",
        "ask rsa2048 /CN=certified; extended san; openssl rsa -in rsa2048.key -traditional -out out.key 2>/dev/null",
    ),
    ("rsa4096", "ask rsa4096 /CN=certified; extended san; cp rsa4096.key out.key"),
    ("rsa-pss", "ask pss2048 /CN=certified; extended san; cp pss2048.key out.key"),
    ("p256", "ask p256 /CN=certified; extended san; cp p256.key out.key"),
    ("p256 in SEC1", "ask p256 /CN=certified; old; openssl ec -in p256.key -out out.key 2>/dev/null"),
    (
        "p256 in SEC1 behind its parameters",
        "ask p256 /CN=certified; old; \
        { openssl ecparam -name prime256v1; openssl ec -in p256.key 2>/dev/null; } >out.key",
    ),
    ("p384", "ask p384 /CN=certified; extended san; cp p384.key out.key"),
    ("p521", "ask p521 /CN=certified; extended san; cp p521.key out.key"),
    ("ed25519", "ask ed25519 /CN=certified; extended san; cp ed25519.key out.key"),
    ("ed448", "ask ed448 /CN=certified; extended san; cp ed448.key out.key"),
    ("an authority's own", "ask p256 /CN=certified; extended authority; cp p256.key out.key"),
    ("another name", "ask p256 /CN=other; extended san; cp p256.key out.key"),
    ("a stranger", "cp p384.key stranger.key; ask p256 /CN=certified; CA=stranger extended san; cp p256.key out.key"),
    ("expired", "ask p256 /CN=certified; extended san $(past); cp p256.key out.key"),
    (
        "via an authority between",
        "via authority; ask p256 /CN=certified; CA=between extended san; cat between.crt >>out.crt; cp p256.key out.key",
    ),
];

/// How an attempt to connect ended.
enum End {
    Tls,
    Clear,
    Refused(String),
}

impl End {
    fn is(&self, other: &End) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Tls => f.write_str("connects with TLS"),
            End::Clear => f.write_str("connects without TLS"),
            End::Refused(reason) => write!(f, "is refused ({})", reason.replace('\n', " ")),
        }
    }
}

struct Beside {
    server: TestServer,
    folder: TempDir,
    cases: usize,
    /// What, the parameters, and how both ended.
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

    /// Makes a certificate, and has the server show it.
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
        // An answer comes from a process that the server started after it had read its files.
        run(&format!("postgres://postgres@{}", socket(&self.server)), "SELECT 1");
        let log = self.server.log();
        assert!(!log[before..].contains("not reloaded"), "the server does not take {what}: {}", &log[before..]);
    }

    /// Compares what psql and what we do with these parameters.
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

    /// Fails for every difference that is not known.
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

fn psql(home: &Path, url: &str) -> End {
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
        "t" => End::Tls,
        "f" => End::Clear,
        _ => End::Refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn ours(url: &str) -> End {
    let target = match Target::new(url, &TIMEOUTS) {
        Ok(target) => target,
        Err(error) => return End::Refused(error.to_string()),
    };
    drop(target);
    match query(url, HAS_TLS) {
        Ok(answer) if answer == "t" => End::Tls,
        Ok(_) => End::Clear,
        Err(error) => End::Refused(error.to_string()),
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
    // Names that are none in DNS.
    for host in ["my_db", "-", "db.example.com."] {
        for mode in ["prefer", "require", "verify-ca", "verify-full"] {
            beside.compare(host, "postgres", host, &format!("sslmode={mode}&sslrootcert={ca}"));
        }
    }
    beside.end();
}
