//! Erlang terms, and what becomes of them here.
//!
//! What comes from the node is data: maps, lists, tuples, binaries, numbers, and atoms that stand for one of
//! a few values. All that has a place in JSON's model, so a term is brought there and read by `serde` into the
//! type that the answer should have. `undefined` is null, a tuple is an array, an atom is its name; a binary
//! that is no UTF-8 shows its bytes as U+FFFD, since people read it.

use eetf::{Atom, BigInteger, Binary, List, Map, Term, Tuple};
use serde_json::Value;

/// What the term says, in JSON's model; nothing for terms that are no data (processes, functions).
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
        // A list of small numbers comes as a string of bytes.
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

/// An integer that may be below zero.
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
    fn what_the_node_answers_becomes_what_it_means() {
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
    fn a_list_of_small_numbers_stays_one() {
        let term = Term::ByteList(eetf::ByteList { bytes: vec![1, 2] });
        assert_eq!(to_value(&term), Some(json!([1, 2])));
    }

    #[test]
    fn bytes_that_are_no_text_still_show() {
        assert_eq!(to_value(&binary([b'a', 0xff])), Some(json!("a\u{fffd}")));
    }
}
