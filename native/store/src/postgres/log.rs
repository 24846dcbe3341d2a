//! The statements about the log of events.
//!
//! Each is one statement and one snapshot, sent unnamed. What a planner knows of a log is often old or
//! nothing, since logs are short-lived and analysed late: the statements are shaped so that there is
//! one way to their rows, by the index.

use std::collections::HashSet;

use domain_core::{EventId, HostTypes};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, GenericClient, Row as Answer};

use super::bounded::name;
use super::clock::now;
use super::{Bytes, offered};
use crate::{
    DatabaseIdentity, Event, Events, IdRange, LogBounds, LogPosition, OpenTransactions, Pruned, Row, ServerRole,
    TransactionId,
};

pub(super) const DOING: &str = "reading domain_events";

/// The cluster, the database in it, and the timeline, which a standby that is promoted exchanges. The
/// timeline in the control file is that of the last checkpoint, and so may be late.
pub(super) async fn identity(client: &Client) -> Result<Option<DatabaseIdentity>, Error> {
    let answer = client
        .query_typed_one(
            "SELECT s.system_identifier || '/' || d.oid,
                    CASE WHEN pg_is_in_recovery() THEN lpad(to_hex((pg_control_checkpoint()).timeline_id), 8, '0')
                         ELSE lower(left(pg_walfile_name(pg_current_wal_lsn()), 8)) END,
                    pg_is_in_recovery(),
                    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint
               FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()",
            &[],
        )
        .await;
    let identity = |answer: Answer| {
        let role =
            if answer.try_get(2)? { ServerRole::Standby } else { ServerRole::Primary { started: answer.try_get(3)? } };
        Ok(DatabaseIdentity::Server { database: answer.try_get(0)?, timeline: answer.try_get(1)?, role })
    };
    offered(answer)?.map(identity).transpose()
}

/// Whether a transaction that begins now may change anything.
pub(super) async fn takes_changes(client: &Client) -> Result<bool, Error> {
    let answer = client.query_typed_one("SELECT current_setting('transaction_read_only') = 'off'", &[]).await?;
    answer.try_get(0)
}

/// Events, as `e`, with what the rows of their domains say now: what [`event`] reads.
macro_rules! event_rows {
    ($events:literal, $end:literal) => {
        concat!(
            "SELECT e.id, ",
            name!("e.domain"),
            ", ",
            name!("s.host_type"),
            ", s.status FROM ",
            $events,
            " LEFT JOIN LATERAL (SELECT host_type, status FROM domain_settings WHERE domain = e.domain LIMIT 1) s ON true ",
            $end
        )
    };
}

pub(super) async fn events(
    client: &Client,
    host_types: &HostTypes,
    cursor: EventId,
    oldest: EventId,
    limit: u32,
) -> Result<Events, Error> {
    // Both go out at once and are answered in this order, each as of its own moment. Were the
    // bounds the older ones, events that are pruned in between would go unmissed.
    let limit = i64::from(limit) + 1;
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&cursor.0, Type::INT8), (&limit, Type::INT8)];
    let known: [(&(dyn ToSql + Sync), Type); 1] = [(&oldest.0, Type::INT8)];
    let (rows, bounds) = tokio::try_join!(
        client.query_typed(
            // An upper bound makes a planner expect few events, and LATERAL with LIMIT leaves it one way
            // to the rows.
            event_rows!(
                "(SELECT id, domain FROM domain_events
                   WHERE id >= $1 AND id <= 9223372036854775807 ORDER BY id LIMIT $2) e",
                "ORDER BY e.id"
            ),
            &parameters,
        ),
        // What was pruned lies dead at the index's beginning as long as anybody has an old snapshot.
        client.query_typed_one(
            "SELECT coalesce((SELECT min(id) FROM domain_events WHERE id >= $1), (SELECT min(id) FROM domain_events)),
                    (SELECT max(id) FROM domain_events)",
            &known,
        ),
    )?;
    let mut events = Events { bounds: read_bounds(&bounds)?, anchor: None, events: Vec::with_capacity(rows.len()) };
    for row in &rows {
        let id: i64 = row.try_get(0)?;
        if id == cursor.0 {
            let domain: Option<Bytes<'_>> = row.try_get(1)?;
            events.anchor = Some(String::from_utf8_lossy(domain.unwrap_or_default().0).into_owned());
        } else {
            events.events.push(event(host_types, row)?);
        }
    }
    // The one that was read for the anchor's sake, where there is none.
    events.events.truncate(limit as usize - 1);
    Ok(events)
}

