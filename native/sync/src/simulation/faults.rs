//! What happens to the database: ordinary transactions, odd ones, and disasters.
//!
//! In a *calm* climate all changes come with events and nobody but the followers deletes any, so
//! whoever follows needs no comparison, however late events show. In a *stormy* one anything goes.

use domain_store::{PersistentId, TransactionId};

use super::database::{By, Database, Kind, Settings};

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Climate {
    Calm,
    Stormy,
}

/// The host types that dynamic domains may use.
pub(super) const ALLOWED: [&str; 3] = ["one", "two", "three"];

/// One that the node knows, but not for dynamic domains; and one that it never heard of.
pub(super) const STATIC: &str = "static";
const FOREIGN: &str = "foreign";

/// The names of static domains.
pub(super) const STATIC_DOMAINS: [&str; 2] = ["s0.example", "s1.example"];

const DOMAINS: usize = 24;

/// Something that happens to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Commit,
    Begin,
    End,
    Prepare,
    RollBack,
    Dummy,
    Flood,
    ManyGaps,
    Jump,
    Fresh,
    Stale,
    Copy,
    // From here on in storms only.
    SilentChange,
    ByHand,
    Truncate,
    TruncateAndRestart,
    PruneByOthers,
    Restore,
    RestoreInPlace,
    FailOver,
    Empty,
    SetBack,
    SetForward,
}

const CALM: [(u32, Event); 12] = [
    (300, Event::Commit),
    (60, Event::Begin),
    (50, Event::End),
    (5, Event::Prepare),
    (20, Event::RollBack),
    (30, Event::Dummy),
    (1, Event::Flood),
    (0, Event::ManyGaps),
    (4, Event::Jump),
    (10, Event::Fresh),
    (10, Event::Stale),
    (10, Event::Copy),
];

const STORMY: [(u32, Event); 11] = [
    (15, Event::SilentChange),
    (10, Event::ByHand),
    (3, Event::Truncate),
    (3, Event::TruncateAndRestart),
    (8, Event::PruneByOthers),
    (4, Event::Restore),
    (4, Event::RestoreInPlace),
    (4, Event::FailOver),
    (2, Event::Empty),
    (2, Event::SetBack),
    (2, Event::SetForward),
];

/// The next thing that happens.
pub(super) fn next(climate: Climate) -> Event {
    let stormy = if climate == Climate::Stormy { &STORMY[..] } else { &[] };
    let all = || CALM.iter().chain(stormy);
    let mut left = fastrand::u32(0..all().map(|(weight, _)| weight).sum());
    for (weight, event) in all() {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None if *event == Event::Flood && climate == Climate::Stormy && fastrand::bool() => {
                return Event::ManyGaps;
            }
            None => return *event,
        }
    }
    Event::Commit
}

/// What others do while a follower waits for an answer.
pub(super) fn meanwhile(database: &mut Database, climate: Climate) {
    match fastrand::u32(0..40) {
        _ if database.quiet => (),
        0..2 => happen(database, Event::Commit),
        2..4 => happen(database, Event::End),
        4 => happen(database, Event::Begin),
        5 if climate == Climate::Stormy && fastrand::u32(0..20) == 0 => happen(database, Event::SilentChange),
        _ => (),
    }
}

