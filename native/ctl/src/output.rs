//! What people and programs read: tables with aligned columns, and JSON.
//!
//! Everything is written to a `Write` whose errors are told, so that a reader who goes away ends the command.

use std::io::{self, Write};

use clap::ValueEnum;
use console::{Alignment, measure_text_width, pad_str};
use serde::Serialize;

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON value.
    Json,
    /// A JSON value on each line.
    Ndjson,
}

/// Rows of text, the first of which are the columns' names. Cells hold no control characters when they are written:
/// a terminal would obey them.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Table {
    /// One with these columns.
    pub fn new(names: &[&str]) -> Table {
        let mut table = Table::default();
        table.row(names.iter().map(|name| name.to_uppercase()));
        table
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| printable(cell.as_ref())).collect();
        self.widths.resize(self.widths.len().max(cells.len()), 0);
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(measure_text_width(cell));
        }
        self.rows.push(cells);
    }

    /// Writes the rows and forgets them; the columns stay as wide as they were.
    pub fn write(&mut self, output: &mut impl Write) -> io::Result<()> {
        for row in self.rows.drain(..) {
            let cells = row.iter().zip(&self.widths).map(|(cell, width)| pad_str(cell, *width, Alignment::Left, None));
            writeln!(output, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// The text without control characters.
pub fn printable(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { char::REPLACEMENT_CHARACTER } else { it }).collect()
}

/// A value on a line of its own.
pub fn json_line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    writeln!(output)
}

/// A value with indentation.
pub fn json(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, value)?;
    writeln!(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_control_characters_shown_as_such() {
        let mut table = Table::new(&["domain", "x"]);
        table.row(["ü.example\u{1b}[2J", "1"]);
        let mut text = Vec::new();
        table.write(&mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "DOMAIN         X\nü.example\u{fffd}[2J  1\n");
    }
}
