//! Reading a request's body, within limits.
//!
//! `tower_http::limit` answers with a text of its own; the interfaces here answer with an error in their own format, so
//! they read bodies with this function.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// The longest body.
const MAX_BYTES: usize = 1024 * 1024;

/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It has too many bytes.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The client closed the connection.
    Broken,
}

/// The whole body.
pub async fn read(body: Body) -> Result<Bytes, BodyError> {
    // Refuse a declared length before the client sends that much.
    if body.size_hint().lower() > MAX_BYTES as u64 {
        return Err(BodyError::TooLarge);
    }
    let collected = tokio::time::timeout(TIMEOUT, Limited::new(body, MAX_BYTES).collect()).await;
    match collected.map_err(|_| BodyError::TooSlow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::Broken),
    }
}
