//! Removals on PostgreSQL.

use std::time::Instant;

use domain_core::{DomainName, EventId};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::parts::{delete_admins, insert_events, notify};
use super::{PostgresWriter, get, no_row, settings};
use crate::postgres::prepared::Parameters;
use crate::postgres::sql::{bounded_name, bounded_text, now_ms};
use crate::postgres::value::cell;
use crate::writer::{
    BeginRemovalOutcome, HandlerProgress, JobOutcome, Lease, RemovalJobs, RemovalOperations, RemovalStatus, VoidJob,
    rows,
};
use crate::{Readable, StoreError};

/// Locks the row of the domain $1, and deletes the job that the owner $2 has of it if the job is void. Every statement
/// locks rows before jobs, so that two of them cannot deadlock.
macro_rules! lock_row_end_void_job {
    ($lock:literal) => {
        concat!(
            "WITH present AS (SELECT host_type, status FROM domain_settings WHERE domain = $1 ",
            $lock,
            "), ended AS (DELETE FROM domain_removals r
                           WHERE domain = $1 AND owner = $2
                             AND NOT EXISTS (SELECT FROM present p WHERE p.status = 2 AND p.host_type = r.host_type)
                          RETURNING 1), "
        )
    };
}

/// Selects whether the job was changed, whether it was deleted, and the domain's row: what the function of that name reads.
macro_rules! job_outcome {
    () => {
        concat!(
            " SELECT EXISTS (SELECT FROM mine), EXISTS (SELECT FROM ended), (SELECT ",
            bounded_name!("host_type"),
            " FROM present), (SELECT status FROM present)"
        )
    };
}

impl PostgresWriter {
    /// Runs a statement about one domain on the table of removals, which is created if it does not exist.
    fn query_removals(
        &mut self,
        doing: &'static str,
        sql: &'static str,
        parameters: &Parameters<'_>,
        until: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        self.removals.create(&self.session, doing, until)?;
        self.query_prepared(doing, sql, parameters, until)
    }

    /// Runs a statement that joins this table with others. The result is empty if the table does not exist.
    fn query_removals_if_any(
        &mut self,
        doing: &'static str,
        sql: &str,
        parameters: &Parameters<'_>,
        until: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        if !self.removals.exists(&self.session, doing, until)? {
            return Ok(Vec::new());
        }
        self.query(doing, sql, parameters, until)
    }
}

impl RemovalOperations for PostgresWriter {
    fn begin_removal(
        &mut self,
        domain: &DomainName,
        host_type: &str,
        handlers: u32,
        lease: Lease<'_>,
        subdomains: &[String],
        until: Instant,
    ) -> Result<BeginRemovalOutcome, StoreError> {
        const DOING: &str = "marking a domain as in removal";
        let rows = self.query_removals(
            DOING,
            concat!(
                "WITH found AS (SELECT host_type, status FROM domain_settings WHERE domain = $1 FOR UPDATE),
                   marked AS (UPDATE domain_settings s SET status = 2 FROM found
                               WHERE domain = $1 AND found.host_type = $2 RETURNING s.domain, s.host_type),
                   ",
                delete_admins!("marked", "$6"),
                ",
                   claimed AS (INSERT INTO domain_removals AS r (domain, host_type, owner, handlers, lease_until)
                               SELECT domain, host_type, $3, $5, ",
                now_ms!(),
                " + $4 FROM marked
                               ON CONFLICT (domain) DO UPDATE
                                  SET (host_type, handlers, handlers_done, failure, owner, lease_until) =
                                      (SELECT excluded.host_type, excluded.handlers, 0, NULL,
                                              CASE WHEN free THEN excluded.owner ELSE left('former ' || r.owner, 250) END,
                                              CASE WHEN free THEN excluded.lease_until ELSE r.lease_until END
                                         FROM (SELECT r.owner IS NULL OR r.lease_until < ",
                now_ms!(),
                " AS free) AS job)
                                WHERE r.owner IS NULL OR r.lease_until < ",
                now_ms!(),
                " OR r.host_type <> excluded.host_type OR (SELECT status FROM found) <> 2
                               RETURNING owner), ",
                insert_events!("marked"),
                " SELECT (SELECT id FROM logged), EXISTS (SELECT FROM claimed WHERE owner = $3), ",
                notify!(),
                " FROM found"
            ),
            &[
                (&domain.as_str(), Type::VARCHAR),
                (&host_type, Type::VARCHAR),
                (&lease.owner, Type::VARCHAR),
                (&lease.milliseconds, Type::INT8),
                (&i64::from(handlers), Type::INT8),
                (&subdomains, Type::TEXT_ARRAY),
            ],
            until,
        )?;
        let Some(row) = rows.first() else { return Ok(BeginRemovalOutcome::NotFound) };
        Ok(match (get::<Option<i64>>(row, 0, DOING)?, get(row, 1, DOING)?) {
            (None, _) => BeginRemovalOutcome::WrongHostType,
            (Some(id), true) => BeginRemovalOutcome::Claimed(EventId(id)),
            (Some(id), false) => BeginRemovalOutcome::OwnedElsewhere(EventId(id)),
        })
    }

    fn renew_removals(&mut self, lease: Lease<'_>, until: Instant) -> Result<RemovalJobs, StoreError> {
        const DOING: &str = "prolonging removals";
        let sql = concat!(
            "WITH mine AS (UPDATE domain_removals r SET lease_until = ",
            now_ms!(),
            " + $2 FROM domain_settings s
                WHERE r.owner = $1 AND s.domain = r.domain AND s.status = 2 AND s.host_type = r.host_type
               RETURNING r.domain, r.host_type, r.handlers)
             SELECT true, domain, host_type, handlers, NULL::text, NULL::int2 FROM mine
              UNION ALL
             SELECT false, r.domain, r.host_type, r.handlers, ",
            bounded_name!("s.host_type"),
            ", s.status
               FROM domain_removals r LEFT JOIN domain_settings s ON s.domain = r.domain
              WHERE r.owner = $1 AND (s.status = 2 AND s.host_type = r.host_type) IS NOT TRUE"
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&lease.owner, Type::VARCHAR), (&lease.milliseconds, Type::INT8)];
        let rows = self.query_removals_if_any(DOING, sql, &parameters, until)?;
        jobs(&rows, DOING)
    }

