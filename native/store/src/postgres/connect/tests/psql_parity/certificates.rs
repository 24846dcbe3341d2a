//! The certificates of servers and clients, and how `openssl` makes them.

/// Makes what all certificates need: keys, an authority, and extensions.
pub(super) const PREPARE: &str = r#"
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

/// Functions that make a certificate. `ask KEY SUBJECT` makes the request out.csr. `extended FILE OPTION...` signs it by the
/// authority with the extensions in that file, and `old OPTION...` as X.509 v1. `v1 NAME OPTION...` signs NAME.csr as
/// X.509 v1. `past` prints the options for an expired certificate.
///
/// Versions of OpenSSL differ. The newer ones know -x509v1, and add extensions without it. They refuse to make a
/// certificate that ends before it begins, as with `-days -1`.
pub(super) const TOOLS: &str = r#"
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

/// The certificates of servers: a name, and a script that makes `out.crt`, and also `out.key` if the key is another one than
/// `db.key`, and `root.crt` if the trusted certificate is another one than `ca.crt`.
pub(super) const SHOWN: &[(&str, &str)] = &[
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
    // Chains.
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
    // Purposes.
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

/// The certificates of clients: a name, and a script that makes `out.crt` and `out.key`.
pub(super) const CLIENTS: &[(&str, &str)] = &[
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
