//! Reads the files of a declaration: single files, directories of them, and standard input.
//!
//! Of a directory the files are read whose names end with a format, in the order of their names; what else is in it is
//! named on standard error, so that nobody takes it for read. Lines of CSV and JSON are read as by `import`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use super::declaration::{Completeness, Declaration, Place, Problems};
use super::document::{self, DomainItem, Item};
use crate::cli::{DeclarationArgs, DeclarationFormat, FileFormat};
use crate::commands::freshness::seconds;
use crate::error::{Error, Result};
use crate::import::{Content, Pair, Records};
use crate::name::{self, NameCheck};
use crate::output::path_text;

/// The beginning of a line of CSV or JSON that declares the host types of a file complete.
const COMPLETE_FOR: &str = "# complete_for:";

/// Reads all files.
pub fn read(args: &DeclarationArgs) -> Result<Declaration> {
    let (mut declaration, mut problems) = (Declaration::default(), Problems::default());
    for path in &args.files {
        for file in files(path)? {
            let format = args.format.or_else(|| format_of(&file)).unwrap_or(DeclarationFormat::Yaml);
            let bytes = content(&file).map_err(Error::of_file(&file))?;
            let mut source = Source {
                check: args.as_is.into(),
                place: Place::beginning(&file),
                declaration: &mut declaration,
                problems: &mut problems,
            };
            source.read(bytes, format);
        }
    }
    problems.check()?;
    Ok(declaration)
}

/// The files at a path.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path == Path::new("-") || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).and_then(|entries| entries.map(|it| it.map(|it| it.path())).collect());
    let mut entries: Vec<PathBuf> = entries.map_err(Error::of_file(path))?;
    entries.sort();
    let (files, others): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|file| format_of(file).is_some() && file.is_file());
    for other in others {
        // It fails where standard error is closed: then nothing is left to do.
        let _ = writeln!(io::stderr(), "domainctl: not read, by its name: {}", path_text(&other));
    }
    if files.is_empty() {
        return Err(Error::Failed(format!(
            "{}: no file in it ends with .yaml, .json, .ndjson or .csv",
            path_text(path)
        )));
    }
    Ok(files)
}

/// The format that a file's name implies.
fn format_of(path: &Path) -> Option<DeclarationFormat> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "yaml" | "yml" => Some(DeclarationFormat::Yaml),
        "json" => Some(DeclarationFormat::Json),
        "ndjson" | "jsonl" => Some(DeclarationFormat::Ndjson),
        "csv" => Some(DeclarationFormat::Csv),
        _ => None,
    }
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return fs::read(path);
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether JSON is an array, behind empty lines and comments.
fn is_array(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find(|line| !line.is_empty() && !line.starts_with(b"#")).is_some_and(|line| line.starts_with(b"["))
}

/// A file that is read into a declaration.
struct Source<'a> {
    check: NameCheck,
    place: Place,
    declaration: &'a mut Declaration,
    problems: &'a mut Problems,
}

