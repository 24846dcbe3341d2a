//! JSON values, each on a line of its own: written, and answered as they come.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::StreamExt;
use serde::Serialize;

/// The type of such a body.
pub const NDJSON: &str = "application/x-ndjson";

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

/// An answer of lines that are still to come.
pub fn answer(lines: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    (StatusCode::OK, [(CONTENT_TYPE, NDJSON)], body).into_response()
}
