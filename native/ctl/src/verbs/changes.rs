//! `watch`: changes as they come.
//!
//! A connection that is lost is made again, behind the last change that was shown. Before the first one there is
//! nothing to begin behind: then what happened in between is not shown, and that is said.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::http::Method;

use crate::cli::Watch;
use crate::client::{Client, Content, Patience, with_query};
use crate::error::{Error, Exit, Result};
use crate::output::{self, Format, printable};
use crate::settings::Settings;

/// How long to wait before a connection is made again: at first, and at the most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// A domain that changed, and what it is now; without a host type it is gone.
#[derive(Debug, Serialize, Deserialize)]
struct Change {
    id: i64,
    domain: String,
    host_type: Option<String>,
    status: Option<String>,
}

/// Shows changes until somebody ends it.
pub fn run(settings: &Settings, watch: &Watch, output: &mut impl Write) -> Result<Exit> {
    let client = Client::new(settings, Patience::Stream)?;
    let mut after = watch.after;
    let mut pause = None;
    loop {
        let error = match follow(&client, &mut after, &mut pause, watch.output, output) {
            // A server that was never there is told at once.
            Err(error) if pause.is_none() || !error.is_passing() => return Err(error),
            Err(error) => error,
            Ok(()) => client.unreachable("the server ended the connection"),
        };
        let missed = if after.is_none() { "; what happens meanwhile is not shown" } else { "" };
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
    let stream = client.stream(Method::GET, &path, Content::None)?;
    *pause = Some(PAUSES.0);
    for line in stream.lines() {
        let line = line.map_err(|error| client.unreachable(error))?;
        // An empty line says that the server is there.
        if line.is_empty() {
            continue;
        }
        let change: Change = serde_json::from_str(&line)
            .map_err(|error| Error::Failed(format!("a change that is not understood: {error}")))?;
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
            let now = match (&change.host_type, &change.status) {
                (Some(host_type), status) => {
                    format!("{}  {}", printable(host_type), printable(status.as_deref().unwrap_or("-")))
                }
                (None, _) => "gone".to_owned(),
            };
            writeln!(output, "{}  {}  {now}", change.id, printable(&change.domain))
        }
    }
}
