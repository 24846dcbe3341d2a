//! Sends domains to the server, a batch at a time, and collects the verdicts.
//!
//! Domains without an answer, or with an error that is temporary (a broken connection, a database that does not
//! answer), are sent again, with growing pauses, until no answer came for as long as `patience`. Sending a pair twice
//! does no harm: adding an existing domain succeeds.

use std::io::BufRead;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use ureq::http::Method;

use super::record::{Pair, Status};
use crate::client::{Client, RequestBody};
use crate::error::{Error, Result};

/// The first and the longest pause between attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Sends domains.
pub struct Sender {
    client: Client,
    patience: Duration,
}

/// What the server decided about a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the database.
    Accepted,
    /// It was refused: why.
    Refused(String),
}

/// A line of the request.
#[derive(Serialize)]
struct ImportLine<'a> {
    domain: &'a str,
    host_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// A line of the response.
#[derive(Debug, Deserialize)]
struct ImportedLine {
    line: usize,
    result: Outcome,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Error,
}

/// The pairs without a verdict after an attempt.
struct Unsettled {
    indexes: Vec<usize>,
    reason: Error,
    /// Whether others got a verdict.
    progressed: bool,
}

impl Sender {
    /// A sender that retries for so long.
    pub fn new(client: Client, patience: Duration) -> Sender {
        Sender { client, patience }
    }

    /// Sends pairs; returns a verdict for each, in order.
    pub fn send(&self, pairs: &[&Pair]) -> Result<Vec<Verdict>> {
        let mut verdicts = vec![None; pairs.len()];
        let mut indexes: Vec<usize> = (0..pairs.len()).collect();
        let (mut begun, mut pause) = (Instant::now(), PAUSES.0);
        while !indexes.is_empty() {
            let Some(unsettled) = self.attempt(pairs, &indexes, &mut verdicts)? else { break };
            if unsettled.progressed {
                (begun, pause) = (Instant::now(), PAUSES.0);
            } else if begun.elapsed() + pause > self.patience {
                return Err(unsettled.reason);
            }
            indexes = unsettled.indexes;
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
        Ok(verdicts.into_iter().flatten().collect())
    }

    /// Sends the pairs with these indexes once; returns `None` when all have a verdict.
    fn attempt(
        &self,
        pairs: &[&Pair],
        indexes: &[usize],
        verdicts: &mut [Option<Verdict>],
    ) -> Result<Option<Unsettled>> {
        let mut reason = self.client.unreachable("not every line was answered");
        let body = body(indexes.iter().map(|index| pairs[*index]));
        match self.client.stream(Method::POST, "/api/domains", RequestBody::Lines(&body)) {
            Ok(answers) => {
                for line in answers.lines() {
                    let line = match line {
                        Ok(line) => line,
                        Err(error) => {
                            reason = self.client.unreachable(error);
                            break;
                        }
                    };
                    if line.is_empty() {
                        continue;
                    }
                    let answer = ImportedLine::read(&line)?;
                    let index = answer.line.checked_sub(1).and_then(|line| indexes.get(line).copied());
                    // An answer to a line after the last one is the reason why the server stopped reading.
                    let Some(index) = index else {
                        reason = Error::Failed(answer.text());
                        continue;
                    };
                    match answer.verdict() {
                        Ok(verdict) => verdicts[index] = Some(verdict),
                        Err(temporary) => reason = temporary,
                    }
                }
            }
            Err(error) if error.is_temporary() => reason = error,
            Err(error) => return Err(error),
        }
        let left: Vec<usize> = indexes.iter().copied().filter(|index| verdicts[*index].is_none()).collect();
        let progressed = left.len() < indexes.len();
        Ok((!left.is_empty()).then_some(Unsettled { indexes: left, reason, progressed }))
    }
}

impl ImportedLine {
    fn read(line: &str) -> Result<ImportedLine> {
        serde_json::from_str(line).map_err(|error| Error::Failed(format!("an answer is not understood: {error}")))
    }

    fn text(&self) -> String {
        self.message.clone().filter(|it| !it.is_empty()).unwrap_or_else(|| self.code.clone())
    }

    /// The verdict, or an error that is temporary.
    fn verdict(self) -> std::result::Result<Verdict, Error> {
        let text = self.text();
        match (self.result, self.code.as_str()) {
            (Outcome::Ok, _) => Ok(Verdict::Accepted),
            (Outcome::Error, "db_error" | "timeout" | "overloaded" | "crashed") => Err(Error::Failed(text)),
            (Outcome::Error, _) => Ok(Verdict::Refused(text)),
        }
    }
}

fn body<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Vec<u8> {
    let mut body = Vec::new();
    for Pair { domain, host_type, status } in pairs {
        // It cannot fail: the output is memory, and no map has keys that are not strings.
        let _ = serde_json::to_writer(&mut body, &ImportLine { domain, host_type, status: *status });
        body.push(b'\n');
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_error_is_no_verdict() {
        let verdict = |line: &str| ImportedLine::read(line).unwrap().verdict();
        assert_eq!(verdict(r#"{"line":1,"domain":"a","result":"ok"}"#).unwrap(), Verdict::Accepted);
        let refused = r#"{"line":2,"domain":"a","result":"error","code":"static","message":"Domain is static"}"#;
        assert_eq!(verdict(refused).unwrap(), Verdict::Refused("Domain is static".into()));
        let wordless = r#"{"line":2,"domain":null,"result":"error","code":"invalid_line","message":null}"#;
        assert_eq!(verdict(wordless).unwrap(), Verdict::Refused("invalid_line".into()));
        assert!(verdict(r#"{"line":2,"domain":"a","result":"error","code":"db_error","message":"x"}"#).is_err());
        assert!(ImportedLine::read("{}").is_err());
    }
}
