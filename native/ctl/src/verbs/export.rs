//! `export`: all domains as CSV or NDJSON, as `import` reads them.
//!
//! Nothing is lost on the way and nothing added, whatever names are: other programs write some that no request can carry,
//! with line breaks in them. A name that an import would not take, or would take for another one, is marked, and is then
//! taken as it is.
//!
//! A file is put in its place when it is whole (`place`). It says what the database said while it was read, and is no
//! snapshot of one moment.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::cli::{Export, FileFormat, Filter};
use crate::client::Client;
use crate::error::{Error, Exit, Result};
use crate::import::{AS_IS, cell};
use crate::name;
use crate::output::{self, count, path_text};
use crate::place::Draft;
use crate::verbs::list::{Entry, pages};

/// Exports them.
pub fn run(client: &Client, export: &Export, output: &mut impl Write) -> Result<Exit> {
    let path = export.file.as_path();
    let format = export.format.unwrap_or_else(|| FileFormat::of(path));
    if path == Path::new("-") {
        write(client, &export.filter, format, output)?;
        return Ok(Exit::Done);
    }
    let mut file = BufWriter::new(Draft::begin(path).map_err(Error::of_file(path))?);
    let domains = write(client, &export.filter, format, &mut file).map_err(|error| match error {
        // Of this file, and not of standard output.
        Error::Output(error) => Error::of_file(path)(error),
        other => other,
    })?;
    let draft = file.into_inner().map_err(|error| Error::of_file(path)(error.into_error()))?;
    let said = format!("exported {} to {}", count(domains, "domain", "domains"), path_text(path));
    match draft {
        // It may be standard output by another name.
        Draft::Stream(_) => {
            let _ = writeln!(io::stderr(), "{said}");
        }
        Draft::Beside { .. } => {
            draft.finish().map_err(Error::of_file(path))?;
            writeln!(output, "{said}")?;
        }
    }
    Ok(Exit::Done)
}

/// A domain as a line of NDJSON.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_is: Option<bool>,
}

/// How many there are.
fn write(client: &Client, filter: &Filter, format: FileFormat, output: &mut impl Write) -> Result<u64> {
    let mut count = 0;
    if format == FileFormat::Csv {
        writeln!(output, "domain,host_type,status")?;
    }
    pages(client, filter, |entries| {
        count += entries.len() as u64;
        Ok(entries.iter().try_for_each(|entry| match format {
            FileFormat::Ndjson => {
                let as_is = (!name::is_read_as_it_stands(&entry.domain)).then_some(true);
                output::json_line(output, &Line { entry, as_is })
            }
            FileFormat::Csv => csv_line(entry, output),
        })?)
    })?;
    Ok(count)
}

fn csv_line(Entry { domain, host_type, status }: &Entry, output: &mut impl Write) -> io::Result<()> {
    if !name::is_read_as_it_stands(domain) {
        writeln!(output, "{AS_IS}")?;
    }
    let text = |text: &Option<String>| text.as_deref().map(cell).unwrap_or_default();
    writeln!(output, "{},{},{}", cell(domain), text(host_type), text(status))
}
