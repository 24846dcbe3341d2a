//! `status`: what nodes are doing, side by side.
//!
//! What a node tells is shown as it comes, so a newer node may tell more. Where one cannot be asked, its column says
//! why, and the exit code is that of the worst.

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::cli::Nodes;
use crate::client::{Client, Patience};
use crate::error::{Error, Exit, Result};
use crate::output::{self, Format, Table};
use crate::settings::Settings;

/// What comes first in a table; what else there is follows by name.
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
    "follower.open_holes",
    "follower.kept",
    "follower.stale",
    "follower.last_error",
];

/// A node and what it said.
struct Said {
    url: String,
    status: Result<Map<String, Value>>,
}

/// Asks all nodes at once.
pub fn run(settings: &Settings, nodes: &Nodes, output: &mut impl Write) -> Result<Exit> {
    let all = match nodes.nodes.as_slice() {
        [] => vec![settings.clone()],
        urls => urls.iter().map(|url| settings.at(url)).collect::<Result<_>>()?,
    };
    let said: Vec<Said> = std::thread::scope(|scope| {
        let asked: Vec<_> = all.iter().map(|settings| scope.spawn(move || ask(settings))).collect();
        // A thread that panicked has printed why.
        asked.into_iter().zip(&all).map(|(it, settings)| it.join().unwrap_or_else(|_| crashed(settings))).collect()
    });
    match nodes.output {
        Format::Json => output::json(output, &said.iter().map(Said::to_json).collect::<Vec<_>>())?,
        Format::Ndjson => said.iter().try_for_each(|it| output::json_line(output, &it.to_json()))?,
        Format::Table => table(&said).write(output)?,
    }
    let exits = said.iter().map(|it| it.status.as_ref().map_or_else(Error::exit, |_| Exit::Done));
    Ok(exits.max_by_key(|exit| *exit as u8).unwrap_or(Exit::Done))
}

fn ask(settings: &Settings) -> Said {
    let status = Client::new(settings, Patience::Stream).and_then(|client| client.get("/api/status"));
    Said { url: settings.url.to_string(), status }
}

fn crashed(settings: &Settings) -> Said {
    Said { url: settings.url.to_string(), status: Err(Error::Failed("it could not be asked".to_owned())) }
}

impl Said {
    fn to_json(&self) -> Value {
        match &self.status {
            Ok(status) => json!({"url": self.url, "status": status}),
            Err(error) => json!({"url": self.url, "error": error.to_string()}),
        }
    }
}

fn table(said: &[Said]) -> Table {
    let columns: Vec<Vec<(String, String)>> = said
        .iter()
        .map(|it| match &it.status {
            Ok(status) => flat("", status),
            Err(error) => vec![("error".to_owned(), error.to_string())],
        })
        .collect();
    let mut names: Vec<&str> = columns.iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_by_key(|name| (FIRST.iter().position(|it| it == name).unwrap_or(FIRST.len()), *name));
    names.dedup();
    let mut table = Table::default();
    table.row(["url"].into_iter().chain(said.iter().map(|it| it.url.as_str())));
    for name in names {
        let cell = |column: &Vec<(String, String)>| {
            column.iter().find(|(key, _)| key == name).map_or_else(|| "-".to_owned(), |(_, value)| value.clone())
        };
        table.row([name.to_owned()].into_iter().chain(columns.iter().map(cell)));
    }
    table
}

/// An object's members, those of objects in it by both names; nothing is absent.
fn flat(prefix: &str, object: &Map<String, Value>) -> Vec<(String, String)> {
    let member = |(name, value): (&String, &Value)| match value {
        Value::Object(inner) => flat(&format!("{prefix}{name}."), inner),
        Value::Null => Vec::new(),
        Value::String(text) => vec![(format!("{prefix}{name}"), text.clone())],
        Value::Array(items) => {
            let texts = items.iter().map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
            vec![(format!("{prefix}{name}"), texts.collect::<Vec<_>>().join(", "))]
        }
        other => vec![(format!("{prefix}{name}"), other.to_string())],
    };
    object.iter().flat_map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_side_by_side_and_a_dead_one_says_why() {
        let value = json!({"follower": {"lag": null, "state": "following"}, "zeta": 1, "host_types": ["a", "b"]});
        let Value::Object(status) = value else { panic!() };
        let said = [
            Said { url: "u1".into(), status: Ok(status) },
            Said { url: "u2".into(), status: Err(Error::Failed("gone".into())) },
        ];
        let mut text = Vec::new();
        table(&said).write(&mut text).unwrap();
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
