//! Domains go to the server a thousand at a time, and its verdicts come back.
//!
//! What was not answered, or was answered with a fault that passes (a broken connection, a database that is away), is
//! sent again, with growing pauses, until nothing was answered for as long as `patience`. Sending a pair twice does no
//! harm: adding what is there succeeds.

use std::io::BufRead;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use ureq::http::Method;

use super::records::{Pair, Status};
use crate::client::{Client, Content};
use crate::error::{Error, Result};

/// The rest before the second attempt, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Sends.
pub struct Sender {
    client: Client,
    patience: Duration,
}

/// What became of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server has it.
    Accepted,
    /// It does not want it: why.
    Refused(String),
}

/// A line for the server.
#[derive(Serialize)]
struct Wanted<'a> {
    domain: &'a str,
    host_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// The server's answer to a line.
#[derive(Debug, Deserialize)]
struct Answer {
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

/// What an attempt did not settle, and why; and whether it settled anything.
struct Left {
    places: Vec<usize>,
    why: Error,
    some_settled: bool,
}

impl Sender {
    /// To this server, which may be away for so long.
    pub fn new(client: Client, patience: Duration) -> Sender {
        Sender { client, patience }
    }

    /// Sends them, and says for each, in order, what became of it.
    pub fn send(&self, pairs: &[&Pair]) -> Result<Vec<Verdict>> {
        let mut verdicts = vec![None; pairs.len()];
        let mut places: Vec<usize> = (0..pairs.len()).collect();
        let (mut begun, mut pause) = (Instant::now(), PAUSES.0);
        while !places.is_empty() {
            let Some(left) = self.attempt(pairs, &places, &mut verdicts)? else { break };
            if left.some_settled {
                (begun, pause) = (Instant::now(), PAUSES.0);
            } else if begun.elapsed() + pause > self.patience {
                return Err(left.why);
            }
            places = left.places;
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
        Ok(verdicts.into_iter().flatten().collect())
    }

    /// `None` when all is settled.
    fn attempt(&self, pairs: &[&Pair], places: &[usize], verdicts: &mut [Option<Verdict>]) -> Result<Option<Left>> {
        let mut why = self.client.unreachable("not every line was answered");
        let body = body(places.iter().map(|place| pairs[*place]));
        match self.client.stream(Method::POST, "/api/domains", Content::Lines(&body)) {
            Ok(answers) => {
                for line in answers.lines() {
                    let line = match line {
                        Ok(line) => line,
                        Err(error) => {
                            why = self.client.unreachable(error);
                            break;
                        }
                    };
                    if line.is_empty() {
                        continue;
                    }
                    let answer = Answer::read(&line)?;
                    let place = answer.line.checked_sub(1).and_then(|index| places.get(index).copied());
                    // What is said of a line behind the last one is why the server reads no further.
                    let Some(place) = place else {
                        why = Error::Failed(answer.text());
                        continue;
                    };
                    match answer.verdict() {
                        Ok(verdict) => verdicts[place] = Some(verdict),
                        Err(passing) => why = passing,
                    }
                }
            }
            Err(error) if error.is_passing() => why = error,
            Err(error) => return Err(error),
        }
        let left: Vec<usize> = places.iter().copied().filter(|place| verdicts[*place].is_none()).collect();
        let some_settled = left.len() < places.len();
        Ok((!left.is_empty()).then_some(Left { places: left, why, some_settled }))
    }
}

impl Answer {
    fn read(line: &str) -> Result<Answer> {
        serde_json::from_str(line).map_err(|error| Error::Failed(format!("an answer that is not understood: {error}")))
    }

    fn text(&self) -> String {
        self.message.clone().filter(|it| !it.is_empty()).unwrap_or_else(|| self.code.clone())
    }

    /// Or a fault that passes.
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
        // Neither a map with odd keys nor an output that fails is involved.
        let _ = serde_json::to_writer(&mut body, &Wanted { domain, host_type, status: *status });
        body.push(b'\n');
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_passes_is_no_verdict() {
        let verdict = |line: &str| Answer::read(line).unwrap().verdict();
        assert_eq!(verdict(r#"{"line":1,"domain":"a","result":"ok"}"#).unwrap(), Verdict::Accepted);
        let refused = r#"{"line":2,"domain":"a","result":"error","code":"static","message":"Domain is static"}"#;
        assert_eq!(verdict(refused).unwrap(), Verdict::Refused("Domain is static".into()));
        let wordless = r#"{"line":2,"domain":null,"result":"error","code":"invalid_line","message":null}"#;
        assert_eq!(verdict(wordless).unwrap(), Verdict::Refused("invalid_line".into()));
        assert!(verdict(r#"{"line":2,"domain":"a","result":"error","code":"db_error","message":"x"}"#).is_err());
        assert!(Answer::read("{}").is_err());
    }
}
