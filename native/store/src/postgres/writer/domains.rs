//! Domains on PostgreSQL.

use std::iter;
use std::time::Instant;

use domain_core::{DomainName, EventId};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::parts::{delete_admins_of_several, insert_events, notify};
use super::{PostgresWriter, get, settings};
use crate::postgres::prepared::Parameters;
use crate::postgres::sql::bounded_name;
use crate::postgres::value::{RawText, cell};
use crate::readable::Cell;
use crate::writer::{
    Activation, ChangedDomain, DeleteOutcome, DomainOperations, DomainSettings, Filter, InsertOutcome, ListedDomain,
    NewDomain, OldDomain, SetStatusOutcome, Status, rows,
};
use crate::{Readable, StoreError};

/// The most domains that a prepared statement changes. The plan that suits all parameters is one for few domains: it compares
/// each with each event. LIMIT, which removes nothing, has the planner expect few. For more domains, planning costs little
/// beside changing them.
const MAX_PREPARED: usize = 32;

impl PostgresWriter {
    /// Runs a statement for this number of domains.
    fn query_for(
        &self,
        domains: usize,
        doing: &'static str,
        sql: &'static str,
        parameters: &Parameters<'_>,
        until: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        if domains > MAX_PREPARED {
            self.query(doing, sql, parameters, until)
        } else {
            self.query_prepared(doing, sql, parameters, until)
        }
    }
}

impl PostgresWriter {
    /// Deletes the passwords of these names that have no row. A deletion that waits for a password that is being stored does
    /// not see it: the password was committed after the deletion's snapshot. After the deletion no more can be stored.
    fn delete_late_passwords(&self, names: &[&str], until: Instant) -> Result<(), StoreError> {
        let sql = "DELETE FROM domain_admins WHERE domain = ANY (ARRAY(
                     SELECT name FROM (SELECT * FROM unnest($1::text[]) LIMIT cardinality($1::text[])) AS n (name)
                      WHERE NOT EXISTS (SELECT FROM domain_settings s WHERE s.domain = n.name OFFSET 0)))";
        let doing = "deleting the passwords of deleted domains";
        self.query_for(names.len(), doing, sql, &[(&names, Type::TEXT_ARRAY)], until).map(|_| ())
    }
}

