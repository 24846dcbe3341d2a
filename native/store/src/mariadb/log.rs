//! The statements about the log of events.
//!
//! They are texts without parameters, since all that varies in them are numbers, and so two of them take one round trip.
//! The server tells ids above the largest that this project knows, 2^63 − 1, from others; nobody has so many events,
//! and they are not read.

use domain_core::{EventId, HostTypes};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row as SqlRow};

use super::names::{NameColumn, bounded_name};
use super::value::{bytes, is_null, number, row_settings, text};
use crate::{Event, Events, IdRange, LogBounds, LogPosition, Pruned, Row};

pub(super) const DOING: &str = "reading domain_events";

/// The newest event's id, by the end of the index.
const NEWEST: &str = "SELECT MAX(id) FROM domain_events WHERE id <= 9223372036854775807";

/// The database's clock, in microseconds since 1970.
macro_rules! now_us {
    () => {
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"
    };
}

pub(super) use now_us;

/// How many ids [`gaps`] reads at a time.
const PAGE: usize = 10_000;

/// Selects events with the present rows of their domains: the columns that [`event`] reads.
fn event_rows(names: &NameColumn, condition: &str, limit: u64) -> String {
    let same = names.equals("same.domain", "e.domain");
    let (event, host_type) = (bounded_name!("e.domain"), bounded_name!("s.host_type"));
    // The inner SELECT is bounded before the rows of domain_settings are looked up. A disabled row says the same as none.
    format!(
        "SELECT e.id, {event}, {host_type}, s.status
           FROM (SELECT id, domain FROM domain_events WHERE {condition} ORDER BY id LIMIT {limit}) e
           LEFT JOIN domain_settings s ON s.id = (SELECT MIN(same.id) FROM domain_settings same
                                                   WHERE {same} AND (same.status NOT IN (0, 2) OR same.status IS NULL))
          ORDER BY e.id"
    )
}

fn event(host_types: &HostTypes, row: &SqlRow) -> Option<Event> {
    let id = EventId(number(row, 0)?);
    // A table with another schema may allow NULL.
    let domain = bytes(row, 1);
    if domain.is_empty() {
        return Some(Event { id, row: None });
    }
    let has_row = !is_null(row, 2) || !is_null(row, 3);
    Some(Event { id, row: Some(Row::read(host_types, domain, has_row.then(|| row_settings(row, 2, 3)))) })
}

pub(super) async fn events(
    conn: &mut Conn,
    host_types: &HostTypes,
    names: &NameColumn,
    cursor: EventId,
    oldest: EventId,
    limit: u32,
) -> Result<Events, Error> {
    let limit = u64::from(limit) + 1;
    let condition = format!("id >= {} AND id <= 9223372036854775807", cursor.0);
    // Run in this order, each with a snapshot of its own. If the bounds were read first, events that are pruned in between
    // would be missing without notice.
    let statements = format!(
        "{}; SELECT COALESCE((SELECT MIN(id) FROM domain_events WHERE id >= {}), (SELECT MIN(id) FROM domain_events)), \
         ({NEWEST})",
        event_rows(names, &condition, limit),
        oldest.0
    );
    let mut answers = conn.query_iter(statements).await?;
    let rows: Vec<SqlRow> = answers.collect().await?;
    let ends: Vec<SqlRow> = answers.collect().await?;
    // The second statement always returns a row.
    let bounds = ends.first().map_or(LogBounds::Empty, read_bounds);
    let mut events = Events { bounds, anchor: None, events: Vec::with_capacity(rows.len()) };
    for row in &rows {
        if number(row, 0) == Some(cursor.0) {
            events.anchor = Some(text(row, 1));
        } else {
            events.events.extend(event(host_types, row));
        }
    }
    // Without an anchor, one event too many was read.
    events.events.truncate(limit as usize - 1);
    Ok(events)
}

pub(super) async fn events_in(
    conn: &mut Conn,
    host_types: &HostTypes,
    names: &NameColumn,
    ranges: &[IdRange],
    limit: u32,
) -> Result<Vec<Event>, Error> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<SqlRow> = conn.query(event_rows(names, &in_ranges(ranges), limit.into())).await?;
    Ok(rows.iter().filter_map(|row| event(host_types, row)).collect())
}

