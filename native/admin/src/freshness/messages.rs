//! The messages of Diego's protocol, as protobuf and as JSON.
//!
//! Field numbers and names are the BBS's. An absent field has its default, an unknown one is ignored, as in protobuf's
//! mapping to JSON, in which a number may also be a string.

use prost::Message;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The response to a ping.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct PingResponse {
    /// Always true.
    #[prost(bool, tag = "1")]
    pub available: bool,
}

/// Declares a domain, which is a host type here, fresh.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub struct UpsertDomainRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub domain: String,
    /// For so many seconds; 0 is forever.
    #[prost(uint32, tag = "2")]
    #[serde(deserialize_with = "number")]
    pub ttl: u32,
}

/// The response to a declaration.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct UpsertDomainResponse {
    /// Why it failed.
    #[prost(message, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// The domains that are fresh now.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct DomainsResponse {
    /// Why they are missing.
    #[prost(message, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// Their names.
    #[prost(string, repeated, tag = "2")]
    pub domains: Vec<String>,
}

/// An error.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Error {
    /// Its kind.
    #[prost(enumeration = "ErrorType", tag = "1")]
    #[serde(rename = "type", serialize_with = "name")]
    pub kind: i32,
    /// The message, for people.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// The kinds that occur here; the BBS has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
pub enum ErrorType {
    /// The reason is in the log.
    UnknownError = 0,
    /// The request is invalid.
    InvalidRequest = 4,
}

impl UpsertDomainRequest {
    /// Reads an object; of two equal keys the last counts.
    pub fn from_json(bytes: &[u8]) -> Option<UpsertDomainRequest> {
        let fields: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        serde_json::from_value(fields.into()).ok()
    }
}

/// JSON's null is the default.
fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(json: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

fn number<'de, D: Deserializer<'de>>(json: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Bare(u32),
        Quoted(String),
    }
    match Option::deserialize(json)? {
        None => Ok(0),
        Some(Number::Bare(number)) => Ok(number),
        Some(Number::Quoted(text)) => text.parse().map_err(serde::de::Error::custom),
    }
}

fn name<S: serde::Serializer>(kind: &i32, json: S) -> Result<S::Ok, S::Error> {
    match ErrorType::try_from(*kind) {
        Ok(kind) => json.collect_str(&format_args!("{kind:?}")),
        Err(_) => json.serialize_i32(*kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let request = UpsertDomainRequest::decode(&[0x0a, 1, b'a', 0x10, 0xac, 0x02, 0x18, 1][..]);
        assert_eq!(request, Ok(UpsertDomainRequest { domain: "a".into(), ttl: 300 }));
        let error = Error { kind: ErrorType::InvalidRequest.into(), message: "b".into() };
        let answer = DomainsResponse { error: Some(error), domains: vec!["c".into()] };
        assert_eq!(answer.encode_to_vec(), [0x0a, 5, 0x08, 4, 0x12, 1, b'b', 0x12, 1, b'c']);
    }

    #[test]
    fn an_unknown_error_shows_by_the_presence_of_its_message() {
        let error = Error { kind: ErrorType::UnknownError.into(), message: "b".into() };
        assert_eq!(UpsertDomainResponse { error: Some(error) }.encode_to_vec(), [0x0a, 3, 0x12, 1, b'b']);
        let empty = Error { kind: 0, message: String::new() };
        assert_eq!(UpsertDomainResponse { error: Some(empty) }.encode_to_vec(), [0x0a, 0]);
    }

    #[test]
    fn json_has_the_same_fields_and_defaults() {
        let read = |json: &str| UpsertDomainRequest::from_json(json.as_bytes());
        let request = |domain: &str, ttl| Some(UpsertDomainRequest { domain: domain.into(), ttl });
        assert_eq!(read(r#"{"domain": "a", "ttl": 300, "more": []}"#), request("a", 300));
        assert_eq!(read(r#"{"domain": "a", "ttl": "300"}"#), request("a", 300));
        assert_eq!(read(r#"{"domain": null, "ttl": null}"#), request("", 0));
        assert_eq!(read("{}"), request("", 0));
        for wrong in ["", "[]", "1", r#"{"ttl": -1}"#, r#"{"ttl": 4294967296}"#, r#"{"ttl": 1.5}"#, r#"{"domain": 1}"#]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn json_names_the_kind_of_an_error() {
        let error = |kind: ErrorType| Error { kind: kind.into(), message: "b".into() };
        let shown = |kind| serde_json::to_string(&UpsertDomainResponse { error: Some(error(kind)) }).ok();
        let expected = r#"{"error":{"type":"InvalidRequest","message":"b"}}"#;
        assert_eq!(shown(ErrorType::InvalidRequest).as_deref(), Some(expected));
        let expected = r#"{"error":{"type":"UnknownError","message":"b"}}"#;
        assert_eq!(shown(ErrorType::UnknownError).as_deref(), Some(expected));
        assert_eq!(serde_json::to_string(&UpsertDomainResponse { error: None }).ok().as_deref(), Some("{}"));
    }
}
