//! JSON values, each on a line of its own: written, and answered as they come.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;

/// The type of such a body.
pub const NDJSON: &str = "application/x-ndjson";

/// How long there is no line until an empty one says that there is none.
const QUIET: Duration = Duration::from_secs(5);

/// What a proxy (nginx) would keep until there is enough of it comes too late.
const NOT_BUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// The values, a line each.
pub fn lines(values: impl IntoIterator<Item = impl Serialize>) -> Bytes {
    let mut bytes = Vec::new();
    for value in values {
        // Neither a map with odd keys nor an output that fails is involved.
        let _ = serde_json::to_writer(&mut bytes, &value);
        bytes.push(b'\n');
    }
    bytes.into()
}

/// An answer of lines that are still to come. An empty one is put between them where none comes for a while: a proxy would
/// take the server for dead.
pub fn answer(lines: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let lines = stream::unfold(Box::pin(lines), |mut lines| async {
        let next = tokio::time::timeout(QUIET, lines.next()).await;
        Some((next.unwrap_or(Some(Bytes::from_static(b"\n")))?, lines))
    });
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    (StatusCode::OK, [(CONTENT_TYPE, NDJSON), NOT_BUFFERED], body).into_response()
}
