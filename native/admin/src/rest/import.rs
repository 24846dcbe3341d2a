//! `POST /api/domains`: many domains, a line each, answered line by line.
//!
//! Lines are `{"domain": …, "host_type": …, "status"?}` (NDJSON); a domain with a status has it from the first moment, and one
//! that is there already gets it. They are read as they come, added in transactions of up
//! to a thousand, and answered in their order; nothing is kept but the lines that are on their way, so an
//! import has no size. What is refused is answered in its line and stops nothing. A client that does not read
//! its answers is not read from, either.
//!
//! An import that breaks off has added what was answered and perhaps a little more. Sending it again is
//! harmless: adding the same pair again succeeds, where `repeated_operations` is `ok`.

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

use super::ndjson::{self, NDJSON};
use super::refused::Refused;
use crate::caller::Caller;
use crate::doors::Doors;
use crate::node::Node;
use crate::reply::Failure;
use crate::request::{NewDomain, Refusal, Switch, Tag};

/// Lines that are added at once.
const LINES: usize = 1_000;

/// Bytes of a line: far more than a domain and a host type have.
const LINE_BYTES: usize = 8 * 1024;

/// How long lines wait for others to be added with them.
const GATHER: Duration = Duration::from_millis(50);

/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// Answers that wait to be read, in transactions.
const UNREAD: usize = 4;

/// A domain to be added: the object of a line.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = NewDomain)]
pub struct Wanted {
    /// Its name; nameprep is applied.
    domain: String,
    /// Its host type.
    host_type: String,
    /// Its status afterwards; without one, it is added enabled, or left as it is.
    #[schema(required = false)]
    status: Option<Switch>,
}

/// What became of a line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ImportedLine)]
pub struct Answer {
    /// The number of the line; the first is 1.
    line: u64,
    /// The domain, as it was added or as it was sent.
    domain: Option<String>,
    /// Whether it is there now.
    result: Outcome,
    /// What is against it: the API's error, or `invalid_line`.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The same for people.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Whether a domain was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is there.
    Ok,
    /// It was refused.
    Error,
}

/// A line that was read: what to add, or what to answer.
enum Line {
    New(u64, NewDomain),
    Answered(Answer),
}

/// Adds many domains.
#[utoipa::path(post, path = "/api/domains", tag = "domains",
    request_body(content = Vec<Wanted>, content_type = "application/x-ndjson",
                 description = "One item per line; lines are answered while others are read"),
    responses(
    (status = 200, description = "An `ImportedLine` per line, in their order", body = String, content_type = "application/x-ndjson"),
    Refused,
))]
pub async fn import(State(doors): State<Arc<Doors>>, caller: Caller, body: Body) -> Result<Response, Failure> {
    caller.admit(&doors).await?;
    caller.takes(NDJSON)?;
    caller.sends(&[NDJSON, "application/ndjson", "application/jsonl"])?;
    doors.node.service().await?;
    let (tell, told) = mpsc::channel(UNREAD);
    tokio::spawn(add_all(doors.node.clone(), body, tell));
    Ok(ndjson::answer(stream::unfold(told, |mut told| async { Some((told.recv().await?, told)) })))
}

/// Reads lines and adds them until there are no more, or the client is gone.
async fn add_all(node: Node, body: Body, tell: mpsc::Sender<Bytes>) {
    let mut reader = Reader { body, rest: Vec::new(), number: 0, skipping: Skipping::No, end: None };
    let mut lines = Vec::new();
    loop {
        let wait = if lines.is_empty() { SILENCE } else { GATHER };
        let more = tokio::time::timeout(wait, reader.read(&mut lines)).await;
        if more.is_err() && lines.is_empty() {
            reader.end = Some("no line came for half a minute");
        }
        let ended = reader.end.is_some();
        while lines.len() >= LINES || (!lines.is_empty() && (ended || more.is_err())) {
            let part = lines.drain(..lines.len().min(LINES)).collect();
            // What waits for a turn is not done for a client that is gone.
            let answers = tokio::select! {
                answers = add(&node, part) => answers,
                () = tell.closed() => return,
            };
            if tell.send(answers).await.is_err() {
                return;
            }
        }
        if ended {
            if let Some(why) = reader.end.filter(|why| !why.is_empty()) {
                let answer = invalid(reader.number + 1, why);
                // Whether the client is still there does not matter any more.
                let _ = tell.send(ndjson::lines([answer])).await;
            }
            return;
        }
    }
}

/// Adds these lines in one transaction, and writes their answers.
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
                Ok(_) => Answer { line, domain, result: Outcome::Ok, code: None, message: None },
                Err(Refusal { tag, text }) => {
                    let (code, message) = (Some(code(tag)), Some(text).filter(|text| !text.is_empty()));
                    Answer { line, domain, result: Outcome::Error, code, message }
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

fn invalid(line: u64, why: &str) -> Answer {
    let (code, message) = (Some("invalid_line"), Some(why.to_owned()));
    Answer { line, domain: None, result: Outcome::Error, code, message }
}

/// Cuts a body into lines.
struct Reader {
    body: Body,
    /// The beginning of a line whose end was not read yet.
    rest: Vec<u8>,
    /// Of the last line.
    number: u64,
    skipping: Skipping,
    /// Why there will be no more; empty at a proper end.
    end: Option<&'static str>,
}

/// Whether the rest of a line is passed over, since it is too long.
#[derive(PartialEq, Eq)]
enum Skipping {
    Yes,
    No,
}

impl Reader {
    /// Reads the next part of the body, and adds the lines that are whole. Nothing is lost when it is dropped
    /// while it waits.
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

    /// Takes a piece of a line, up to its end at the most.
    fn take(&mut self, piece: &[u8], lines: &mut Vec<Line>) {
        if self.skipping == Skipping::No {
            self.rest.extend_from_slice(piece);
        }
        if self.rest.len() > LINE_BYTES {
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

/// An empty line counts, but says nothing.
fn parsed(number: u64, line: &[u8]) -> Option<Line> {
    if line.is_empty() {
        return None;
    }
    let wanted: Wanted = match serde_json::from_slice::<Value>(line).and_then(serde_json::from_value) {
        Ok(wanted) => wanted,
        Err(error) => return Some(Line::Answered(invalid(number, &error.to_string()))),
    };
    Some(match DomainName::prepare(&wanted.domain) {
        Ok(name) => Line::New(number, NewDomain { name, host_type: wanted.host_type, status: wanted.status }),
        Err(error) => Line::Answered(Answer {
            domain: Some(wanted.domain),
            code: Some("invalid_domain"),
            ..invalid(number, &error.to_string())
        }),
    })
}
