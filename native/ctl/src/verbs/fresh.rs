//! `fresh`: declares the domains of a host type complete, or shows what was declared.

use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::http::Method;

use crate::cli::Fresh;
use crate::client::{Client, hidden};
use crate::error::{Error, Exit, Result};
use crate::output::{self, Format, Table};

#[derive(Debug, Deserialize)]
struct Answer {
    freshness: Vec<Declared>,
}

/// What was declared of a host type; in Diego's words, its domain.
#[derive(Debug, Serialize, Deserialize)]
struct Declared {
    domain: String,
    state: String,
    seconds_left: Option<u64>,
    expire_time: Option<u64>,
}

/// Declares or shows.
pub fn run(client: &Client, fresh: &Fresh, output: &mut impl Write) -> Result<Exit> {
    match (&fresh.host_type, &fresh.ttl) {
        (Some(host_type), Some(ttl)) => {
            let ttl = seconds(ttl).ok_or_else(|| Error::Usage(format!("{ttl} is no time, as 3600, 12h or forever")))?;
            client.send(Method::PUT, &format!("/api/freshness/{}", hidden(host_type)), &json!({"ttl": ttl}))?;
            writeln!(output, "declared {} complete {}", output::printable(host_type), duration(ttl))?;
        }
        _ => {
            let declared = client.get::<Answer>("/api/freshness")?.freshness;
            match fresh.output {
                Format::Json => output::json(output, &declared)?,
                Format::Ndjson => declared.iter().try_for_each(|it| output::json_line(output, it))?,
                Format::Table => table(&declared).write(output)?,
            }
        }
    }
    Ok(Exit::Done)
}

/// 0 is for ever, as it is for the server.
fn seconds(text: &str) -> Option<u32> {
    if text == "forever" {
        return Some(0);
    }
    let (number, unit) = match text.find(|it: char| !it.is_ascii_digit()) {
        Some(end) => text.split_at(end),
        None => (text, "s"),
    };
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(unit)
}

fn duration(seconds: u32) -> String {
    match seconds {
        0 => "for ever".to_owned(),
        seconds => format!("for {seconds} s"),
    }
}

fn table(declared: &[Declared]) -> Table {
    let mut table = Table::new(&["host type", "state", "seconds left"]);
    for it in declared {
        let left = match (it.seconds_left, it.state.as_str()) {
            (Some(seconds), _) => seconds.to_string(),
            (None, "fresh") => "for ever".to_owned(),
            (None, _) => "-".to_owned(),
        };
        table.row([&it.domain, &it.state, &left]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let rows = [("3600", Some(3600)), ("90s", Some(90)), ("30m", Some(1800)), ("12h", Some(43200))];
        for (text, wanted) in rows.into_iter().chain([("7d", Some(604800)), ("forever", Some(0)), ("0", Some(0))]) {
            assert_eq!(seconds(text), wanted, "{text}");
        }
        for text in ["", "h", "1w", "-1", "1.5h", "1h30m", "99999999999", "99999d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