pub(super) fn happen(database: &mut Database, event: Event) {
    match event {
        Event::Commit => {
            let transaction = write(database);
            database.commit(transaction);
        }
        Event::Begin if database.kind == Kind::Serial => happen(database, Event::Commit),
        Event::Begin => {
            write(database);
        }
        Event::End => any_open(database).into_iter().for_each(|open| database.commit(open)),
        Event::Prepare => {
            let open = any_open(database).and_then(|open| database.open.get_mut(&open));
            open.into_iter().for_each(|open| open.name = Some(TransactionId::Prepared));
        }
        Event::RollBack => {
            let transaction = write(database);
            database.roll_back(transaction);
            any_open(database).into_iter().for_each(|open| database.roll_back(open));
        }
        Event::Dummy => dummies(database, 1),
        Event::Flood => dummies(database, 1_500),
        Event::ManyGaps => {
            if database.kind != Kind::Serial {
                write(database);
            }
            for _ in 0..1_010 {
                database.content.next_id += 1;
                dummies(database, 1);
            }
        }
        Event::Jump => database.content.next_id += 1_000_000,
        Event::Fresh => {
            let end = database.clock + fastrand::i64(60_000..4 * 3_600_000);
            database.content.fresh.insert(any_of(&ALLOWED), end);
        }
        Event::Stale => {
            let host_type = any_of(&ALLOWED);
            database.content.fresh.remove(host_type);
        }
        Event::Copy => database.copies.push(database.content.clone()),
        Event::SilentChange => {
            let domain = any_domain();
            if !database.is_locked(&domain) {
                database.put_silently(&domain, any_row());
            }
        }
        Event::ByHand => by_hand(database),
        Event::Truncate => truncate(database),
        Event::TruncateAndRestart => {
            truncate(database);
            database.content.next_id = 1;
        }
        Event::PruneByOthers => {
            let ids: Vec<i64> = database.content.events.keys().copied().collect();
            if !ids.is_empty() {
                let first = ids[fastrand::usize(0..ids.len())];
                if !database.open.is_empty() {
                    database.pruned_early = database.shown.len() as u64;
                }
                database.content.events = database.content.events.split_off(&first);
            }
        }
        Event::Restore | Event::RestoreInPlace => {
            if database.copies.is_empty() {
                return;
            }
            let mut copy = database.copies[fastrand::usize(0..database.copies.len())].clone();
            if event == Event::RestoreInPlace {
                // It is written by a transaction like any other.
                let number = database.content.next_transaction;
                copy.events.values_mut().for_each(|event| event.transaction = number);
                copy.next_transaction = number + 1;
                return database.replace(copy);
            }
            database.replace(copy);
            database.restarts += 1;
            if fastrand::bool() {
                rename(database);
            }
        }
        Event::FailOver => {
            if let Some(mut copy) = database.copies.last().cloned() {
                // A standby's sequence is a little ahead.
                copy.next_id += fastrand::i64(0..=32);
                database.replace(copy);
            }
            database.restarts += 1;
            rename(database);
        }
        Event::Empty => {
            let mut empty = database.content.clone();
            empty.settings.clear();
            if fastrand::bool() {
                empty.events.clear();
            }
            database.replace(empty);
        }
        Event::SetBack => database.set_back(fastrand::i64(1_000..3_600_000)),
        Event::SetForward => database.clock += fastrand::i64(1_000..3_600_000),
    }
}

/// A transaction that changed some rows and announced it.
fn write(database: &mut Database) -> u64 {
    let transaction = database.begin();
    for _ in 0..fastrand::u32(1..=3) {
        let domain = any_domain();
        if !database.is_locked(&domain) {
            database.change(transaction, &domain, any_row());
            database.announce(transaction, &domain);
        }
    }
    transaction
}

fn dummies(database: &mut Database, count: u32) {
    let transaction = database.begin();
    (0..count).for_each(|_| database.announce(transaction, ""));
    database.commit(transaction);
}

/// A person fills a gap that nobody holds, or inserts below the oldest event. An id that had an event
/// before is no gap to anyone, so such are spared.
fn by_hand(database: &mut Database) {
    let domain = any_domain();
    if database.is_locked(&domain) || !database.open.is_empty() {
        return;
    }
    let ids: Vec<i64> = database.content.events.keys().copied().collect();
    let gaps: Vec<i64> = ids.windows(2).filter(|pair| pair[0] + 1 < pair[1]).map(|pair| pair[0] + 1).collect();
    let below = ids.first().map(|first| first - 1).filter(|&id| id > 0);
    let id = if gaps.is_empty() || fastrand::bool() { below } else { Some(any_of(&gaps)) };
    // An id that was truncated away and is given again by hand looks as if nothing had been lost.
    let id = id.filter(|id| database.shown.iter().all(|shown| shown.id != *id));
    if let Some(id) = id {
        database.put_silently(&domain, any_row());
        database.insert_by_hand(id, &domain);
    }
}

/// It needs the table for itself.
fn truncate(database: &mut Database) {
    while let Some(open) = any_open(database) {
        database.commit(open);
    }
    database.content.events.clear();
}

fn rename(database: &mut Database) {
    if let Some(PersistentId(name)) = &mut database.identity {
        *name = format!("timeline {}", fastrand::u32(..));
    }
}

fn any_domain() -> String {
    match fastrand::usize(0..DOMAINS + 1) {
        DOMAINS => any_of(&STATIC_DOMAINS).to_owned(),
        n => format!("d{n}.example"),
    }
}

fn any_row() -> Option<Settings> {
    let host_type = match fastrand::u32(0..20) {
        0 => STATIC,
        1 => FOREIGN,
        _ => any_of(&ALLOWED),
    };
    match fastrand::u32(0..20) {
        0..12 => Some((host_type, 1)),
        12..14 => Some((host_type, 0)),
        14 => Some((host_type, 2)),
        15 => Some((host_type, 7)),
        _ => None,
    }
}

fn any_open(database: &Database) -> Option<u64> {
    let open: Vec<u64> = database.open.keys().copied().collect();
    (!open.is_empty()).then(|| any_of(&open))
}

fn any_of<T: Copy>(all: &[T]) -> T {
    all[fastrand::usize(0..all.len())]
}

/// All faults end: what was begun is committed.
pub(super) fn end(database: &mut Database) {
    while let Some(open) = any_open(database) {
        database.commit(open);
    }
}

/// Whether following finds an event at once, or only when it looks everywhere.
pub(super) fn is_found_at_once(kind: Kind, by: By) -> bool {
    by == By::Program && kind != Kind::Silent
}
