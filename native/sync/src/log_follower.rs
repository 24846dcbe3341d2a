//! Following the event log: reads the new events to the log's end, then those that fill gaps.
//!
//! An event carries no data. The store delivers it with its domain's present row, and the table is made to say what
//! that row says. So events may be applied in any order, and more than once.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use domain_core::{DatabaseRead, Epoch, EventId, Outcome, Progress, Source};
use domain_store::{Event, IdRange, LogBounds, Store};

use crate::context::Context;
use crate::cursor::{Cursor, LogFault};
use crate::gaps::Scope;
use crate::halt::{Halt, StepError};
use crate::report::Report;
use crate::rows;
use crate::state::Age;

/// The most events of one statement.
const LIMIT: u32 = 1_000;

/// One reading of the log to its end.
pub(crate) struct Reading<'a> {
    epoch: Epoch,
    /// The load that the routes are from.
    source: Source,
    scope: Scope,
    now: Instant,
    /// Called for the domain of each row, before the row is applied.
    on_row: &'a mut dyn FnMut(&str),
    counts: Counts,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(
        epoch: Epoch,
        source: Source,
        scope: Scope,
        now: Instant,
        on_row: &'a mut dyn FnMut(&str),
    ) -> Reading<'a> {
        Reading { epoch, source, scope, now, on_row, counts: Counts::default() }
    }
}

/// What events did to the table.
#[derive(Default)]
struct Counts {
    inserts: u64,
    deletes: u64,
    skips: u64,
}

impl Counts {
    fn add(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            match outcome {
                Outcome::Added | Outcome::Moved(_) => self.inserts += 1,
                Outcome::Removed(_) => self.deletes += 1,
                Outcome::Kept | Outcome::Absent | Outcome::Refused(_) => self.skips += 1,
                // The domain is read again.
                Outcome::Overtaken(_) => (),
            }
        }
    }
}

/// Follows the log to its end, and reads the gaps. Returns how many events there were.
pub(crate) fn catch_up(
    context: &mut Context<'_>,
    store: &mut dyn Store,
    mut reading: Reading<'_>,
) -> Result<u64, StepError> {
    let found = read_new_events(context, store, &mut reading)?;
    let pause = cursor(context)?.gaps.pause(reading.now);
    if found == 0 && pause != Some(Duration::ZERO) {
        // A notification without a new event may be about an id in a resolved gap.
        reading.scope = Scope::All;
    }
    read_gaps(context, store, &mut reading)?;
    context.state.age = Age::Current;
    context.outbox.status(|status| status.set_current());
    let Counts { inserts, deletes, skips } = reading.counts;
    if inserts + deletes + skips > 0 {
        context.outbox.report(Report::Updated { inserts, deletes, skips });
    }
    Ok(inserts + deletes + skips)
}

fn read_new_events(
    context: &mut Context<'_>,
    store: &mut dyn Store,
    reading: &mut Reading<'_>,
) -> Result<usize, StepError> {
    let mut found = 0;
    loop {
        let read = context.table.begin_database_read();
        let cursor = cursor(context)?;
        let mut events = store.events(cursor.at, cursor.gaps.oldest(), LIMIT)?;
        let mut check = cursor.check(&events);
        if let Err(LogFault::Truncated | LogFault::Begun) = check {
            // The oldest event was looked for from the known beginning on. Another log may begin below it.
            events = store.events(cursor.at, EventId(i64::MIN), LIMIT)?;
            check = cursor.check(&events);
        }
        let bounds = events.bounds;
        // The first answer that contradicts the cursor counts: a later one may agree with it by chance.
        check.map_err(|fault| out_of_sync(context, fault, bounds))?;
        apply_events(context, store, reading, read, &events.events)?;
        let cursor = self::cursor(context)?;
        cursor.advance(&events, reading.now);
        let oldest = cursor.note_oldest(bounds, reading.now);
        oldest.map_err(|fault| out_of_sync(context, fault, bounds))?;
        publish_progress(context, bounds, events.events.len());
        found += events.events.len();
        if events.events.len() < LIMIT as usize {
            return Ok(found);
        }
    }
}

/// Reads the gaps, and resolves those that have no writers any more: see [`crate::gaps`].
fn read_gaps(context: &mut Context<'_>, store: &mut dyn Store, reading: &mut Reading<'_>) -> Result<(), StepError> {
    if cursor(context)?.gaps.open_count() > 0 {
        let writers = store.open_transactions()?;
        cursor(context)?.gaps.observe(&writers, reading.now);
    }
    loop {
        let gaps = &cursor(context)?.gaps;
        let (mut ranges, joined) = (gaps.to_read(reading.scope), gaps.to_list(reading.scope, reading.now));
        if !joined.is_empty() {
            ranges.extend(gaps.unread(store.ids_in(&joined)?));
        }
        if ranges.is_empty() {
            break;
        }
        let read = context.table.begin_database_read();
        let events = store.events_in(&ranges, LIMIT)?;
        apply_events(context, store, reading, read, &events)?;
        context.outbox.status(|status| status.events += events.len() as u64);
        let gaps = &mut cursor(context)?.gaps;
        events.iter().for_each(|event| gaps.fill(event.id, reading.now));
        if events.len() < LIMIT as usize {
            break;
        }
    }
    let gaps = &mut cursor(context)?.gaps;
    gaps.read(reading.scope, reading.now);
    store.watch(&gaps.to_read(Scope::Open));
    let (open, since, writers) = (gaps.open_count(), gaps.open_since(), gaps.writers());
    context.outbox.status(|status| {
        (status.open_gaps, status.gap_since, status.writers) = (open as u64, since, writers);
    });
    Ok(())
}

