//! Serving from a file while the database is away at start, and writing that file.
//!
//! A node that starts reads its last snapshot before it connects, so its routes are served at once,
//! marked as stale. They are then followed on from the snapshot's place in the log, and compared with
//! the database once: what changed without an event while nobody looked is found, too.
//!
//! The file is written every so often, if anything changed, and at an orderly stop. Threads of their own
//! read and write it, so that a disk that hangs holds up nobody for longer than [`PATIENCE`]. The table may
//! change meanwhile; the place in the log is taken first, so following from there makes good whatever the
//! file has or lacks.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use domain_core::{Change, DomainName, Epoch, EventId, HostTypeId, Outcome, Progress, Select, Source, Table};
use domain_store::{IdRange, PersistentId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;
use crate::gaps::{Gaps, Scope};
use crate::pass::{BATCH, Break};
use crate::snapshot::{self, Origin, Refused, Route, Snapshot, Writer};
use crate::state::{Age, FollowerState};
use crate::timer::Timer;
use crate::work::{Reason, Work};
use crate::{Evidence, Report};

/// The file to serve from while the database is away at start.
#[derive(Debug, Clone)]
pub struct WarmStart {
    /// The file; its directory has to be there.
    pub file: PathBuf,
    /// How often it is written.
    pub interval: Duration,
    /// How old it may be to be used.
    pub max_age: Duration,
}

/// How long a disk may take at start and at the end.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the follower remembers, as it stands in the file.
#[derive(Serialize, Deserialize)]
struct Mark {
    identity: Option<String>,
    loss: Option<Evidence>,
    at: i64,
    anchor: Option<String>,
    oldest: i64,
    gaps: Vec<(i64, i64)>,
}

impl Mark {
    fn new(memory: &FollowerState, cursor: &Cursor) -> Mark {
        let gaps = cursor.gaps.to_read(Scope::All);
        Mark {
            identity: memory.identity.as_ref().map(|identity| identity.0.clone()),
            loss: memory.loss,
            at: cursor.at.0,
            anchor: cursor.anchor.clone(),
            oldest: cursor.gaps.oldest().0,
            gaps: gaps
                .into_iter()
                .filter(|range| range.first >= cursor.gaps.oldest())
                .map(|range| (range.first.0, range.last.0))
                .collect(),
        }
    }

    fn into_memory(self, epoch: Epoch) -> FollowerState {
        let now = Instant::now();
        let mut gaps = Gaps::of_log(EventId(self.oldest), now);
        for (first, last) in self.gaps {
            gaps.add(IdRange { first: EventId(first), last: EventId(last) }, now);
        }
        FollowerState {
            epoch: Some(epoch),
            cursor: Some(Cursor { at: EventId(self.at), anchor: self.anchor, gaps }),
            identity: self.identity.map(PersistentId),
            loss: self.loss,
            age: Age::Stale,
            ..FollowerState::default()
        }
    }
}

/// What is known of the file that is written.
pub(crate) struct Saving {
    timer: Option<Timer>,
    /// Where the thread that writes tells how it went.
    writing: Option<Receiver<io::Result<()>>>,
    /// What was written last.
    saved: Option<Version>,
    health: Health,
}

/// Whether the file could be written the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    Failing,
    /// Something else has its name: it is not for us to replace.
    Foreign,
}

/// Tells what was written from what there is to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    /// Counts up now and then while the database answers: a file must not grow old because nothing changes.
    period: u128,
    epoch: Epoch,
    source: Source,
    at: EventId,
    open_gaps: usize,
}

impl Saving {
    pub(crate) fn new(options: Option<&WarmStart>, now: Instant) -> Saving {
        let timer = options.map(|options| Timer::new(options.interval, now));
        Saving { timer, writing: None, saved: None, health: Health::Well }
    }

    /// What says when to write next, unless that is being done.
    pub(crate) fn timer(&self) -> Option<&Timer> {
        self.timer.as_ref().filter(|_| self.writing.is_none())
    }
}