    fn note_removal(
        &mut self,
        domain: &DomainName,
        progress: HandlerProgress,
        lease: Lease<'_>,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        const DOING: &str = "noting how far a removal is";
        let (done, of) = (i64::from(progress.done), i64::from(progress.of));
        let rows = self.query_removals(
            DOING,
            concat!(
                lock_row_end_void_job!("FOR SHARE"),
                "mine AS (UPDATE domain_removals r SET handlers_done = $3, handlers = $4, lease_until = ",
                now_ms!(),
                " + $5 FROM present p
                   WHERE domain = $1 AND owner = $2 AND p.status = 2 AND p.host_type = r.host_type RETURNING 1)",
                job_outcome!()
            ),
            &[
                (&domain.as_str(), Type::VARCHAR),
                (&lease.owner, Type::VARCHAR),
                (&done, Type::INT8),
                (&of, Type::INT8),
                (&lease.milliseconds, Type::INT8),
            ],
            until,
        )?;
        job_outcome(&rows, DOING)
    }

    fn fail_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        failure: &str,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        const DOING: &str = "noting why a removal failed";
        let rows = self.query_removals(
            DOING,
            concat!(
                lock_row_end_void_job!("FOR SHARE"),
                "mine AS (UPDATE domain_removals r SET owner = NULL, failure = $3 FROM present p
                   WHERE domain = $1 AND owner = $2 AND p.status = 2 AND p.host_type = r.host_type RETURNING 1)",
                job_outcome!()
            ),
            &[(&domain.as_str(), Type::VARCHAR), (&owner, Type::VARCHAR), (&failure, Type::TEXT)],
            until,
        )?;
        job_outcome(&rows, DOING)
    }

    fn finish_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        subdomains: &[String],
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        const DOING: &str = "finishing a removal";
        let rows = self.query_removals(
            DOING,
            concat!(
                lock_row_end_void_job!("FOR UPDATE"),
                "mine AS (DELETE FROM domain_removals r USING present p
                           WHERE domain = $1 AND owner = $2 AND p.status = 2 AND p.host_type = r.host_type
                          RETURNING r.domain),
                   gone AS (DELETE FROM domain_settings WHERE domain = (SELECT domain FROM mine) RETURNING domain),
                   ",
                delete_admins!("gone", "$3"),
                ", ",
                insert_events!("gone"),
                job_outcome!(),
                ", ",
                notify!()
            ),
            &[(&domain.as_str(), Type::VARCHAR), (&owner, Type::VARCHAR), (&subdomains, Type::TEXT_ARRAY)],
            until,
        )?;
        job_outcome(&rows, DOING)
    }

    fn take_over_removals(
        &mut self,
        lease: Lease<'_>,
        allowed: &[String],
        limit: u32,
        until: Instant,
    ) -> Result<RemovalJobs, StoreError> {
        const DOING: &str = "taking over removals";
        let rows = self.query_removals_if_any(
            DOING,
            concat!(
                "WITH abandoned AS (SELECT r.domain FROM domain_removals r JOIN domain_settings s ON s.domain = r.domain
                                     WHERE r.owner IS NOT NULL AND r.host_type = ANY($3) AND r.lease_until < ",
                now_ms!(),
                " AND s.status = 2 AND s.host_type = r.host_type
                                     ORDER BY r.lease_until LIMIT $4 FOR UPDATE OF r SKIP LOCKED),
                   taken AS (UPDATE domain_removals r SET owner = $1, lease_until = ",
                now_ms!(),
                " + $2, handlers_done = 0 FROM abandoned a WHERE r.domain = a.domain
                             RETURNING r.domain, r.host_type, r.handlers),
                   void AS (SELECT r.domain, ",
                bounded_name!("s.host_type"),
                " AS host_type, s.status
                              FROM domain_removals r LEFT JOIN domain_settings s ON s.domain = r.domain
                             WHERE (r.owner IS NULL OR r.lease_until < ",
                now_ms!(),
                ") AND (s.status = 2 AND s.host_type = r.host_type) IS NOT TRUE
                             ORDER BY r.domain LIMIT $4 FOR UPDATE OF r SKIP LOCKED),
                   ended AS (DELETE FROM domain_removals r USING void v WHERE r.domain = v.domain
                             RETURNING r.domain, r.host_type, r.handlers, v.host_type, v.status)
                 SELECT true, domain, host_type, handlers, NULL::text, NULL::int2 FROM taken
                  UNION ALL SELECT false, * FROM ended"
            ),
            &[
                (&lease.owner, Type::VARCHAR),
                (&lease.milliseconds, Type::INT8),
                (&allowed, Type::TEXT_ARRAY),
                (&i64::from(limit), Type::INT8),
            ],
            until,
        )?;
        jobs(&rows, DOING)
    }

    fn removals(&mut self, domain: Option<&DomainName>, until: Instant) -> Result<Readable<RemovalStatus>, StoreError> {
        const DOING: &str = "reading removals";
        let domain = domain.map(DomainName::as_str);
        let rows = self.query_removals_if_any(
            DOING,
            concat!(
                "SELECT ",
                bounded_name!("domain"),
                ", ",
                bounded_name!("host_type"),
                ", ",
                bounded_text!("owner"),
                ", (lease_until < ",
                now_ms!(),
                ")::int, handlers_done, handlers, ",
                bounded_text!("failure"),
                " FROM domain_removals r
                  WHERE ($1::text IS NULL OR domain = $1)
                    AND (owner IS NOT NULL OR EXISTS (SELECT FROM domain_settings s
                                                       WHERE s.domain = r.domain AND s.status = 2
                                                         AND s.host_type = r.host_type))
                  ORDER BY domain"
            ),
            &[(&domain, Type::TEXT)],
            until,
        )?;
        Ok(Readable::collect(rows.iter().map(|row| rows::removal(std::array::from_fn(|column| cell(row, column))))))
    }
}

/// Reads what `job_outcome!` selects.
fn job_outcome(rows: &[Row], doing: &'static str) -> Result<JobOutcome, StoreError> {
    let row = rows.first().ok_or_else(|| no_row(doing))?;
    Ok(match (get(row, 0, doing)?, get(row, 1, doing)?) {
        (true, _) => JobOutcome::Updated,
        (false, true) => JobOutcome::Void(settings(row, 2)),
        (false, false) => JobOutcome::NotOwned,
    })
}

/// Reads rows of: whether the job is not void, its domain, its host type, its handlers, and the domain's row.
fn jobs(rows: &[Row], doing: &'static str) -> Result<RemovalJobs, StoreError> {
    let mut jobs = RemovalJobs::default();
    for row in rows {
        match (rows::job(cell(row, 1), cell(row, 2), cell(row, 3)), get(row, 0, doing)?) {
            (Ok(job), true) => jobs.held.push(job),
            (Ok(job), false) => jobs.void.push(VoidJob { job, row: settings(row, 4) }),
            (Err(row), _) => jobs.left_out.push(row),
        }
    }
    Ok(jobs)
}
