//! Responses of the REST interface: JSON, and errors as a status with a text in a JSON string.
//!
//! The texts and statuses are those of MongooseIM 6.0 to 6.5. Internal errors are logged and not sent: a 500 says at
//! most whether a change may have been made all the same.

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::auth::AuthError;
use crate::body::BodyError;
use crate::refusal::{Refusal, Tag};

/// A response for a request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorResponse {
    /// The request is invalid: why.
    BadRequest(String),
    /// The credentials are missing or wrong.
    Unauthorized,
    /// A rule forbids it: which.
    Forbidden(String),
    /// The resource does not exist: which.
    NotFound(String),
    /// The path has only these methods.
    MethodNotAllowed(&'static str),
    /// The client does not accept the media type.
    NotAcceptable,
    /// The request names a host that is not this server: which, and what to do.
    Misdirected(String),
    /// The body did not arrive in time.
    RequestTimeout,
    /// The domain exists already, or changes meanwhile.
    Conflict(String),
    /// The database refuses the row: why.
    Unprocessable(String),
    /// The body is too large.
    TooLarge,
    /// The body is of another media type.
    UnsupportedMediaType,
    /// Too many requests are under way.
    Overloaded,
    /// Too many failed logins from this address.
    TooManyAttempts,
    /// The database failed or did not answer: whether a change may have been made all the same.
    Unanswered(String),
    /// The reason is in the log.
    Internal,
}

impl ErrorResponse {
    fn status(&self) -> StatusCode {
        match self {
            ErrorResponse::BadRequest(_) => StatusCode::BAD_REQUEST,
            ErrorResponse::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorResponse::Forbidden(_) => StatusCode::FORBIDDEN,
            ErrorResponse::NotFound(_) => StatusCode::NOT_FOUND,
            ErrorResponse::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            ErrorResponse::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            ErrorResponse::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            ErrorResponse::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            ErrorResponse::Conflict(_) => StatusCode::CONFLICT,
            ErrorResponse::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorResponse::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorResponse::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorResponse::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            ErrorResponse::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            ErrorResponse::Unanswered(_) | ErrorResponse::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            ErrorResponse::BadRequest(text)
            | ErrorResponse::Forbidden(text)
            | ErrorResponse::NotFound(text)
            | ErrorResponse::Conflict(text)
            | ErrorResponse::Unprocessable(text)
            | ErrorResponse::Misdirected(text)
            | ErrorResponse::Unanswered(text) => Some(text),
            ErrorResponse::TooLarge => Some("Request body is too large"),
            ErrorResponse::RequestTimeout => Some("Request body did not arrive in time"),
            ErrorResponse::TooManyAttempts => Some("Too many failed logins"),
            ErrorResponse::Overloaded => Some("Too many requests wait for the database"),
            _ => None,
        }
    }

    /// The error's name in the log.
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

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        let (what, error_type) = ("mongoose_admin_api_error_response", self.error_type());
        match &self {
            ErrorResponse::Internal => tracing::error!(what, error_type),
            ErrorResponse::Unanswered(message) => tracing::error!(what, error_type, message),
            _ => tracing::warn!(what, error_type, message = self.text().unwrap_or_default()),
        }
        let mut response = match self.text() {
            Some(text) => json(self.status(), &text),
            None => self.status().into_response(),
        };
        let header = match self {
            ErrorResponse::Unauthorized => (WWW_AUTHENTICATE, "Basic realm=\"mongooseim\""),
            ErrorResponse::MethodNotAllowed(methods) => (ALLOW, methods),
            ErrorResponse::Overloaded => (RETRY_AFTER, "1"),
            // How long the attempts wait that were there before.
            ErrorResponse::TooManyAttempts => (RETRY_AFTER, "10"),
            _ => return response,
        };
        response.headers_mut().insert(header.0, HeaderValue::from_static(header.1));
        response
    }
}

/// A response with a JSON body.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // Only a map with keys that are not strings cannot be written; there is none.
    let body = serde_json::to_vec(value).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

impl From<AuthError> for ErrorResponse {
    fn from(error: AuthError) -> ErrorResponse {
        match error {
            AuthError::Unauthorized => ErrorResponse::Unauthorized,
            AuthError::TooMany => ErrorResponse::TooManyAttempts,
        }
    }
}

impl From<BodyError> for ErrorResponse {
    fn from(error: BodyError) -> ErrorResponse {
        match error {
            BodyError::TooLarge => ErrorResponse::TooLarge,
            BodyError::TooSlow => ErrorResponse::RequestTimeout,
            BodyError::Broken => ErrorResponse::BadRequest("Invalid request body".to_owned()),
        }
    }
}

impl From<Refusal> for ErrorResponse {
    fn from(Refusal { tag, text }: Refusal) -> ErrorResponse {
        match tag {
            Tag::Static | Tag::UnknownHostType | Tag::WrongHostType | Tag::Deleted | Tag::ServiceDisabled => {
                ErrorResponse::Forbidden(text)
            }
            Tag::NotFound => ErrorResponse::NotFound(text),
            Tag::Duplicate | Tag::RemovalEnded => ErrorResponse::Conflict(text),
            Tag::Refused => ErrorResponse::Unprocessable(text),
            Tag::InvalidDomain => ErrorResponse::BadRequest("Invalid domain name".to_owned()),
            Tag::InvalidPassword | Tag::InvalidRequest => ErrorResponse::BadRequest(text),
            Tag::Overloaded => ErrorResponse::Overloaded,
            Tag::WrongPassword => ErrorResponse::Unauthorized,
            Tag::DbError | Tag::Timeout => ErrorResponse::Unanswered(text),
            Tag::RemovalFailed | Tag::Crashed => ErrorResponse::Internal,
        }
    }
}
