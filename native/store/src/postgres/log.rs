//! The statements about the log of events.
//!
//! Each is one statement with one snapshot; those of each pass are prepared. The planner's statistics of the log are often
//! old or missing, since events are soon deleted and the table is analysed late. So each statement has a shape that leaves
//! the planner one plan: the index on the ids.

use std::collections::HashSet;

use domain_core::{EventId, HostTypes};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, GenericClient, Row as SqlRow};

use super::session::Session;
use super::sql::{bounded_name, now_ms};
use super::sqlstate::if_supported;
use super::value::{RawText, row_settings};
use crate::{Event, Events, IdRange, LogBounds, LogPosition, OpenTransactions, Pruned, Row, TransactionId};

pub(super) const DOING: &str = "reading domain_events";

/// Selects events, as `e`, with the present rows of their domains: the columns that [`event`] reads.
macro_rules! event_rows {
    ($events:literal, $end:literal) => {
        concat!(
            "SELECT e.id, ",
            bounded_name!("e.domain"),
            ", ",
            bounded_name!("s.host_type"),
            ", s.status FROM ",
            $events,
            " LEFT JOIN LATERAL (SELECT host_type, status FROM domain_settings WHERE domain = e.domain LIMIT 1) s ON true ",
            $end
        )
    };
}

pub(super) async fn events(
    session: &Session,
    host_types: &HostTypes,
    cursor: EventId,
    oldest: EventId,
    limit: u32,
) -> Result<Events, Error> {
    // Pipelined, and run in this order, each with a snapshot of its own. If the bounds were read first, events that are
    // pruned in between would be missing without notice.
    let limit = i64::from(limit) + 1;
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&cursor.0, Type::INT8), (&limit, Type::INT8)];
    let known: [(&(dyn ToSql + Sync), Type); 1] = [(&oldest.0, Type::INT8)];
    // The upper bound makes the planner expect few events; LATERAL with LIMIT leaves it one plan.
    let after_cursor = event_rows!(
        "(SELECT id, domain FROM domain_events
           WHERE id >= $1 AND id <= 9223372036854775807 ORDER BY id LIMIT $2) e",
        "ORDER BY e.id"
    );
    // Pruned events stay in the index, before the oldest one, as long as any transaction has an older snapshot.
    let ends =
        "SELECT coalesce((SELECT min(id) FROM domain_events WHERE id >= $1), (SELECT min(id) FROM domain_events)),
                       (SELECT max(id) FROM domain_events)";
    let Session { client, prepared, .. } = session;
    let (rows, ends) = prepared.query_both(client, (after_cursor, &parameters), (ends, &known)).await?;
    // The second statement always returns a row.
    let bounds = ends.first().map_or(Ok(LogBounds::Empty), read_bounds)?;
    let mut events = Events { bounds, anchor: None, events: Vec::with_capacity(rows.len()) };
    for row in &rows {
        let id: i64 = row.try_get(0)?;
        if id == cursor.0 {
            let domain: Option<RawText<'_>> = row.try_get(1)?;
            events.anchor = Some(String::from_utf8_lossy(domain.unwrap_or_default().0).into_owned());
        } else {
            events.events.push(event(host_types, row)?);
        }
    }
    // Without an anchor, one event too many was read.
    events.events.truncate(limit as usize - 1);
    Ok(events)
}

pub(super) async fn events_in(
    session: &Session,
    host_types: &HostTypes,
    ranges: &[IdRange],
    limit: u32,
) -> Result<Vec<Event>, Error> {
    let (first, last) = ends(ranges);
    let rows = session
        .query(
            event_rows!(
                "unnest($1::bigint[], $2::bigint[]) AS range (first, last)
                  CROSS JOIN LATERAL (SELECT id, domain FROM domain_events
                                       WHERE id >= range.first AND id <= range.last ORDER BY id LIMIT $3) e",
                "LIMIT $3"
            ),
            &[(&first, Type::INT8_ARRAY), (&last, Type::INT8_ARRAY), (&i64::from(limit), Type::INT8)],
        )
        .await?;
    rows.iter().map(|row| event(host_types, row)).collect()
}

pub(super) async fn ids_in(session: &Session, ranges: &[IdRange]) -> Result<Vec<EventId>, Error> {
    const IDS: &str = "SELECT e.id FROM unnest($1::bigint[], $2::bigint[]) AS range (first, last)
        CROSS JOIN LATERAL (SELECT id FROM domain_events WHERE id >= range.first AND id <= range.last) e ORDER BY e.id";
    let (first, last) = ends(ranges);
    let rows = session.query(IDS, &[(&first, Type::INT8_ARRAY), (&last, Type::INT8_ARRAY)]).await?;
    rows.iter().map(|row| row.try_get(0).map(EventId)).collect()
}

/// The first and the last ids of these ranges.
fn ends(ranges: &[IdRange]) -> (Vec<i64>, Vec<i64>) {
    ranges.iter().map(|range| (range.first.0, range.last.0)).unzip()
}

fn event(host_types: &HostTypes, row: &SqlRow) -> Result<Event, Error> {
    let id = EventId(row.try_get(0)?);
    // A table with another schema may allow NULL.
    let domain = row.try_get::<_, Option<RawText<'_>>>(1)?.unwrap_or_default();
    if domain.0.is_empty() {
        return Ok(Event { id, row: None });
    }
    let host_type: Option<RawText<'_>> = row.try_get(2)?;
    let status: Option<i16> = row.try_get(3)?;
    let settings = (host_type.is_some() || status.is_some()).then(|| row_settings(host_type, status));
    Ok(Event { id, row: Some(Row::read(host_types, domain.0, settings)) })
}

