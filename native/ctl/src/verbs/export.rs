//! `export`: all domains as CSV or NDJSON, as `import` reads them.
//!
//! A file is written beside its place and renamed when it is whole: so there is never half of one. It says what the
//! database said while it was read, and is no snapshot of one moment.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::cli::{Export, FileFormat, Filter};
use crate::client::Client;
use crate::error::{Error, Exit, Result};
use crate::output;
use crate::verbs::list::pages;

/// Exports them.
pub fn run(client: &Client, export: &Export, output: &mut impl Write) -> Result<Exit> {
    let format = export.format.unwrap_or_else(|| FileFormat::of(&export.file));
    if export.file == Path::new("-") {
        write(client, &export.filter, format, output)?;
        return Ok(Exit::Done);
    }
    let path = &export.file;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = Unfinished(path.with_file_name(name));
    let file = File::create(&new.0).map_err(Error::of_file(&new.0))?;
    let mut file = BufWriter::new(file);
    let count = write(client, &export.filter, format, &mut file)?;
    let finished = file.flush().and_then(|()| std::fs::rename(&new.0, path));
    finished.map_err(Error::of_file(path))?;
    writeln!(output, "exported {count} domains to {}", path.display())?;
    Ok(Exit::Done)
}

/// A file that is removed unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// How many there are.
fn write(client: &Client, filter: &Filter, format: FileFormat, output: &mut impl Write) -> Result<u64> {
    let mut count = 0;
    match format {
        FileFormat::Ndjson => pages(client, filter, |entries| {
            count += entries.len() as u64;
            Ok(entries.iter().try_for_each(|entry| output::json_line(output, entry))?)
        })?,
        FileFormat::Csv => {
            let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(output);
            csv.write_record(["domain", "host_type", "status"]).map_err(unwritten)?;
            pages(client, filter, |entries| {
                count += entries.len() as u64;
                entries.iter().try_for_each(|entry| csv.serialize(entry)).map_err(unwritten)
            })?;
            csv.flush()?;
        }
    }
    Ok(count)
}

/// The writer's own error, by which a reader that went away is known.
fn unwritten(error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Error::Output(error),
        other => Error::Failed(format!("{other:?}")),
    }
}
