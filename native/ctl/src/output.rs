//! Output for people and programs: tables with aligned columns, and JSON.
//!
//! Everything is written to a `Write` whose errors are returned, so a reader that closes the output ends the command.
//! Names, host types and a server's messages may contain anything, so characters that control a terminal are escaped.

use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use console::{Alignment, measure_text_width, pad_str};
use serde::Serialize;

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people.
    Table,
    /// One JSON value.
    Json,
    /// A JSON value on each line.
    Ndjson,
}

/// Rows of text, the first of which has the columns' names. Cells are escaped for a terminal.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Table {
    /// A table with these columns.
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

    /// Writes the rows and drops them; the columns keep their widths.
    pub fn write(&mut self, output: &mut impl Write) -> io::Result<()> {
        for row in self.rows.drain(..) {
            let cells = row.iter().zip(&self.widths).map(|(cell, width)| pad_str(cell, *width, Alignment::Left, None));
            writeln!(output, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Escapes characters that control a terminal or are invisible.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            it if is_plain(it) => shown.push(it),
            it => shown.extend(it.escape_default()),
        }
    }
    shown
}

/// Whether a character is visible, and neither controls the terminal nor changes the direction of text.
fn is_plain(it: char) -> bool {
    !it.is_control()
        && !matches!(it, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                       | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A path, for a terminal.
pub fn path_text(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// A number with its noun: `1 domain`, `2 domains`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A value on a line of its own.
pub fn json_line(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    writeln!(output, "{}", json_text(&serde_json::to_string(value)?))
}

/// A value with indentation.
pub fn json(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    writeln!(output, "{}", json_text(&serde_json::to_string_pretty(value)?))
}

/// Escapes, in JSON, the characters that control a terminal. They occur in strings only, where JSON can escape each.
pub fn json_text(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            it if is_plain(it) || it == '\n' => text.push(it),
            it => it.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    text
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
        assert_eq!(String::from_utf8(text).unwrap(), "DOMAIN              X\nü.example\\u{1b}[2J  1\n");
    }

    #[test]
    fn characters_that_control_a_terminal_are_escaped() {
        let rows = [("a\nb\t", "a\\nb\\t"), ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"), ("\u{202e}x", "\\u{202e}x")];
        for (text, shown) in rows.into_iter().chain([("ü\\n", "ü\\n")]) {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn in_json_it_is_escaped_and_stays_the_same() {
        let value = "a\nb\u{9b}\u{7f}\u{202e}\u{1b}ü";
        let mut line = Vec::new();
        json_line(&mut line, &value).unwrap();
        assert_eq!(String::from_utf8_lossy(&line), "\"a\\nb\\u009b\\u007f\\u202e\\u001bü\"\n");
        assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), value);
    }
}
