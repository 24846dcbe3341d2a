//! What the GraphQL library finds wrong with a document, in the words of this project's faults.
//!
//! The library tells what it found as a text and a place. The text decides the code: for each row of the table
//! `graphql_requests_SUITE` brings the library to say it, so that another version with other words is noticed.

use async_graphql::{ServerError, Value, Variables};

use super::document::Document;
use super::fault::{Code, Fault};
use super::scalars;

/// What the library's texts contain, and what that means; the first row that fits counts.
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

/// How the library begins to tell of a value that an argument, or a variable by default, cannot have.
const INVALID_ARGUMENT: &str = "Invalid value for argument ";
const INVALID_DEFAULT: &str = "Invalid default value for argument: ";

/// The fault for which the document was refused before anything was done.
pub fn refused(error: &ServerError, document: &Document, variables: &Variables) -> Fault {
    if let Some(fault) = error.source::<Fault>() {
        return fault.clone();
    }
    let text = error.message.as_str();
    if text.starts_with(INVALID_ARGUMENT) || text.starts_with(INVALID_DEFAULT) {
        return invalid(error, document, variables);
    }
    let row = TEXTS.iter().find(|(part, _)| text.contains(part));
    let code = row.map_or(Code::InvalidDocument, |(_, code)| *code);
    Fault::new(code, text).at(error.locations.first().map(|at| document.path_at(*at)).unwrap_or_default())
}

/// A value that an argument cannot have, where the argument has it from: the document or a variable.
fn invalid(error: &ServerError, document: &Document, variables: &Variables) -> Fault {
    let expected = expected_type(&error.message);
    let (value, path) = place(error, document, variables).unwrap_or_default();
    let fault = match scalars::refusal(expected, &value) {
        _ if value == Value::Null => {
            Fault::new(Code::MissingNonNullParam, format!("A value of type {expected} must not be null"))
        }
        Some((reason, shown)) => {
            let message = format!("Input coercion failed for type {expected} with value {shown}: {reason}");
            Fault::new(Code::InputCoercion, message)
        }
        None => Fault::new(Code::TypeMismatch, error.message.as_str()),
    };
    fault.at(path)
}

fn place(error: &ServerError, document: &Document, variables: &Variables) -> Option<(Value, Vec<String>)> {
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
