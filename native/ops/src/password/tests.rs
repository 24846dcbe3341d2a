use super::stored::*;
use super::*;

// Computed with Python's hashlib and hmac: password "secret", salt 00 01 .. 0f, 7 iterations.
const SALT: [u8; SALT_BYTES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const SHA1: &str = "===SHA1===AAECAwQFBgcICQoLDA0ODw==|0nthElBuBUeXefO8daW8y6Qh7aw=|MS0ril8poZcfdSYLS8nxHIxY+Bw=";
const SHA224: &str = "==SHA224==AAECAwQFBgcICQoLDA0ODw==|abuCvaF85G2x/Dp1MvwOTZaSLuBEZ+AkQDslDQ==\
    |J2ybDHnOGe5mHRpNWGYBupDjS/i4LqYkU4akrQ==";
const SHA256: &str = "==SHA256==AAECAwQFBgcICQoLDA0ODw==|dCJJk9HRq6djdivmhwpqoJNTY8n8LFVO1oOpkun9pJw=\
    |Pbfr51HEbEHvuvZx8u1lWnh5MyHXQXXY9DwtCfuo6wE=";
const SHA384: &str = "==SHA384==AAECAwQFBgcICQoLDA0ODw==\
    |NuNsiCyY5w2Ljbe3mLDcC/7vyjNEAK42FgPKFKs2CShsc8UrbV45uoleCmniOWqo\
    |V68LXJ0AqhPNBi9atyqHx7YAChVxSe6zB7pqBbc9+rtKvqvPmGyce6mhiFMj/QYJ";
const SHA512: &str = "==SHA512==AAECAwQFBgcICQoLDA0ODw==\
    |HZ5O098DL5pYGFZ5rB753YItJqx2KoYxkJyBGL4tbae9mcXgJKpq1uQbkuULUZlBA7gT8vlNnLXEbQFqLnk5bg==\
    |lIzSInWjWYJYvfb4+rGb6L7Pe36VAWW1hEB0m+faupyggMGp+f9c79mVkk4AqgH6A0LyEc+fIfvg+ERzJf8Jrg==";
const LEGACY_TEXT: &str =
    "==SCRAM==,0nthElBuBUeXefO8daW8y6Qh7aw=,MS0ril8poZcfdSYLS8nxHIxY+Bw=,AAECAwQFBgcICQoLDA0ODw==,7";
// The example of RFC 5802 section 5: password "pencil"; its proof and signature were checked in Python.
const RFC_5802: &str = "==SCRAM==,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=,QSXCR+Q6sek8bf92,4096";
// Password "P\u{e4}sswort fi X": what resourceprep makes of the password in the test below.
const PREPARED: &str = "==SHA512==AAECAwQFBgcICQoLDA0ODw==\
    |637oEXaM2sP2lS6XfWERbOH5xBwHG4cxqzT9ZL7VK2DDTavVojuT2AQA9fSdy0VjTS93dIkqem5qy8Z9hUkApg==\
    |LB2Xf+zLbFGnd9/NheHk16BUf8CX0UUrDFo1gc6i67uvBJtFW4QVroQ+fg0ziNT8694z4YfBcS3LQQgYjWGclg==";

fn seven() -> Iterations {
    Iterations::new(7).unwrap()
}

fn multi(sections: &[&str]) -> String {
    format!("==MULTI_SCRAM==,7,{}", sections.join(","))
}

#[test]
fn a_stored_password_verifies() {
    let stored = hash("secret", seven()).unwrap();
    assert_eq!(verify("secret", &stored), Verdict::Right);
    for wrong in ["", "Secret", "secret ", "secre"] {
        assert_eq!(verify(wrong, &stored), Verdict::Wrong, "{wrong:?}");
    }
}

#[test]
fn what_is_written_is_what_an_independent_implementation_writes() {
    assert_eq!(write("secret", &SALT, seven()), multi(&[SHA512]));
}

#[test]
fn every_salt_is_fresh() {
    assert_ne!(hash("secret", seven()).unwrap(), hash("secret", seven()).unwrap());
}

#[test]
fn every_hash_and_the_legacy_form_are_read() {
    for stored in [SHA1, SHA224, SHA256, SHA384, SHA512].map(|section| multi(&[section])) {
        assert_eq!(verify("secret", &stored), Verdict::Right, "{stored}");
        assert_eq!(verify("other", &stored), Verdict::Wrong, "{stored}");
    }
    assert_eq!(verify("secret", LEGACY_TEXT), Verdict::Right);
    assert_eq!(verify("other", LEGACY_TEXT), Verdict::Wrong);
    assert_eq!(verify("pencil", RFC_5802), Verdict::Right);
}

#[test]
fn the_first_hash_in_order_decides() {
    let sections = [SHA1, SHA224, SHA256, SHA384, SHA512];
    for (first, decides) in sections.iter().enumerate() {
        // The deciding section comes last in the text, after sections that hold another password's keys.
        let mut texts: Vec<_> = sections[first + 1..].iter().map(|section| other_key(section)).collect();
        texts.push((*decides).to_owned());
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        assert_eq!(verify("secret", &multi(&texts)), Verdict::Right, "{decides}");
        // And the later ones do not save a password that the deciding one refuses.
        let mut texts = sections[first + 1..].to_vec();
        let refusing = other_key(decides);
        texts.push(&refusing);
        assert_eq!(verify("secret", &multi(&texts)), Verdict::Wrong, "{decides}");
    }
}

/// The section with its server key also as the stored key: well-formed, and no password's.
fn other_key(section: &str) -> String {
    let [salt, _, server] = split(section, '|').unwrap();
    format!("{salt}|{server}|{server}")
}

#[test]
fn only_the_stored_key_is_compared() {
    let [salt, stored, _] = split(SHA256, '|').unwrap();
    assert_eq!(verify("secret", &multi(&[&format!("{salt}|{stored}|{stored}")])), Verdict::Right);
}

#[test]
fn sections_of_unknown_hashes_are_skipped() {
    for unknown in ["=SHA3-512=AAAA|AAAA|AAAA", "==SHA999==", "short", "", "ä"] {
        assert_eq!(verify("secret", &multi(&[unknown, SHA256, unknown])), Verdict::Right, "{unknown:?}");
        assert_eq!(verify("secret", &multi(&[unknown])), Verdict::Corrupt(Corrupt::Parts), "{unknown:?}");
    }
}

#[test]
fn passwords_are_resourceprepped() {
    let stored = multi(&[PREPARED]);
    // Decomposed a-umlaut, soft hyphen, fi ligature, non-breaking space; case stays.
    let raw = "Pa\u{308}ss\u{ad}wort \u{fb01}\u{a0}X";
    assert_eq!(verify(raw, &stored), Verdict::Right);
    assert_eq!(verify("P\u{e4}sswort fi X", &stored), Verdict::Right);
    assert_eq!(verify("p\u{e4}sswort fi x", &stored), Verdict::Wrong);
    assert_eq!(verify("P\u{e4}sswort fi X", &hash(raw, seven()).unwrap()), Verdict::Right);
}

#[test]
fn a_password_that_resourceprep_refuses_is_not_stored_and_is_wrong() {
    // A control character, a private-use one, mixed directions, and a space that SASLprep would have mapped.
    for refused in ["a\u{7}b", "a\u{e000}", "\u{627}a\u{628}", "a\u{1680}b"] {
        assert_eq!(hash(refused, seven()), Err(PasswordError::Refused), "{refused:?}");
        assert_eq!(verify(refused, &multi(&[SHA512])), Verdict::Wrong, "{refused:?}");
        assert_eq!(verify(refused, "nonsense"), Verdict::Corrupt(Corrupt::Form), "{refused:?}");
    }
}

#[test]
fn a_corrupt_text_is_distinguished_from_a_wrong_password() {
    let unknown = ["", "secret", "==MULTI_SCRAM==", "==SCRAM==", " ==SCRAM==,", "==multi_scram==,7,"];
    for stored in unknown {
        assert_eq!(verify("secret", stored), Verdict::Corrupt(Corrupt::Form), "{stored:?}");
    }
    let (good, key) = ("AAECAwQFBgcICQoLDA0ODw==", "0nthElBuBUeXefO8daW8y6Qh7aw=");
    let mut senseless = vec![
        "==MULTI_SCRAM==,".to_owned(),
        "==MULTI_SCRAM==,7".to_owned(),
        "==MULTI_SCRAM==,7,".to_owned(),
        // The right section, and beside it one of a known hash that makes no sense.
        multi(&[SHA1, "==SHA512=="]),
        // Too few fields, too many, no salt, salt or key not base64, not padded, of another hash's length.
        multi(&[&format!("===SHA1==={good}|{key}")]),
        multi(&[&format!("===SHA1==={good}|{key}|{key}|{key}")]),
        multi(&[&format!("===SHA1===|{key}|{key}")]),
        multi(&[&format!("===SHA1===*|{key}|{key}")]),
        multi(&[&format!("===SHA1==={good}|*|{key}")]),
        multi(&[&format!("===SHA1==={good}|{key}|*")]),
        multi(&[&format!("===SHA1==={good}|{}|{key}", key.trim_end_matches('='))]),
        multi(&[&format!("==SHA224=={good}|{key}|{key}")]),
        multi(&[&format!("===SHA1==={good}|{key}|AAAA")]),
        "==SCRAM==,".to_owned(),
        format!("==SCRAM==,{key},{key},{good}"),
        format!("==SCRAM==,{key},{key},{good},7,"),
        format!("==SCRAM==,{good},{key},{key},7"),
        format!("==SCRAM==,{key},{key},*,7"),
    ];
    for count in ["", "0", "-7", "+7", " 7", "7.0", "seven", "10000001", "4294967296", "99999999999999999999"] {
        senseless.push(format!("==MULTI_SCRAM==,{count},{SHA512}"));
        senseless.push(format!("==SCRAM==,{key},{key},{good},{count}"));
    }
    for stored in senseless {
        assert_eq!(verify("secret", &stored), Verdict::Corrupt(Corrupt::Parts), "{stored:?}");
    }
}

#[test]
fn iterations_are_bounded() {
    assert_eq!(Iterations::new(0), None);
    assert_eq!(Iterations::new(Iterations::MAX).map(Iterations::get), Some(Iterations::MAX));
    assert_eq!(Iterations::new(Iterations::MAX + 1), None);
}

#[test]
fn errors_show_nothing_of_the_password() {
    let refused = hash("hunter2\u{7}", seven()).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains(['\u{7}', '2']));
    let verdict = verify("hunter2", "==SCRAM==,salt-and-key");
    assert_eq!(format!("{verdict:?}"), "Corrupt(Parts)");
}
