//! Writing the snapshot file: at an interval if anything changed, and at an orderly stop.
//!
//! A thread of its own writes the file, and the table may change meanwhile. The state is taken before the first route is
//! read. So a follower that starts from the file reads the events of all changes that the file has only in part.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Instant, UNIX_EPOCH};

use domain_core::{Epoch, EventId, Progress, Select, Source, Table};
use parking_lot::Mutex;

use crate::context::Context;
use crate::disk;
use crate::options::WarmStart;
use crate::report::Report;
use crate::saved_state::SavedState;
use crate::snapshot::{Origin, Route, Writer};
use crate::state::Age;
use crate::timer::Timer;
use crate::warm_start::FileKind;

pub(crate) struct Saver {
    timer: Option<Timer>,
    /// The result of the thread that writes, if there is one.
    writing: Option<Receiver<io::Result<()>>>,
    /// What was written last.
    saved: Option<Version>,
    health: Health,
}

/// Whether the file could be written the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Working,
    Failing,
    /// Something else has the file's name and must not be overwritten.
    Foreign,
}

/// Distinguishes what there is to write from what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    /// Counts up while the database answers, so that the file is written before it grows too old.
    period: u128,
    epoch: Epoch,
    source: Source,
    at: EventId,
    open_gaps: usize,
}

impl Saver {
    pub(crate) fn new(options: Option<&WarmStart>, now: Instant) -> Saver {
        let timer = options.map(|options| Timer::new(options.interval, now));
        Saver { timer, writing: None, saved: None, health: Health::Working }
    }

    /// A warm start has found this under the file's name.
    pub(crate) fn found(&mut self, kind: FileKind) {
        if kind == FileKind::Foreign {
            self.health = Health::Foreign;
        }
    }

    /// When the file is to be written next, unless it is being written.
    pub(crate) fn timer(&self) -> Option<&Timer> {
        self.timer.as_ref().filter(|_| self.writing.is_none())
    }

    /// Begins to write the file if it is time, and reports the result of the last time.
    pub(crate) fn run(&mut self, context: &mut Context<'_>, database: &str, now: Instant) {
        if let Some(writing) = &self.writing {
            match writing.try_recv() {
                Err(TryRecvError::Empty) => return,
                Ok(result) => self.finish(context, result),
                Err(TryRecvError::Disconnected) => self.finish(context, Err(disk::panicked())),
            }
        }
        if !self.timer.as_mut().is_some_and(|timer| timer.take_due(now)) {
            return;
        }
        let Some((version, write)) = self.prepare(context, database) else { return };
        let signal = context.outbox.shared.signal.clone();
        match disk::spawn(write, move || signal.wake()) {
            Ok(writing) => (self.saved, self.writing) = (Some(version), Some(writing)),
            Err(error) => self.finish(context, Err(error)),
        }
    }

    /// Writes the file at an orderly stop, and waits for the disk for a limited time.
    pub(crate) fn run_at_stop(&mut self, context: &mut Context<'_>, database: &str) {
        if let Some(writing) = self.writing.take() {
            self.finish(context, disk::await_result(&writing).and_then(|result| result));
        }
        if let Some((_, write)) = self.prepare(context, database) {
            self.finish(context, disk::run(write).and_then(|result| result));
        }
    }

    /// What there is to write, and the work of writing it. `None` if it is what was written last.
    fn prepare(
        &self,
        context: &Context<'_>,
        database: &str,
    ) -> Option<(Version, impl FnOnce() -> io::Result<()> + Send + 'static)> {
        let options = context.options.warm_start.as_ref()?;
        let (epoch, Progress::Following { source }) = context.table.progress() else { return None };
        let cursor = context.state.cursor.as_ref().filter(|_| context.state.epoch == Some(epoch))?;
        if context.state.age == Age::Stale || self.health == Health::Foreign {
            return None;
        }
        let current_at = context.outbox.shared.status.lock().current_at?;
        let current_at = current_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let period = current_at.as_millis() / (options.max_age / 8).as_millis().max(1);
        let version = Version { period, epoch, source, at: cursor.at, open_gaps: cursor.gaps.open_count() };
        if self.saved == Some(version) {
            return None;
        }
        let state = SavedState::new(context.state, cursor);
        let (table, file, database) = (context.table.clone(), options.file.clone(), database.to_owned());
        Some((version, move || {
            static WRITING: Mutex<()> = Mutex::new(());
            let Some(_alone) = WRITING.try_lock_for(disk::PATIENCE) else {
                return Err(io::Error::other("it is still being written: the disk is slow"));
            };
            let names = table.host_types().names();
            let mut writer = Writer::create(&file, &database, &state, &names)?;
            // A load may confirm a kept route in between. It is in the file twice then, and the reader takes the second.
            write_routes(&mut writer, &table, Select::Older(source), Origin::Kept)?;
            write_routes(&mut writer, &table, Select::Since(source), Origin::Current)?;
            if table.epoch() != epoch {
                return Err(io::Error::other("the table was emptied meanwhile"));
            }
            writer.finish().map(|_| ())
        }))
    }

    fn finish(&mut self, context: &mut Context<'_>, result: io::Result<()>) {
        self.writing = None;
        let Some(options) = &context.options.warm_start else { return };
        let file = options.file.display().to_string();
        match (result, self.health) {
            (Ok(()), Health::Failing) => {
                self.health = Health::Working;
                context.outbox.report(Report::SnapshotWritten { file });
            }
            (Err(error), Health::Working) => {
                self.health = Health::Failing;
                self.saved = None;
                context.outbox.report(Report::SnapshotFailed { file, error: error.to_string() });
            }
            (Err(_), _) => self.saved = None,
            (Ok(()), _) => (),
        }
        context.outbox.flush();
    }
}

fn write_routes(writer: &mut Writer, table: &Arc<Table>, select: Select, origin: Origin) -> io::Result<()> {
    for page in table.pages(select, 1_000) {
        for (name, host_type) in page.iter() {
            // A u16 can number all host types.
            writer.push(Route { name, host_type: host_type.index() as u16, origin })?;
        }
    }
    Ok(())
}
