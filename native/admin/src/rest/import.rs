//! `POST /api/domains`: many domains, one a line, answered line by line.
//!
//! A line is `{"domain": …, "host_type": …, "status"?}` (NDJSON). A domain with a status has it as soon as it exists;
//! one that exists already gets it. Lines are read as they arrive, added in transactions of up to a thousand, and
//! answered in their order; only the lines under way are kept in memory, so an import may have any size. A refused
//! domain is an error in its own answer and stops nothing. A client that does not read its answers is not read from
//! either.
//!
//! An interrupted import has added the domains that were answered and perhaps some more. Repeating it is harmless:
//! adding the same pair again succeeds, where `repeated_operations` is `ok`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use domain_core::DomainName;
use futures_util::stream;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

use super::error_responses::ErrorResponses;
use super::ndjson::{self, NDJSON};
use crate::caller::Caller;
use crate::model::{NewDomain, Switch};
use crate::node::Node;
use crate::refusal::{Refusal, Tag};
use crate::response::ErrorResponse;
use crate::state::AppState;

/// The most domains in a transaction.
const BATCH: usize = 1_000;

/// The longest line: far more than a domain and a host type need.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// How long lines wait for further ones, to be added in one transaction.
const GATHER: Duration = Duration::from_millis(50);

/// How long a client may send nothing.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Transactions whose answers wait to be read.
const UNREAD_BATCHES: usize = 4;

/// A line of an import: a domain to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = NewDomain)]
pub struct ImportLine {
    /// Its name; nameprep is applied.
    domain: String,
    /// Its host type.
    host_type: String,
    /// Its status afterwards; without one, it is added enabled, or left as it is.
    #[schema(required = false)]
    status: Option<Switch>,
}

/// The answer to a line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ImportedLine)]
pub struct ImportedLine {
    /// The number of the line; the first is 1.
    line: u64,
    /// The domain, as it was added or as it was sent.
    domain: Option<String>,
    /// Whether the domain exists now.
    result: Outcome,
    /// The error: one of the API's, or `invalid_line`.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The error, for people.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Whether a domain was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The domain exists.
    Ok,
    /// The line was refused.
    Error,
}

/// A line that was read: a domain to add, or an answer already.
enum Line {
    New(u64, NewDomain),
    Answered(ImportedLine),
}

/// Adds many domains.
#[utoipa::path(post, path = "/api/domains", tag = "domains",
    request_body(content = Vec<ImportLine>, content_type = "application/x-ndjson",
                 description = "One item per line; lines are answered while others are read"),
    responses(
    (status = 200, description = "An `ImportedLine` per line, in their order", body = String, content_type = "application/x-ndjson"),
    ErrorResponses,
))]
pub async fn import(State(state): State<Arc<AppState>>, caller: Caller, body: Body) -> Result<Response, ErrorResponse> {
    caller.authenticate(&state).await?;
    caller.require_accept(NDJSON)?;
    caller.require_content_type(&[NDJSON, "application/ndjson", "application/jsonl"])?;
    state.node.service().await?;
    let (answers, answered) = mpsc::channel(UNREAD_BATCHES);
    tokio::spawn(add_all(state.node.clone(), body, answers));
    Ok(ndjson::response(stream::unfold(answered, |mut answered| async { Some((answered.recv().await?, answered)) })))
}

/// Reads lines and adds their domains, until the end of the body or until the client disconnects.
async fn add_all(node: Node, body: Body, answers: mpsc::Sender<Bytes>) {
    let mut reader = Reader { body, rest: Vec::new(), number: 0, skipping: Skipping::No, end: None };
    let mut lines = Vec::new();
    loop {
        let wait = if lines.is_empty() { READ_TIMEOUT } else { GATHER };
        let more = tokio::time::timeout(wait, reader.read(&mut lines)).await;
        if more.is_err() && lines.is_empty() {
            reader.end = Some("no line came for half a minute");
        }
        let ended = reader.end.is_some();
        while lines.len() >= BATCH || (!lines.is_empty() && (ended || more.is_err())) {
            let batch = lines.drain(..lines.len().min(BATCH)).collect();
            // When the client disconnects, a batch that waits for a permit is dropped.
            let answered = tokio::select! {
                answered = add(&node, batch) => answered,
                () = answers.closed() => return,
            };
            if answers.send(answered).await.is_err() {
                return;
            }
        }
        if ended {
            if let Some(why) = reader.end.filter(|why| !why.is_empty()) {
                let answer = invalid(reader.number + 1, why);
                // It fails where the client has disconnected: then nothing is left to do.
                let _ = answers.send(ndjson::lines([answer])).await;
            }
            return;
        }
    }
}