impl DomainOperations for PostgresWriter {
    fn insert(&mut self, domains: &[NewDomain<'_>], until: Instant) -> Result<Vec<InsertOutcome>, StoreError> {
        const DOING: &str = "adding domains";
        let names: Vec<&str> = domains.iter().map(|new| new.domain.as_str()).collect();
        let host_types: Vec<&str> = domains.iter().map(|new| new.host_type).collect();
        let statuses: Vec<i16> = domains.iter().map(|new| new.status.number()).collect();
        let (subdomains, parents) = with_parents(domains.iter().map(|new| (new.domain, new.subdomains)));
        let sql =
            concat!(
                "WITH wanted AS (SELECT * FROM unnest($1::text[], $2::text[], $5::int2[])
                                    WITH ORDINALITY AS w (domain, host_type, status, position)
                                 LIMIT cardinality($1::text[])),
                   added AS (INSERT INTO domain_settings (domain, host_type, status)
                             SELECT domain, host_type, status FROM wanted
                              WHERE NOT EXISTS (SELECT FROM domain_settings s WHERE s.domain = wanted.domain OFFSET 0)
                              ORDER BY domain RETURNING domain), ",
                insert_events!("added"),
                // A row that was deleted by hand has left its passwords.
                ", ",
                delete_admins_of_several!("added", "$3", "$4"),
                " SELECT l.id, ",
                bounded_name!("s.host_type"),
                ", s.status, ",
                notify!(),
                " FROM wanted w LEFT JOIN logged l USING (domain)
                   LEFT JOIN LATERAL (SELECT host_type, status FROM domain_settings WHERE domain = w.domain LIMIT 1) s ON true
                  ORDER BY w.position"
            );
        let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
            (&names, Type::TEXT_ARRAY),
            (&host_types, Type::TEXT_ARRAY),
            (&subdomains, Type::TEXT_ARRAY),
            (&parents, Type::TEXT_ARRAY),
            (&statuses, Type::INT2_ARRAY),
        ];
        let rows = self.query_for(domains.len(), DOING, sql, &parameters, until)?;
        rows.iter()
            .map(|row| match (get(row, 0, DOING)?, settings(row, 1)) {
                (Some(id), _) => Ok(InsertOutcome::Added(EventId(id))),
                (None, Some(settings)) => Ok(InsertOutcome::Exists(settings)),
                (None, None) => Ok(InsertOutcome::Skipped),
            })
            .collect()
    }

    fn set_statuses(
        &mut self,
        changes: &[(&DomainName, Activation)],
        allowed: &[String],
        until: Instant,
    ) -> Result<Vec<SetStatusOutcome>, StoreError> {
        const DOING: &str = "changing a domain's status";
        let names: Vec<&str> = changes.iter().map(|(domain, _)| domain.as_str()).collect();
        let statuses: Vec<i16> = changes.iter().map(|(_, wanted)| wanted.number()).collect();
        // Rows are locked in the order of their names, so that two of these statements cannot deadlock.
        let sql = concat!(
            "WITH wanted AS (SELECT * FROM unnest($1::text[], $2::int2[])
                                WITH ORDINALITY AS w (domain, status, position)
                             LIMIT cardinality($1::text[])),
                  found AS MATERIALIZED (
                    SELECT w.position, w.status AS wanted, s.domain, s.status, s.host_type, s.host_type = ANY ($3) AS allowed
                      FROM (SELECT * FROM wanted ORDER BY domain) w
                      CROSS JOIN LATERAL (SELECT domain, host_type, status FROM domain_settings
                                           WHERE domain = w.domain LIMIT 1 FOR UPDATE) s),
                  changed AS (
                    UPDATE domain_settings s
                       SET status = (SELECT f.wanted FROM found f WHERE f.domain = s.domain)
                     WHERE s.domain = ANY (ARRAY(SELECT domain FROM found
                                                  WHERE allowed AND status <> 2 AND status <> wanted))
                    RETURNING s.domain), ",
            insert_events!("changed"),
            " SELECT f.position IS NOT NULL, f.status, f.allowed, l.id, CASE WHEN f.allowed THEN f.host_type::text END, ",
            notify!(),
            " FROM wanted w LEFT JOIN found f USING (position) LEFT JOIN logged l ON l.domain = f.domain
              ORDER BY w.position"
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&names, Type::TEXT_ARRAY), (&statuses, Type::INT2_ARRAY), (&allowed, Type::TEXT_ARRAY)];
        let rows = self.query_for(changes.len(), DOING, sql, &parameters, until)?;
        let outcome = |(row, wanted): (&Row, &i16)| {
            if !get(row, 0, DOING)? {
                return Ok(SetStatusOutcome::NotFound);
            }
            let before = Status::new(i64::from(get::<i16>(row, 1, DOING)?));
            Ok(match (get(row, 2, DOING)?, before, get::<Option<i64>>(row, 3, DOING)?) {
                (false, ..) => SetStatusOutcome::UnknownHostType,
                (true, Status::Deleting, _) => SetStatusOutcome::Deleting,
                (true, _, Some(id)) => SetStatusOutcome::Changed(EventId(id), get(row, 4, DOING)?),
                (true, before, None) if before == Status::new(i64::from(*wanted)) => SetStatusOutcome::Unchanged,
                (true, _, None) => SetStatusOutcome::Skipped,
            })
        };
        rows.iter().zip(&statuses).map(outcome).collect()
    }

    fn delete(&mut self, domains: &[OldDomain<'_>], until: Instant) -> Result<Vec<DeleteOutcome>, StoreError> {
        const DOING: &str = "deleting domains";
        let names: Vec<&str> = domains.iter().map(|old| old.domain.as_str()).collect();
        let host_types: Vec<&str> = domains.iter().map(|old| old.host_type).collect();
        let (subdomains, parents) = with_parents(domains.iter().map(|old| (old.domain, old.subdomains)));
        // Rows are locked in the order of their names, as in `set_statuses`.
        let sql = concat!(
            "WITH wanted AS (SELECT * FROM unnest($1::text[], $2::text[])
                                WITH ORDINALITY AS w (domain, host_type, position)
                             LIMIT cardinality($1::text[])),
                  found AS MATERIALIZED (
                    SELECT w.position, s.domain, s.status, s.host_type = w.host_type AS is_right
                      FROM (SELECT * FROM wanted ORDER BY domain) w
                      CROSS JOIN LATERAL (SELECT domain, host_type, status FROM domain_settings
                                           WHERE domain = w.domain LIMIT 1 FOR UPDATE) s),
                  gone AS (DELETE FROM domain_settings
                            WHERE domain = ANY (ARRAY(SELECT domain FROM found WHERE is_right AND status <> 2))
                           RETURNING domain), ",
            delete_admins_of_several!("gone", "$3", "$4"),
            ", ",
            insert_events!("gone"),
            " SELECT f.position IS NOT NULL, f.is_right, l.id, ",
            notify!(),
            " FROM wanted w LEFT JOIN found f USING (position) LEFT JOIN logged l ON l.domain = f.domain
              ORDER BY w.position"
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
            (&names, Type::TEXT_ARRAY),
            (&host_types, Type::TEXT_ARRAY),
            (&subdomains, Type::TEXT_ARRAY),
            (&parents, Type::TEXT_ARRAY),
        ];
        let rows = self.query_for(domains.len(), DOING, sql, &parameters, until)?;
        let outcome = |row: &Row| -> Result<DeleteOutcome, StoreError> {
            if !get(row, 0, DOING)? {
                return Ok(DeleteOutcome::NotFound);
            }
            Ok(match (get(row, 1, DOING)?, get::<Option<i64>>(row, 2, DOING)?) {
                (_, Some(id)) => DeleteOutcome::Deleted(EventId(id)),
                (true, None) => DeleteOutcome::Kept,
                (false, None) => DeleteOutcome::WrongHostType,
            })
        };
        let outcomes: Vec<_> = rows.iter().map(outcome).collect::<Result<_, _>>()?;
        let gone: Vec<_> = domains
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| matches!(outcome, DeleteOutcome::Deleted(_)))
            .flat_map(|(old, _)| iter::once(old.domain.as_str()).chain(old.subdomains.iter().map(String::as_str)))
            .collect();
        if !gone.is_empty() {
            self.delete_late_passwords(&gone, until)?;
        }
        Ok(outcomes)
    }

    fn settings(&mut self, domain: &DomainName, until: Instant) -> Result<Option<DomainSettings>, StoreError> {
        const DOING: &str = "reading a domain";
        let sql = concat!("SELECT ", bounded_name!("host_type"), ", status FROM domain_settings WHERE domain = $1");
        let rows = self.query_prepared(DOING, sql, &[(&domain.as_str(), Type::VARCHAR)], until)?;
        Ok(rows.first().and_then(|row| settings(row, 0)))
    }

    fn list(&mut self, filter: &Filter, limit: u32, until: Instant) -> Result<Readable<ListedDomain>, StoreError> {
        const DOING: &str = "listing domains";
        let Filter { after, host_type, status, prefix } = filter;
        let mut after = after.as_ref().map(|after| after.as_bytes().to_vec());
        let mut listed = Readable::default();
        loop {
            let after_text = after.as_deref().map(RawText);
            let left = i64::from(limit) - listed.rows.len() as i64;
            let rows = self.query(
                DOING,
                // The list could not continue after a name that was cut. The survey counts those rows.
                concat!(
                    "SELECT domain, ",
                    bounded_name!("host_type"),
                    ", status FROM domain_settings
                  WHERE octet_length(domain) <= 1000 AND ($1::text IS NULL OR domain > $1)
                    AND ($2::text IS NULL OR host_type = $2)
                    AND ($3::int2 IS NULL OR status = $3)
                    AND ($4::text IS NULL OR starts_with(domain, $4))
                  ORDER BY domain LIMIT $5"
                ),
                &[
                    (&after_text, Type::TEXT),
                    (host_type, Type::TEXT),
                    (status, Type::INT2),
                    (prefix, Type::TEXT),
                    (&left, Type::INT8),
                ],
                until,
            )?;
            for row in &rows {
                listed.push(rows::listed(cell(row, 0), cell(row, 1), cell(row, 2)));
            }
            // The next page begins after the last row, whether that was readable or not.
            match rows.last().map(|row| cell(row, 0)) {
                Some(Cell::Text(last)) if listed.rows.len() < limit as usize && rows.len() as i64 == left => {
                    after = Some(last.to_vec());
                }
                _ => return Ok(listed),
            }
        }
    }

    fn changes(
        &mut self,
        after: Option<EventId>,
        limit: u32,
        until: Instant,
    ) -> Result<Readable<ChangedDomain>, StoreError> {
        const DOING: &str = "reading changes";
        let sql = concat!(
            "SELECT e.id, ",
            bounded_name!("e.domain"),
            ", ",
            bounded_name!("s.host_type"),
            ", s.status, s.found
                     FROM (SELECT id, domain FROM domain_events
                            WHERE domain <> '' AND CASE WHEN $1 IS NULL
                                  THEN id = (SELECT max(id) FROM domain_events WHERE domain <> '') ELSE id > $1 END
                            ORDER BY id LIMIT $2) e
                     LEFT JOIN (SELECT domain, host_type, status, 1 AS found FROM domain_settings) s USING (domain)
                    ORDER BY e.id"
        );
        let mut after = after.map(|EventId(id)| id);
        let mut changes = Readable::default();
        loop {
            let left = i64::from(limit) - changes.rows.len() as i64;
            let rows = self.query(DOING, sql, &[(&after, Type::INT8), (&left, Type::INT8)], until)?;
            for row in &rows {
                let settings = (cell(row, 4) != Cell::Null).then(|| (cell(row, 2), cell(row, 3)));
                changes.push(rows::changed(EventId(get(row, 0, DOING)?), cell(row, 1), settings));
            }
            // Without `after` there is at most one.
            match rows.last() {
                Some(last) if after.is_some() && changes.rows.len() < limit as usize && rows.len() as i64 == left => {
                    after = Some(get(last, 0, DOING)?);
                }
                _ => return Ok(changes),
            }
        }
    }
}

/// The subdomains of domains, and the domain of each.
fn with_parents<'a>(domains: impl Iterator<Item = (&'a DomainName, &'a [String])>) -> (Vec<&'a str>, Vec<&'a str>) {
    domains.flat_map(|(domain, names)| names.iter().map(|name| (name.as_str(), domain.as_str()))).unzip()
}
