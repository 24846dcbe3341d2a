//! NDJSON: JSON values, one a line, in responses that are written while they are produced.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;

/// The media type.
pub const NDJSON: &str = "application/x-ndjson";

/// After this time without a line, an empty one is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Tells a proxy (nginx) not to buffer the response: lines would arrive late.
const NOT_BUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// The values, one a line.
pub fn lines(values: impl IntoIterator<Item = impl Serialize>) -> Bytes {
    let mut bytes = Vec::new();
    for value in values {
        // It cannot fail: the output is memory, and no map has keys that are not strings.
        let _ = serde_json::to_writer(&mut bytes, &value);
        bytes.push(b'\n');
    }
    bytes.into()
}

/// A response of lines that are still to come. Empty lines fill long pauses, in which a proxy would close the
/// connection.
pub fn response(lines: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let lines = stream::unfold(Box::pin(lines), |mut lines| async {
        let next = tokio::time::timeout(KEEP_ALIVE, lines.next()).await;
        Some((next.unwrap_or(Some(Bytes::from_static(b"\n")))?, lines))
    });
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    (StatusCode::OK, [(CONTENT_TYPE, NDJSON), NOT_BUFFERED], body).into_response()
}
