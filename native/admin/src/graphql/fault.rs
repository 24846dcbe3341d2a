//! How GraphQL says no: a code for programs, a text for people, and where in the document.
//!
//! The codes and texts are MongooseIM's, as far as it has them. A fault that is found before anything is done
//! refuses the whole request and has an HTTP status of its own; one of a field (HTTP 200) leaves the other
//! fields alone. What went wrong inside is in the log and never in an answer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_graphql::{PathSegment, ServerError};
use axum::http::StatusCode;
use serde::Serialize;

use crate::body::Unread;
use crate::request::{Refusal, Request, Tag};

/// What it was, as programs read it: `extensions.code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the wire's; their texts are beside them")]
pub enum Code {
    // The request.
    UnsupportedMediaType,
    NoQuerySupplied,
    /// As Apollo's clients know it, who send the whole document then.
    #[serde(rename = "PERSISTED_QUERY_NOT_SUPPORTED")]
    PersistedQueryNotSupported,
    InvalidJsonBody,
    InvalidQueryParameters,
    VariablesInvalidJson,
    RequestTooLarge,
    RequestTimeout,
    // Who asks.
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
    // One field of it.
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
    // Something else.
    InternalServerError,
}

impl Code {
    /// The status of an answer that has nothing but this fault.
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

/// What is wrong, as an element of `errors`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<PathSegment>,
    extensions: Extensions,
}

/// The code, and what the fault is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Extensions {
    code: Code,
    #[serde(flatten)]
    about: BTreeMap<&'static str, About>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum About {
    Text(String),
    Texts(Vec<String>),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Fault {
    /// A fault of the whole request.
    pub fn new(code: Code, message: impl Into<String>) -> Fault {
        Fault { message: message.into(), path: Vec::new(), extensions: Extensions { code, about: BTreeMap::new() } }
    }

    /// A fault at a place: names of fields or variables, from the outside in.
    pub fn at<T: Into<String>>(self, path: impl IntoIterator<Item = T>) -> Fault {
        Fault { path: path.into_iter().map(|name| PathSegment::Field(name.into())).collect(), ..self }
    }

    /// What it was.
    pub fn code(&self) -> Code {
        self.extensions.code
    }

    fn about(mut self, key: &'static str, value: About) -> Fault {
        self.extensions.about.insert(key, value);
        self
    }

    /// Nobody is known by these credentials.
    pub fn wrong_credentials() -> Fault {
        Fault::new(Code::WrongCredentials, "The provided credentials are wrong")
    }

    /// Nothing of the request was done, and nobody knows why but the log.
    pub fn internal() -> Fault {
        Fault::new(Code::InternalServerError, "GraphQL Internal Server Error")
    }

    /// There are no dynamic domains here.
    pub fn not_loaded() -> Fault {
        let services = About::Texts(vec!["service_domain_db".to_owned()]);
        Fault::new(Code::DepsNotLoaded, "Some of the required services are not loaded")
            .about("not_loaded_services", services)
    }

    /// The node refused what a field asked of it.
    pub fn refused(refusal: Refusal, request: &Request<'_>) -> Fault {
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
            Tag::ServiceDisabled => return Fault::not_loaded(),
            Tag::WrongPassword
            | Tag::InvalidDomain
            | Tag::InvalidRequest
            | Tag::RemovalFailed
            | Tag::DbError
            | Tag::Timeout
            | Tag::Overloaded
            | Tag::Crashed => return Fault::crash(refusal.tag, request),
        };
        let (domain, host_type) = subject(request);
        let about = [("domain", domain), ("hostType", host_type)];
        let about = about.into_iter().filter_map(|(key, value)| Some((key, About::Text(value?.to_owned()))));
        about.fold(Fault::new(code, refusal.text), |fault, (key, value)| fault.about(key, value))
    }

    fn crash(tag: Tag, request: &Request<'_>) -> Fault {
        let category = if is_question(request) { "DomainAdminQuery" } else { "DomainAdminMutation" };
        tracing::error!(what = "graphql_crash", category, reason = ?tag);
        Fault::new(Code::ResolverCrash, format!("Unexpected {category} resolver crash"))
    }

    /// What a field failed with, in an answer that has data.
    pub fn of_field(error: &ServerError) -> Fault {
        let fault = error.source::<Fault>().cloned();
        let fault = fault.unwrap_or_else(|| Fault::new(Code::ResolverError, error.message.clone()));
        Fault { path: error.path.clone(), ..fault }
    }
}

/// Through the GraphQL library, and out again by [`Fault::of_field`] or the error's source.
impl From<Fault> for ServerError {
    fn from(fault: Fault) -> ServerError {
        let mut error = ServerError::new(fault.message.clone(), None);
        error.source = Some(Arc::new(fault));
        error
    }
}

impl From<Unread> for Fault {
    fn from(unread: Unread) -> Fault {
        match unread {
            Unread::TooLarge => Fault::new(Code::RequestTooLarge, "The request body is too large"),
            Unread::TooSlow => Fault::new(Code::RequestTimeout, "The request body did not arrive in time"),
            Unread::Broken => Fault::new(Code::InvalidJsonBody, "The request JSON body is invalid"),
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

fn is_question(request: &Request<'_>) -> bool {
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
        let fault = Fault::refused(refusal(Tag::WrongHostType, "Wrong"), &Request::Delete(&domain, "type1"));
        let extensions = json!({"code": "wrong_host_type", "domain": "a.example", "hostType": "type1"});
        assert_eq!(serde_json::to_value(fault).ok(), Some(json!({"message": "Wrong", "extensions": extensions})));
    }

    #[test]
    fn the_words_of_a_crash_are_not_told() {
        let fault = Fault::refused(refusal(Tag::DbError, "relation is missing"), &Request::Statics);
        assert_eq!(fault.to_string(), "Unexpected DomainAdminQuery resolver crash");
        let domain = DomainName::new("a.example").expect("the name is valid");
        let fault = Fault::refused(refusal(Tag::RemovalFailed, "on purpose"), &Request::SetPassword(&domain, "secret"));
        assert_eq!(fault.to_string(), "Unexpected DomainAdminMutation resolver crash");
        assert_eq!(fault.code(), Code::ResolverCrash);
    }

    #[test]
    fn a_fault_survives_its_way_through_the_library() {
        let fault = Fault::not_loaded();
        assert_eq!(Fault::of_field(&fault.clone().into()), fault);
    }
}
