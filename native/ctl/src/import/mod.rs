//! `import FILE`: many domains from a file, and back to where it was when it was interrupted.
//!
//! ```text
//! text ──► records (csv, json) ──► a thousand of them ──► send ──► verdicts ──► refused lines, then progress
//! ```
//!
//! Every record of the file ends as accepted, as refused, or as nothing (a comment, say). What was accepted is in the
//! database when the import says so; whether it was there before is not told.
//!
//! What is no regular file (a pipe, say) is read like standard input: it cannot be read again, so there is no progress, and
//! nothing is written beside it.

mod csv;
mod json;
mod progress;
mod records;
mod refused;
mod send;
mod text;

pub use self::csv::cell;
pub use self::records::AS_IS;

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use self::progress::{Counts, Progress, beside};
use self::records::{Content, Pair, Record, Records};
use self::refused::Refused;
use self::send::{Sender, Verdict};
use crate::cli::{FileFormat, Import};
use crate::client::{Client, Patience};
use crate::error::{Error, Exit, Result};
use crate::output::{count, path_text, printable};
use crate::place;
use crate::settings::Settings;

/// Records and bytes that go to the server at a time. So few bytes fit the buffers of a connection: the server answers
/// while it still reads, and nobody reads what it answers until all is sent.
const PART: (usize, usize) = (1000, 64 * 1024);

/// Reasons that a dry run shows.
const SHOWN: u64 = 20;

/// Imports a file, or looks at what there is in it.
pub fn run(settings: &Settings, import: &Import, output: &mut impl Write) -> Result<Exit> {
    let path = import.file.as_path();
    let format = import.format.unwrap_or_else(|| FileFormat::of(path));
    let file = match path == Path::new("-") {
        true => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        false => File::open(path),
    };
    let file = file.map_err(Error::of_file(path))?;
    let metadata = file.metadata().map_err(Error::of_file(path))?;
    if metadata.is_dir() {
        return Err(Error::of_file(path)(io::ErrorKind::IsADirectory.into()));
    }
    if let Some(to) = &import.refused {
        check_apart(&metadata, to)?;
    }
    let is_kept = metadata.is_file() && path != Path::new("-");
    let bar = bar(if is_kept { metadata.len() } else { 0 });
    let records = |input: File| Records::new(bar.wrap_read(input), format, import.as_is.into()).map_err(unread);
    if import.dry_run {
        return look(records(file)?, output);
    }
    if !is_kept {
        let refused = match &import.refused {
            Some(path) => Refused::named(path.clone(), 0)?,
            None => Refused::Shown,
        };
        return Run::new(settings, import, None, refused, Counts::default())?.whole(records(file)?, &bar, output);
    }
    let to = import.refused.clone().unwrap_or_else(|| beside(path, ".refused"));
    let refused = |bytes| match &import.refused {
        Some(named) => Refused::named(named.clone(), bytes),
        None => Refused::beside(to.clone(), bytes),
    };
    let progress = Progress::of(path, &metadata, settings.url.to_string(), import, format, &to);
    let counts = progress.load().map_err(Error::of_file(path))?;
    // Without the refused lines that it counts, a progress is worth nothing.
    let (refused, counts) = match refused(counts.refused_bytes) {
        Ok(refused) => (refused, counts),
        Err(_) => (refused(0)?, Counts::default()),
    };
    Run::new(settings, import, Some(progress), refused, counts)?.whole(records(file)?, &bar, output)
}

/// What is refused would be written over what is imported.
fn check_apart(imported: &Metadata, refused: &Path) -> Result<()> {
    match std::fs::metadata(refused) {
        Ok(there) if place::same(imported, &there) => {
            Err(Error::Usage(format!("{} is the file that is imported: name another one", path_text(refused))))
        }
        _ => Ok(()),
    }
}

/// Looks at every record.
fn look(mut records: Records, output: &mut impl Write) -> Result<Exit> {
    let (mut good, mut bad) = (0u64, 0u64);
    while let Some(record) = records.next().map_err(unread)? {
        match record.content {
            Content::Nothing | Content::Header => {}
            Content::Pair(_) => good += 1,
            Content::Bad(reason) => {
                bad += 1;
                if bad <= SHOWN {
                    let _ = writeln!(io::stderr(), "line {}: {}", record.number, printable(&reason));
                }
            }
        }
    }
    let (good_ones, bad_ones) = (count(good, "domain", "domains"), count(bad, "line makes", "lines make"));
    writeln!(output, "{good_ones} to import, {bad_ones} no sense; nothing was sent\nread as {records}")?;
    Ok(if bad == 0 { Exit::Done } else { Exit::Failed })
}

fn unread(error: io::Error) -> Error {
    Error::Failed(format!("the file cannot be read: {error}"))
}

