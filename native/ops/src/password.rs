//! Passwords of domain admins: the text that is stored for one, and comparing one with a stored text.
//!
//! | file | what it holds |
//! |---|---|
//! | `stored` | the format, which is MongooseIM's |
//!
//! A text that [`hash`] returns can be read by [`verify`]. An invalid text is never taken for a wrong password. Keys are
//! compared in constant time. No `Debug` or `Display` shows a password, a salt or a key. Both functions block for as long
//! as the iterations take.

mod stored;
#[cfg(test)]
mod tests;

pub(crate) use stored::Corrupt;
pub use stored::Iterations;
use stored::{Hash, Keys, SALT_BYTES, Stored};
use subtle::ConstantTimeEq;

/// Why a password could not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Resourceprep (RFC 3920 appendix B) refuses the password: a control character, say, or an unassigned one.
    // Without a source: stringprep's error names the character, which is a part of the password.
    #[error("the password holds what resourceprep does not allow")]
    Refused,
    /// The operating system returned no random bytes for a salt.
    #[error("no random bytes for a salt: {0}")]
    NoRandom(getrandom::Error),
}

/// The result of [`verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is the stored one.
    Right,
    /// It is not; or resourceprep refuses it, so it cannot have been stored.
    Wrong,
    /// The stored text is invalid.
    Corrupt(Corrupt),
}

/// The text to store for `password`: `==MULTI_SCRAM==` with one SHA-512 section and a fresh salt of 16 bytes.
///
/// # Errors
///
/// [`PasswordError::Refused`] for a password that resourceprep refuses, [`PasswordError::NoRandom`] where the
/// operating system returns no random bytes.
pub fn hash(password: &str, iterations: Iterations) -> Result<String, PasswordError> {
    let prepared = stringprep::resourceprep(password).map_err(|_| PasswordError::Refused)?;
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(PasswordError::NoRandom)?;
    Ok(write(&prepared, &salt, iterations))
}

/// Whether `password` is the one that `stored` was made from.
///
/// Of several sections, the one with the first hash in the order SHA-1, SHA-224, SHA-256, SHA-384, SHA-512 is used. Sections
/// with an unknown hash are skipped, and all others have to be valid. Only the stored key is compared, which
/// authenticates the client (RFC 5802 section 3). An invalid text is reported even if resourceprep refuses the password.
pub fn verify(password: &str, stored: &str) -> Verdict {
    let stored = match Stored::parse(stored) {
        Ok(stored) => stored,
        Err(corrupt) => return Verdict::Corrupt(corrupt),
    };
    let Ok(prepared) = stringprep::resourceprep(password) else { return Verdict::Wrong };
    let keys = stored.hash.keys(&prepared, &stored.salt, stored.iterations);
    if keys.stored.ct_eq(&stored.stored_key).into() { Verdict::Right } else { Verdict::Wrong }
}

/// Takes as long as [`verify`] with a text of [`hash`]. Used for a name without a password, so that the time of a response
/// does not tell which names have one.
pub fn verify_nothing(password: &str, iterations: Iterations) {
    let no_key = vec![0; Hash::WRITTEN.bytes()];
    let stored = stored::text(&[0; SALT_BYTES], iterations, &Keys { stored: no_key.clone(), server: no_key });
    std::hint::black_box(verify(password, &stored));
}

fn write(prepared: &str, salt: &[u8], iterations: Iterations) -> String {
    stored::text(salt, iterations, &Hash::WRITTEN.keys(prepared, salt, iterations))
}
