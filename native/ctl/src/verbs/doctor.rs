//! `doctor`: what the server found when it looked at itself, and what to do about it.

use std::io::Write;

use serde::Deserialize;

use crate::client::Client;
use crate::error::{Exit, Result};
use crate::output::printable;

#[derive(Debug, Deserialize)]
struct Answer {
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    state: State,
    #[serde(default)]
    found: Option<String>,
    #[serde(default)]
    advice: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// Shows the checks; fails when one did.
pub fn run(client: &Client, output: &mut impl Write) -> Result<Exit> {
    let checks = client.get::<Answer>("/api/doctor")?.checks;
    for Check { name, state, found, advice } in &checks {
        let mark = match state {
            State::Ok => "ok     ",
            State::Warning => "warning",
            State::Failed => "FAILED ",
        };
        let found = found.as_deref().filter(|it| !it.is_empty()).map(|it| format!(": {}", printable(it)));
        writeln!(output, "{mark}  {}{}", printable(name), found.unwrap_or_default())?;
        if let Some(advice) = advice.as_deref().filter(|it| !it.is_empty() && *state != State::Ok) {
            writeln!(output, "         {}", printable(advice))?;
        }
    }
    Ok(if checks.iter().any(|check| check.state == State::Failed) { Exit::Failed } else { Exit::Done })
}