pub(super) fn read_bounds(row: &SqlRow) -> Result<LogBounds, Error> {
    let ends: (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(match ends {
        (Some(oldest), Some(newest)) => LogBounds::From { oldest: EventId(oldest), newest: EventId(newest) },
        _ => LogBounds::Empty,
    })
}

/// The domain of the newest event.
pub(super) async fn newest_domain(client: &impl GenericClient) -> Result<Option<String>, Error> {
    let newest = concat!("SELECT ", bounded_name!("domain"), " FROM domain_events ORDER BY id DESC LIMIT 1");
    let row = client.query_typed(newest, &[]).await?.into_iter().next();
    let text = |row: SqlRow| {
        let text: Option<RawText<'_>> = row.try_get(0)?;
        Ok(String::from_utf8_lossy(text.unwrap_or_default().0).into_owned())
    };
    row.map(text).transpose()
}

/// Up to `limit` ranges of ids without an event, the largest first.
pub(super) async fn gaps(client: &impl GenericClient, limit: i64) -> Result<Vec<IdRange>, Error> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let rows = client
        .query_typed(
            // Descending, so that the scan ends with the last gap that is needed.
            "SELECT below + 1, id - 1
               FROM (SELECT id, lead(id) OVER (ORDER BY id DESC) AS below FROM domain_events) pair
              WHERE below + 1 < id ORDER BY id DESC LIMIT $1",
            &[(&limit, Type::INT8)],
        )
        .await?;
    let range = |row: &SqlRow| Ok(IdRange { first: EventId(row.try_get(0)?), last: EventId(row.try_get(1)?) });
    rows.iter().map(range).collect()
}

/// The transactions that hold a lock which insertions of events take: `nextval` locks the sequence, and INSERT locks the
/// table, until the end of the transaction is visible. Unknown where the sequence caches ids, because a session then
/// uses ids without a lock, and on a server in recovery, which does not show the locks of its primary.
pub(super) async fn open_transactions(session: &Session) -> Result<OpenTransactions, Error> {
    let rows = session
        .query(
            "SELECT NOT pg_is_in_recovery() AND EXISTS (SELECT FROM pg_sequence WHERE seqrelid = ids.seq AND seqcache = 1),
                    ARRAY(SELECT DISTINCT CASE WHEN pid IS NOT NULL THEN virtualtransaction END FROM pg_locks
                           WHERE locktype = 'relation' AND mode = 'RowExclusiveLock'
                             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                             AND relation IN (ids.seq, 'domain_events'::regclass)
                             AND pid IS DISTINCT FROM pg_backend_pid())
               FROM (SELECT pg_get_serial_sequence('domain_events', 'id')::regclass) AS ids (seq)",
            &[],
        )
        .await;
    let rows = if_supported(rows)?.unwrap_or_default();
    let Some(row) = rows.first() else { return Ok(OpenTransactions::Unknown) };
    if !row.try_get::<_, bool>(0)? {
        return Ok(OpenTransactions::Unknown);
    }
    // Only a prepared transaction has no process. Its virtual transaction id means nothing.
    let names: Vec<Option<String>> = row.try_get(1)?;
    let transaction = |name: Option<String>| name.map_or(TransactionId::Prepared, TransactionId::Open);
    Ok(OpenTransactions::Known(names.into_iter().map(transaction).collect::<HashSet<_>>()))
}

pub(super) async fn position(client: &Client) -> Result<LogPosition, Error> {
    let with_horizon =
        concat!("SELECT max(id), pg_snapshot_xmin(pg_current_snapshot())::text, ", now_ms!(), " FROM domain_events");
    let without = concat!("SELECT max(id), NULL::text, ", now_ms!(), " FROM domain_events");
    let row = match if_supported(client.query_typed_one(with_horizon, &[]).await)? {
        Some(row) => row,
        None => client.query_typed_one(without, &[]).await?,
    };
    let newest: Option<i64> = row.try_get(0)?;
    Ok(LogPosition { newest: newest.map(EventId), horizon: row.try_get(1)?, time: row.try_get(2)? })
}

/// All nodes prune. Events that another node has locked are skipped, since that node deletes them.
pub(super) async fn prune(client: &Client, position: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, Error> {
    let LogPosition { newest: Some(newest), horizon, .. } = position else {
        return Ok(Pruned { count: 0, last: None });
    };
    macro_rules! prune {
        ($condition:literal) => {
            concat!(
                "WITH old AS (SELECT id FROM domain_events
                               WHERE id >= $1 AND id < $2 AND id < (SELECT max(id) FROM domain_events) AND ",
                $condition,
                " ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED),
                  gone AS (DELETE FROM domain_events e USING old WHERE e.id = old.id RETURNING e.id)
             SELECT count(*), max(id) FROM gone"
            )
        };
    }
    let limit = i64::from(limit);
    let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        vec![(&from.0, Type::INT8), (&newest.0, Type::INT8), (&limit, Type::INT8)];
    let statement = match horizon {
        Some(horizon) => {
            parameters.push((horizon, Type::TEXT));
            // The event was written by a transaction that ended before the horizon. The second condition
            // rejects a horizon of another server, which may be ahead of this one's transactions.
            prune!("age(xmin) > age($4::xid8::xid) AND $4::xid8 <= pg_snapshot_xmax(pg_current_snapshot())")
        }
        None => prune!("true"),
    };
    let row = client.query_typed_one(statement, &parameters).await?;
    let (count, last): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Pruned { count: count.unsigned_abs(), last: last.map(EventId) })
}
