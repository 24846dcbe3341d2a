//! Domain admins' passwords as text: written, and checked against a password given.
//!
//! MongooseIM's format, kept so that rows written by either side are read by the other:
//!
//! ```text
//! ==MULTI_SCRAM==,<iterations>,<section>[,<section>...]   section: <prefix><salt>|<stored key>|<server key>
//! ==SCRAM==,<stored key>,<server key>,<salt>,<iterations> legacy, SHA-1 only, read but never written
//! ```
//!
//! A prefix has ten characters (`===SHA1===`, `==SHA512==`) and names the hash; salt and keys are base64 (standard
//! alphabet, padded); the keys are those of RFC 5802 section 3, made from the password after resourceprep (RFC 3920
//! appendix B). Promised: what [`hash`] wrote, [`verify`] reads; a text that makes no sense is never taken for a wrong
//! password; keys are compared in constant time; no `Debug` or `Display` shows a password, a salt or a key. Both
//! functions hold their thread for as long as the iterations take.

use std::num::NonZeroU32;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

const MULTI: &str = "==MULTI_SCRAM==,";
const LEGACY: &str = "==SCRAM==,";
const SALT_BYTES: usize = 16;

/// How often PBKDF2 applies its HMAC (RFC 5802 section 3, `i`): 1 to [`Iterations::MAX`].
///
/// One type for writing and reading, so that nothing is written that would be refused when read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iterations(NonZeroU32);

impl Iterations {
    /// The most iterations that are made, or accepted in a stored text: a row must not hold a thread for ever.
    pub const MAX: u32 = 10_000_000;

    /// `count` as iterations; `None` for 0 and for more than [`Iterations::MAX`].
    pub const fn new(count: u32) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) if count.get() <= Self::MAX => Some(Self(count)),
            _ => None,
        }
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    fn parse(text: &str) -> Result<Self, Corrupt> {
        // Digits only: `u32::from_str` alone would also take a leading `+`.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).and_then(Self::new).ok_or(Corrupt::Parts)
    }
}

/// Why a password could not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Resourceprep (RFC 3920 appendix B) refuses the password: a control character, say, or an unassigned one.
    // Carries no cause: stringprep's names the character, which is a part of the password.
    #[error("the password holds what resourceprep does not allow")]
    Refused,
    /// The operating system gave no random bytes for a salt.
    #[error("no random bytes for a salt: {0}")]
    NoRandom(getrandom::Error),
}

/// What [`verify`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is the one stored.
    Right,
    /// It is not; or resourceprep refuses it, so that it cannot have been stored.
    Wrong,
    /// The stored text makes no sense, whatever the password is.
    Corrupt(Corrupt),
}

/// What is wrong with a stored text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// It is neither of the two forms: it begins with neither `==MULTI_SCRAM==,` nor `==SCRAM==,`.
    #[error("the stored password is of an unknown form")]
    Form,
    /// A known form whose parts make no sense: too few or too many of them, bad base64, an empty salt, a key that
    /// is not as long as its hash, iterations that [`Iterations`] does not hold, or no section of a known hash.
    #[error("the stored password has a known form and parts that make no sense")]
    Parts,
}

/// The text to store for `password`: `==MULTI_SCRAM==` with one SHA-512 section and a fresh salt of 16 bytes.
///
/// # Errors
///
/// [`PasswordError::Refused`] for a password that resourceprep refuses, [`PasswordError::NoRandom`] where the
/// operating system gives no random bytes.
pub fn hash(password: &str, iterations: Iterations) -> Result<String, PasswordError> {
    let prepared = stringprep::resourceprep(password).map_err(|_| PasswordError::Refused)?;
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(PasswordError::NoRandom)?;
    Ok(write(&prepared, &salt, iterations))
}

/// Whether `password` is the one that `stored` was made from.
///
/// Of several sections the first hash in the order SHA-1, SHA-224, SHA-256, SHA-384, SHA-512 decides, wherever its
/// section stands; sections of unknown hashes are skipped, and every section of a known one has to make sense. Only
/// the stored key is compared (RFC 5802 section 3: it is what authenticates the client). A corrupt text is reported
/// as such also for a password that resourceprep refuses.
pub fn verify(password: &str, stored: &str) -> Verdict {
    let stored = match Stored::parse(stored) {
        Ok(stored) => stored,
        Err(corrupt) => return Verdict::Corrupt(corrupt),
    };
    let Ok(prepared) = stringprep::resourceprep(password) else { return Verdict::Wrong };
    let keys = stored.hash.keys(&prepared, &stored.salt, stored.iterations);
    if keys.stored.ct_eq(&stored.stored_key).into() { Verdict::Right } else { Verdict::Wrong }
}

/// Takes as long as [`verify`] with a text that [`hash`] wrote: for a name that has no password, so that the time of an
/// answer does not tell which names have one.
pub fn verify_nothing(password: &str, iterations: Iterations) {
    let no_key = vec![0; Hash::WRITTEN.bytes()];
    let nothing = text(&[0; SALT_BYTES], iterations, &Keys { stored: no_key.clone(), server: no_key });
    std::hint::black_box(verify(password, &nothing));
}

