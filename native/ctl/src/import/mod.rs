//! `import FILE`: many domains from a file, and back to where it was when it was interrupted.
//!
//! ```text
//! lines ──► a thousand of them ──► send ──► verdicts ──► refused lines, then progress
//! ```
//!
//! Every line of the file ends as accepted, as refused, or as nothing (a comment, say). What was accepted is in the
//! database when the import says so; whether it was there before is not told.

mod lines;
mod progress;
mod refused;
mod send;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use self::lines::{Content, Line, Lines, Pair};
use self::progress::{Counts, Progress, beside};
use self::refused::Refused;
use self::send::{Sender, Verdict};
use crate::cli::{FileFormat, Import};
use crate::client::{Client, Patience};
use crate::error::{Error, Exit, Result};
use crate::settings::Settings;

/// Lines and bytes that go to the server at a time. So few bytes fit the buffers of a connection: the server answers
/// while it still reads, and nobody reads what it answers until all is sent.
const PART: (usize, usize) = (1000, 64 * 1024);

/// Reasons that a dry run shows.
const SHOWN: u64 = 20;

/// Imports a file, or looks at what there is in it.
pub fn run(settings: &Settings, import: &Import, output: &mut impl Write) -> Result<Exit> {
    let path = import.file.as_path();
    let format = import.format.unwrap_or_else(|| FileFormat::of(path));
    if path == Path::new("-") {
        let lines = Lines::new(io::stdin().lock(), format);
        return match import.dry_run {
            true => look(lines, output),
            false => {
                let refused = match &import.refused {
                    Some(path) => Refused::to_file(path.clone(), 0)?,
                    None => Refused::Shown,
                };
                Run::new(settings, import, None, refused, Counts::default())?.whole(lines, 0, output)
            }
        };
    }
    let size = std::fs::metadata(path).map_err(Error::of_file(path))?.len();
    let lines = Lines::new(BufReader::new(File::open(path).map_err(Error::of_file(path))?), format);
    if import.dry_run {
        return look(lines, output);
    }
    let to = import.refused.clone().unwrap_or_else(|| beside(path, ".refused"));
    let progress = Progress::of(path, settings.url.to_string(), format, &to).map_err(Error::of_file(path))?;
    let counts = progress.load();
    // Without the refused lines that it counts, a progress is worth nothing.
    let (refused, counts) = match Refused::to_file(to.clone(), counts.refused_bytes) {
        Ok(refused) => (refused, counts),
        Err(_) => (Refused::to_file(to, 0)?, Counts::default()),
    };
    Run::new(settings, import, Some(progress), refused, counts)?.whole(lines, size, output)
}

/// Looks at every line.
fn look(mut lines: Lines<impl BufRead>, output: &mut impl Write) -> Result<Exit> {
    let (mut good, mut bad) = (0u64, 0u64);
    while let Some(line) = lines.next().map_err(unread)? {
        match line.content {
            Content::Nothing | Content::Header => {}
            Content::Pair(_) => good += 1,
            Content::Bad(reason) => {
                bad += 1;
                if bad <= SHOWN {
                    let _ = writeln!(io::stderr(), "line {}: {reason}", line.number);
                }
            }
        }
    }
    writeln!(output, "{good} domains to import, {bad} lines make no sense; nothing was sent")?;
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
    header: Option<Vec<u8>>,
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
        Ok(Run { sender, progress, refused, header: None, counts })
    }

    fn whole(mut self, mut lines: Lines<impl BufRead>, size: u64, output: &mut impl Write) -> Result<Exit> {
        let (begun, before) = (Instant::now(), self.counts);
        let bar = bar(size);
        let ended = self.parts(&mut lines, &bar, before.lines);
        bar.finish_and_clear();
        let seconds = begun.elapsed().as_secs_f64();
        let lines = self.counts.lines - before.lines;
        let rate = lines as f64 / seconds.max(0.001);
        let went_on = match before.lines {
            0 => String::new(),
            lines => format!(" (the first {lines} lines earlier)"),
        };
        let Counts { accepted, refused, .. } = self.counts;
        writeln!(
            output,
            "accepted {accepted}, refused {refused}{went_on}; {lines} lines in {seconds:.1} s, {rate:.0} lines/s"
        )?;
        if let Err(error) = ended {
            if self.progress.is_some() {
                let _ = writeln!(io::stderr(), "domainctl: not all was imported; run it again to go on");
            }
            return Err(error);
        }
        if let Some(progress) = &self.progress {
            progress.remove().map_err(|error| Error::Failed(format!("the progress cannot be removed: {error}")))?;
        }
        match (self.counts.refused, &self.refused) {
            (0, _) => return Ok(Exit::Done),
            (_, Refused::File { path, .. }) => writeln!(output, "refused lines are in {}", path.display())?,
            (_, Refused::Shown) => {}
        }
        Ok(Exit::Failed)
    }

    /// Skips what was done earlier, and sends the rest.
    fn parts(&mut self, lines: &mut Lines<impl BufRead>, bar: &ProgressBar, done: u64) -> Result<()> {
        let (mut part, mut bytes): (Vec<Line>, usize) = (Vec::new(), 0);
        loop {
            let line = lines.next().map_err(unread)?;
            let ended = line.is_none();
            if let Some(line) = line {
                if line.content == Content::Header {
                    self.header = Some(line.raw.clone());
                }
                if line.number > done {
                    bytes += line.raw.len();
                    part.push(line);
                }
            }
            if ended || part.len() >= PART.0 || bytes >= PART.1 {
                self.part(&part)?;
                (part, bytes) = (Vec::new(), 0);
                bar.set_position(lines.bytes());
                bar.set_message(format!("accepted {}, refused {}", self.counts.accepted, self.counts.refused));
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn part(&mut self, part: &[Line]) -> Result<()> {
        let pairs: Vec<&Pair> = part
            .iter()
            .filter_map(|line| match &line.content {
                Content::Pair(pair) => Some(pair),
                _ => None,
            })
            .collect();
        let mut verdicts = self.sender.send(&pairs)?.into_iter();
        let mut refused: Vec<(&Line, String)> = Vec::new();
        for line in part {
            match &line.content {
                Content::Nothing | Content::Header => {}
                Content::Bad(reason) => refused.push((line, reason.clone())),
                Content::Pair(_) => match verdicts.next() {
                    Some(Verdict::Accepted) => self.counts.accepted += 1,
                    Some(Verdict::Refused(reason)) => refused.push((line, reason)),
                    None => return Err(Error::Failed("a line has no verdict".to_owned())),
                },
            }
        }
        let lines: Vec<(&Line, &str)> = refused.iter().map(|(line, reason)| (*line, reason.as_str())).collect();
        self.refused.write(self.header.as_deref(), &lines)?;
        self.counts.refused += refused.len() as u64;
        self.counts.lines += part.len() as u64;
        self.counts.refused_bytes = self.refused.bytes();
        match &self.progress {
            Some(progress) if !part.is_empty() => progress
                .store(self.counts)
                .map_err(|error| Error::Failed(format!("the progress cannot be written: {error}"))),
            _ => Ok(()),
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
