//! Translates the errors of the GraphQL library into this project's codes.
//!
//! The library reports an error as a text and a position. The text determines the code. `graphql_requests_SUITE`
//! provokes the error of each row of the table, so a version of the library with other texts fails a test.

use async_graphql::{ServerError, Value, Variables};

use super::document::Document;
use super::error::{Code, GraphqlError};
use super::scalars;

/// Parts of the library's texts, and the code of each; the first row that matches counts.
const TEXTS: &[(&str, Code)] = &[
    ("Unknown field ", Code::UnknownField),
    ("Unknown argument ", Code::UnknownArgument),
    ("Unknown directive ", Code::UnknownDirective),
    ("Unknown fragment", Code::UnknownFragment),
    ("Unknown type ", Code::UnknownType),
    ("is required but not provided", Code::MissingNonNullParam),
    ("is not defined", Code::UnboundVariable),
    ("is not used", Code::UnusedVariable),
    ("conflict because", Code::ConflictingFields),
    ("too complex", Code::QueryTooComplex),
    ("nested too deep", Code::QueryTooDeep),
];

/// The beginnings of the library's texts for an invalid value of an argument, and of a variable's default.
const INVALID_ARGUMENT: &str = "Invalid value for argument ";
const INVALID_DEFAULT: &str = "Invalid default value for argument: ";

/// The error for which the library refused the document.
pub fn translated(error: &ServerError, document: &Document, variables: &Variables) -> GraphqlError {
    if let Some(error) = error.source::<GraphqlError>() {
        return error.clone();
    }
    let text = error.message.as_str();
    if text.starts_with(INVALID_ARGUMENT) || text.starts_with(INVALID_DEFAULT) {
        return invalid_value(error, document, variables);
    }
    let row = TEXTS.iter().find(|(part, _)| text.contains(part));
    let code = row.map_or(Code::InvalidDocument, |(_, code)| *code);
    GraphqlError::new(code, text).at(error.locations.first().map(|at| document.path_at(*at)).unwrap_or_default())
}

/// The error for an invalid value, with the path of the argument or the variable that has it.
fn invalid_value(error: &ServerError, document: &Document, variables: &Variables) -> GraphqlError {
    let expected = expected_type(&error.message);
    let (value, path) = value_at(error, document, variables).unwrap_or_default();
    let translated = match scalars::refusal(expected, &value) {
        _ if value == Value::Null => {
            GraphqlError::new(Code::MissingNonNullParam, format!("A value of type {expected} must not be null"))
        }
        Some((reason, shown)) => {
            let message = format!("Input coercion failed for type {expected} with value {shown}: {reason}");
            GraphqlError::new(Code::InputCoercion, message)
        }
        None => GraphqlError::new(Code::TypeMismatch, error.message.as_str()),
    };
    translated.at(path)
}

fn value_at(error: &ServerError, document: &Document, variables: &Variables) -> Option<(Value, Vec<String>)> {
    let at = *error.locations.first()?;
    if error.message.starts_with(INVALID_DEFAULT) {
        let definitions = &document.operation().ok()?.1.variable_definitions;
        let definition = &definitions.iter().find(|definition| definition.pos == at)?.node;
        let path = document.path_of_variable(&definition.name.node);
        return Some((definition.default_value.as_ref()?.node.clone(), path.into()));
    }
    let argument = document.argument_at(at)?;
    let value = document.resolve(argument.value, variables)?;
    let path = match argument.value {
        async_graphql_value::Value::Variable(name) => document.path_of_variable(name).into(),
        _ => argument.path.into_iter().map(str::to_owned).collect(),
    };
    Some((value, path))
}

/// The type in the library's `expected type "T"`.
fn expected_type(text: &str) -> &str {
    let after = text.split_once("expected type \"").map_or("", |(_, after)| after);
    after.split_once('"').map_or("", |(name, _)| name).trim_end_matches('!')
}
