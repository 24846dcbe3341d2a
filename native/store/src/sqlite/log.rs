//! The statements about the log of events.

use domain_core::{EventId, HostTypes};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use super::value::{NOW_MS, name_bytes, status_number};
use crate::{Event, Events, IdRange, LogBounds, LogPosition, Pruned, Row};

pub(super) const DOING: &str = "reading domain_events";
pub(super) const PRUNING: &str = "deleting old events";

/// The log's bounds. The oldest event is searched for from an id on.
pub(super) fn bounds(connection: &Connection, from: EventId) -> rusqlite::Result<LogBounds> {
    // Separate subqueries: SQLite reads a single minimum or maximum from the index, but not both at once.
    let mut ends = connection.prepare_cached(
        "SELECT coalesce((SELECT min(id) FROM domain_events WHERE id >= ?1), (SELECT min(id) FROM domain_events)),
                (SELECT max(id) FROM domain_events)",
    )?;
    let ends: (Option<i64>, Option<i64>) = ends.query_row([from.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(match ends {
        (Some(oldest), Some(newest)) => LogBounds::From { oldest: EventId(oldest), newest: EventId(newest) },
        _ => LogBounds::Empty,
    })
}

pub(super) fn events(
    connection: &mut Connection,
    host_types: &HostTypes,
    cursor: EventId,
    oldest: EventId,
    limit: u32,
) -> rusqlite::Result<Events> {
    let snapshot = connection.transaction()?;
    let anchor = snapshot.prepare_cached("SELECT domain FROM domain_events WHERE id = ?1")?.query_row([cursor.0], text);
    let mut events = Events { bounds: bounds(&snapshot, oldest)?, anchor: anchor.optional()?, events: Vec::new() };
    let mut select = snapshot.prepare_cached(
        "SELECT e.id, e.domain, s.host_type, s.status
           FROM domain_events e LEFT JOIN domain_settings s ON s.domain = e.domain
          WHERE e.id > ?1 ORDER BY e.id LIMIT ?2",
    )?;
    let mut found = select.query((cursor.0, limit))?;
    while let Some(row) = found.next()? {
        events.events.push(event(host_types, row)?);
    }
    Ok(events)
}

pub(super) fn events_in(
    connection: &mut Connection,
    host_types: &HostTypes,
    ranges: &[IdRange],
    limit: u32,
) -> rusqlite::Result<Vec<Event>> {
    let snapshot = connection.transaction()?;
    let mut select = snapshot.prepare_cached(
        "SELECT e.id, e.domain, s.host_type, s.status
           FROM domain_events e LEFT JOIN domain_settings s ON s.domain = e.domain
          WHERE e.id BETWEEN ?1 AND ?2 ORDER BY e.id LIMIT ?3",
    )?;
    let mut events = Vec::new();
    for range in ranges {
        // Never more than `limit`, so it fits.
        let left = i64::from(limit) - events.len() as i64;
        let mut found = select.query((range.first.0, range.last.0, left))?;
        while let Some(row) = found.next()? {
            events.push(event(host_types, row)?);
        }
    }
    Ok(events)
}

pub(super) fn ids_in(connection: &Connection, ranges: &[IdRange]) -> rusqlite::Result<Vec<EventId>> {
    let mut select =
        connection.prepare_cached("SELECT id FROM domain_events WHERE id BETWEEN ?1 AND ?2 ORDER BY id")?;
    let mut ids = Vec::new();
    for range in ranges {
        let mut found = select.query((range.first.0, range.last.0))?;
        while let Some(row) = found.next()? {
            ids.push(EventId(row.get(0)?));
        }
    }
    Ok(ids)
}

fn event(host_types: &HostTypes, row: &rusqlite::Row<'_>) -> rusqlite::Result<Event> {
    let id = EventId(row.get(0)?);
    let domain = name_bytes(row.get_ref(1)?);
    if domain.is_empty() {
        return Ok(Event { id, row: None });
    }
    let settings = match row.get_ref(2)? {
        ValueRef::Null => None,
        host_type => Some((name_bytes(host_type), status_number(row.get_ref(3)?))),
    };
    Ok(Event { id, row: Some(Row::read(host_types, domain, settings)) })
}

/// The domain of the newest event.
pub(super) fn newest_domain(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT domain FROM domain_events ORDER BY id DESC LIMIT 1", [], text).optional()
}

fn text(row: &rusqlite::Row<'_>) -> rusqlite::Result<String> {
    Ok(String::from_utf8_lossy(name_bytes(row.get_ref(0)?)).into_owned())
}

/// Up to `limit` ranges of ids without an event, the largest first.
pub(super) fn gaps(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<IdRange>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare(
        "SELECT below + 1, id - 1
           FROM (SELECT id, lead(id) OVER (ORDER BY id DESC) AS below FROM domain_events) pair
          WHERE below + 1 < id ORDER BY id DESC LIMIT ?1",
    )?;
    let gaps = select
        .query_map([limit as i64], |row| Ok(IdRange { first: EventId(row.get(0)?), last: EventId(row.get(1)?) }))?;
    gaps.collect()
}

pub(super) fn position(connection: &Connection) -> rusqlite::Result<LogPosition> {
    connection.query_row(&format!("SELECT max(id), {NOW_MS} FROM domain_events"), [], |row| {
        let newest: Option<i64> = row.get(0)?;
        Ok(LogPosition { newest: newest.map(EventId), time: row.get(1)?, horizon: None })
    })
}

/// There is no horizon here. An event that is inserted later with an id below the newest is deleted like an older one.
pub(super) fn prune(
    connection: &Connection,
    position: &LogPosition,
    from: EventId,
    limit: u32,
) -> rusqlite::Result<Pruned> {
    let Some(newest) = position.newest else { return Ok(Pruned { count: 0, last: None }) };
    let mut delete = connection.prepare_cached(
        "DELETE FROM domain_events
          WHERE id IN (SELECT id FROM domain_events
                        WHERE id >= ?1 AND id < ?2 AND id < (SELECT max(id) FROM domain_events) ORDER BY id LIMIT ?3)
         RETURNING id",
    )?;
    let ids = delete.query_map((from.0, newest.0, limit), |row| row.get::<_, i64>(0))?;
    let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
    Ok(Pruned { count: ids.len() as u64, last: ids.into_iter().max().map(EventId) })
}
