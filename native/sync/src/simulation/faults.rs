//! What happens to the database: ordinary transactions, odd ones, and disasters.
//!
//! In orderly conditions each change has its event, and only followers delete events. So no comparison has anything to
//! repair, however late events show. In faulty conditions anything happens.

use domain_store::{PersistentId, TransactionId};

use super::database::{Database, Insertion, Kind, Settings};

/// Which incidents may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditions {
    Orderly,
    Faulty,
}

/// The host types that dynamic domains may use.
pub(super) const ALLOWED: [&str; 3] = ["one", "two", "three"];

/// A host type that the node knows, but that dynamic domains may not use.
pub(super) const STATIC: &str = "static";
/// A host type that the node does not know.
const FOREIGN: &str = "foreign";

/// The names of static domains.
pub(super) const STATIC_DOMAINS: [&str; 2] = ["s0.example", "s1.example"];

const DOMAINS: usize = 24;

/// More gaps than a follower remembers, though it joins them.
const GAPS: usize = 5_000;

/// Something that happens to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incident {
    Commit,
    Begin,
    End,
    Prepare,
    RollBack,
    Dummy,
    Flood,
    Busy,
    ManyGaps,
    Jump,
    Fresh,
    NotFresh,
    Copy,
    // From here on in faulty conditions only.
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

const ORDINARY: [(u32, Incident); 13] = [
    (300, Incident::Commit),
    (60, Incident::Begin),
    (50, Incident::End),
    (5, Incident::Prepare),
    (20, Incident::RollBack),
    (30, Incident::Dummy),
    (1, Incident::Flood),
    (6, Incident::Busy),
    (0, Incident::ManyGaps),
    (4, Incident::Jump),
    (10, Incident::Fresh),
    (10, Incident::NotFresh),
    (10, Incident::Copy),
];

const FAULTS: [(u32, Incident); 11] = [
    (15, Incident::SilentChange),
    (10, Incident::ByHand),
    (3, Incident::Truncate),
    (3, Incident::TruncateAndRestart),
    (8, Incident::PruneByOthers),
    (4, Incident::Restore),
    (4, Incident::RestoreInPlace),
    (4, Incident::FailOver),
    (2, Incident::Empty),
    (2, Incident::SetBack),
    (2, Incident::SetForward),
];

/// A random incident.
pub(super) fn next(conditions: Conditions) -> Incident {
    let faults = if conditions == Conditions::Faulty { &FAULTS[..] } else { &[] };
    let all = || ORDINARY.iter().chain(faults);
    let mut left = fastrand::u32(0..all().map(|(weight, _)| weight).sum());
    for (weight, event) in all() {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None if *event == Incident::Flood && conditions == Conditions::Faulty && fastrand::bool() => {
                return Incident::ManyGaps;
            }
            None => return *event,
        }
    }
    Incident::Commit
}

/// What other programs do while a follower waits for an answer.
pub(super) fn meanwhile(database: &mut Database, conditions: Conditions) {
    match fastrand::u32(0..40) {
        _ if database.quiet => (),
        0..2 => apply(database, Incident::Commit),
        2..4 => apply(database, Incident::End),
        4 => apply(database, Incident::Begin),
        5 if conditions == Conditions::Faulty && fastrand::u32(0..20) == 0 => apply(database, Incident::SilentChange),
        _ => (),
    }
}

