//! A declaration in YAML, of which JSON is a part:
//!
//! ```yaml
//! complete_for: 12h
//! host_types:
//!   type1:
//!     - one.example
//!     - {domain: two.example, status: disabled}
//! ```
//!
//! An unknown key is an error, since it may be a misspelt one. So is a key that occurs twice, and a host type without a
//! list, which could be one whose domains were lost: a host type without domains has `[]`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Options, Spanned, options};

use crate::import::Status;

/// A document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// For how long its host types are declared complete.
    pub complete_for: Option<Spanned<String>>,
    /// The domains.
    pub host_types: BTreeMap<String, Spanned<Option<Vec<Spanned<Item>>>>>,
}

/// A domain.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainItem {
    /// Its name.
    pub domain: String,
    /// Its status, if it is declared.
    pub status: Option<Status>,
    /// Whether the name is accepted unchanged, as an export marks a name that no request can carry.
    #[serde(default)]
    pub as_is: bool,
}

/// An item of a list: a name, or an object.
#[derive(Debug, PartialEq, Eq)]
pub struct Item(pub DomainItem);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the name of a domain (in quotes, where it looks like something else), or its `domain` and `status`",
        )
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Item, E> {
        Ok(Item(DomainItem { domain: name.to_owned(), status: None, as_is: false }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
        DomainItem::deserialize(MapAccessDeserializer::new(map)).map(Item)
    }
}

/// Reads a document, or says in which line what is wrong.
pub fn read(text: &str) -> Result<Document, (u64, String)> {
    serde_saphyr::from_str_with_options(text, settings()).map_err(|error| {
        let (line, text) = (error.location().map_or(1, |it| it.line()), error.without_snippet().to_string());
        let what = text.split_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        (line, format!("{what} (domainctl help apply shows what a file has)"))
    })
}

/// A document may be of any size: it is no stranger's. What references in it expand to stays bounded.
fn settings() -> Options {
    options! { budget: None, strict_booleans: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(document: &Document, host_type: &str) -> Vec<(String, u64)> {
        let items = document.host_types[host_type].value.as_ref().unwrap();
        items.iter().map(|item| (item.value.0.domain.clone(), item.referenced.line())).collect()
    }

    #[test]
    fn a_domain_is_a_name_or_an_object() {
        let document = read(
            "complete_for: 12h\nhost_types:\n  type1:\n    - one.example\n    # why\n    - {domain: two.example, status: disabled}\n    - domain: no\n      as_is: true\n  type2: []\n",
        )
        .unwrap();
        assert_eq!(document.complete_for.as_ref().unwrap().value, "12h");
        let wanted = [("one.example", 4), ("two.example", 6), ("no", 7)].map(|(name, line)| (name.to_owned(), line));
        assert_eq!(names(&document, "type1"), wanted);
        assert_eq!(names(&document, "type2"), []);
        let items = document.host_types["type1"].value.as_ref().unwrap();
        assert_eq!(items[1].value.0.status, Some(Status::Disabled));
        assert!(items[2].value.0.as_is);
    }

    #[test]
    fn json_is_read_too() {
        let text = "{\n\t\"complete_for\": 3600,\n\t\"host_types\": {\n\t\t\"type 1\": [\n\t\t\t\"ü.example\",\n\t\t\t{\"domain\": \"b.example\", \"status\": \"enabled\"}\n\t\t]\n\t}\n}\n";
        let document = read(text).unwrap();
        assert_eq!(document.complete_for.as_ref().unwrap().value, "3600");
        assert_eq!(names(&document, "type 1"), [("ü.example".to_owned(), 5), ("b.example".to_owned(), 6)]);
    }

    #[test]
    fn a_name_that_yaml_reads_as_a_word_is_a_name() {
        let text = "host_types:\n  t: [on, 'true', \"1.5\", 192.0.2.1, '[2001:db8::1]']\n";
        let names = names(&read(text).unwrap(), "t");
        assert_eq!(
            names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["on", "true", "1.5", "192.0.2.1", "[2001:db8::1]"]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, words) in [
            ("host_type:\n  t: []\n", 1, "unknown field"),
            ("complete_for: 1h\n", 1, "host_types"),
            ("host_types:\n  t: []\n  t: []\n", 3, "duplicate"),
            ("host_types:\n  t: []\nhost_types: {}\n", 3, "duplicate"),
            ("host_types:\n  t:\n    - a.example\n    - 1.5\n", 4, "the name of a domain (in quotes"),
            ("host_types:\n  t:\n    - {domain: a.example, state: disabled}\n", 3, "unknown field"),
            ("host_types:\n  t:\n    - {domain: a.example, status: off}\n", 3, "enabled"),
            ("host_types:\n  t: a.example\n", 2, "sequence"),
            ("a.example,t\n", 1, "expected mapping start (domainctl help apply"),
            ("host_types: [\n", 1, "expected mapping start"),
        ] {
            let (at, message) = read(text).unwrap_err();
            assert!(message.contains(words) && at == line, "{text:?}: {at}: {message}");
        }
    }

    #[test]
    fn references_expand_to_a_bounded_size() {
        let mut text =
            "host_types:\n  a: &a [x.example, x.example, x.example, x.example, x.example, x.example]\n".to_owned();
        for (name, of) in
            ["b", "c", "d", "e", "f", "g", "h", "i", "j"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h", "i"])
        {
            text.push_str(&format!("  {name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"));
        }
        assert!(read(&text).is_err());
    }
}
