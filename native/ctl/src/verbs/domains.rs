//! One domain: `add`, `remove`, `enable`, `disable`, `show`.

use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::http::Method;

use crate::cli::{Domain, Pair, Remove, Show};
use crate::client::{Client, domain_path, hidden};
use crate::error::{Error, Exit, Result};
use crate::name;
use crate::output::{self, Format, Table};

/// Whether a domain is to be served.
#[derive(Debug, Clone, Copy)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// What the server says of a domain.
#[derive(Debug, Deserialize)]
struct Details {
    host_type: Option<String>,
    status: Option<String>,
}

/// What is shown of it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    domain: &'a str,
    host_type: Option<String>,
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removal: Option<Removal>,
}

/// How far a removal is.
#[derive(Debug, Serialize, Deserialize)]
struct Removal {
    state: String,
    #[serde(default)]
    handlers_done: u32,
    #[serde(default)]
    handlers: u32,
    owner: Option<String>,
    failure: Option<String>,
}

/// Adds a domain.
pub fn add(client: &Client, Pair { domain, host_type, as_is }: &Pair, output: &mut impl Write) -> Result<Exit> {
    let domain = name::read(domain, (*as_is).into()).map_err(Error::Failed)?;
    client.send(Method::PUT, &domain_path(domain.as_str()), &json!({"host_type": host_type}))?;
    said(output, "added", domain.as_str())
}

/// Removes a domain.
pub fn remove(client: &Client, remove: &Remove, output: &mut impl Write) -> Result<Exit> {
    let Pair { domain, host_type, as_is } = &remove.pair;
    let domain = name::existing(domain, (*as_is).into());
    let body = json!({"host_type": host_type, "request": remove.no_wait});
    client.send(Method::DELETE, &domain_path(&domain), &body)?;
    said(output, if remove.no_wait { "removing" } else { "removed" }, &domain)
}

/// Has a domain served, or not.
pub fn switch(client: &Client, domain: &Domain, switch: Switch, output: &mut impl Write) -> Result<Exit> {
    let (enabled, done) = match switch {
        Switch::On => (true, "enabled"),
        Switch::Off => (false, "disabled"),
    };
    let domain = name::existing(&domain.domain, domain.as_is.into());
    client.send(Method::PATCH, &domain_path(&domain), &json!({"enabled": enabled}))?;
    said(output, done, &domain)
}

fn said(output: &mut impl Write, done: &str, domain: &str) -> Result<Exit> {
    writeln!(output, "{done} {}", output::printable(domain))?;
    Ok(Exit::Done)
}

/// Shows a domain, and its removal if there is one.
pub fn show(client: &Client, show: &Show, output: &mut impl Write) -> Result<Exit> {
    let domain = &name::existing(&show.domain.domain, show.domain.as_is.into());
    let Details { host_type, status } = client.get(&domain_path(domain))?;
    let removal = match status.as_deref() {
        Some("deleting") => removal(client, domain)?,
        _ => None,
    };
    let shown = Shown { domain, host_type, status, removal };
    match show.output {
        Format::Json => output::json(output, &shown)?,
        Format::Ndjson => output::json_line(output, &shown)?,
        Format::Table => shown.table().write(output)?,
    }
    Ok(Exit::Done)
}

/// Whoever marked a domain without a job, there is none.
fn removal(client: &Client, domain: &str) -> Result<Option<Removal>> {
    match client.get(&format!("/api/domains/{}/removal", hidden(domain))) {
        Ok(removal) => Ok(Some(removal)),
        Err(Error::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Shown<'_> {
    fn table(&self) -> Table {
        let mut table = Table::default();
        table.row(["domain", self.domain]);
        table.row(["host type", self.host_type.as_deref().unwrap_or("-")]);
        table.row(["status", self.status.as_deref().unwrap_or("-")]);
        if let Some(removal) = &self.removal {
            let done = format!("{}, {} of {} handlers done", removal.state, removal.handlers_done, removal.handlers);
            table.row(["removal", &done]);
            for (name, value) in [("owner", &removal.owner), ("failure", &removal.failure)] {
                if let Some(value) = value {
                    table.row([name, value]);
                }
            }
        }
        table
    }
}