pub(super) fn apply(database: &mut Database, event: Incident) {
    match event {
        Incident::Commit => {
            let transaction = write(database);
            database.commit(transaction);
        }
        Incident::Begin if database.kind == Kind::Serial => apply(database, Incident::Commit),
        Incident::Begin => {
            write(database);
        }
        Incident::End => any_open(database).into_iter().for_each(|open| database.commit(open)),
        Incident::Prepare => {
            let open = any_open(database).and_then(|open| database.open.get_mut(&open));
            open.into_iter().for_each(|open| open.name = Some(TransactionId::Prepared));
        }
        Incident::RollBack => {
            let transaction = write(database);
            database.roll_back(transaction);
            any_open(database).into_iter().for_each(|open| database.roll_back(open));
        }
        Incident::Dummy => dummies(database, 1),
        Incident::Flood => dummies(database, 1_500),
        Incident::Busy => {
            for _ in 0..40 {
                apply(database, any_of(&[Incident::Commit, Incident::Commit, Incident::Begin, Incident::End]));
            }
        }
        Incident::ManyGaps => {
            if database.kind != Kind::Serial {
                write(database);
            }
            for _ in 0..GAPS {
                database.content.next_id += 1;
                dummies(database, 1);
            }
        }
        Incident::Jump => database.content.next_id += 1_000_000,
        Incident::Fresh => {
            let end = database.clock + fastrand::i64(60_000..4 * 3_600_000);
            database.content.fresh.insert(any_of(&ALLOWED), end);
        }
        Incident::NotFresh => {
            let host_type = any_of(&ALLOWED);
            database.content.fresh.remove(host_type);
        }
        Incident::Copy => database.copies.push(database.content.clone()),
        Incident::SilentChange => {
            let domain = any_domain();
            if !database.is_locked(&domain) {
                database.put_silently(&domain, any_row());
            }
        }
        Incident::ByHand => by_hand(database),
        Incident::Truncate => truncate(database),
        Incident::TruncateAndRestart => {
            truncate(database);
            database.restart_ids();
        }
        Incident::PruneByOthers => {
            let ids: Vec<i64> = database.content.events.keys().copied().collect();
            if !ids.is_empty() {
                let first = ids[fastrand::usize(0..ids.len())];
                if !database.open.is_empty() {
                    database.pruned_early = database.visible.len() as u64;
                }
                database.content.events = database.content.events.split_off(&first);
            }
        }
        Incident::Restore | Incident::RestoreInPlace => {
            if database.copies.is_empty() {
                return;
            }
            let mut copy = database.copies[fastrand::usize(0..database.copies.len())].clone();
            if event == Incident::RestoreInPlace {
                // A transaction like any other writes it.
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
        Incident::FailOver => {
            if let Some(mut copy) = database.copies.last().cloned() {
                // The sequence of a standby is a little ahead.
                copy.next_id += fastrand::i64(0..=32);
                database.replace(copy);
            }
            database.restarts += 1;
            rename(database);
        }
        Incident::Empty => {
            let mut empty = database.content.clone();
            empty.settings.clear();
            if fastrand::bool() {
                empty.events.clear();
            }
            database.replace(empty);
        }
        Incident::SetBack => database.set_back(fastrand::i64(1_000..3_600_000)),
        Incident::SetForward => database.clock += fastrand::i64(1_000..3_600_000),
    }
}

/// A transaction that changed some rows, with their events.
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
    for _ in 0..count {
        database.announce(transaction, "");
    }
    database.commit(transaction);
}

/// A person inserts an event into a gap that no transaction holds, or below the oldest event. An id that had an event
/// before is in no follower's gaps, so it is not used.
fn by_hand(database: &mut Database) {
    let domain = any_domain();
    if database.is_locked(&domain) || !database.open.is_empty() {
        return;
    }
    let ids: Vec<i64> = database.content.events.keys().copied().collect();
    let gaps: Vec<i64> = ids.windows(2).filter(|pair| pair[0] + 1 < pair[1]).map(|pair| pair[0] + 1).collect();
    let below = ids.first().map(|first| first - 1).filter(|&id| id > 0);
    let id = if gaps.is_empty() || fastrand::bool() { below } else { Some(any_of(&gaps)) };
    // With an id that was truncated and is used again, the log would look as if nothing had been lost.
    let id = id.filter(|id| database.visible.iter().all(|event| event.id != *id));
    if let Some(id) = id {
        database.put_silently(&domain, any_row());
        database.insert_by_hand(id, &domain);
    }
}

/// TRUNCATE waits for all transactions.
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
    if fastrand::usize(0..DOMAINS + 1) == DOMAINS { any_of(&STATIC_DOMAINS).to_owned() } else { any_dynamic_domain() }
}

pub(super) fn any_dynamic_domain() -> String {
    format!("d{}.example", fastrand::usize(0..DOMAINS))
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

pub(super) fn any_of<T: Copy>(all: &[T]) -> T {
    all[fastrand::usize(0..all.len())]
}

/// Ends all faults, and commits all transactions.
pub(super) fn end(database: &mut Database) {
    while let Some(open) = any_open(database) {
        database.commit(open);
    }
}

/// Whether a follower finds an event at once, or only when it reads all gaps.
pub(super) fn is_found_at_once(kind: Kind, by: Insertion) -> bool {
    by == Insertion::ByProgram && !kind.hides_writers()
}