impl Work<'_> {
    /// Serves from the file, if nothing was loaded yet.
    pub(crate) fn warm_start(&mut self, database: &str) {
        let Some(WarmStart { file, max_age, .. }) = &self.options.warm_start else { return };
        let (epoch, progress) = self.table.progress();
        if progress != Progress::Unloaded {
            return;
        }
        let (name, database, max_age) = (file.clone(), database.to_owned(), *max_age);
        let read = patiently(move || snapshot::read::<Mark>(&name, &database, max_age, SystemTime::now()));
        match read.unwrap_or_else(|slow| Err(Refused::NotReadable(slow))) {
            Ok(None) => (),
            Ok(Some(snapshot)) => {
                let age = SystemTime::now().duration_since(snapshot.written).unwrap_or_default();
                // A table that was emptied meanwhile is loaded, and a thread that was told to stop stops.
                if let Ok(count) = self.serve(epoch, snapshot) {
                    self.outbox.report(Report::SnapshotLoaded { count, age });
                }
            }
            Err(refused) => {
                if matches!(refused, Refused::NotASnapshot) {
                    self.saving.health = Health::Foreign;
                }
                let (file, error) = (file.display().to_string(), refused.to_string());
                self.outbox.report(Report::SnapshotRefused { file, error });
            }
        }
        self.outbox.flush();
    }

    fn serve(&mut self, epoch: Epoch, snapshot: Snapshot<Mark>) -> Result<u64, Break> {
        let Snapshot { mark, host_types, routes, .. } = snapshot;
        // The older one is that of routes that were kept.
        let (kept, source) = (self.table.new_source(), self.table.new_source());
        // The list of a file has a name for every place; a name that this node has not is of no use here.
        let known: Vec<Option<HostTypeId>> = host_types
            .iter()
            .map(|name| self.table.host_types().id(name).filter(|id| self.table.is_host_type_allowed(*id)))
            .collect();
        let change = |route: &Route<'_>| {
            let host_type = known.get(usize::from(route.host_type)).copied().flatten()?;
            Some(Change::Put(DomainName::from_bytes(route.name).ok()?, host_type))
        };
        let mut memory = mark.into_memory(epoch);
        // Should this break off, the routes are there, and what spoke for a loss still does.
        self.memory.loss = memory.loss;
        let mut count = 0;
        for (origin, source) in [(Origin::Kept, kept), (Origin::Current, source)] {
            let mut routes = routes.iter().filter(|route| route.origin == origin);
            loop {
                let batch: Vec<Route<'_>> = routes.by_ref().take(BATCH).collect();
                if batch.is_empty() {
                    break;
                }
                let changes: Vec<Change> = batch.iter().filter_map(change).collect();
                self.outbox.await_permit()?;
                let outcomes = self.table.apply(epoch, source, &changes)?;
                count += outcomes.iter().filter(|outcome| **outcome == Outcome::Added).count() as u64;
            }
        }
        self.table.set_progress(epoch, Progress::Following { source })?;
        memory.moments = std::mem::take(&mut self.memory.moments);
        memory.totals = self.memory.totals;
        let cursor = memory.cursor.as_ref().map(|cursor| cursor.at);
        *self.memory = memory;
        self.count_kept(source);
        self.outbox.status(|status| (status.cursor, status.stale) = (cursor, true));
        self.want(Reason::WarmStart);
        Ok(count)
    }

    /// Writes the file if it is time, and says how the last time went.
    pub(crate) fn save(&mut self, database: &str, now: Instant) {
        if let Some(writing) = &self.saving.writing {
            match writing.try_recv() {
                Err(TryRecvError::Empty) => return,
                Ok(result) => self.saved(result),
                Err(TryRecvError::Disconnected) => self.saved(Err(panicked())),
            }
        }
        if !self.saving.timer.as_mut().is_some_and(|timer| timer.take_due(now)) {
            return;
        }
        let Some((version, save)) = self.to_save(database) else { return };
        let signal = self.outbox.shared.signal.clone();
        match aside(save, move || signal.wake()) {
            Ok(writing) => (self.saving.saved, self.saving.writing) = (Some(version), Some(writing)),
            Err(error) => self.saved(Err(error)),
        }
    }

    /// Writes the file at an orderly end.
    pub(crate) fn save_at_end(&mut self, database: &str) {
        if let Some(writing) = self.saving.writing.take() {
            self.saved(await_answer(&writing).and_then(|result| result));
        }
        if let Some((_, save)) = self.to_save(database) {
            self.saved(patiently(save).and_then(|result| result));
        }
    }

    /// What there is to write, if it is not what was written last.
    fn to_save(&self, database: &str) -> Option<(Version, impl FnOnce() -> io::Result<()> + Send + 'static)> {
        let options = self.options.warm_start.as_ref()?;
        let (epoch, Progress::Following { source }) = self.table.progress() else { return None };
        let cursor = self.memory.cursor.as_ref().filter(|_| self.memory.epoch == Some(epoch))?;
        if self.memory.age == Age::Stale || self.saving.health == Health::Foreign {
            return None;
        }
        let current_at = self.outbox.shared.status.lock().current_at?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let period = current_at.as_millis() / (options.max_age / 8).as_millis().max(1);
        let version = Version { period, epoch, source, at: cursor.at, open_gaps: cursor.gaps.open() };
        if self.saving.saved == Some(version) {
            return None;
        }
        let mark = Mark::new(self.memory, cursor);
        let (table, file, database) = (self.table.clone(), options.file.clone(), database.to_owned());
        Some((version, move || {
            static WRITING: Mutex<()> = Mutex::new(());
            let Some(_alone) = WRITING.try_lock_for(PATIENCE) else {
                return Err(io::Error::other("it is still being written: the disk is slow"));
            };
            let names = table.host_types().names();
            let mut writer = Writer::create(&file, &database, &mark, &names)?;
            // A route that a later load confirms in between is in the file twice, and the second is the one.
            write_routes(&mut writer, &table, Select::Older(source), Origin::Kept)?;
            write_routes(&mut writer, &table, Select::Since(source), Origin::Current)?;
            if table.epoch() != epoch {
                return Err(io::Error::other("the table was emptied meanwhile"));
            }
            writer.finish().map(|_| ())
        }))
    }

    fn saved(&mut self, result: io::Result<()>) {
        self.saving.writing = None;
        let Some(options) = &self.options.warm_start else { return };
        let file = options.file.display().to_string();
        match (result, self.saving.health) {
            (Ok(()), Health::Failing) => {
                self.saving.health = Health::Well;
                self.outbox.report(Report::SnapshotWritten { file });
            }
            (Err(error), Health::Well) => {
                self.saving.health = Health::Failing;
                self.saving.saved = None;
                self.outbox.report(Report::SnapshotFailed { file, error: error.to_string() });
            }
            (Err(_), _) => self.saving.saved = None,
            (Ok(()), _) => (),
        }
        self.outbox.flush();
    }
}