pub(super) async fn events_in(
    client: &Client,
    host_types: &HostTypes,
    ranges: &[IdRange],
    limit: u32,
) -> Result<Vec<Event>, Error> {
    let first: Vec<i64> = ranges.iter().map(|range| range.first.0).collect();
    let last: Vec<i64> = ranges.iter().map(|range| range.last.0).collect();
    let rows = client
        .query_typed(
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

fn event(host_types: &HostTypes, row: &Answer) -> Result<Event, Error> {
    let id = EventId(row.try_get(0)?);
    // A table that somebody else made may allow NULL.
    let domain = row.try_get::<_, Option<Bytes<'_>>>(1)?.unwrap_or_default();
    if domain.0.is_empty() {
        return Ok(Event { id, row: None });
    }
    let host_type: Option<Bytes<'_>> = row.try_get(2)?;
    let status: Option<i16> = row.try_get(3)?;
    let settings = (host_type.is_some() || status.is_some()).then(|| Bytes::settings(host_type, status));
    Ok(Event { id, row: Some(Row::read(host_types, domain.0, settings)) })
}

pub(super) fn read_bounds(row: &Answer) -> Result<LogBounds, Error> {
    let ends: (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(match ends {
        (Some(oldest), Some(newest)) => LogBounds::From { oldest: EventId(oldest), newest: EventId(newest) },
        _ => LogBounds::Empty,
    })
}

/// The domain of the newest event.
pub(super) async fn newest_domain(client: &impl GenericClient) -> Result<Option<String>, Error> {
    let newest = concat!("SELECT ", name!("domain"), " FROM domain_events ORDER BY id DESC LIMIT 1");
    let row = client.query_typed(newest, &[]).await?.into_iter().next();
    let text = |row: Answer| {
        let text: Option<Bytes<'_>> = row.try_get(0)?;
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
            // From the end, so that it may stop once there are enough.
            "SELECT below + 1, id - 1
               FROM (SELECT id, lead(id) OVER (ORDER BY id DESC) AS below FROM domain_events) pair
              WHERE below + 1 < id ORDER BY id DESC LIMIT $1",
            &[(&limit, Type::INT8)],
        )
        .await?;
    let range = |row: &Answer| Ok(IdRange { first: EventId(row.try_get(0)?), last: EventId(row.try_get(1)?) });
    rows.iter().map(range).collect()
}

/// Who holds a lock that writers of events take: `nextval` locks the sequence, and an insertion the
/// table, until the transaction's end has become visible. A sequence that hands out ids in advance
/// proves nothing, and a server in recovery does not see the locks of its primary.
pub(super) async fn open_transactions(client: &Client) -> Result<OpenTransactions, Error> {
    let answer = client
        .query_typed_one(
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
    let Some(answer) = offered(answer)? else { return Ok(OpenTransactions::Unknown) };
    if !answer.try_get::<_, bool>(0)? {
        return Ok(OpenTransactions::Unknown);
    }
    // Only a prepared transaction has no process. Its name may be its session's, or none that means anything.
    let names: Vec<Option<String>> = answer.try_get(1)?;
    let transaction = |name: Option<String>| name.map_or(TransactionId::Prepared, TransactionId::Open);
    Ok(OpenTransactions::Known(names.into_iter().map(transaction).collect::<HashSet<_>>()))
}

pub(super) async fn position(client: &Client) -> Result<LogPosition, Error> {
    let with_horizon =
        concat!("SELECT max(id), pg_snapshot_xmin(pg_current_snapshot())::text, ", now!(), " FROM domain_events");
    let without = concat!("SELECT max(id), NULL::text, ", now!(), " FROM domain_events");
    let answer = match offered(client.query_typed_one(with_horizon, &[]).await)? {
        Some(answer) => answer,
        None => client.query_typed_one(without, &[]).await?,
    };
    let newest: Option<i64> = answer.try_get(0)?;
    Ok(LogPosition { newest: newest.map(EventId), horizon: answer.try_get(1)?, time: answer.try_get(2)? })
}

/// All nodes prune: what another one has locked, it deletes.
pub(super) async fn prune(client: &Client, moment: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, Error> {
    let LogPosition { newest: Some(newest), horizon, .. } = moment else { return Ok(Pruned { count: 0, last: None }) };
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
            // Written by a transaction that had ended before the oldest of those that had not; and the
            // horizon is none of another server, to which the future of this one is long ago.
            prune!("age(xmin) > age($4::xid8::xid) AND $4::xid8 <= pg_snapshot_xmax(pg_current_snapshot())")
        }
        None => prune!("true"),
    };
    let answer = client.query_typed_one(statement, &parameters).await?;
    let (count, last): (i64, Option<i64>) = (answer.try_get(0)?, answer.try_get(1)?);
    Ok(Pruned { count: count.unsigned_abs(), last: last.map(EventId) })
}
