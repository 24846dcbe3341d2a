//! `doctor`: shows the checks of a node, and what to do about those that failed.

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::cli::DoctorArgs;
use crate::client::Client;
use crate::error::{Exit, Result};
use crate::output::{self, Format, printable};

#[derive(Debug, Deserialize)]
struct DoctorResponse {
    checks: Vec<Check>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Check {
    name: String,
    state: State,
    #[serde(default)]
    found: String,
    #[serde(default)]
    advice: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// Shows the checks; the exit code is 1 unless all are well.
pub fn run(client: &Client, args: &DoctorArgs, output: &mut impl Write) -> Result<Exit> {
    let checks = client.get::<DoctorResponse>("/api/doctor")?.checks;
    match args.output {
        Format::Json => output::json(output, &checks)?,
        Format::Ndjson => checks.iter().try_for_each(|check| output::json_line(output, check))?,
        Format::Table => checks.iter().try_for_each(|check| check.show(output))?,
    }
    Ok(if checks.iter().all(|check| check.state == State::Ok) { Exit::Done } else { Exit::Failed })
}

impl Check {
    fn show(&self, output: &mut impl Write) -> std::io::Result<()> {
        let mark = match self.state {
            State::Ok => "ok     ",
            State::Warning => "warning",
            State::Failed => "FAILED ",
        };
        let found = if self.found.is_empty() { String::new() } else { format!(": {}", printable(&self.found)) };
        writeln!(output, "{mark}  {}{found}", printable(&self.name))?;
        match self.state {
            State::Warning | State::Failed if !self.advice.is_empty() => {
                writeln!(output, "         {}", printable(&self.advice))
            }
            _ => Ok(()),
        }
    }
}