/// Does something on a thread of its own, and something else when the answer is there.
fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    answered: impl FnOnce() + Send + 'static,
) -> io::Result<Receiver<T>> {
    let (tell, told) = sync_channel(1);
    thread::Builder::new().name("domain_snapshot".to_owned()).spawn(move || {
        // Who no longer waits needs no answer.
        let _ = tell.send(work());
        answered();
    })?;
    Ok(told)
}

/// Does something for which nobody waits for ever.
fn patiently<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    await_answer(&aside(work, || ())?)
}

fn await_answer<T>(told: &Receiver<T>) -> io::Result<T> {
    told.recv_timeout(PATIENCE).map_err(|reason| match reason {
        RecvTimeoutError::Timeout => {
            io::Error::new(ErrorKind::TimedOut, format!("the disk did not answer in {PATIENCE:?}"))
        }
        RecvTimeoutError::Disconnected => panicked(),
    })
}

fn panicked() -> io::Error {
    io::Error::other("writing it panicked")
}

fn write_routes(writer: &mut Writer, table: &Arc<Table>, select: Select, origin: Origin) -> io::Result<()> {
    for page in table.pages(select, 1_000) {
        for (name, host_type) in page.iter() {
            // There are no more host types than a u16 can tell apart.
            writer.push(Route { name, host_type: host_type.index() as u16, origin })?;
        }
    }
    Ok(())
}
