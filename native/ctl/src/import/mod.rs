//! `import FILE`: many domains from a file, in a way that survives interruptions.
//!
//! ```text
//! lines ──► records (csv, json) ──► batches of a thousand ──► pipeline ──► sender ──► verdicts ──► refused lines, then progress
//! ```
//!
//! Every record of the file ends as accepted, refused, or empty (a comment, for example). An accepted domain is in the
//! database when the import says so, whether it was there before or not.
//!
//! A pipe or standard input cannot be read again, so there is no progress, and nothing is written beside it.

mod csv;
mod json;
mod lines;
mod pipeline;
mod progress;
mod record;
mod records;
mod refused_lines;
mod sender;

pub use self::csv::cell;
pub use self::record::{AS_IS, Content, Pair, Status};
pub use self::records::Records;
pub use self::sender::{Sender, Verdict};

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use self::pipeline::{Answered, Pipeline};
use self::progress::{Counts, Progress, beside};
use self::record::Record;
use self::refused_lines::RefusedLines;
use crate::cli::{FileFormat, ImportArgs};
use crate::client::{Client, ReadTimeout};
use crate::destination;
use crate::error::{Error, Exit, Result};
use crate::output::{count, path_text, printable};
use crate::settings::Settings;

/// The most records and bytes of a batch. The bytes fit into the buffers of a connection: the server answers while it
/// still reads, and its answers are read only after the batch is sent.
pub const MAX_BATCH: (usize, usize) = (1000, 64 * 1024);

/// The most reasons that a dry run shows.
const MAX_REASONS: u64 = 20;

/// Imports a file, or only checks it.
pub fn run(settings: &Settings, args: &ImportArgs, output: &mut impl Write) -> Result<Exit> {
    let path = args.file.as_path();
    let format = args.format.unwrap_or_else(|| FileFormat::of(path));
    let file = match path == Path::new("-") {
        true => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        false => File::open(path),
    };
    let file = file.map_err(Error::of_file(path))?;
    let metadata = file.metadata().map_err(Error::of_file(path))?;
    if metadata.is_dir() {
        return Err(Error::of_file(path)(io::ErrorKind::IsADirectory.into()));
    }
    if let Some(to) = &args.refused {
        check_apart(&metadata, to)?;
    }
    let is_file = metadata.is_file() && path != Path::new("-");
    let bar = bar(if is_file { metadata.len() } else { 0 });
    let records = |input: File| Records::new(bar.wrap_read(input), format, args.as_is.into()).map_err(read_error);
    if args.dry_run {
        return dry_run(records(file)?, output);
    }
    if !is_file {
        let refused = match &args.refused {
            Some(path) => RefusedLines::named(path.clone(), 0)?,
            None => RefusedLines::StandardError,
        };
        return ImportRun::new(None, refused, Counts::default()).run(
            &sender(settings, args)?,
            records(file)?,
            &bar,
            output,
        );
    }
    let to = args.refused.clone().unwrap_or_else(|| beside(path, ".refused"));
    let refused = |bytes| match &args.refused {
        Some(named) => RefusedLines::named(named.clone(), bytes),
        None => RefusedLines::beside(to.clone(), bytes),
    };
    let progress = Progress::of(path, &metadata, settings.url.to_string(), args, format, &to);
    let counts = progress.load().map_err(Error::of_file(path))?;
    // If the refused lines of the earlier run are missing, start again.
    let (refused, counts) = match refused(counts.refused_bytes) {
        Ok(refused) => (refused, counts),
        Err(_) => (refused(0)?, Counts::default()),
    };
    ImportRun::new(Some(progress), refused, counts).run(&sender(settings, args)?, records(file)?, &bar, output)
}

fn sender(settings: &Settings, args: &ImportArgs) -> Result<Sender> {
    Ok(Sender::new(Client::new(settings, ReadTimeout::Response)?, Duration::from_secs(args.patience)))
}

/// Checks that the refused lines do not overwrite the imported file.
fn check_apart(imported: &Metadata, refused: &Path) -> Result<()> {
    match std::fs::metadata(refused) {
        Ok(there) if destination::is_same_file(imported, &there) => {
            Err(Error::Usage(format!("{} is the file that is imported: choose another one", path_text(refused))))
        }
        _ => Ok(()),
    }
}

/// Checks every record.
fn dry_run(mut records: Records, output: &mut impl Write) -> Result<Exit> {
    let (mut good, mut bad) = (0u64, 0u64);
    while let Some(record) = records.next().map_err(read_error)? {
        match record.content {
            Content::Nothing | Content::Header => {}
            Content::Pair(_) => good += 1,
            Content::Bad(reason) => {
                bad += 1;
                if bad <= MAX_REASONS {
                    let _ = writeln!(io::stderr(), "line {}: {}", record.number, printable(&reason));
                }
            }
        }
    }
    let (good_ones, bad_ones) = (count(good, "domain", "domains"), count(bad, "line makes", "lines make"));
    writeln!(output, "{good_ones} to import, {bad_ones} no sense; nothing was sent\nread as {records}")?;
    Ok(if bad == 0 { Exit::Done } else { Exit::Failed })
}

