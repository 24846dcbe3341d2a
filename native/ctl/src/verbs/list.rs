//! `list`: the domains that the database has, a page at a time.
//!
//! Pages follow each other by the last name of the one before, so a domain that is there all the time is listed
//! once, however many others come and go.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::cli::{Filter, List, Status};
use crate::client::{Client, with_query};
use crate::error::{Exit, Result};
use crate::output::{self, Format, Table};

/// A domain.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub domain: String,
    /// Its host type.
    pub host_type: Option<String>,
    /// Its status; newer servers may have others.
    pub status: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    domains: Vec<Entry>,
    next: Option<String>,
    #[serde(default)]
    left_out: LeftOut,
}

/// Rows that the server cannot read.
#[derive(Debug, Default, Deserialize)]
struct LeftOut {
    count: u64,
    examples: Vec<String>,
}

impl LeftOut {
    /// Says so beside the output, which is for programs.
    fn tell(&self) {
        if self.count > 0 {
            let (count, examples) = (self.count, self.examples.join("; "));
            // Nobody is left to tell that nobody reads this.
            let _ = writeln!(io::stderr(), "domainctl: {count} rows cannot be read and are left out: {examples}");
        }
    }
}

/// Hands over all domains that pass the filter, in the order of their names, a page at a time.
pub fn pages(client: &Client, filter: &Filter, mut each: impl FnMut(Vec<Entry>) -> Result<()>) -> Result<()> {
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
            ],
        );
        let page: Page = client.get(&path)?;
        page.left_out.tell();
        each(page.domains)?;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Lists them.
pub fn run(client: &Client, list: &List, output: &mut impl Write) -> Result<Exit> {
    match list.output {
        Format::Table => {
            let mut table = Table::new(&["domain", "host type", "status"]);
            pages(client, &list.filter, |entries| {
                let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                entries.iter().for_each(|it| table.row([it.domain.clone(), shown(&it.host_type), shown(&it.status)]));
                Ok(table.write(output)?)
            })?;
        }
        Format::Ndjson => pages(client, &list.filter, |entries| {
            Ok(entries.iter().try_for_each(|entry| output::json_line(output, entry))?)
        })?,
        Format::Json => {
            let mut before = "[\n  ";
            pages(client, &list.filter, |entries| {
                for entry in &entries {
                    write!(output, "{before}{}", serde_json::json!(entry))?;
                    before = ",\n  ";
                }
                Ok(())
            })?;
            writeln!(output, "{}", if before.starts_with('[') { "[]" } else { "\n]" })?;
        }
    }
    Ok(Exit::Done)
}