pub(super) async fn ids_in(conn: &mut Conn, ranges: &[IdRange]) -> Result<Vec<EventId>, Error> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<SqlRow> =
        conn.query(format!("SELECT id FROM domain_events WHERE {} ORDER BY id", in_ranges(ranges))).await?;
    Ok(rows.iter().filter_map(|row| number(row, 0).map(EventId)).collect())
}

/// The condition that an id is in one of these ranges.
fn in_ranges(ranges: &[IdRange]) -> String {
    let conditions: Vec<_> = ranges
        .iter()
        .map(|IdRange { first, last }| match first == last {
            true => format!("id = {}", first.0),
            false => format!("id BETWEEN {} AND {}", first.0, last.0),
        })
        .collect();
    conditions.join(" OR ")
}

fn read_bounds(row: &SqlRow) -> LogBounds {
    match (number(row, 0), number(row, 1)) {
        (Some(oldest), Some(newest)) => LogBounds::From { oldest: EventId(oldest), newest: EventId(newest) },
        _ => LogBounds::Empty,
    }
}

pub(super) async fn bounds(conn: &mut Conn) -> Result<LogBounds, Error> {
    let ends: Option<SqlRow> =
        conn.query_first(format!("SELECT (SELECT MIN(id) FROM domain_events), ({NEWEST})")).await?;
    Ok(ends.as_ref().map_or(LogBounds::Empty, read_bounds))
}

/// The newest event's id.
async fn newest(conn: &mut Conn) -> Result<Option<EventId>, Error> {
    let row: Option<SqlRow> = conn.query_first(NEWEST).await?;
    Ok(row.and_then(|row| number(&row, 0)).map(EventId))
}

/// The newest event's id, and whether there is an event in these ranges. `prefix` goes before the statement.
pub(super) async fn look(conn: &mut Conn, prefix: &str, late: &[IdRange]) -> Result<(Option<EventId>, bool), Error> {
    let has_late = match late.is_empty() {
        true => "0".to_owned(),
        false => format!("EXISTS (SELECT 1 FROM domain_events WHERE {})", in_ranges(late)),
    };
    let row: Option<SqlRow> = conn.query_first(format!("{prefix}SELECT ({NEWEST}), {has_late}")).await?;
    Ok(row.map_or((None, false), |row| (number(&row, 0).map(EventId), number(&row, 1) == Some(1))))
}

/// The domain of the newest event.
pub(super) async fn newest_domain(conn: &mut Conn) -> Result<Option<String>, Error> {
    let newest = concat!(
        "SELECT ",
        bounded_name!("domain"),
        " FROM domain_events WHERE id <= 9223372036854775807 ORDER BY id DESC LIMIT 1"
    );
    let row: Option<SqlRow> = conn.query_first(newest).await?;
    Ok(row.map(|row| text(&row, 0)))
}

/// Up to `limit` ranges of ids without an event, the largest first. Reads the ids from the end of the index on, a page at a
/// time, until there are enough gaps: the server would keep the whole log in memory to find them.
pub(super) async fn gaps(conn: &mut Conn, limit: usize) -> Result<Vec<IdRange>, Error> {
    let mut gaps = Vec::new();
    let mut above = None;
    while gaps.len() < limit {
        let below = above.map_or("<= 9223372036854775807".to_owned(), |above: i64| format!("< {above}"));
        let page = format!("SELECT id FROM domain_events WHERE id {below} ORDER BY id DESC LIMIT {PAGE}");
        let rows: Vec<SqlRow> = conn.query(page).await?;
        for id in rows.iter().filter_map(|row| number(row, 0)) {
            let after = above.replace(id).filter(|after| id + 1 < *after);
            gaps.extend(after.map(|after| IdRange { first: EventId(id + 1), last: EventId(after - 1) }));
        }
        if rows.len() < PAGE {
            break;
        }
    }
    gaps.truncate(limit);
    Ok(gaps)
}

/// There is no horizon: InnoDB does not show which transaction wrote an event.
pub(super) async fn position(conn: &mut Conn) -> Result<LogPosition, Error> {
    let row: Option<SqlRow> = conn.query_first(format!("SELECT ({NEWEST}), {} DIV 1000", now_us!())).await?;
    let (newest, time) = row.map_or((None, None), |row| (number(&row, 0), number(&row, 1)));
    Ok(LogPosition { newest: newest.map(EventId), time: time.unwrap_or_default(), horizon: None })
}

