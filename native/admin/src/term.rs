//! Conversion between Erlang terms and Rust values.
//!
//! The node sends data: maps, lists, tuples, binaries, numbers, and atoms. All of that has a counterpart in JSON, so a
//! term becomes a JSON value, from which `serde` reads the expected type. `undefined` is null, a tuple is an array, an
//! atom is its name; invalid UTF-8 in a binary becomes U+FFFD, because people read it.

use eetf::{Atom, BigInteger, Binary, List, Map, Term, Tuple};
use serde_json::Value;

/// The JSON value of a term; `None` for terms without one (processes, functions).
pub fn to_value(term: &Term) -> Option<Value> {
    Some(match term {
        Term::Atom(Atom { name }) => match name.as_str() {
            "undefined" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            other => other.into(),
        },
        Term::FixInteger(number) => number.value.into(),
        Term::BigInteger(number) => match u64::try_from(&number.value) {
            Ok(number) => number.into(),
            Err(_) => i64::try_from(&number.value).ok()?.into(),
        },
        Term::Float(number) => number.value.into(),
        Term::Binary(Binary { bytes }) => text(bytes).into(),
        // The external term format encodes a list of small numbers as bytes.
        Term::ByteList(list) => list.bytes.iter().copied().collect(),
        Term::List(List { elements }) | Term::Tuple(Tuple { elements }) => {
            elements.iter().map(to_value).collect::<Option<_>>()?
        }
        Term::Map(Map { map }) => {
            let pairs = map.iter().map(|(key, value)| match (to_value(key)?, to_value(value)?) {
                (Value::String(key), value) => Some((key, value)),
                (key, value) => Some((key.to_string(), value)),
            });
            Value::Object(pairs.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An atom.
pub fn atom(name: &str) -> Term {
    Term::Atom(Atom::from(name))
}

/// A binary.
pub fn binary(bytes: impl AsRef<[u8]>) -> Term {
    Term::Binary(Binary { bytes: bytes.as_ref().to_vec() })
}

/// An integer.
pub fn integer(number: u64) -> Term {
    Term::BigInteger(BigInteger::from(number))
}

/// An integer that may be negative.
pub fn signed(number: i64) -> Term {
    Term::BigInteger(BigInteger::from(number))
}

/// A tuple.
pub fn tuple<const N: usize>(elements: [Term; N]) -> Term {
    Term::Tuple(Tuple { elements: elements.into() })
}

/// A list.
pub fn list(elements: impl IntoIterator<Item = Term>) -> Term {
    Term::List(List { elements: elements.into_iter().collect() })
}

/// A map.
pub fn map(pairs: impl IntoIterator<Item = (Term, Term)>) -> Term {
    Term::Map(Map { map: pairs.into_iter().collect() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_term_becomes_a_json_value() {
        let details = map([
            (atom("domain"), binary("a.example")),
            (atom("status"), atom("enabled")),
            (atom("owner"), atom("undefined")),
            (atom("handlers"), tuple([integer(1), integer(u64::MAX)])),
        ]);
        let expected = json!({"domain": "a.example", "status": "enabled", "owner": null, "handlers": [1, u64::MAX]});
        assert_eq!(to_value(&details), Some(expected));
    }

    #[test]
    fn a_list_of_small_numbers_stays_a_list() {
        let term = Term::ByteList(eetf::ByteList { bytes: vec![1, 2] });
        assert_eq!(to_value(&term), Some(json!([1, 2])));
    }

    #[test]
    fn invalid_utf_8_is_replaced() {
        assert_eq!(to_value(&binary([b'a', 0xff])), Some(json!("a\u{fffd}")));
    }
}
