//! The errors that every resource may return, for the OpenAPI document.

/// The errors that every resource may return.
#[derive(utoipa::IntoResponses)]
#[allow(dead_code, reason = "it describes crate::response::ErrorResponse")]
pub enum ErrorResponses {
    /// The request is invalid: why.
    #[response(status = 400, content_type = "application/json")]
    BadRequest(String),
    /// The credentials are missing or wrong.
    #[response(status = 401)]
    Unauthorized,
    /// A rule forbids it: which.
    #[response(status = 403, content_type = "application/json")]
    Forbidden(String),
    /// The client does not accept the media type.
    #[response(status = 406)]
    NotAcceptable,
    /// The body did not arrive in time.
    #[response(status = 408, content_type = "application/json")]
    TooSlow(String),
    /// The body is too large.
    #[response(status = 413, content_type = "application/json")]
    TooLarge(String),
    /// The body is of another media type.
    #[response(status = 415)]
    UnsupportedMediaType,
    /// The request names a host that is not this server.
    #[response(status = 421, content_type = "application/json")]
    Misdirected(String),
    /// The database refuses the row: why.
    #[response(status = 422, content_type = "application/json")]
    Unprocessable(String),
    /// Too many failed logins from this address.
    #[response(status = 429, content_type = "application/json")]
    TooMany(String),
    /// The reason is in the log. The text says whether a change may have been made all the same.
    #[response(status = 500, content_type = "application/json")]
    Internal(String),
    /// Too many requests are under way.
    #[response(status = 503, content_type = "application/json")]
    Overloaded(String),
}
