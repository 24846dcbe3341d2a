//! JSON: an object on each line, or an array of objects.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::csv::normalized;

/// The members of an object.
#[derive(Debug, PartialEq, Eq)]
pub struct Members {
    /// The domain.
    pub domain: String,
    /// The host type.
    pub host_type: String,
    /// The status, if there is one.
    pub status: Option<String>,
    /// Whether the name is accepted unchanged, as an export marks a name that no request can carry.
    pub as_is: bool,
}

/// An element of an array.
#[derive(Debug, PartialEq, Eq)]
pub struct Element {
    /// Its JSON, on one line.
    pub text: String,
    /// The line breaks before it in the array.
    pub lines: u64,
}

/// Reads an object. Other members are ignored.
pub fn object(text: &str) -> Result<Members, String> {
    let object: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| format!("no JSON object: {}", error.to_string().replace(" at line 1 column", " at column")))?;
    let member = |wanted: &str| -> Result<Option<&Value>, String> {
        let mut members = object.iter().filter(|(key, value)| normalized(key) == wanted && !value.is_null());
        match (members.next(), members.next()) {
            (Some(_), Some(_)) => Err(format!("the JSON object has more than one {wanted}")),
            (member, _) => Ok(member.map(|(_, value)| value)),
        }
    };
    let text = |name: &str, wanted: &str| match member(wanted)? {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("the {name} of the JSON object is no string")),
    };
    let missing = |name: &str| format!("the JSON object has no {name}");
    Ok(Members {
        domain: text("domain", "domain")?.ok_or_else(|| missing("domain"))?,
        host_type: text("host_type", "hosttype")?.ok_or_else(|| missing("host_type"))?,
        status: text("status", "status")?,
        as_is: member("asis")? == Some(&Value::Bool(true)),
    })
}

/// The elements of an array, which are not read yet. An incomplete array is an error.
pub fn elements(text: &str) -> Result<Vec<Element>, String> {
    let raw: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| format!("the JSON array cannot be read: {error}"))?;
    let (mut lines, mut counted) = (0, 0);
    let element = |raw: &RawValue| {
        let begin = raw.get().as_ptr().addr() - text.as_ptr().addr();
        lines += line_breaks(&text[counted..begin]);
        counted = begin;
        // A string in JSON contains no line break, so these are white space.
        Element { text: raw.get().replace(['\n', '\r'], " "), lines }
    };
    Ok(raw.into_iter().map(element).collect())
}

fn line_breaks(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_recognised_in_any_spelling() {
        for text in [
            r#"{"host_type":"t","domain":"a.example","status":null,"x":[]}"#,
            r#"{"hostType":"t","Domain":"a.example","as_is":false}"#,
        ] {
            let wanted = Members { domain: "a.example".into(), host_type: "t".into(), status: None, as_is: false };
            assert_eq!(object(text), Ok(wanted));
        }
        for text in [
            "{",
            "[]",
            r#"{"domain":1,"host_type":"t"}"#,
            r#"{"domain":"a"}"#,
            r#"{"domain":"a","host_type":"t","hostType":"u"}"#,
        ] {
            assert!(object(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_array_has_elements_with_the_numbers_of_their_lines() {
        let text = "[\n  {\"domain\":\n\"a\"},\n\n 2]\n";
        let element = |text: &str, lines| Element { text: text.into(), lines };
        assert_eq!(elements(text), Ok(vec![element("{\"domain\": \"a\"}", 1), element("2", 4)]));
        assert!(elements("[{}").is_err() && elements("[] x").is_err());
    }
}
