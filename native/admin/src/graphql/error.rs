//! Errors of the GraphQL interface: a code for programs, a message for people, and the path in the document.
//!
//! The codes and messages are MongooseIM's, as far as it has them. An error that is found before anything is done
//! refuses the whole request and has an HTTP status of its own; an error of a field (HTTP 200) does not affect the
//! other fields. Internal errors are logged and not sent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_graphql::{PathSegment, ServerError};
use axum::http::StatusCode;
use serde::Serialize;

use crate::body::BodyError;
use crate::refusal::{Refusal, Tag};
use crate::request::Request;

/// The code in `extensions.code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the wire format")]
pub enum Code {
    // The request.
    UnsupportedMediaType,
    NoQuerySupplied,
    /// Apollo's clients send the whole document when they get this code.
    #[serde(rename = "PERSISTED_QUERY_NOT_SUPPORTED")]
    PersistedQueryNotSupported,
    InvalidJsonBody,
    InvalidQueryParameters,
    VariablesInvalidJson,
    RequestTooLarge,
    RequestTimeout,
    // Authentication.
    WrongCredentials,
    TooManyAttempts,
    RequestError,
    NoPermissions,
    // The document.
    ParserError,
    QueryTooDeep,
    QueryTooComplex,
    Busy,
    OperationNotFound,
    UnsupportedOperation,
    UnknownField,
    UnknownArgument,
    UnknownDirective,
    UnknownFragment,
    UnknownType,
    UnboundVariable,
    UnusedVariable,
    MissingNonNullParam,
    TypeMismatch,
    InputCoercion,
    ConflictingFields,
    InvalidDocument,
    // A field.
    DepsNotLoaded,
    Static,
    UnknownHostType,
    Duplicate,
    NotFound,
    WrongHostType,
    Deleted,
    RemovalEnded,
    Refused,
    InvalidPassword,
    InvalidLimit,
    ResolverCrash,
    ResolverError,
    // Anything else.
    InternalServerError,
}

impl Code {
    /// The status of a response with this error alone.
    pub fn status(self) -> StatusCode {
        match self {
            Code::WrongCredentials | Code::RequestError | Code::NoPermissions => StatusCode::UNAUTHORIZED,
            Code::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::PersistedQueryNotSupported => StatusCode::OK,
            Code::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Code::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Code::InternalServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// An element of `errors`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphqlError {
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<PathSegment>,
    extensions: Extensions,
}

/// The code, and details.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Extensions {
    code: Code,
    #[serde(flatten)]
    details: BTreeMap<&'static str, Detail>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Detail {
    Text(String),
    Texts(Vec<String>),
}

impl fmt::Display for GraphqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl GraphqlError {
    /// An error of the whole request.
    pub fn new(code: Code, message: impl Into<String>) -> GraphqlError {
        GraphqlError {
            message: message.into(),
            path: Vec::new(),
            extensions: Extensions { code, details: BTreeMap::new() },
        }
    }

    /// Adds the path: names of fields or variables, from the outside in.
    pub fn at<T: Into<String>>(self, path: impl IntoIterator<Item = T>) -> GraphqlError {
        GraphqlError { path: path.into_iter().map(|name| PathSegment::Field(name.into())).collect(), ..self }
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.extensions.code
    }

    fn with_detail(mut self, key: &'static str, value: Detail) -> GraphqlError {
        self.extensions.details.insert(key, value);
        self
    }

    /// The credentials are wrong.
    pub fn wrong_credentials() -> GraphqlError {
        GraphqlError::new(Code::WrongCredentials, "The provided credentials are wrong")
    }

    /// Nothing was done; the reason is in the log.
    pub fn internal() -> GraphqlError {
        GraphqlError::new(Code::InternalServerError, "GraphQL Internal Server Error")
    }

    /// The node has no dynamic domains.
    pub fn not_loaded() -> GraphqlError {
        let services = Detail::Texts(vec!["service_domain_db".to_owned()]);
        GraphqlError::new(Code::DepsNotLoaded, "Some of the required services are not loaded")
            .with_detail("not_loaded_services", services)
    }

    /// The node refused the request of a field.
    pub fn refused(refusal: Refusal, request: &Request<'_>) -> GraphqlError {
        let code = match refusal.tag {
            Tag::Static => Code::Static,
            Tag::UnknownHostType => Code::UnknownHostType,
            Tag::Duplicate => Code::Duplicate,
            Tag::NotFound => Code::NotFound,
            Tag::WrongHostType => Code::WrongHostType,
            Tag::Deleted => Code::Deleted,
            Tag::RemovalEnded => Code::RemovalEnded,
            Tag::Refused => Code::Refused,
            Tag::InvalidPassword => Code::InvalidPassword,
            Tag::ServiceDisabled => return GraphqlError::not_loaded(),
            Tag::WrongPassword
            | Tag::InvalidDomain
            | Tag::InvalidRequest
            | Tag::RemovalFailed
            | Tag::DbError
            | Tag::Timeout
            | Tag::Overloaded
            | Tag::Crashed => return GraphqlError::crash(refusal.tag, request),
        };
        let (domain, host_type) = subject(request);
        let details = [("domain", domain), ("hostType", host_type)];
        let details = details.into_iter().filter_map(|(key, value)| Some((key, Detail::Text(value?.to_owned()))));
        details.fold(GraphqlError::new(code, refusal.text), |error, (key, value)| error.with_detail(key, value))
    }

