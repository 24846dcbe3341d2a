//! Reads a request's query, variables and operation name, from a JSON body or a query string.
//!
//! Variables are an object, or a string that contains one in JSON. Null variables count as absent, and so do empty
//! strings for other parts, because many clients send them for what they do not have.
//!
//! A request with nothing but the hash of its document (a *persisted query*) gets the error upon which its client sends
//! the document.

use async_graphql::Variables;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::error::{Code, GraphqlError};

/// A request.
#[derive(Debug, PartialEq)]
pub struct GraphqlRequest {
    /// The document.
    pub query: String,
    /// The values of its variables.
    pub variables: Variables,
    /// The operation to execute.
    pub operation_name: Option<String>,
}

impl GraphqlRequest {
    /// Reads the body of a POST.
    pub fn from_body(body: &[u8]) -> Result<GraphqlRequest, GraphqlError> {
        let invalid = || GraphqlError::new(Code::InvalidJsonBody, "The request JSON body is invalid");
        let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(|_| invalid())?;
        let operation_name = match fields.remove("operationName") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name).filter(|name| !name.is_empty()),
            Some(_) => return Err(invalid()),
        };
        let query = match fields.remove("query") {
            Some(Value::String(query)) => Some(query),
            _ => None,
        };
        let query = document(query, fields.get("extensions"))?;
        Ok(GraphqlRequest { query, variables: variables(fields.remove("variables"))?, operation_name })
    }

    /// Reads the query string of a GET, without its question mark.
    pub fn from_query_string(query_string: &str) -> Result<GraphqlRequest, GraphqlError> {
        let invalid = || GraphqlError::new(Code::InvalidQueryParameters, "The query string is invalid");
        let (mut query, mut given, mut operation_name, mut extensions) = (None, None, None, None);
        for pair in query_string.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value).ok_or_else(invalid)?;
            match decoded(key).ok_or_else(invalid)?.as_str() {
                "query" => query = Some(value),
                _ if value.is_empty() => {}
                "variables" => given = Some(Value::String(value)),
                "operationName" => operation_name = Some(value),
                "extensions" => extensions = serde_json::from_str(&value).ok(),
                _ => {}
            }
        }
        let query = document(query, extensions.as_ref())?;
        Ok(GraphqlRequest { query, variables: variables(given)?, operation_name })
    }
}

/// The document; an error where there is none.
fn document(query: Option<String>, extensions: Option<&Value>) -> Result<String, GraphqlError> {
    let has_hash = extensions.is_some_and(|extensions| extensions.get("persistedQuery").is_some());
    match query {
        _ if has_hash && query.as_ref().is_none_or(String::is_empty) => {
            Err(GraphqlError::new(Code::PersistedQueryNotSupported, "PersistedQueryNotSupported"))
        }
        Some(query) => Ok(query),
        None => Err(GraphqlError::new(Code::NoQuerySupplied, "The query was not supplied in the request body")),
    }
}

fn variables(given: Option<Value>) -> Result<Variables, GraphqlError> {
    let invalid = || GraphqlError::new(Code::VariablesInvalidJson, "The variables' JSON is invalid");
    let given = match given {
        Some(Value::String(text)) if text.is_empty() => Value::Null,
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|_| invalid())?,
        given => given.unwrap_or_default(),
    };
    match given {
        Value::Null => Ok(Variables::default()),
        Value::Object(mut all) => {
            all.retain(|_, value| !value.is_null());
            Ok(Variables::from_json(Value::Object(all)))
        }
        _ => Err(invalid()),
    }
}

/// Decodes a part of a query string; `None` for a percent sign without two digits, and for invalid UTF-8.
fn decoded(part: &str) -> Option<String> {
    let is_hex = |code: &[u8]| code.len() == 2 && code.iter().all(u8::is_ascii_hexdigit);
    let codes_are_whole = part.split('%').skip(1).all(|code| code.as_bytes().get(..2).is_some_and(is_hex));
    let spaced = part.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8().ok()?;
    codes_are_whole.then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(variables: Value) -> Result<Value, Code> {
        let query = GraphqlRequest::from_body(json!({"query": "{a}", "variables": variables}).to_string().as_bytes());
        let query = query.map_err(|error| error.code())?;
        Ok(serde_json::to_value(query.variables).unwrap_or_default())
    }

    #[test]
    fn variables_are_an_object_or_a_string_of_one_and_null_is_absent() {
        let expected = Ok(json!({"a": 1, "c": {"d": null}}));
        assert_eq!(given(json!({"a": 1, "b": null, "c": {"d": null}})), expected);
        assert_eq!(given(json!("{\"a\": 1, \"b\": null, \"c\": {\"d\": null}}")), expected);
        assert_eq!(given(json!(null)), Ok(json!({})));
        assert_eq!(given(json!("null")), Ok(json!({})));
        assert_eq!(given(json!("")), Ok(json!({})));
        for wrong in [json!("{"), json!("[]"), json!([]), json!(1), json!(true)] {
            assert_eq!(given(wrong), Err(Code::VariablesInvalidJson));
        }
    }

    #[test]
    fn empty_strings_are_absent() {
        let query = GraphqlRequest { query: "{a}".to_owned(), variables: Variables::default(), operation_name: None };
        let body = json!({"query": "{a}", "operationName": "", "variables": ""}).to_string();
        assert_eq!(GraphqlRequest::from_body(body.as_bytes()).as_ref(), Ok(&query));
        assert_eq!(
            GraphqlRequest::from_query_string("query={a}&operationName=&variables=&extensions=").as_ref(),
            Ok(&query)
        );
    }

    #[test]
    fn a_persisted_query_without_its_document_is_not_supported() {
        let extensions = r#"{"persistedQuery":{"version":1,"sha256Hash":"00"}}"#;
        let code = |query: Result<GraphqlRequest, GraphqlError>| query.map_err(|error| error.code());
        for body in
            [format!(r#"{{"extensions":{extensions}}}"#), format!(r#"{{"query":null,"extensions":{extensions}}}"#)]
        {
            assert_eq!(code(GraphqlRequest::from_body(body.as_bytes())), Err(Code::PersistedQueryNotSupported));
        }
        assert!(
            GraphqlRequest::from_body(format!(r#"{{"query":"{{a}}","extensions":{extensions}}}"#).as_bytes()).is_ok()
        );
        assert_eq!(
            code(GraphqlRequest::from_query_string(&format!("extensions={extensions}"))),
            Err(Code::PersistedQueryNotSupported)
        );
        assert_eq!(code(GraphqlRequest::from_body(br#"{"extensions":{"a":1}}"#)), Err(Code::NoQuerySupplied));
    }

    #[test]
    fn a_query_string_is_decoded_strictly() {
        let query = GraphqlRequest::from_query_string("x&query=%7Ba+b%7D&operationName=&variables=%7B%22a%22%3A1%7D");
        let variables = Variables::from_json(json!({"a": 1}));
        assert_eq!(query, Ok(GraphqlRequest { query: "{a b}".to_owned(), variables, operation_name: None }));
        for wrong in ["query=%", "query=%7", "query=%zz", "query=%f3", "%f3=1&query=a"] {
            let error = GraphqlRequest::from_query_string(wrong).map_err(|error| error.code());
            assert_eq!(error, Err(Code::InvalidQueryParameters), "{wrong}");
        }
        assert_eq!(GraphqlRequest::from_query_string("a=b").map_err(|error| error.code()), Err(Code::NoQuerySupplied));
    }
}
