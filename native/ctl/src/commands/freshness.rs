//! `fresh`: declares the domains of a host type complete, or shows the declarations.

use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::http::Method;

use crate::cli::FreshnessArgs;
use crate::client::{Client, percent_encoded};
use crate::error::{Error, Exit, Result};
use crate::output::{self, Format, Table};

#[derive(Debug, Deserialize)]
struct FreshnessResponse {
    freshness: Vec<Declaration>,
}

/// A declaration. `domain` is Diego's word for what is a host type here.
#[derive(Debug, Serialize, Deserialize)]
struct Declaration {
    domain: String,
    state: String,
    seconds_left: Option<u64>,
    expire_time: Option<u64>,
}

/// Makes a declaration, or shows all.
pub fn run(client: &Client, args: &FreshnessArgs, output: &mut impl Write) -> Result<Exit> {
    match (&args.host_type, &args.ttl) {
        (Some(host_type), Some(ttl)) => {
            let ttl = seconds(ttl).map_err(Error::Usage)?;
            declare(client, host_type, ttl, output)?;
        }
        _ => {
            let declarations = client.get::<FreshnessResponse>("/api/freshness")?.freshness;
            match args.output {
                Format::Json => output::json(output, &declarations)?,
                Format::Ndjson => declarations.iter().try_for_each(|it| output::json_line(output, it))?,
                Format::Table => table(&declarations).write(output)?,
            }
        }
    }
    Ok(Exit::Done)
}

/// Declares a host type complete for so many seconds; 0 is forever.
pub fn declare(client: &Client, host_type: &str, ttl: u32, output: &mut impl Write) -> Result<()> {
    client.send(Method::PUT, &format!("/api/freshness/{}", percent_encoded(host_type)), &json!({"ttl": ttl}))?;
    writeln!(output, "declared {} complete {}", output::printable(host_type), duration(ttl))?;
    Ok(())
}

/// A duration in seconds; 0 is forever, as for the server.
pub fn seconds(text: &str) -> std::result::Result<u32, String> {
    seconds_of(text).ok_or_else(|| format!("{text} is no duration such as 3600, 12h or forever"))
}

fn seconds_of(text: &str) -> Option<u32> {
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

fn table(declarations: &[Declaration]) -> Table {
    let mut table = Table::new(&["host type", "state", "seconds left"]);
    for it in declarations {
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
    fn durations_have_units() {
        let rows = [("3600", Some(3600)), ("90s", Some(90)), ("30m", Some(1800)), ("12h", Some(43200))];
        for (text, wanted) in rows.into_iter().chain([("7d", Some(604800)), ("forever", Some(0)), ("0", Some(0))]) {
            assert_eq!(seconds(text).ok(), wanted, "{text}");
        }
        for text in ["", "h", "1w", "-1", "1.5h", "1h30m", "99999999999", "99999d"] {
            assert_eq!(seconds(text).ok(), None, "{text}");
        }
    }
}