/// Applies events that were just read. Domains that this node has changed meanwhile are read again, until the table shows
/// a row that is at least as new as each of these events.
fn apply_events(
    context: &mut Context<'_>,
    store: &mut dyn Store,
    reading: &mut Reading<'_>,
    read: DatabaseRead<'_>,
    events: &[Event],
) -> Result<(), StepError> {
    let mut overtakers = apply_once(context, reading, read, events)?;
    while !overtakers.is_empty() {
        let read = context.table.begin_database_read();
        let ranges: Vec<_> = overtakers.iter().map(|&id| IdRange::one(id)).collect();
        let events = store.events_in(&ranges, LIMIT)?;
        if events.len() < ranges.len() {
            return Err(StepError::Log(LogFault::Truncated));
        }
        overtakers = apply_once(context, reading, read, &events)?;
    }
    Ok(())
}

/// Returns the events of the own changes that were made meanwhile.
fn apply_once(
    context: &mut Context<'_>,
    reading: &mut Reading<'_>,
    _read: DatabaseRead<'_>,
    events: &[Event],
) -> Result<HashSet<EventId>, StepError> {
    let rows: Vec<_> = events.iter().filter_map(|event| Some((event.id, event.row.clone()?))).collect();
    rows.iter().for_each(|(_, row)| (reading.on_row)(row.domain()));
    reading.counts.skips += (events.len() - rows.len()) as u64;
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let outcomes = rows::apply_events(context, reading.epoch, reading.source, rows)?;
    reading.counts.add(&outcomes);
    let overtaker = |outcome: &Outcome| match outcome {
        Outcome::Overtaken(event) => Some(*event),
        _ => None,
    };
    Ok(outcomes.iter().filter_map(overtaker).collect())
}

/// Those of the events that callers wait for which the table shows.
///
/// The rows of these events are read again. A comparison passes over the events before its snapshot, and the gate may keep
/// a route that one of them removed: the node that made the change gets what it asked for all the same. And where the
/// log was replaced by one with the same ids, an event that was followed may be another one than the caller's.
pub(crate) fn find_requested(context: &mut Context<'_>, store: &mut dyn Store) -> Result<HashSet<EventId>, Halt> {
    let requested: BTreeSet<_> = context.outbox.requested_events().into_iter().collect();
    if requested.is_empty() {
        return Ok(HashSet::new());
    }
    let ranges: Vec<_> = requested.into_iter().map(IdRange::one).collect();
    let limit = u32::try_from(ranges.len()).unwrap_or(u32::MAX);
    let read = context.table.begin_database_read();
    let mut events = store.events_in(&ranges, limit)?;
    // The next pass follows what is above the cursor.
    let followed = context.state.cursor.as_ref().map(|cursor| cursor.at);
    events.retain(|event| Some(event.id) <= followed);
    apply_again(context, store, read, &events)?;
    Ok(events.iter().map(|event| event.id).collect())
}

fn apply_again(
    context: &mut Context<'_>,
    store: &mut dyn Store,
    read: DatabaseRead<'_>,
    events: &[Event],
) -> Result<(), Halt> {
    let (epoch, progress) = context.table.progress();
    let Progress::Following { source } = progress else { return Ok(()) };
    let mut ignore = |_: &str| ();
    let mut reading = Reading::new(epoch, source, Scope::All, Instant::now(), &mut ignore);
    match apply_events(context, store, &mut reading, read, events) {
        // A table that was emptied, and one whose log is another one now, are loaded by the next pass.
        Ok(()) | Err(StepError::Emptied | StepError::Log(_)) => (),
        Err(StepError::Halt(halt)) => return Err(halt),
    }
    let Counts { inserts, deletes, .. } = reading.counts;
    if inserts + deletes > 0 {
        context.outbox.report(Report::Updated { inserts, deletes, skips: 0 });
        if context.state.kept_count() > 0 {
            context.count_kept(source);
        }
    }
    Ok(())
}

fn out_of_sync(context: &mut Context<'_>, fault: LogFault, bounds: LogBounds) -> StepError {
    if let (Some(cursor), LogFault::Truncated | LogFault::Backwards) = (&context.state.cursor, fault) {
        let cursor = cursor.at;
        context.outbox.report(Report::OutOfSync { cursor, bounds });
    }
    StepError::Log(fault)
}

/// The cursor. Without one there is a load to make first.
fn cursor<'c>(context: &'c mut Context<'_>) -> Result<&'c mut Cursor, StepError> {
    context.state.cursor.as_mut().ok_or(StepError::Emptied)
}

fn publish_progress(context: &Context<'_>, bounds: LogBounds, count: usize) {
    let cursor = context.state.cursor.as_ref().map(|cursor| cursor.at);
    context.outbox.status(|status| {
        status.cursor = cursor;
        status.events += count as u64;
        status.newest = match bounds {
            LogBounds::Empty => None,
            LogBounds::From { newest, .. } => cursor.max(Some(newest)),
        };
    });
}
