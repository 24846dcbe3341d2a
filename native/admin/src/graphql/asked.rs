//! What a request asks, before anybody looks at its document: query, variables and the operation's name, from a
//! body of JSON or from a query string.
//!
//! Variables are an object, or a text of JSON that is one. Those that are null count as not given; so does each part that
//! is an empty text, which many clients send for what they do not have.
//!
//! A request by the hash of its document alone (a *persisted query*) is answered so that its client sends the document.

use async_graphql::Variables;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::fault::{Code, Fault};

/// The parts of a request.
#[derive(Debug, PartialEq)]
pub struct Query {
    /// The document.
    pub text: String,
    /// What it is given.
    pub variables: Variables,
    /// Which of its operations is to be done.
    pub operation: Option<String>,
}

impl Query {
    /// From the body of a POST.
    pub fn from_body(body: &[u8]) -> Result<Query, Fault> {
        let invalid = || Fault::new(Code::InvalidJsonBody, "The request JSON body is invalid");
        let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(|_| invalid())?;
        let operation = match fields.remove("operationName") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name).filter(|name| !name.is_empty()),
            Some(_) => return Err(invalid()),
        };
        let text = match fields.remove("query") {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let text = document(text, fields.get("extensions"))?;
        Ok(Query { text, variables: variables(fields.remove("variables"))?, operation })
    }

    /// From the query string of a GET, without its question mark.
    pub fn from_query_string(query: &str) -> Result<Query, Fault> {
        let invalid = || Fault::new(Code::InvalidQueryParameters, "The query string is invalid");
        let (mut text, mut given, mut operation, mut extensions) = (None, None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value).ok_or_else(invalid)?;
            match decoded(key).ok_or_else(invalid)?.as_str() {
                "query" => text = Some(value),
                _ if value.is_empty() => {}
                "variables" => given = Some(Value::String(value)),
                "operationName" => operation = Some(value),
                "extensions" => extensions = serde_json::from_str(&value).ok(),
                _ => {}
            }
        }
        let text = document(text, extensions.as_ref())?;
        Ok(Query { text, variables: variables(given)?, operation })
    }
}

/// The document; a client that has nothing but its hash gives none.
fn document(text: Option<String>, extensions: Option<&Value>) -> Result<String, Fault> {
    let has_hash = extensions.is_some_and(|extensions| extensions.get("persistedQuery").is_some());
    match text {
        _ if has_hash && text.as_ref().is_none_or(String::is_empty) => {
            Err(Fault::new(Code::PersistedQueryNotSupported, "PersistedQueryNotSupported"))
        }
        Some(text) => Ok(text),
        None => Err(Fault::new(Code::NoQuerySupplied, "The query was not supplied in the request body")),
    }
}

fn variables(given: Option<Value>) -> Result<Variables, Fault> {
    let invalid = || Fault::new(Code::VariablesInvalidJson, "The variables' JSON is invalid");
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

/// A part of a query string: nothing for a percent sign without two digits, and for what is no UTF-8.
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
        let query = Query::from_body(json!({"query": "{a}", "variables": variables}).to_string().as_bytes());
        let query = query.map_err(|fault| fault.code())?;
        Ok(serde_json::to_value(query.variables).unwrap_or_default())
    }

    #[test]
    fn variables_are_an_object_or_its_text_and_null_is_nothing() {
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
    fn what_is_empty_was_not_given() {
        let query = Query { text: "{a}".to_owned(), variables: Variables::default(), operation: None };
        let body = json!({"query": "{a}", "operationName": "", "variables": ""}).to_string();
        assert_eq!(Query::from_body(body.as_bytes()).as_ref(), Ok(&query));
        assert_eq!(Query::from_query_string("query={a}&operationName=&variables=&extensions=").as_ref(), Ok(&query));
    }

    #[test]
    fn a_persisted_query_by_its_hash_alone_is_told_that_there_are_none() {
        let extensions = r#"{"persistedQuery":{"version":1,"sha256Hash":"00"}}"#;
        let code = |query: Result<Query, Fault>| query.map_err(|fault| fault.code());
        for body in
            [format!(r#"{{"extensions":{extensions}}}"#), format!(r#"{{"query":null,"extensions":{extensions}}}"#)]
        {
            assert_eq!(code(Query::from_body(body.as_bytes())), Err(Code::PersistedQueryNotSupported));
        }
        assert!(Query::from_body(format!(r#"{{"query":"{{a}}","extensions":{extensions}}}"#).as_bytes()).is_ok());
        assert_eq!(
            code(Query::from_query_string(&format!("extensions={extensions}"))),
            Err(Code::PersistedQueryNotSupported)
        );
        assert_eq!(code(Query::from_body(br#"{"extensions":{"a":1}}"#)), Err(Code::NoQuerySupplied));
    }

    #[test]
    fn a_query_string_is_decoded_strictly() {
        let query = Query::from_query_string("x&query=%7Ba+b%7D&operationName=&variables=%7B%22a%22%3A1%7D");
        let variables = Variables::from_json(json!({"a": 1}));
        assert_eq!(query, Ok(Query { text: "{a b}".to_owned(), variables, operation: None }));
        for wrong in ["query=%", "query=%7", "query=%zz", "query=%f3", "%f3=1&query=a"] {
            let fault = Query::from_query_string(wrong).map_err(|fault| fault.code());
            assert_eq!(fault, Err(Code::InvalidQueryParameters), "{wrong}");
        }
        assert_eq!(Query::from_query_string("a=b").map_err(|fault| fault.code()), Err(Code::NoQuerySupplied));
    }
}