impl Source<'_> {
    fn read(&mut self, bytes: Vec<u8>, format: DeclarationFormat) {
        match format {
            DeclarationFormat::Csv => self.records(bytes, FileFormat::Csv),
            DeclarationFormat::Ndjson => self.records(bytes, FileFormat::Ndjson),
            DeclarationFormat::Json if is_array(&bytes) => self.records(bytes, FileFormat::Ndjson),
            DeclarationFormat::Json | DeclarationFormat::Yaml => self.document(&bytes),
        }
    }

    fn document(&mut self, bytes: &[u8]) {
        let document = match str::from_utf8(bytes).map_err(|error| (1, format!("it is not UTF-8: {error}"))) {
            Ok(text) => document::read(text),
            Err(problem) => Err(problem),
        };
        let document = match document {
            Ok(document) => document,
            Err((line, why)) => return self.problems.add(&self.place.at(line), &why),
        };
        let completeness = match &document.complete_for {
            Some(time) => self.completeness(&time.value, time.referenced.line()),
            None => Completeness::Partial,
        };
        for (host_type, items) in document.host_types {
            let place = self.place.at(items.referenced.line());
            if host_type.is_empty() {
                self.problems.add(&place, "the host type is empty");
            }
            self.declaration.add_host_type(&host_type, completeness, &place, self.problems);
            let Some(items) = items.value else {
                self.problems.add(&place, &format!("{host_type} has no list; a host type without domains has []"));
                continue;
            };
            for item in items {
                let Item(DomainItem { domain, status, as_is }) = item.value;
                let place = self.place.at(item.referenced.line());
                match name::read(&domain, if as_is { NameCheck::Verbatim } else { self.check }) {
                    Ok(name) => {
                        let pair = Pair { domain: name.to_string(), host_type: host_type.clone(), status };
                        self.declaration.add_domain(pair, place, self.problems);
                    }
                    Err(why) => self.problems.add(&place, &why),
                }
            }
        }
    }

    fn records(&mut self, bytes: Vec<u8>, format: FileFormat) {
        let (mut host_types, mut completeness) = (BTreeSet::new(), Completeness::Partial);
        let mut records = match Records::new(Cursor::new(bytes), format, self.check) {
            Ok(records) => records,
            Err(error) => return self.problems.add(&self.place, &error.to_string()),
        };
        loop {
            let record = match records.next() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(error) => return self.problems.add(&self.place, &error.to_string()),
            };
            match record.content {
                Content::Header => {}
                Content::Nothing => {
                    let mark = str::from_utf8(&record.raw).ok().and_then(|it| it.strip_prefix(COMPLETE_FOR));
                    if let Some(time) = mark {
                        completeness = self.completeness(time.trim(), record.number);
                    }
                }
                Content::Bad(why) => self.problems.add(&self.place.at(record.number), &why),
                Content::Pair(pair) => {
                    host_types.insert(pair.host_type.clone());
                    self.declaration.add_domain(pair, self.place.at(record.number), self.problems);
                }
            }
        }
        for host_type in host_types {
            self.declaration.add_host_type(&host_type, completeness, &self.place, self.problems);
        }
    }

    fn completeness(&mut self, time: &str, line: u64) -> Completeness {
        match seconds(time) {
            Ok(seconds) => Completeness::Complete(seconds),
            Err(why) => {
                self.problems.add(&self.place.at(line), &format!("complete_for: {why}"));
                Completeness::Partial
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn read_text(text: &[u8], format: DeclarationFormat) -> (Declaration, Vec<String>) {
        let (mut declaration, mut problems) = (Declaration::default(), Problems::default());
        let place = Place::beginning(Path::new("x"));
        Source { check: NameCheck::Strict, place, declaration: &mut declaration, problems: &mut problems }
            .read(text.to_vec(), format);
        (declaration, problems.texts().to_vec())
    }

    fn names(declaration: &Declaration) -> Vec<(String, String)> {
        let mut names: Vec<_> =
            declaration.domains.values().map(|it| (it.name.clone(), it.host_type.clone())).collect();
        names.sort();
        names
    }

    #[test]
    fn every_format_declares_the_same() {
        let texts: [(DeclarationFormat, &str); 5] = [
            (DeclarationFormat::Yaml, "complete_for: 1h\nhost_types:\n  t: [A.example, ü.example]\n"),
            (
                DeclarationFormat::Json,
                "{\"complete_for\": \"60m\", \"host_types\": {\"t\": [\"a.example\", \"ü.example\"]}}",
            ),
            (DeclarationFormat::Csv, "# complete_for: 1h\nhost type;domain\nt;a.example\nt;ü.example\n"),
            (
                DeclarationFormat::Ndjson,
                "# complete_for: 3600\n{\"domain\":\"a.example\",\"host_type\":\"t\"}\n{\"domain\":\"ü.example\",\"host_type\":\"t\"}\n",
            ),
            (
                DeclarationFormat::Json,
                "# complete_for: 1h\n\n [{\"domain\":\"a.example\",\"host_type\":\"t\"},{\"domain\":\"ü.example\",\"host_type\":\"t\"}]",
            ),
        ];
        for (format, text) in texts {
            let (declaration, problems) = read_text(text.as_bytes(), format);
            assert_eq!(problems, [""; 0], "{text}");
            let wanted = [("a.example", "t"), ("ü.example", "t")].map(|(a, b)| (a.to_owned(), b.to_owned()));
            assert_eq!(names(&declaration), wanted, "{text}");
            assert_eq!(declaration.complete_host_types().collect::<Vec<_>>(), [("t", 3600)], "{text}");
        }
    }

    #[test]
    fn an_array_of_json_is_read_whatever_its_name() {
        let (declaration, problems) =
            read_text(b" [{\"domain\":\"a.example\",\"host_type\":\"t\"}]", DeclarationFormat::Json);
        assert_eq!((names(&declaration).len(), problems.len()), (1, 0));
        assert!(!declaration.has_complete_host_type());
    }

    #[test]
    fn all_mistakes_are_found_each_with_its_line() {
        let yaml =
            "complete_for: soon\nhost_types:\n  t:\n    - https://a.example/\n    - a.example\n    - a.example\n  u:\n";
        let (_, problems) = read_text(yaml.as_bytes(), DeclarationFormat::Yaml);
        let wanted = [
            "x:1: complete_for: soon is no duration",
            "x:4: no request can carry the name \"https://a.example/\"",
            "x:6: a.example is declared already, at x:5",
            "x:7: u has no list; a host type without domains has []",
        ];
        assert_eq!(problems.len(), wanted.len(), "{problems:?}");
        assert!(problems.iter().zip(wanted).all(|(found, begin)| found.starts_with(begin)), "{problems:?}");
        let (_, problems) = read_text(b"a.example\n\xff,t\nb.example,t,off\n", DeclarationFormat::Csv);
        assert_eq!(problems.len(), 3, "{problems:?}");
        let (_, problems) = read_text(b"host_types: \xff", DeclarationFormat::Yaml);
        assert!(problems[0].starts_with("x:1: it is not UTF-8"), "{problems:?}");
    }

    #[test]
    fn of_a_directory_what_has_a_format_is_read_in_order() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        assert!(files(directory.path()).is_err(), "it is empty");
        for name in ["b.yaml", "a.CSV", "README.md", "a.yaml.bak"] {
            fs::write(at(name), "").unwrap();
        }
        fs::create_dir(at("c.yaml")).unwrap();
        assert_eq!(files(directory.path()).unwrap(), [at("a.CSV"), at("b.yaml")]);
        assert_eq!(files(&at("README.md")).unwrap(), [at("README.md")]);
    }
}
