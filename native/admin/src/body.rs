//! A request's body, as far as it is read.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// What a request may carry.
const BYTES: usize = 1024 * 1024;

/// How long it may take to arrive.
const TIME: Duration = Duration::from_secs(30);

/// A body that is not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It has too many bytes.
    TooLarge,
    /// It takes too long.
    TooSlow,
    /// The client went away.
    Broken,
}

/// The whole body.
pub async fn read(body: Body) -> Result<Bytes, Unread> {
    // A client that says how much it has need not send it.
    if body.size_hint().lower() > BYTES as u64 {
        return Err(Unread::TooLarge);
    }
    let collected = tokio::time::timeout(TIME, Limited::new(body, BYTES).collect()).await;
    match collected.map_err(|_| Unread::TooSlow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Err(_) => Err(Unread::Broken),
    }
}
