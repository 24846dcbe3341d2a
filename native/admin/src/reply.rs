//! How REST answers: a code, and a text for people as a JSON string.
//!
//! The texts and codes are those of MongooseIM 6.0 to 6.5. What went wrong inside is in the log and never in
//! an answer: a 500 says at the most whether a change may have been made all the same.

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::auth::Denied;
use crate::body::Unread;
use crate::request::{Refusal, Tag};

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The request makes no sense: why.
    BadRequest(String),
    /// Not from whom it must be.
    Unauthorized,
    /// The rules are against it: which.
    Forbidden(String),
    /// There is no such thing: which.
    NotFound(String),
    /// The path has other methods: which.
    MethodNotAllowed(&'static str),
    /// The client takes no JSON.
    NotAcceptable,
    /// The request is for a host that this door is not: which, and what to do.
    Misdirected(String),
    /// It took too long to send its request.
    RequestTimeout,
    /// It is there already.
    Conflict(String),
    /// The database refuses the row: why.
    Unprocessable(String),
    /// The body is too large.
    TooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// Too much is asked at once.
    Overloaded,
    /// Too many attempts to log in wait already.
    TooManyAttempts,
    /// The database did not do it or did not answer: whether a change may have been made all the same.
    Unanswered(String),
    /// The reason is in the log.
    Internal,
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Failure::BadRequest(_) => StatusCode::BAD_REQUEST,
            Failure::Unauthorized => StatusCode::UNAUTHORIZED,
            Failure::Forbidden(_) => StatusCode::FORBIDDEN,
            Failure::NotFound(_) => StatusCode::NOT_FOUND,
            Failure::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Failure::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Failure::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            Failure::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Failure::Conflict(_) => StatusCode::CONFLICT,
            Failure::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Failure::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Failure::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Failure::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            Failure::Unanswered(_) | Failure::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Failure::BadRequest(text)
            | Failure::Forbidden(text)
            | Failure::NotFound(text)
            | Failure::Conflict(text)
            | Failure::Unprocessable(text)
            | Failure::Misdirected(text)
            | Failure::Unanswered(text) => Some(text),
            Failure::TooLarge => Some("Request body is too large"),
            Failure::RequestTimeout => Some("Request body did not arrive in time"),
            Failure::TooManyAttempts => Some("Too many failed logins"),
            Failure::Overloaded => Some("Too many requests wait for the database"),
            _ => None,
        }
    }

    /// What the log calls it.
    fn error_type(&self) -> &'static str {
        match self.status().as_u16() {
            400 => "bad_request",
            403 => "denied",
            404 => "not_found",
            409 => "duplicate",
            500 => "internal",
            _ => "refused",
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (what, error_type) = ("mongoose_admin_api_error_response", self.error_type());
        match &self {
            Failure::Internal => tracing::error!(what, error_type),
            Failure::Unanswered(message) => tracing::error!(what, error_type, message),
            _ => tracing::warn!(what, error_type, message = self.text().unwrap_or_default()),
        }
        let mut response = match self.text() {
            Some(text) => json(self.status(), &text),
            None => self.status().into_response(),
        };
        let header = match self {
            Failure::Unauthorized => (WWW_AUTHENTICATE, "Basic realm=\"mongooseim\""),
            Failure::MethodNotAllowed(methods) => (ALLOW, methods),
            Failure::Overloaded => (RETRY_AFTER, "1"),
            // The longest wait of those who were there before.
            Failure::TooManyAttempts => (RETRY_AFTER, "10"),
            _ => return response,
        };
        response.headers_mut().insert(header.0, HeaderValue::from_static(header.1));
        response
    }
}

/// A body of JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // Maps with keys that are no text cannot be written; there are none.
    let body = serde_json::to_vec(value).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Failure {
        match denied {
            Denied::Unauthorized => Failure::Unauthorized,
            Denied::TooMany => Failure::TooManyAttempts,
        }
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Failure {
        match unread {
            Unread::TooLarge => Failure::TooLarge,
            Unread::TooSlow => Failure::RequestTimeout,
            Unread::Broken => Failure::BadRequest("Invalid request body".to_owned()),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(Refusal { tag, text }: Refusal) -> Failure {
        match tag {
            Tag::Static | Tag::UnknownHostType | Tag::WrongHostType | Tag::Deleted | Tag::ServiceDisabled => {
                Failure::Forbidden(text)
            }
            Tag::NotFound => Failure::NotFound(text),
            Tag::Duplicate | Tag::RemovalEnded => Failure::Conflict(text),
            Tag::Refused => Failure::Unprocessable(text),
            Tag::InvalidDomain => Failure::BadRequest("Invalid domain name".to_owned()),
            Tag::InvalidPassword | Tag::InvalidRequest => Failure::BadRequest(text),
            Tag::Overloaded => Failure::Overloaded,
            Tag::WrongPassword => Failure::Unauthorized,
            Tag::DbError | Tag::Timeout => Failure::Unanswered(text),
            Tag::RemovalFailed | Tag::Crashed => Failure::Internal,
        }
    }
}
