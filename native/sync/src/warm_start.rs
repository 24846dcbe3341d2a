//! A warm start: the routes of a snapshot file are served while the database is away at start.
//!
//! The follower reads the file before it connects. The routes count as stale until the database answers. Then the log is
//! followed from the file's cursor, and the table compared with the database once, which finds changes without an event.

use std::time::{Duration, SystemTime};

use domain_core::{Change, DomainName, Epoch, HostTypeId, Outcome, Progress};

use crate::comparison::Reason;
use crate::context::{BATCH, Context};
use crate::disk;
use crate::halt::StepError;
use crate::options::WarmStart;
use crate::report::Report;
use crate::saved_state::SavedState;
use crate::snapshot::{self, Origin, Refused, Route, Snapshot};

/// What has the name of the snapshot file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Nothing, or a snapshot, perhaps an unusable one.
    Snapshot,
    /// Something else, which must not be overwritten.
    Foreign,
}

/// Serves the routes of the file, if nothing was loaded yet.
pub(crate) fn serve_from_file(context: &mut Context<'_>, database: &str) -> FileKind {
    let Some(WarmStart { file, max_age, .. }) = &context.options.warm_start else { return FileKind::Snapshot };
    let (epoch, progress) = context.table.progress();
    if progress != Progress::Unloaded {
        return FileKind::Snapshot;
    }
    let kind = match read(file.clone(), database.to_owned(), *max_age) {
        Ok(None) => FileKind::Snapshot,
        Ok(Some(snapshot)) => {
            let age = SystemTime::now().duration_since(snapshot.written).unwrap_or_default();
            // It fails when the table was emptied meanwhile, and is loaded then, or when the thread was stopped.
            if let Ok(count) = put_routes(context, epoch, snapshot) {
                context.outbox.report(Report::SnapshotLoaded { count, age });
            }
            FileKind::Snapshot
        }
        Err(refused) => {
            let (file, error) = (file.display().to_string(), refused.to_string());
            context.outbox.report(Report::SnapshotRefused { file, error });
            if matches!(refused, Refused::NotASnapshot) { FileKind::Foreign } else { FileKind::Snapshot }
        }
    };
    context.outbox.flush();
    kind
}

fn read(
    file: std::path::PathBuf,
    database: String,
    max_age: Duration,
) -> Result<Option<Snapshot<SavedState>>, Refused> {
    let result = disk::run(move || snapshot::read(&file, &database, max_age, SystemTime::now()));
    result.unwrap_or_else(|slow| Err(Refused::NotReadable(slow)))
}

/// Puts the routes into the table, and lets the follower go on from the file's state. Returns how many routes were added.
fn put_routes(context: &mut Context<'_>, epoch: Epoch, snapshot: Snapshot<SavedState>) -> Result<u64, StepError> {
    let Snapshot { state, host_types, routes, .. } = snapshot;
    // The kept routes get the older source.
    let (kept, source) = (context.table.new_source(), context.table.new_source());
    // By the file's numbers. A host type that this node does not have, or not allow, has no routes here.
    let known: Vec<Option<HostTypeId>> = host_types
        .iter()
        .map(|name| context.table.host_types().id(name).filter(|id| context.table.is_host_type_allowed(*id)))
        .collect();
    let change = |route: &Route<'_>| {
        let host_type = known.get(usize::from(route.host_type)).copied().flatten()?;
        Some(Change::Put(DomainName::from_bytes(route.name).ok()?, host_type))
    };
    let mut state = state.into_state(epoch);
    // The evidence holds even if this breaks off after the first routes.
    context.state.evidence = state.evidence;
    let mut count = 0;
    for (origin, source) in [(Origin::Kept, kept), (Origin::Current, source)] {
        let mut routes = routes.iter().filter(|route| route.origin == origin);
        loop {
            let batch: Vec<Route<'_>> = routes.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let changes: Vec<Change> = batch.iter().filter_map(change).collect();
            context.outbox.await_permit()?;
            let outcomes = context.table.apply(epoch, source, &changes)?;
            count += outcomes.iter().filter(|outcome| **outcome == Outcome::Added).count() as u64;
        }
    }
    context.table.set_progress(epoch, Progress::Following { source })?;
    state.positions = std::mem::take(&mut context.state.positions);
    state.totals = context.state.totals;
    let cursor = state.cursor.as_ref().map(|cursor| cursor.at);
    *context.state = state;
    context.count_kept(source);
    context.outbox.status(|status| (status.cursor, status.stale) = (cursor, true));
    context.state.compare(Reason::WarmStart);
    Ok(count)
}
