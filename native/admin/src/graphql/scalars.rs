//! The schema's own scalars: the border at which a client's value is checked and gets a type.
//!
//! An invalid value is refused before anything of the document is executed.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, InputValueError, InputValueResult, OutputType, Positioned, Scalar, ScalarType, ServerResult,
    Value,
};

/// A domain name, to which nameprep is applied.
pub struct DomainName(pub domain_core::DomainName);

/// A string of at least one character.
pub struct NonEmptyString(pub String);

/// A `DomainName` in a response: as it is stored, even if it would not be accepted today.
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

/// Why a value is not of a scalar type of this schema, and the value for the message: a domain name is cut if it is
/// long, and what may be a password is hidden. `None` for a valid value, and for other types.
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

/// A string of at least one character.
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