/// Adds the domains of these lines in one transaction; returns the answers as lines.
async fn add(node: &Node, lines: Vec<Line>) -> Bytes {
    let new = |line: &Line| match line {
        Line::New(_, domain) => Some(domain.clone()),
        Line::Answered(_) => None,
    };
    let domains: Vec<_> = lines.iter().filter_map(new).collect();
    let mut results = match node.insert(&domains).await {
        Ok(results) => results,
        Err(refusal) => vec![Err(refusal); domains.len()],
    }
    .into_iter();
    let answers = lines.into_iter().map(|line| match line {
        Line::Answered(answer) => answer,
        Line::New(line, domain) => {
            let domain = Some(domain.name.to_string());
            match results.next().unwrap_or(Err(Refusal::gone())) {
                Ok(_) => ImportedLine { line, domain, result: Outcome::Ok, code: None, message: None },
                Err(Refusal { tag, text }) => {
                    let (code, message) = (Some(code(tag)), Some(text).filter(|text| !text.is_empty()));
                    ImportedLine { line, domain, result: Outcome::Error, code, message }
                }
            }
        }
    });
    ndjson::lines(answers)
}

fn code(tag: Tag) -> &'static str {
    match tag {
        Tag::Static => "static",
        Tag::UnknownHostType => "unknown_host_type",
        Tag::Duplicate => "duplicate",
        Tag::InvalidDomain => "invalid_domain",
        Tag::ServiceDisabled => "service_disabled",
        Tag::Refused => "refused",
        Tag::Timeout => "timeout",
        Tag::Overloaded => "overloaded",
        _ => "db_error",
    }
}

fn invalid(line: u64, why: &str) -> ImportedLine {
    let (code, message) = (Some("invalid_line"), Some(why.to_owned()));
    ImportedLine { line, domain: None, result: Outcome::Error, code, message }
}

/// Splits a body into lines.
struct Reader {
    body: Body,
    /// The beginning of a line whose end has not arrived yet.
    rest: Vec<u8>,
    /// The number of the last line.
    number: u64,
    skipping: Skipping,
    /// Why reading ended; empty at the end of the body.
    end: Option<&'static str>,
}

/// Whether the rest of a line is skipped, because it is too long.
#[derive(PartialEq, Eq)]
enum Skipping {
    Yes,
    No,
}

impl Reader {
    /// Reads the next chunk of the body and appends the complete lines. It is cancel safe.
    async fn read(&mut self, lines: &mut Vec<Line>) {
        match self.body.frame().await {
            Some(Ok(frame)) => {
                let data = frame.data_ref().map_or(&[][..], |data| data);
                data.split_inclusive(|byte| *byte == b'\n').for_each(|piece| self.take(piece, lines));
            }
            Some(Err(_)) => self.end = Some("the request broke off"),
            None => {
                if !self.rest.is_empty() {
                    self.take(b"\n", lines);
                }
                self.end = Some("");
            }
        }
    }

    /// Takes a piece of a line, which ends with the line or before.
    fn take(&mut self, piece: &[u8], lines: &mut Vec<Line>) {
        if self.skipping == Skipping::No {
            self.rest.extend_from_slice(piece);
        }
        if self.rest.len() > MAX_LINE_BYTES {
            self.rest.clear();
            self.number += 1;
            self.skipping = Skipping::Yes;
            lines.push(Line::Answered(invalid(self.number, "the line is too long")));
        }
        if piece.ends_with(b"\n") {
            match self.skipping {
                Skipping::Yes => self.skipping = Skipping::No,
                Skipping::No => {
                    self.number += 1;
                    lines.extend(parsed(self.number, self.rest.trim_ascii()));
                    self.rest.clear();
                }
            }
        }
    }
}

/// Parses a line. An empty one is counted and ignored.
fn parsed(number: u64, line: &[u8]) -> Option<Line> {
    if line.is_empty() {
        return None;
    }
    let wanted: ImportLine = match serde_json::from_slice::<Value>(line).and_then(serde_json::from_value) {
        Ok(wanted) => wanted,
        Err(error) => return Some(Line::Answered(invalid(number, &error.to_string()))),
    };
    Some(match DomainName::prepare(&wanted.domain) {
        Ok(name) => Line::New(number, NewDomain { name, host_type: wanted.host_type, status: wanted.status }),
        Err(error) => Line::Answered(ImportedLine {
            domain: Some(wanted.domain),
            code: Some("invalid_domain"),
            ..invalid(number, &error.to_string())
        }),
    })
}
