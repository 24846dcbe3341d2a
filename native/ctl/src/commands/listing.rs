//! `list`: the domains in the database, page by page.
//!
//! Each page begins after the last name of the one before, so a domain that exists throughout is listed once, whatever
//! others are added or removed meanwhile. Static domains come from the configuration of the node and are listed on
//! request.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::cli::{Filter, ListArgs, Status};
use crate::client::{Client, with_query};
use crate::error::{Exit, Result};
use crate::output::{self, Format, Table, count, json_text, printable};

/// A listed domain.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub domain: String,
    /// Its host type.
    pub host_type: Option<String>,
    /// Its status, as a string: newer servers may have others.
    pub status: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    domains: Vec<Entry>,
    next: Option<String>,
    #[serde(default)]
    left_out: LeftOut,
}

/// Invalid rows, which are not listed.
#[derive(Debug, Default, Deserialize)]
struct LeftOut {
    count: u64,
    examples: Vec<String>,
}

impl LeftOut {
    /// Reports them on standard error, because standard output is for programs.
    fn report(&self) {
        if self.count > 0 {
            let (rows, examples) = (count(self.count, "row", "rows"), printable(&self.examples.join("; ")));
            // It fails where standard error is closed: then nothing is left to do.
            let _ = writeln!(io::stderr(), "domainctl: left out, since they cannot be read: {rows}: {examples}");
        }
    }
}

/// Where domains come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The configuration.
    Static,
    /// The database.
    Dynamic,
}

impl Origin {
    fn name(self) -> &'static str {
        match self {
            Origin::Static => "static",
            Origin::Dynamic => "dynamic",
        }
    }
}

/// Calls `each` with all dynamic domains that match the filter, in the order of their names, page by page.
pub fn pages(client: &Client, filter: &Filter, each: impl FnMut(Vec<Entry>) -> Result<()>) -> Result<()> {
    pages_of(client, Origin::Dynamic, filter, each)
}

/// The same for domains of this origin.
pub fn pages_of(
    client: &Client,
    origin: Origin,
    filter: &Filter,
    mut each: impl FnMut(Vec<Entry>) -> Result<()>,
) -> Result<()> {
    let mut after = None;
    loop {
        let path = with_query(
            "/api/domains",
            &[
                ("after", after.as_deref()),
                ("limit", Some("1000")),
                ("hostType", filter.host_type.as_deref()),
                ("status", filter.status.map(Status::name)),
                ("prefix", filter.prefix.as_deref()),
                ("type", Some(origin.name()).filter(|_| origin == Origin::Static)),
            ],
        );
        let page: Page = client.get(&path)?;
        page.left_out.report();
        each(page.domains)?;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// A line of the output.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
}

/// Lists the domains.
pub fn run(client: &Client, args: &ListArgs, output: &mut impl Write) -> Result<Exit> {
    let origins: &[Origin] = if args.with_static { &[Origin::Static, Origin::Dynamic] } else { &[Origin::Dynamic] };
    let shown = |origin| args.with_static.then_some(origin);
    let names = ["domain", "host type", "status", "type"];
    let mut table = Table::new(if args.with_static { &names } else { &names[..3] });
    let mut before = "[\n  ";
    for origin in origins {
        pages_of(client, *origin, &args.filter, |entries| {
            for entry in &entries {
                let line = Line { entry, origin: shown(*origin) };
                match args.output {
                    Format::Table => table.row(line.cells()),
                    Format::Ndjson => output::json_line(output, &line)?,
                    Format::Json => {
                        write!(output, "{before}{}", json_text(&serde_json::json!(line).to_string()))?;
                        before = ",\n  ";
                    }
                }
            }
            if args.output == Format::Table {
                table.write(output)?;
            }
            Ok(())
        })?;
    }
    if args.output == Format::Json {
        writeln!(output, "{}", if before.starts_with('[') { "[]" } else { "\n]" })?;
    }
    Ok(Exit::Done)
}

impl Line<'_> {
    fn cells(&self) -> impl Iterator<Item = &str> {
        let Entry { domain, host_type, status } = self.entry;
        let columns = [host_type, status].map(|text| text.as_deref().unwrap_or("-"));
        [domain.as_str()].into_iter().chain(columns).chain(self.origin.map(Origin::name))
    }
}
