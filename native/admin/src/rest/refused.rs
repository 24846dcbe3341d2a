//! What every resource may answer instead, as the OpenAPI document tells it.

/// What every resource may answer instead.
#[derive(utoipa::IntoResponses)]
#[allow(dead_code, reason = "it describes what crate::reply::Failure answers")]
pub enum Refused {
    /// The request makes no sense: why.
    #[response(status = 400, content_type = "application/json")]
    BadRequest(String),
    /// Not from the admin.
    #[response(status = 401)]
    Unauthorized,
    /// A rule is against it: which.
    #[response(status = 403, content_type = "application/json")]
    Forbidden(String),
    /// The client does not take such an answer.
    #[response(status = 406)]
    NotAcceptable,
    /// The body did not arrive in time.
    #[response(status = 408, content_type = "application/json")]
    TooSlow(String),
    /// The body is too large.
    #[response(status = 413, content_type = "application/json")]
    TooLarge(String),
    /// The body is of another type.
    #[response(status = 415)]
    UnsupportedMediaType,
    /// The request is for another host's name.
    #[response(status = 421, content_type = "application/json")]
    Misdirected(String),
    /// The database refuses the row: why.
    #[response(status = 422, content_type = "application/json")]
    Unprocessable(String),
    /// Too many attempts to log in from there failed, and too many wait.
    #[response(status = 429, content_type = "application/json")]
    TooMany(String),
    /// The reason is in the log. A text says whether a change may have been made all the same.
    #[response(status = 500, content_type = "application/json")]
    Internal(String),
    /// Too much is asked at once.
    #[response(status = 503, content_type = "application/json")]
    Overloaded(String),
}
