//! Commands for one domain: `add`, `remove`, `enable`, `disable`, `show`.

use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::http::Method;

use crate::cli::{AddArgs, DomainArgs, RemoveArgs, ShowArgs};
use crate::client::{Client, domain_path, percent_encoded};
use crate::error::{Error, Exit, Result};
use crate::name;
use crate::output::{self, Format, Table};

/// What to do with a domain's status.
#[derive(Debug, Clone, Copy)]
pub enum Switch {
    /// Enable it.
    On,
    /// Disable it.
    Off,
}

/// The server's response.
#[derive(Debug, Deserialize)]
struct DomainResponse {
    host_type: Option<String>,
    status: Option<String>,
}

/// The output of `show`.
#[derive(Debug, Serialize)]
struct DomainOutput<'a> {
    domain: &'a str,
    host_type: Option<String>,
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removal: Option<Removal>,
}

/// The progress of a removal.
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
pub fn add(client: &Client, AddArgs { domain, host_type, as_is }: &AddArgs, output: &mut impl Write) -> Result<Exit> {
    let domain = name::read(domain, (*as_is).into()).map_err(Error::Failed)?;
    client.send(Method::PUT, &domain_path(domain.as_str()), &json!({"host_type": host_type}))?;
    confirm(output, "added", domain.as_str())
}

/// Removes a domain.
pub fn remove(client: &Client, args: &RemoveArgs, output: &mut impl Write) -> Result<Exit> {
    let AddArgs { domain, host_type, as_is } = &args.domain;
    let domain = name::existing(domain, (*as_is).into());
    let body = json!({"host_type": host_type, "request": args.no_wait});
    client.send(Method::DELETE, &domain_path(&domain), &body)?;
    confirm(output, if args.no_wait { "removing" } else { "removed" }, &domain)
}

/// Enables or disables a domain.
pub fn switch(client: &Client, args: &DomainArgs, switch: Switch, output: &mut impl Write) -> Result<Exit> {
    let (enabled, done) = match switch {
        Switch::On => (true, "enabled"),
        Switch::Off => (false, "disabled"),
    };
    let domain = name::existing(&args.domain, args.as_is.into());
    client.send(Method::PATCH, &domain_path(&domain), &json!({"enabled": enabled}))?;
    confirm(output, done, &domain)
}

fn confirm(output: &mut impl Write, done: &str, domain: &str) -> Result<Exit> {
    writeln!(output, "{done} {}", output::printable(domain))?;
    Ok(Exit::Done)
}

/// Shows a domain, and its removal if there is one.
pub fn show(client: &Client, args: &ShowArgs, output: &mut impl Write) -> Result<Exit> {
    let domain = &name::existing(&args.domain.domain, args.domain.as_is.into());
    let DomainResponse { host_type, status } = client.get(&domain_path(domain))?;
    let removal = match status.as_deref() {
        Some("deleting") => removal(client, domain)?,
        _ => None,
    };
    let shown = DomainOutput { domain, host_type, status, removal };
    match args.output {
        Format::Json => output::json(output, &shown)?,
        Format::Ndjson => output::json_line(output, &shown)?,
        Format::Table => shown.table().write(output)?,
    }
    Ok(Exit::Done)
}

/// The removal of a domain. There is none where another program has marked the domain.
fn removal(client: &Client, domain: &str) -> Result<Option<Removal>> {
    match client.get(&format!("/api/domains/{}/removal", percent_encoded(domain))) {
        Ok(removal) => Ok(Some(removal)),
        Err(Error::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl DomainOutput<'_> {
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
