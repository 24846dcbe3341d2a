//! Domain names and the one rule for what is a valid one.
//!
//! A name is valid if it has 1 to 250 bytes of UTF-8, the width of the database's column, and nameprep leaves it
//! unchanged.
//! [`DomainName`] is the proof of that: code that has one need not check the name again. A NUL byte is refused as well,
//! although nameprep allows it, because PostgreSQL's texts cannot hold it.
//!
//! Nameprep (RFC 3491) is a profile for *labels* and is applied to each one (RFC 3490, section 4): a label in Arabic
//! may follow one in Latin letters, although one label may not mix them. As for all stored strings (RFC 3454, section
//! 7), characters that Unicode 3.2 does not define are refused.
//!
//! Lookups do not use this. They compare bytes, and an invalid name is simply not in the table.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

/// A domain name that nameprep leaves unchanged, of 1 to [`DomainName::MAX_BYTES`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Box<str>);

/// Why a text is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidDomain {
    /// It is empty.
    #[error("a domain name has at least one byte")]
    Empty,
    /// It is longer than the database's column. The number is its length.
    #[error("a domain name has at most {max} bytes of UTF-8, this one has {0}", max = DomainName::MAX_BYTES)]
    TooLong(usize),
    /// It is not UTF-8.
    #[error("a domain name is UTF-8")]
    NotUtf8,
    /// It contains a NUL byte.
    #[error("a domain name holds no NUL byte")]
    Nul,
    /// Nameprep forbids it, for this reason.
    #[error("nameprep (RFC 3491) forbids it: {0}")]
    Prohibited(String),
    /// Nameprep changes it to this.
    #[error("nameprep (RFC 3491) writes it {0:?}: pass it in that form")]
    NotPrepared(String),
}

impl DomainName {
    /// The width of `domain_settings.domain`.
    pub const MAX_BYTES: usize = 250;

    /// Checks that `name` is valid.
    pub fn new(name: &str) -> Result<DomainName, InvalidDomain> {
        match nameprep(name)? {
            Cow::Borrowed(unchanged) => Ok(DomainName(unchanged.into())),
            Cow::Owned(changed) => Err(InvalidDomain::NotPrepared(changed)),
        }
    }

    /// Like [`DomainName::new`], for bytes that may not be UTF-8.
    pub fn from_bytes(name: &[u8]) -> Result<DomainName, InvalidDomain> {
        DomainName::new(DomainName::bounded_utf8(name)?)
    }

    /// The text of these bytes, if it is short enough for a name. The time does not depend on the length of longer
    /// ones.
    pub fn bounded_utf8(name: &[u8]) -> Result<&str, InvalidDomain> {
        if name.len() > DomainName::MAX_BYTES {
            return Err(InvalidDomain::TooLong(name.len()));
        }
        std::str::from_utf8(name).map_err(|_| InvalidDomain::NotUtf8)
    }

    /// Applies nameprep to `name` and returns the result if it is valid.
    pub fn prepare(name: &str) -> Result<DomainName, InvalidDomain> {
        let once = nameprep(name)?.into_owned();
        // For a few characters that Unicode normalises differently than RFC 3454's tables expect, nameprep changes its
        // own result.
        DomainName::new(&once)
    }

    /// The name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as bytes, which lookups compare.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Applies nameprep to `name`. The result is borrowed if nameprep leaves the name unchanged.
fn nameprep(name: &str) -> Result<Cow<'_, str>, InvalidDomain> {
    // Nearly every name is ASCII, of which nameprep forbids nothing and changes only A to Z. This loop does not stop
    // early, so that the compiler can vectorize it.
    let unchanged = |unchanged, byte: u8| unchanged & matches!(byte, 1..b'A' | b'['..=0x7f);
    if (1..=DomainName::MAX_BYTES).contains(&name.len()) && name.bytes().fold(true, unchanged) {
        return Ok(Cow::Borrowed(name));
    }
    check_bytes(name)?;
    let labels: Result<Vec<_>, _> = name.split('.').map(stringprep::nameprep).collect();
    let result = labels.map_err(|error| InvalidDomain::Prohibited(error.to_string()))?.join(".");
    if result == name {
        return Ok(Cow::Borrowed(name));
    }
    check_bytes(&result)?;
    Ok(Cow::Owned(result))
}

fn check_bytes(name: &str) -> Result<(), InvalidDomain> {
    match name.len() {
        0 => Err(InvalidDomain::Empty),
        1..=DomainName::MAX_BYTES if name.as_bytes().contains(&0) => Err(InvalidDomain::Nul),
        1..=DomainName::MAX_BYTES => Ok(()),
        length => Err(InvalidDomain::TooLong(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_name_is_valid() {
        for name in ["example.com", "_dmarc.example.com", "пример.рф", "a", "straße.de".replace('ß', "ss").as_str()]
        {
            assert_eq!(DomainName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn an_upper_case_name_is_refused_with_the_form_to_use() {
        assert_eq!(DomainName::new("Example.COM"), Err(InvalidDomain::NotPrepared("example.com".into())));
        assert_eq!(DomainName::new("STRASSE.de"), Err(InvalidDomain::NotPrepared("strasse.de".into())));
        assert_eq!(DomainName::new("straße.de"), Err(InvalidDomain::NotPrepared("strasse.de".into())));
    }

    #[test]
    fn preparing_gives_the_valid_form() {
        assert_eq!(DomainName::prepare("Straße.DE").unwrap().as_str(), "strasse.de");
        assert_eq!(DomainName::prepare("example.com").unwrap().as_str(), "example.com");
    }

    #[test]
    fn each_label_may_have_a_direction_of_its_own() {
        for name in ["ايران.ir", "ایران.ir", "www.איקום.ישראל"] {
            assert_eq!(DomainName::new(name).unwrap().as_str(), name);
        }
        assert!(matches!(DomainName::new("xايران.ir"), Err(InvalidDomain::Prohibited(_))));
    }

    #[test]
    fn a_name_has_1_to_250_bytes() {
        assert_eq!(DomainName::new(""), Err(InvalidDomain::Empty));
        assert!(DomainName::new(&"a".repeat(250)).is_ok());
        assert_eq!(DomainName::new(&"a".repeat(251)), Err(InvalidDomain::TooLong(251)));
        assert_eq!(DomainName::new(&"é".repeat(126)), Err(InvalidDomain::TooLong(252)));
        assert_eq!(DomainName::from_bytes(&[0xff; 251]), Err(InvalidDomain::TooLong(251)), "the bytes are not checked");
    }

    #[test]
    fn a_name_that_maps_to_nothing_is_refused() {
        assert_eq!(DomainName::new("\u{ad}"), Err(InvalidDomain::Empty));
    }

    #[test]
    fn what_nameprep_forbids_is_refused() {
        assert!(matches!(DomainName::new("a\u{e000}.com"), Err(InvalidDomain::Prohibited(_))));
        assert!(matches!(DomainName::new("a\u{5d0}b"), Err(InvalidDomain::Prohibited(_))));
        assert!(matches!(DomainName::new("\u{1b29}.example"), Err(InvalidDomain::Prohibited(_))), "newer than 3.2");
        assert_eq!(DomainName::from_bytes(b"a\xf3"), Err(InvalidDomain::NotUtf8));
        assert_eq!(DomainName::new("a\0b"), Err(InvalidDomain::Nul));
    }
}
