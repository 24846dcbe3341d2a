//! `export`: all domains as CSV or NDJSON, in the form that `import` reads.
//!
//! Every name survives, even one that no request can carry, such as one with a line break, which other programs may
//! have added. A name that an import would refuse or change is marked, and the import then accepts it unchanged.
//!
//! A file replaces its destination when it is complete ([`destination`](crate::destination)). It contains what the
//! database contained while it was read, page by page, and is no snapshot of one moment.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::cli::{ExportArgs, FileFormat, Filter};
use crate::client::Client;
use crate::commands::listing::{Entry, pages};
use crate::destination::OutputFile;
use crate::error::{Error, Exit, Result};
use crate::import::{AS_IS, cell};
use crate::name;
use crate::output::{self, count, path_text};

/// Exports the domains.
pub fn run(client: &Client, args: &ExportArgs, output: &mut impl Write) -> Result<Exit> {
    let path = args.file.as_path();
    let format = args.format.unwrap_or_else(|| FileFormat::of(path));
    if path == Path::new("-") {
        write(client, &args.filter, format, output)?;
        return Ok(Exit::Done);
    }
    let mut file = BufWriter::new(OutputFile::begin(path).map_err(Error::of_file(path))?);
    let domains = write(client, &args.filter, format, &mut file).map_err(|error| match error {
        // It is an error of this file, and not of standard output.
        Error::Output(error) => Error::of_file(path)(error),
        other => other,
    })?;
    let file = file.into_inner().map_err(|error| Error::of_file(path)(error.into_error()))?;
    let message = format!("exported {} to {}", count(domains, "domain", "domains"), path_text(path));
    match file {
        // This may be standard output under another name: do not write the message into it.
        OutputFile::Stream(_) => {
            let _ = writeln!(io::stderr(), "{message}");
        }
        OutputFile::Temporary { .. } => {
            file.finish().map_err(Error::of_file(path))?;
            writeln!(output, "{message}")?;
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

/// Writes all domains; returns their number.
fn write(client: &Client, filter: &Filter, format: FileFormat, output: &mut impl Write) -> Result<u64> {
    let mut count = 0;
    if format == FileFormat::Csv {
        writeln!(output, "domain,host_type,status")?;
    }
    pages(client, filter, |entries| {
        count += entries.len() as u64;
        Ok(entries.iter().try_for_each(|entry| match format {
            FileFormat::Ndjson => {
                let as_is = (!name::is_strict(&entry.domain)).then_some(true);
                output::json_line(output, &Line { entry, as_is })
            }
            FileFormat::Csv => csv_line(entry, output),
        })?)
    })?;
    Ok(count)
}

fn csv_line(Entry { domain, host_type, status }: &Entry, output: &mut impl Write) -> io::Result<()> {
    if !name::is_strict(domain) {
        writeln!(output, "{AS_IS}")?;
    }
    let text = |text: &Option<String>| text.as_deref().map(cell).unwrap_or_default();
    writeln!(output, "{},{},{}", cell(domain), text(host_type), text(status))
}
