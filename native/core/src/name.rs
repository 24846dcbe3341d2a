//! What a domain name is: the one place that decides.
//!
//! A name is valid when nameprep leaves it unchanged and it fits 1 to 250 bytes of UTF-8, the width
//! of the database's column. [`DomainName`] is the proof: whoever holds one need not check again. A
//! NUL byte, which nameprep would pass, is refused as well, because no PostgreSQL text can hold it.
//!
//! Nameprep (RFC 3491) is a profile for *labels*, and is applied to each (RFC 3490, section 4): a
//! label of Arabic letters may stand beside one of Latin ones, though both in one label are
//! forbidden. As for every stored string (RFC 3454, section 7), characters that Unicode 3.2 does not
//! know are refused.
//!
//! Lookups do not come through here. They compare bytes, and a name that is not valid is simply
//! not in the table.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

/// A domain name that nameprep leaves unchanged, of 1 to [`DomainName::MAX_BYTES`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Box<str>);

/// Why a text is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidDomain {
    /// It has no bytes at all.
    #[error("a domain name has at least one byte")]
    Empty,
    /// It is longer than the database's column.
    #[error("a domain name has at most {max} bytes of UTF-8, this one has {0}", max = DomainName::MAX_BYTES)]
    TooLong(usize),
    /// Its bytes are not UTF-8.
    #[error("a domain name is UTF-8")]
    NotUtf8,
    /// It holds a NUL byte.
    #[error("a domain name holds no NUL byte")]
    Nul,
    /// Nameprep forbids it; the text says what is forbidden.
    #[error("nameprep (RFC 3491) forbids it: {0}")]
    Prohibited(String),
    /// Nameprep would write it differently; the text is how.
    #[error("nameprep (RFC 3491) writes it {0:?}: pass it in that form")]
    NotPrepared(String),
}

impl DomainName {
    /// The width of `domain_settings.domain`.
    pub const MAX_BYTES: usize = 250;

    /// Proves that `name` is valid as it stands.
    pub fn new(name: &str) -> Result<DomainName, InvalidDomain> {
        match prepared(name)? {
            Cow::Borrowed(same) => Ok(DomainName(same.into())),
            Cow::Owned(other) => Err(InvalidDomain::NotPrepared(other)),
        }
    }

    /// As [`DomainName::new`], for bytes that may not be UTF-8.
    pub fn from_bytes(name: &[u8]) -> Result<DomainName, InvalidDomain> {
        DomainName::new(DomainName::bounded_utf8(name)?)
    }

    /// The text that may be a name. Bytes that are too many for one are not looked at, however many they are.
    pub fn bounded_utf8(name: &[u8]) -> Result<&str, InvalidDomain> {
        if name.len() > DomainName::MAX_BYTES {
            return Err(InvalidDomain::TooLong(name.len()));
        }
        std::str::from_utf8(name).map_err(|_| InvalidDomain::NotUtf8)
    }

    /// Applies nameprep to `name`: the valid name that stands for it.
    pub fn prepare(name: &str) -> Result<DomainName, InvalidDomain> {
        let once = prepared(name)?.into_owned();
        // A name counts only if a second pass leaves it alone; for a few characters that Unicode
        // normalises differently than RFC 3454's tables expect, it does not.
        DomainName::new(&once)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name's bytes, as lookups compare them.
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

/// The name as nameprep writes it: borrowed when that is how it stands already.
fn prepared(name: &str) -> Result<Cow<'_, str>, InvalidDomain> {
    // Nameprep changes no ASCII character but A to Z and forbids none, and nearly every name is ASCII. All bytes are
    // looked at, so that the compiler can look at many at once.
    let plain = |plain, byte: u8| plain & matches!(byte, 1..b'A' | b'['..=0x7f);
    if (1..=DomainName::MAX_BYTES).contains(&name.len()) && name.bytes().fold(true, plain) {
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
    fn a_prepared_name_is_valid_as_it_stands() {
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
        assert_eq!(DomainName::from_bytes(&[0xff; 251]), Err(InvalidDomain::TooLong(251)), "they are not looked at");
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