    fn crash(tag: Tag, request: &Request<'_>) -> GraphqlError {
        let category = if is_query(request) { "DomainAdminQuery" } else { "DomainAdminMutation" };
        tracing::error!(what = "graphql_crash", category, reason = ?tag);
        GraphqlError::new(Code::ResolverCrash, format!("Unexpected {category} resolver crash"))
    }

    /// The error of a field, in a response with data.
    pub fn of_field(error: &ServerError) -> GraphqlError {
        let own = error.source::<GraphqlError>().cloned();
        let own = own.unwrap_or_else(|| GraphqlError::new(Code::ResolverError, error.message.clone()));
        GraphqlError { path: error.path.clone(), ..own }
    }
}

/// Carries the error through the GraphQL library; [`GraphqlError::of_field`] or the source gets it out again.
impl From<GraphqlError> for ServerError {
    fn from(error: GraphqlError) -> ServerError {
        let mut carrier = ServerError::new(error.message.clone(), None);
        carrier.source = Some(Arc::new(error));
        carrier
    }
}

impl From<BodyError> for GraphqlError {
    fn from(error: BodyError) -> GraphqlError {
        match error {
            BodyError::TooLarge => GraphqlError::new(Code::RequestTooLarge, "The request body is too large"),
            BodyError::TooSlow => GraphqlError::new(Code::RequestTimeout, "The request body did not arrive in time"),
            BodyError::Broken => GraphqlError::new(Code::InvalidJsonBody, "The request JSON body is invalid"),
        }
    }
}

/// The domain and the host type that a request is about.
fn subject<'a>(request: &'a Request<'_>) -> (Option<&'a str>, Option<&'a str>) {
    match request {
        Request::Insert([new, ..]) => (Some(new.name.as_str()), Some(&new.host_type)),
        Request::Delete(domain, host_type) | Request::BeginDelete(domain, host_type) => {
            (Some(domain.as_str()), Some(host_type))
        }
        Request::Enable(domain)
        | Request::Disable(domain)
        | Request::Details(domain)
        | Request::HostType(domain)
        | Request::SetPassword(domain, _)
        | Request::DeletePassword(domain) => (Some(domain.as_str()), None),
        Request::DomainsByHostType(host_type) => (None, Some(host_type)),
        _ => (None, None),
    }
}

fn is_query(request: &Request<'_>) -> bool {
    matches!(
        request,
        Request::Details(_)
            | Request::HostType(_)
            | Request::List(_)
            | Request::Statics
            | Request::DomainsByHostType(_)
    )
}

#[cfg(test)]
mod tests {
    use domain_core::DomainName;
    use serde_json::json;

    use super::*;

    fn refusal(tag: Tag, text: &str) -> Refusal {
        Refusal { tag, text: text.to_owned() }
    }

    #[test]
    fn a_refusal_names_the_domain_and_the_host_type_it_is_about() {
        let domain = DomainName::new("a.example").expect("the name is valid");
        let error = GraphqlError::refused(refusal(Tag::WrongHostType, "Wrong"), &Request::Delete(&domain, "type1"));
        let extensions = json!({"code": "wrong_host_type", "domain": "a.example", "hostType": "type1"});
        assert_eq!(serde_json::to_value(error).ok(), Some(json!({"message": "Wrong", "extensions": extensions})));
    }

    #[test]
    fn the_message_of_a_crash_is_not_sent() {
        let error = GraphqlError::refused(refusal(Tag::DbError, "relation is missing"), &Request::Statics);
        assert_eq!(error.to_string(), "Unexpected DomainAdminQuery resolver crash");
        let domain = DomainName::new("a.example").expect("the name is valid");
        let error =
            GraphqlError::refused(refusal(Tag::RemovalFailed, "on purpose"), &Request::SetPassword(&domain, "secret"));
        assert_eq!(error.to_string(), "Unexpected DomainAdminMutation resolver crash");
        assert_eq!(error.code(), Code::ResolverCrash);
    }

    #[test]
    fn an_error_survives_its_way_through_the_library() {
        let error = GraphqlError::not_loaded();
        assert_eq!(GraphqlError::of_field(&error.clone().into()), error);
    }
}
