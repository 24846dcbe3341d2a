//! The format of a stored password, which is MongooseIM's, so that rows of either program can be read by the other:
//!
//! ```text
//! ==MULTI_SCRAM==,<iterations>,<section>[,<section>...]   section: <prefix><salt>|<stored key>|<server key>
//! ==SCRAM==,<stored key>,<server key>,<salt>,<iterations> legacy, SHA-1 only, read but never written
//! ```
//!
//! A prefix has ten characters (`===SHA1===`, `==SHA512==`) and names the hash. Salt and keys are base64 (standard
//! alphabet, padded). The keys are those of RFC 5802 section 3, for the password after resourceprep (RFC 3920
//! appendix B).

use std::num::NonZeroU32;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

const MULTI: &str = "==MULTI_SCRAM==,";
const LEGACY: &str = "==SCRAM==,";
pub(super) const SALT_BYTES: usize = 16;

/// How often PBKDF2 applies its HMAC (RFC 5802 section 3, `i`): 1 to [`Iterations::MAX`].
///
/// The same type is used for writing and reading, so that nothing is written that would be refused when read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iterations(NonZeroU32);

impl Iterations {
    /// The largest number. A row must not block a thread for ever.
    pub const MAX: u32 = 10_000_000;

    /// `count` as iterations; `None` for 0 and for more than [`Iterations::MAX`].
    pub const fn new(count: u32) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) if count.get() <= Self::MAX => Some(Self(count)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    fn parse(text: &str) -> Result<Self, Corrupt> {
        // Digits only: `u32::from_str` alone would also take a leading `+`.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).and_then(Self::new).ok_or(Corrupt::Parts)
    }
}

/// Why a stored text is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// It is neither of the two forms: it begins with neither `==MULTI_SCRAM==,` nor `==SCRAM==,`.
    #[error("the stored password is of an unknown form")]
    Form,
    /// A known form with invalid parts: too few or too many of them, bad base64, an empty salt, a key that
    /// is not as long as its hash, an invalid number of iterations, or no section with a known hash.
    #[error("the stored password has a known form and invalid parts")]
    Parts,
}

/// The text for a salt and keys.
pub(super) fn text(salt: &[u8], iterations: Iterations, keys: &Keys) -> String {
    let [salt, stored, server] = [salt, &keys.stored, &keys.server].map(|bytes| BASE64.encode(bytes));
    format!("{MULTI}{},{}{salt}|{stored}|{server}", iterations.get(), Hash::WRITTEN.prefix())
}

/// The hashes of the format, in the order in which sections are used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The hash of new passwords.
    pub(super) const WRITTEN: Self = Self::Sha512;
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

    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(super) fn keys(self, prepared: &str, salt: &[u8], iterations: Iterations) -> Keys {
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

/// `StoredKey` and `ServerKey` of RFC 5802 section 3. It has no `Debug`, like the types below, because it holds secrets.
pub(super) struct Keys {
    pub(super) stored: Vec<u8>,
    pub(super) server: Vec<u8>,
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

/// The contents of a stored text of either form: the section that is used. The server key is checked, but not kept, since
/// nothing uses it.
pub(super) struct Stored {
    pub(super) iterations: Iterations,
    pub(super) hash: Hash,
    pub(super) salt: Vec<u8>,
    pub(super) stored_key: Vec<u8>,
}

impl Stored {
    pub(super) fn parse(text: &str) -> Result<Self, Corrupt> {
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
        let is_valid = !salt.is_empty() && [&stored_key, &server_key].iter().all(|key| key.len() == hash.bytes());
        if is_valid { Ok(Self { iterations, hash, salt, stored_key }) } else { Err(Corrupt::Parts) }
    }
}

/// Splits `text` at every `separator` into exactly `N` parts.
pub(super) fn split<const N: usize>(text: &str, separator: char) -> Result<[&str; N], Corrupt> {
    text.split(separator).collect::<Vec<_>>().try_into().map_err(|_| Corrupt::Parts)
}
