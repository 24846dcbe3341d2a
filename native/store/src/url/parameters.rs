//! The parameters of a database URL, and their values.
//!
//! A parameter has to be in the table of its kind of database and may occur once. Its value stays percent-encoded, because
//! the driver of PostgreSQL decodes the values that it reads.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{UrlError, UrlKind};

/// A parameter of a URL.
pub(crate) struct Parameter<'a> {
    pub(crate) name: &'static str,
    /// Percent-encoded.
    pub(crate) raw: &'a str,
    expected: &'static str,
}

impl<'a> Parameter<'a> {
    pub(crate) fn value(&self) -> Result<Cow<'a, str>, UrlError> {
        percent_decode_str(self.raw).decode_utf8().map_err(|_| self.invalid())
    }

    /// The error for an invalid value.
    pub(crate) fn invalid(&self) -> UrlError {
        UrlError::Value { parameter: self.name, expected: self.expected }
    }
}

/// Splits the part of a URL after the `?`.
pub(crate) fn read(kind: UrlKind, query: &str) -> Result<Vec<Parameter<'_>>, UrlError> {
    let mut all: Vec<Parameter> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, raw) = pair.split_once('=').ok_or(UrlError::NoValue)?;
        let Some(&(name, expected)) = kind.parameters().iter().find(|known| known.0 == name) else {
            return Err(unknown(kind, name, &all));
        };
        if all.iter().any(|parameter| parameter.name == name) {
            return Err(UrlError::Twice(name));
        }
        all.push(Parameter { name, raw, expected });
    }
    Ok(all)
}

/// After a password, an unknown name may be a part of a password with a bare `&` in it.
fn unknown(kind: UrlKind, name: &str, before: &[Parameter]) -> UrlError {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain && before.iter().all(|parameter| parameter.name != "password") {
        UrlError::Unknown(name.to_owned(), kind)
    } else {
        UrlError::UnknownHidden(kind)
    }
}
