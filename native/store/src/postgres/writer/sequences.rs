//! The sequences of the ids. A sequence falls behind when rows are imported with their ids.

use std::time::Instant;

use crate::StoreError;
use crate::postgres::session::Session;
use crate::writer::Sequence;

/// Selects the sequence of each table, which the column owns or the column's default names, its next id, and whether that
/// id exists.
const SEQUENCES: &str = "WITH found AS (
       SELECT t.name, coalesce(
                (SELECT d.objid FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
                  WHERE d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                    AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass LIMIT 1),
                (SELECT d.refobjid FROM pg_attrdef f
                   JOIN pg_depend d ON d.objid = f.oid AND d.classid = 'pg_attrdef'::regclass
                   JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'S'
                  WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum LIMIT 1)) AS sequence
         FROM unnest(ARRAY['domain_settings', 'domain_events']) AS t (name)
         JOIN pg_attribute a ON a.attrelid = to_regclass(t.name) AND a.attname = 'id'),
     state AS (
       SELECT name, sequence, CASE WHEN has_sequence_privilege(sequence, 'USAGE') OR has_sequence_privilege(sequence, 'SELECT')
                THEN coalesce(pg_sequence_last_value(sequence) + s.seqincrement, s.seqstart) END AS next
         FROM found JOIN pg_sequence s ON s.seqrelid = sequence WHERE s.seqincrement > 0),
     newest AS (
       SELECT 'domain_settings' AS name, max(id) AS id FROM domain_settings
       UNION ALL SELECT 'domain_events', max(id) FROM domain_events)
     SELECT name, sequence::regclass::text, next, newest.id,
            CASE name WHEN 'domain_settings' THEN EXISTS (SELECT FROM domain_settings WHERE id = next)
                      ELSE EXISTS (SELECT FROM domain_events WHERE id = next) END
       FROM state JOIN newest USING (name)";

/// The sequences of both tables, and whether the next id of each exists.
fn read(session: &Session, until: Instant) -> Result<Vec<(Sequence, bool)>, StoreError> {
    const DOING: &str = "reading sequences";
    let rows = session.call(DOING, session.time_left(until), session.client.query_typed(SEQUENCES, &[]))?;
    let sequence = |row: &tokio_postgres::Row| {
        let sequence =
            Sequence { table: row.try_get(0)?, name: row.try_get(1)?, next: row.try_get(2)?, newest: row.try_get(3)? };
        Ok((sequence, row.try_get::<_, Option<bool>>(4)?.unwrap_or(false)))
    };
    rows.iter()
        .map(|row| sequence(row).map_err(|error: tokio_postgres::Error| StoreError::failed(DOING, &error)))
        .collect()
}

/// The sequences of both tables.
pub(super) fn all(session: &Session, until: Instant) -> Result<Vec<Sequence>, StoreError> {
    Ok(read(session, until)?.into_iter().map(|(sequence, _)| sequence).collect())
}

/// The sequence of a table, if its next id exists, so that the next insertion would fail, too. A single id that was
/// inserted by hand has been skipped already.
pub(super) fn blocked(session: &Session, table: &str, until: Instant) -> Result<Option<Sequence>, StoreError> {
    let found = read(session, until)?.into_iter().find(|(sequence, _)| sequence.table == table);
    Ok(found.filter(|(_, taken)| *taken).map(|(sequence, _)| sequence))
}