fn read_error(error: io::Error) -> Error {
    Error::Failed(format!("the file cannot be read: {error}"))
}

/// An import under way.
struct ImportRun {
    progress: Option<Progress>,
    refused: RefusedLines,
    /// The header lines, which a file of refused lines needs, too.
    head: Vec<u8>,
    counts: Counts,
}

impl ImportRun {
    fn new(progress: Option<Progress>, refused: RefusedLines, counts: Counts) -> ImportRun {
        ImportRun { progress, refused, head: Vec::new(), counts }
    }

    fn run(
        mut self,
        sender: &Sender,
        mut records: Records,
        bar: &ProgressBar,
        output: &mut impl Write,
    ) -> Result<Exit> {
        let (begun, before) = (Instant::now(), self.counts);
        let ended = thread::scope(|scope| {
            let mut pipeline = Pipeline::new(scope, sender);
            self.send_all(&mut pipeline, &mut records, bar, before.records)
        });
        bar.finish_and_clear();
        let seconds = begun.elapsed().as_secs_f64();
        let lines = self.counts.lines - before.lines;
        let rate = lines as f64 / seconds.max(0.001);
        let earlier = match before.lines {
            0 => String::new(),
            lines => format!(" (the first {} earlier)", count(lines, "line", "lines")),
        };
        let Counts { accepted, refused, .. } = self.counts;
        let lines = count(lines, "line", "lines");
        writeln!(
            output,
            "accepted {accepted}, refused {refused}{earlier}; {lines} in {seconds:.1} s, {rate:.0} lines/s"
        )?;
        if let Err(error) = ended {
            if self.progress.is_some() {
                let _ = writeln!(io::stderr(), "domainctl: the import is incomplete; run it again to continue");
            }
            return Err(error);
        }
        writeln!(output, "read as {records}")?;
        if let Some(progress) = &self.progress {
            progress.remove().map_err(|error| Error::Failed(format!("the progress cannot be removed: {error}")))?;
        }
        match (self.counts.refused, &self.refused) {
            (0, _) => return Ok(Exit::Done),
            (_, RefusedLines::File { path, .. } | RefusedLines::Stream { path, .. }) => {
                writeln!(output, "refused lines are in {}", path_text(path))?;
            }
            (_, RefusedLines::StandardError) => {}
        }
        Ok(Exit::Failed)
    }

    /// Skips the records of an earlier run and sends the others.
    fn send_all(
        &mut self,
        pipeline: &mut Pipeline<'_, '_>,
        records: &mut Records,
        bar: &ProgressBar,
        done: u64,
    ) -> Result<()> {
        let (mut batch, mut bytes): (Vec<Record>, usize) = (Vec::new(), 0);
        loop {
            let record = match records.next() {
                Ok(record) => record,
                Err(error) => {
                    // What was sent counts.
                    self.finish_all(pipeline, bar)?;
                    return Err(read_error(error));
                }
            };
            let ended = record.is_none();
            if let Some(record) = record {
                if record.content == Content::Header {
                    self.head.extend_from_slice(&record.raw);
                    self.head.push(b'\n');
                }
                if record.index > done {
                    bytes += record.raw.len();
                    batch.push(record);
                }
            }
            if ended || batch.len() >= MAX_BATCH.0 || bytes >= MAX_BATCH.1 {
                while !pipeline.takes(&batch)
                    && let Some(answered) = pipeline.finish_first()
                {
                    self.count(answered?, bar)?;
                }
                pipeline.send(std::mem::take(&mut batch));
                bytes = 0;
            }
            if ended {
                return self.finish_all(pipeline, bar);
            }
        }
    }

    /// Waits for the verdicts on all batches that are under way.
    fn finish_all(&mut self, pipeline: &mut Pipeline<'_, '_>, bar: &ProgressBar) -> Result<()> {
        while let Some(answered) = pipeline.finish_first() {
            self.count(answered?, bar)?;
        }
        Ok(())
    }

    /// Writes the refused lines of a batch, then the progress.
    fn count(&mut self, Answered { batch, verdicts }: Answered, bar: &ProgressBar) -> Result<()> {
        let Some(last) = batch.last() else { return Ok(()) };
        let mut verdicts = verdicts.into_iter();
        let mut refused: Vec<(&Record, String)> = Vec::new();
        for record in &batch {
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
        (self.counts.records, self.counts.lines) = (last.index, last.last);
        self.counts.refused_bytes = self.refused.bytes();
        bar.set_message(format!("accepted {}, refused {}", self.counts.accepted, self.counts.refused));
        match &self.progress {
            Some(progress) => progress
                .store(self.counts)
                .map_err(|error| Error::Failed(format!("the progress cannot be written: {error}"))),
            None => Ok(()),
        }
    }
}

/// A progress bar, which only a terminal shows.
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