/// All nodes prune. Events that another node has locked are skipped, since that node deletes them.
///
/// No other transaction waits for this one: at this isolation level it locks the events that it deletes, and not the ids
/// between them, which late events may still take. Without a horizon, an event that is inserted later with an id below
/// the newest is deleted like an older one.
pub(super) async fn prune(conn: &mut Conn, position: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, Error> {
    let nothing = Pruned { count: 0, last: None };
    let Some(newest) = position.newest else { return Ok(nothing) };
    let Some(present) = self::newest(conn).await? else { return Ok(nothing) };
    conn.query_drop("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    conn.query_drop("START TRANSACTION").await?;
    let pruned = delete(conn, from, newest.min(present), limit).await;
    conn.query_drop(if pruned.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    pruned
}

async fn delete(conn: &mut Conn, from: EventId, end: EventId, limit: u32) -> Result<Pruned, Error> {
    let old: Vec<SqlRow> = conn
        .query(format!(
            "SELECT id FROM domain_events WHERE id >= {} AND id < {} ORDER BY id LIMIT {limit} FOR UPDATE SKIP LOCKED",
            from.0, end.0
        ))
        .await?;
    let ids: Vec<i64> = old.iter().filter_map(|row| number(row, 0)).collect();
    let Some(&last) = ids.last() else { return Ok(Pruned { count: 0, last: None }) };
    let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    conn.query_drop(format!("DELETE FROM domain_events WHERE id IN ({list})")).await?;
    Ok(Pruned { count: conn.affected_rows(), last: Some(EventId(last)) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::connect::Target;
    use super::super::session::Session;
    use super::*;
    use crate::Timeouts;

    #[test]
    fn the_rows_of_events_are_found_by_indexes_whatever_the_collation() {
        let server =
            std::env::var("MONGOOSE_DOMAIN_TEST_MARIADB").expect("the URL of a server, as `make test` sets it");
        let minute = Duration::from_secs(60);
        let timeouts = Timeouts { connect: minute, statement: minute, lock: minute };
        let target = Target::new(&server, &timeouts).unwrap();
        let mut session = Session::connect(&target, timeouts, Default::default()).unwrap();
        for collation in ["latin1_swedish_ci", "utf8mb4_general_ci", "utf8mb4_bin", "utf8mb3_unicode_ci"] {
            let database = format!("plans_{}_{collation}", std::process::id());
            let tables = format!(
                "CREATE DATABASE {database} COLLATE {collation};
                 USE {database};
                 CREATE TABLE domain_settings (
                     id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, domain VARCHAR(250) NOT NULL,
                     host_type VARCHAR(250) NOT NULL, status TINYINT NOT NULL DEFAULT 1, INDEX names (domain));
                 CREATE TABLE domain_events (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, domain VARCHAR(250) NOT NULL);
                 INSERT INTO domain_settings (domain, host_type) SELECT CONCAT(seq, '.example'), '' FROM seq_1_to_5000;
                 INSERT INTO domain_events (domain) SELECT domain FROM domain_settings;
                 ANALYZE TABLE domain_settings, domain_events"
            );
            let plan = session.call("planning", minute, async |conn| {
                conn.query_drop(tables).await?;
                let names = NameColumn::of_domains(conn, "domain_settings").await?;
                let mut plan: Vec<SqlRow> = Vec::new();
                for condition in ["id >= 4000 AND id <= 9223372036854775807", "id BETWEEN 3 AND 5 OR id = 9"] {
                    plan.extend(
                        conn.query::<SqlRow, _>(format!("EXPLAIN {}", event_rows(&names, condition, 100))).await?,
                    );
                }
                conn.query_drop(format!("DROP DATABASE {database}")).await?;
                Ok(plan)
            });
            // The table, how its rows are found, and by which index.
            let steps: Vec<_> = plan.unwrap().iter().map(|row| [2, 3, 5].map(|column| text(row, column))).collect();
            for table in [["s", "eq_ref", "PRIMARY"], ["same", "ref", "names"], ["domain_events", "range", "PRIMARY"]] {
                let found = steps.iter().filter(|step| step.each_ref().map(String::as_str) == table).count();
                assert_eq!(found, 2, "{collation}: {steps:?}");
            }
        }
    }
}
