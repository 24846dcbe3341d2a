//! `watch`: shows changes as they come.
//!
//! A broken connection is opened again, after the last change that was shown. Before the first change there is no such
//! event: then changes in between are not shown, and a message says so.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::http::Method;

use crate::cli::WatchArgs;
use crate::client::{Client, ReadTimeout, RequestBody, with_query};
use crate::error::{Error, Exit, Result};
use crate::output::{self, Format, printable};
use crate::settings::Settings;

/// The first and the longest pause before the next connection.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// A domain that changed, and its row now; without a host type it was removed.
#[derive(Debug, Serialize, Deserialize)]
struct Change {
    id: i64,
    domain: String,
    host_type: Option<String>,
    status: Option<String>,
}

/// Shows changes until the program is interrupted.
pub fn run(settings: &Settings, args: &WatchArgs, output: &mut impl Write) -> Result<Exit> {
    let client = Client::new(settings, ReadTimeout::Stream)?;
    let mut after = args.after;
    let mut pause = None;
    loop {
        let error = match follow(&client, &mut after, &mut pause, args.output, output) {
            // If the first connection fails, fail at once.
            Err(error) if pause.is_none() || !error.is_temporary() => return Err(error),
            Err(error) => error,
            Ok(()) => client.unreachable("the server ended the connection"),
        };
        let missed = if after.is_none() { "; changes until it answers again are not shown" } else { "" };
        let _ = writeln!(io::stderr(), "domainctl: {}{missed}", printable(&error.to_string()));
        let time = pause.unwrap_or(PAUSES.0);
        std::thread::sleep(time);
        pause = Some((time * 2).min(PAUSES.1));
    }
}

/// Shows changes until the connection ends.
fn follow(
    client: &Client,
    after: &mut Option<i64>,
    pause: &mut Option<Duration>,
    format: Format,
    output: &mut impl Write,
) -> Result<()> {
    let number = after.map(|id| id.to_string());
    let path = with_query("/api/changes", &[("after", number.as_deref())]);
    let stream = client.stream(Method::GET, &path, RequestBody::None)?;
    *pause = Some(PAUSES.0);
    for line in stream.lines() {
        let line = line.map_err(|error| client.unreachable(error))?;
        // An empty line means that there is no change, and that the server still answers.
        if line.is_empty() {
            continue;
        }
        let change: Change = serde_json::from_str(&line)
            .map_err(|error| Error::Failed(format!("a change is not understood: {error}")))?;
        show(&change, format, output)?;
        output.flush()?;
        *after = Some(change.id);
    }
    Ok(())
}

fn show(change: &Change, format: Format, output: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Json | Format::Ndjson => output::json_line(output, change),
        Format::Table => {
            let row = match (&change.host_type, &change.status) {
                (Some(host_type), status) => {
                    format!("{}  {}", printable(host_type), printable(status.as_deref().unwrap_or("-")))
                }
                (None, _) => "gone".to_owned(),
            };
            writeln!(output, "{}  {}  {row}", change.id, printable(&change.domain))
        }
    }
}