/// An import under way.
struct Run {
    sender: Sender,
    progress: Option<Progress>,
    refused: Refused,
    /// The lines that say how to read the others.
    head: Vec<u8>,
    counts: Counts,
}

impl Run {
    fn new(
        settings: &Settings,
        import: &Import,
        progress: Option<Progress>,
        refused: Refused,
        counts: Counts,
    ) -> Result<Run> {
        let sender = Sender::new(Client::new(settings, Patience::Answer)?, Duration::from_secs(import.patience));
        Ok(Run { sender, progress, refused, head: Vec::new(), counts })
    }

    fn whole(mut self, mut records: Records, bar: &ProgressBar, output: &mut impl Write) -> Result<Exit> {
        let (begun, before) = (Instant::now(), self.counts);
        let ended = self.parts(&mut records, bar, before.records);
        bar.finish_and_clear();
        let seconds = begun.elapsed().as_secs_f64();
        let lines = self.counts.lines - before.lines;
        let rate = lines as f64 / seconds.max(0.001);
        let went_on = match before.lines {
            0 => String::new(),
            lines => format!(" (the first {} earlier)", count(lines, "line", "lines")),
        };
        let Counts { accepted, refused, .. } = self.counts;
        let lines = count(lines, "line", "lines");
        writeln!(
            output,
            "accepted {accepted}, refused {refused}{went_on}; {lines} in {seconds:.1} s, {rate:.0} lines/s"
        )?;
        if let Err(error) = ended {
            if self.progress.is_some() {
                let _ = writeln!(io::stderr(), "domainctl: not all was imported; run it again to go on");
            }
            return Err(error);
        }
        writeln!(output, "read as {records}")?;
        if let Some(progress) = &self.progress {
            progress.remove().map_err(|error| Error::Failed(format!("the progress cannot be removed: {error}")))?;
        }
        match (self.counts.refused, &self.refused) {
            (0, _) => return Ok(Exit::Done),
            (_, Refused::File { path, .. } | Refused::Stream { path, .. }) => {
                writeln!(output, "refused lines are in {}", path_text(path))?;
            }
            (_, Refused::Shown) => {}
        }
        Ok(Exit::Failed)
    }

    /// Skips what was done earlier, and sends the rest.
    fn parts(&mut self, records: &mut Records, bar: &ProgressBar, done: u64) -> Result<()> {
        let (mut part, mut bytes): (Vec<Record>, usize) = (Vec::new(), 0);
        loop {
            let record = records.next().map_err(unread)?;
            let ended = record.is_none();
            if let Some(record) = record {
                if record.content == Content::Header {
                    self.head.extend_from_slice(&record.raw);
                    self.head.push(b'\n');
                }
                if record.place > done {
                    bytes += record.raw.len();
                    part.push(record);
                }
            }
            if ended || part.len() >= PART.0 || bytes >= PART.1 {
                self.part(&part)?;
                (part, bytes) = (Vec::new(), 0);
                bar.set_message(format!("accepted {}, refused {}", self.counts.accepted, self.counts.refused));
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn part(&mut self, part: &[Record]) -> Result<()> {
        let Some(last) = part.last() else { return Ok(()) };
        let pairs: Vec<&Pair> = part
            .iter()
            .filter_map(|record| match &record.content {
                Content::Pair(pair) => Some(pair),
                _ => None,
            })
            .collect();
        let mut verdicts = self.sender.send(&pairs)?.into_iter();
        let mut refused: Vec<(&Record, String)> = Vec::new();
        for record in part {
            match &record.content {
                Content::Nothing | Content::Header => {}
                Content::Bad(reason) => refused.push((record, reason.clone())),
                Content::Pair(_) => match verdicts.next() {
                    Some(Verdict::Accepted) => self.counts.accepted += 1,
                    Some(Verdict::Refused(reason)) => refused.push((record, reason)),
                    None => return Err(Error::Failed("a line has no verdict".to_owned())),
                },
            }
        }
        let records: Vec<(&Record, &str)> = refused.iter().map(|(record, reason)| (*record, reason.as_str())).collect();
        self.refused.write(&self.head, &records)?;
        self.counts.refused += refused.len() as u64;
        (self.counts.records, self.counts.lines) = (last.place, last.last);
        self.counts.refused_bytes = self.refused.bytes();
        match &self.progress {
            Some(progress) => progress
                .store(self.counts)
                .map_err(|error| Error::Failed(format!("the progress cannot be written: {error}"))),
            None => Ok(()),
        }
    }
}

/// Only a terminal shows it.
fn bar(size: u64) -> ProgressBar {
    let (bar, template) = match size {
        0 => (ProgressBar::new_spinner(), "{spinner} {bytes} {msg}"),
        size => (ProgressBar::new(size), "{bar:40} {percent:>3} %  {msg}, {eta} left"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
