//! The schema's own scalars: where what a client wrote becomes a type that needs no more checks.
//!
//! What is refused here is refused before anything of the document is done.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, InputValueError, InputValueResult, OutputType, Positioned, Scalar, ScalarType, ServerResult,
    Value,
};

/// A domain name: nameprep is applied to what is given, and the result is the name everywhere.
pub struct DomainName(pub domain_core::DomainName);

/// A text of at least one character.
pub struct NonEmptyString(pub String);

/// A `DomainName` that goes out: as it is stored, even if nobody could store it any more.
pub struct StoredName(pub String);

impl DomainName {
    fn of(value: &Value) -> Result<DomainName, &'static str> {
        match value {
            Value::String(text) if text.is_empty() => Err("empty_domain_name"),
            Value::String(text) => {
                domain_core::DomainName::prepare(text).map(DomainName).map_err(|_| "failed_to_parse_domain_name")
            }
            _ => Err("not_a_string"),
        }
    }
}

impl NonEmptyString {
    fn of(value: &Value) -> Result<NonEmptyString, &'static str> {
        match value {
            Value::String(text) if text.is_empty() => Err("empty_string"),
            Value::String(text) => Ok(NonEmptyString(text.clone())),
            _ => Err("not_a_string"),
        }
    }
}

/// Why a value is not of a scalar type of this schema, and the value as people may see it: a domain's name, if
/// it is not too long, but nothing that may be a password. Nothing for a value or a type that is not refused here.
pub fn refusal(scalar: &str, value: &Value) -> Option<(&'static str, String)> {
    const CHARACTERS: usize = 100;
    match scalar {
        "DomainName" => {
            let text = value.to_string();
            let cut = text.char_indices().nth(CHARACTERS).map(|(end, _)| format!("{}...", &text[..end]));
            DomainName::of(value).err().map(|reason| (reason, cut.unwrap_or(text)))
        }
        "NonEmptyString" => NonEmptyString::of(value).err().map(|reason| (reason, "(not shown)".to_owned())),
        _ => None,
    }
}

/// A domain name. Nameprep is applied to it, and the result is the name everywhere.
#[Scalar]
impl ScalarType for DomainName {
    fn parse(value: Value) -> InputValueResult<DomainName> {
        DomainName::of(&value).map_err(InputValueError::custom)
    }

    fn is_valid(value: &Value) -> bool {
        DomainName::of(value).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.as_str().to_owned())
    }
}

/// A text of at least one character.
#[Scalar]
impl ScalarType for NonEmptyString {
    fn parse(value: Value) -> InputValueResult<NonEmptyString> {
        NonEmptyString::of(&value).map_err(InputValueError::custom)
    }

    fn is_valid(value: &Value) -> bool {
        NonEmptyString::of(value).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

impl OutputType for StoredName {
    fn type_name() -> Cow<'static, str> {
        <DomainName as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <DomainName as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::String(self.0.clone()))
    }
}