fn write(prepared: &str, salt: &[u8], iterations: Iterations) -> String {
    text(salt, iterations, &Hash::WRITTEN.keys(prepared, salt, iterations))
}

fn text(salt: &[u8], iterations: Iterations, keys: &Keys) -> String {
    let [salt, stored, server] = [salt, &keys.stored, &keys.server].map(|bytes| BASE64.encode(bytes));
    format!("{MULTI}{},{}{salt}|{stored}|{server}", iterations.get(), Hash::WRITTEN.prefix())
}

/// The hashes of the format, declared in the order in which they decide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// Of what is written.
    const WRITTEN: Self = Self::Sha512;
    const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Sha1 => "===SHA1===",
            Self::Sha224 => "==SHA224==",
            Self::Sha256 => "==SHA256==",
            Self::Sha384 => "==SHA384==",
            Self::Sha512 => "==SHA512==",
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn keys(self, prepared: &str, salt: &[u8], iterations: Iterations) -> Keys {
        let derive = match self {
            Self::Sha1 => Keys::derive::<Sha1>,
            Self::Sha224 => Keys::derive::<Sha224>,
            Self::Sha256 => Keys::derive::<Sha256>,
            Self::Sha384 => Keys::derive::<Sha384>,
            Self::Sha512 => Keys::derive::<Sha512>,
        };
        derive(prepared.as_bytes(), salt, iterations)
    }
}

/// `StoredKey` and `ServerKey` of RFC 5802 section 3. No `Debug`, as for all types below: they hold secrets.
struct Keys {
    stored: Vec<u8>,
    server: Vec<u8>,
}

impl Keys {
    fn derive<D: EagerHash + Digest>(password: &[u8], salt: &[u8], iterations: Iterations) -> Self {
        let mut salted = vec![0; <D as Digest>::output_size()];
        pbkdf2::pbkdf2_hmac::<D>(password, salt, iterations.get(), &mut salted);
        let keyed = |message: &[u8]| {
            // Cannot fail: HMAC takes a key of any length (RFC 2104 section 2).
            let mut mac = Hmac::<D>::new_from_slice(&salted).expect("HMAC takes a key of any length");
            mac.update(message);
            mac.finalize().into_bytes()
        };
        Self { stored: D::digest(keyed(b"Client Key")).to_vec(), server: keyed(b"Server Key").to_vec() }
    }
}

/// What a stored text of either form says, down to the one section that decides; a server key is checked for its
/// shape and not kept, as nothing uses it.
struct Stored {
    iterations: Iterations,
    hash: Hash,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
}

impl Stored {
    fn parse(text: &str) -> Result<Self, Corrupt> {
        if let Some(rest) = text.strip_prefix(MULTI) {
            let (iterations, sections) = rest.split_once(',').ok_or(Corrupt::Parts)?;
            let iterations = Iterations::parse(iterations)?;
            let known = sections.split(',').filter_map(|section| Self::section(iterations, section));
            let known = known.collect::<Result<Vec<_>, _>>()?;
            known.into_iter().min_by_key(|section| section.hash).ok_or(Corrupt::Parts)
        } else if let Some(rest) = text.strip_prefix(LEGACY) {
            let [stored, server, salt, iterations] = split(rest, ',')?;
            Self::decode(Iterations::parse(iterations)?, Hash::Sha1, [salt, stored, server])
        } else {
            Err(Corrupt::Form)
        }
    }

    /// `None` for a section of an unknown hash.
    fn section(iterations: Iterations, text: &str) -> Option<Result<Self, Corrupt>> {
        let (hash, fields) = Hash::ALL.iter().find_map(|&hash| Some((hash, text.strip_prefix(hash.prefix())?)))?;
        Some(split(fields, '|').and_then(|fields| Self::decode(iterations, hash, fields)))
    }

    /// `fields`: salt, stored key, server key, all base64.
    fn decode(iterations: Iterations, hash: Hash, fields: [&str; 3]) -> Result<Self, Corrupt> {
        let [salt, stored_key, server_key] = fields.map(|field| BASE64.decode(field).map_err(|_| Corrupt::Parts));
        let (salt, stored_key, server_key) = (salt?, stored_key?, server_key?);
        let sound = !salt.is_empty() && [&stored_key, &server_key].iter().all(|key| key.len() == hash.bytes());
        if sound { Ok(Self { iterations, hash, salt, stored_key }) } else { Err(Corrupt::Parts) }
    }
}

/// `text` split at every `separator` into exactly `N` parts.
fn split<const N: usize>(text: &str, separator: char) -> Result<[&str; N], Corrupt> {
    text.split(separator).collect::<Vec<_>>().try_into().map_err(|_| Corrupt::Parts)
}

#[cfg(test)]
mod tests {
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
    fn a_corrupt_text_is_told_from_a_wrong_password() {
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
}
