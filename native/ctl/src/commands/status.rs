//! `status`: the status of nodes, side by side.
//!
//! All members of a status are shown, so a newer node may have more. The column of a node that does not answer shows
//! why, and the exit code is that of the worst failure. A table has times and sizes for people; JSON has the numbers.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{HumanBytes, HumanDuration};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::cli::StatusArgs;
use crate::client::{Client, ReadTimeout};
use crate::error::{Error, Exit, Result};
use crate::output::{self, Format, Table};
use crate::settings::Settings;

/// The first rows of a table; the others follow in the order of their names.
const FIRST: &[&str] = &[
    "error",
    "node",
    "version",
    "domains.static",
    "domains.dynamic",
    "host_types",
    "follower.state",
    "follower.cursor",
    "follower.lag",
    "follower.lag_seconds",
    "follower.open_gaps",
    "follower.kept",
    "follower.stale",
    "follower.last_error",
];

/// A node and its status.
struct NodeStatus {
    url: String,
    status: Result<Map<String, Value>>,
}

/// Asks all nodes at the same time.
pub fn run(settings: &Settings, args: &StatusArgs, output: &mut impl Write) -> Result<Exit> {
    let all = match args.nodes.as_slice() {
        [] => vec![settings.clone()],
        urls => urls.iter().map(|url| settings.with_url(url)).collect::<Result<_>>()?,
    };
    let nodes: Vec<NodeStatus> = std::thread::scope(|scope| {
        let threads: Vec<_> = all.iter().map(|settings| scope.spawn(move || ask(settings))).collect();
        // The panic of a thread has been printed.
        threads.into_iter().zip(&all).map(|(it, settings)| it.join().unwrap_or_else(|_| crashed(settings))).collect()
    });
    match args.output {
        Format::Json => output::json(output, &nodes.iter().map(NodeStatus::to_json).collect::<Vec<_>>())?,
        Format::Ndjson => nodes.iter().try_for_each(|it| output::json_line(output, &it.to_json()))?,
        Format::Table => table(&nodes).write(output)?,
    }
    let exits = nodes.iter().map(|it| it.status.as_ref().map_or_else(Error::exit, |_| Exit::Done));
    Ok(exits.max_by_key(|exit| exit.code()).unwrap_or(Exit::Done))
}

fn ask(settings: &Settings) -> NodeStatus {
    let status = Client::new(settings, ReadTimeout::Stream).and_then(|client| client.get("/api/status"));
    NodeStatus { url: settings.url.to_string(), status }
}

fn crashed(settings: &Settings) -> NodeStatus {
    NodeStatus { url: settings.url.to_string(), status: Err(Error::Failed("it could not be asked".to_owned())) }
}

impl NodeStatus {
    fn to_json(&self) -> Value {
        match &self.status {
            Ok(status) => json!({"url": self.url, "status": status}),
            Err(error) => json!({"url": self.url, "error": error.to_string()}),
        }
    }
}

fn table(nodes: &[NodeStatus]) -> Table {
    let columns: Vec<Vec<(String, String)>> = nodes
        .iter()
        .map(|it| match &it.status {
            Ok(status) => flat("", status, SystemTime::now()),
            Err(error) => vec![("error".to_owned(), error.to_string())],
        })
        .collect();
    let mut names: Vec<&str> = columns.iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_by_key(|name| (FIRST.iter().position(|it| it == name).unwrap_or(FIRST.len()), *name));
    names.dedup();
    let mut table = Table::default();
    table.row(["url"].into_iter().chain(nodes.iter().map(|it| it.url.as_str())));
    for name in names {
        let cell = |column: &Vec<(String, String)>| {
            column.iter().find(|(key, _)| key == name).map_or_else(|| "-".to_owned(), |(_, value)| value.clone())
        };
        table.row([name.to_owned()].into_iter().chain(columns.iter().map(cell)));
    }
    table
}

/// The members of an object, those of inner objects with both names; null members are left out.
fn flat(prefix: &str, object: &Map<String, Value>, now: SystemTime) -> Vec<(String, String)> {
    let member = |(name, value): (&String, &Value)| match value {
        Value::Object(inner) => flat(&format!("{prefix}{name}."), inner, now),
        Value::Null => Vec::new(),
        Value::String(text) => vec![(format!("{prefix}{name}"), text.clone())],
        Value::Array(items) => {
            let texts = items.iter().map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
            vec![(format!("{prefix}{name}"), texts.collect::<Vec<_>>().join(", "))]
        }
        other => {
            let number = other.as_u64();
            let text = match name.as_str() {
                name if name == "since" || name.ends_with("_at") => number.and_then(|it| time(it, now)),
                name if name.ends_with("_bytes") => number.map(|it| HumanBytes(it).to_string()),
                _ => None,
            };
            vec![(format!("{prefix}{name}"), text.unwrap_or_else(|| other.to_string()))]
        }
    };
    object.iter().flat_map(member).collect()
}

/// A time in milliseconds since 1970 as a date, and how long ago that is, if it is in the past.
fn time(milliseconds: u64, now: SystemTime) -> Option<String> {
    let seconds = i64::try_from(milliseconds / 1000).ok()?;
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(format).ok()?;
    let ago = now.duration_since(UNIX_EPOCH + Duration::from_millis(milliseconds)).ok();
    Some(ago.map_or_else(|| date.clone(), |ago| format!("{date}, {} ago", HumanDuration(ago))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_formatted_for_people() {
        let value = json!({"since": 1_700_000_000_000_u64, "current_at": 1_700_000_090_000_u64, "table_bytes": 2_097_152, "x": 5});
        let Value::Object(status) = value else { panic!() };
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_060);
        let wanted = [
            ("current_at", "2023-11-14 22:14:50 UTC"),
            ("since", "2023-11-14 22:13:20 UTC, 60 seconds ago"),
            ("table_bytes", "2.00 MiB"),
            ("x", "5"),
        ];
        assert_eq!(flat("", &status, now), wanted.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn nodes_are_shown_side_by_side_and_failures_with_their_reason() {
        let value = json!({"follower": {"lag": null, "state": "following"}, "zeta": 1, "host_types": ["a", "b"]});
        let Value::Object(status) = value else { panic!() };
        let nodes = [
            NodeStatus { url: "u1".into(), status: Ok(status) },
            NodeStatus { url: "u2".into(), status: Err(Error::Failed("gone".into())) },
        ];
        let mut text = Vec::new();
        table(&nodes).write(&mut text).unwrap();
        let wanted = [
            "url             u1         u2",
            "error           -          gone",
            "host_types      a, b       -",
            "follower.state  following  -",
            "zeta            1          -",
            "",
        ];
        assert_eq!(String::from_utf8(text).unwrap(), wanted.join("\n"));
    }
}
