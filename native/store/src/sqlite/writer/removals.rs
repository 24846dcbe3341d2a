//! Removals on SQLite.

use std::time::Instant;

use domain_core::DomainName;
use rusqlite::types::Value;
use rusqlite::{Params, Transaction, params_from_iter};

use super::statements::{add_event, delete_admins, delete_row, read_settings, settings, update_status};
use super::{SqliteWriter, readable};
use crate::readable::Cell;
use crate::sqlite::value::{NOW_MS, cell};
use crate::writer::{
    BeginRemovalOutcome, HandlerProgress, JobOutcome, Lease, RemovalJobs, RemovalOperations, RemovalStatus, Status,
    VoidJob, rows,
};
use crate::{Readable, StoreError};

impl RemovalOperations for SqliteWriter {
    fn begin_removal(
        &mut self,
        domain: &DomainName,
        host_type: &str,
        handlers: u32,
        lease: Lease<'_>,
        subdomains: &[String],
        until: Instant,
    ) -> Result<BeginRemovalOutcome, StoreError> {
        self.transact("marking a domain as in removal", until, |transaction| {
            let before = match read_settings(transaction, domain)? {
                None => return Ok(BeginRemovalOutcome::NotFound),
                Some(settings) if settings.host_type != host_type => return Ok(BeginRemovalOutcome::WrongHostType),
                Some(settings) => settings,
            };
            update_status(transaction, domain, 2)?;
            delete_admins(transaction, domain, subdomains)?;
            let event = add_event(transaction, domain)?;
            let claimed = transaction.execute(
                &format!(
                    "INSERT INTO domain_removals AS r (domain, host_type, owner, lease_until, handlers)
                     VALUES (?1, ?2, ?3, {NOW_MS} + ?4, ?5)
                     ON CONFLICT (domain) DO UPDATE
                        SET host_type = excluded.host_type, owner = excluded.owner, lease_until = excluded.lease_until,
                            handlers = excluded.handlers, handlers_done = 0, failure = NULL
                      WHERE r.owner IS NULL OR r.lease_until < {NOW_MS}"
                ),
                (domain.as_str(), host_type, lease.owner, lease.milliseconds, handlers),
            )?;
            if claimed > 0 {
                return Ok(BeginRemovalOutcome::Claimed(event));
            }
            // The job may have been begun for an earlier row of the domain: see the trait.
            let reset = "UPDATE domain_removals
                           SET host_type = ?2, owner = substr('former ' || owner, 1, 250), handlers = ?3, handlers_done = 0
                         WHERE domain = ?1 AND (?4 OR host_type <> ?2)";
            let was_not_in_removal = before.status != Status::Deleting;
            transaction.execute(reset, (domain.as_str(), host_type, handlers, was_not_in_removal))?;
            Ok(BeginRemovalOutcome::OwnedElsewhere(event))
        })
    }

    fn renew_removals(&mut self, lease: Lease<'_>, until: Instant) -> Result<RemovalJobs, StoreError> {
        self.transact("prolonging removals", until, |transaction| {
            let found = select_jobs(transaction, "owner = ?1", [lease.owner])?;
            let sql = format!("UPDATE domain_removals SET lease_until = {NOW_MS} + ?2 WHERE domain = ?1");
            let mut update = transaction.prepare(&sql)?;
            for job in &found.held {
                update.execute((&job.domain, lease.milliseconds))?;
            }
            Ok(found)
        })
    }

    fn note_removal(
        &mut self,
        domain: &DomainName,
        progress: HandlerProgress,
        lease: Lease<'_>,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        self.transact("noting how far a removal is", until, |transaction| {
            if_held(transaction, domain, lease.owner, || {
                let sql = format!(
                    "UPDATE domain_removals SET handlers_done = ?2, handlers = ?3, lease_until = {NOW_MS} + ?4 WHERE domain = ?1"
                );
                let parameters = (domain.as_str(), progress.done, progress.of, lease.milliseconds);
                transaction.execute(&sql, parameters).map(|_| ())
            })
        })
    }

    fn fail_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        failure: &str,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        self.transact("noting why a removal failed", until, |transaction| {
            if_held(transaction, domain, owner, || {
                let sql = "UPDATE domain_removals SET owner = NULL, failure = ?2 WHERE domain = ?1";
                transaction.execute(sql, (domain.as_str(), failure)).map(|_| ())
            })
        })
    }

    fn finish_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        subdomains: &[String],
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        self.transact("finishing a removal", until, |transaction| {
            if_held(transaction, domain, owner, || {
                transaction.execute("DELETE FROM domain_removals WHERE domain = ?1", [domain.as_str()])?;
                delete_row(transaction, domain)?;
                delete_admins(transaction, domain, subdomains)?;
                add_event(transaction, domain).map(|_| ())
            })
        })
    }

    fn take_over_removals(
        &mut self,
        lease: Lease<'_>,
        allowed: &[String],
        limit: u32,
        until: Instant,
    ) -> Result<RemovalJobs, StoreError> {
        self.transact("taking over removals", until, |transaction| {
            let marks = vec!["?"; allowed.len()].join(", ");
            let host_types = allowed.iter().map(|host_type| Value::from(host_type.clone()));
            let abandoned = format!(
                "owner IS NOT NULL AND lease_until < {NOW_MS} AND r.host_type IN ({marks}) AND {IN_REMOVAL}
                 ORDER BY lease_until LIMIT ?"
            );
            let parameters = host_types.chain([Value::from(i64::from(limit))]);
            let RemovalJobs { held, left_out, .. } =
                select_jobs(transaction, &abandoned, params_from_iter(parameters))?;
            let sql = format!(
                "UPDATE domain_removals SET owner = ?2, lease_until = {NOW_MS} + ?3, handlers_done = 0 WHERE domain = ?1"
            );
            let mut take = transaction.prepare(&sql)?;
            for job in &held {
                take.execute((&job.domain, lease.owner, lease.milliseconds))?;
            }
            let ended = format!("(owner IS NULL OR lease_until < {NOW_MS}) AND {IN_REMOVAL} IS NOT TRUE LIMIT ?1");
            let RemovalJobs { void, .. } = select_jobs(transaction, &ended, [limit])?;
            for VoidJob { job, .. } in &void {
                transaction.execute("DELETE FROM domain_removals WHERE domain = ?1", [&job.domain])?;
            }
            Ok(RemovalJobs { held, void, left_out })
        })
    }

    fn removals(
        &mut self,
        domain: Option<&DomainName>,
        _until: Instant,
    ) -> Result<Readable<RemovalStatus>, StoreError> {
        let domain = domain.map(DomainName::as_str);
        self.read("reading removals", |connection| {
            let sql = format!(
                "SELECT domain, r.host_type, owner, lease_until < {NOW_MS}, handlers_done, handlers, failure
                   FROM domain_removals r LEFT JOIN domain_settings s USING (domain)
                  WHERE (?1 IS NULL OR domain = ?1) AND (owner IS NOT NULL OR {IN_REMOVAL}) ORDER BY domain"
            );
            let mut select = connection.prepare_cached(&sql)?;
            readable(select.query([domain])?, |row| {
                Ok(rows::removal([
                    cell(row, 0)?,
                    cell(row, 1)?,
                    cell(row, 2)?,
                    cell(row, 3)?,
                    cell(row, 4)?,
                    cell(row, 5)?,
                    cell(row, 6)?,
                ]))
            })
        })
    }
}

/// Whether the domain of the job `r` is in removal with the job's host type, by its row `s`. NULL without a row.
const IN_REMOVAL: &str = "(s.status = 2 AND s.host_type = r.host_type)";

/// Selects the jobs `r`, with the rows `s` of their domains, that meet a condition.
fn select_jobs(
    transaction: &Transaction<'_>,
    condition: &str,
    parameters: impl Params,
) -> rusqlite::Result<RemovalJobs> {
    let mut select = transaction.prepare(&format!(
        "SELECT domain, r.host_type, r.handlers, s.host_type, s.status
           FROM domain_removals r LEFT JOIN domain_settings s USING (domain) WHERE {condition}"
    ))?;
    let mut rows = select.query(parameters)?;
    let mut jobs = RemovalJobs::default();
    while let Some(row) = rows.next()? {
        let has_row = cell(row, 3)? != Cell::Null || cell(row, 4)? != Cell::Null;
        let of_domain = if has_row { Some(settings(row, 3)?) } else { None };
        match (rows::job(cell(row, 0)?, cell(row, 1)?, cell(row, 2)?), of_domain) {
            (Ok(job), Some(settings)) if settings.are_in_removal(&job.host_type) => jobs.held.push(job),
            (Ok(job), row) => jobs.void.push(VoidJob { job, row }),
            (Err(row), _) => jobs.left_out.push(row),
        }
    }
    Ok(jobs)
}

/// Runs a change on the job that the owner has of the domain. Deletes the job instead if it is void.
fn if_held(
    transaction: &Transaction<'_>,
    domain: &DomainName,
    owner: &str,
    change: impl FnOnce() -> rusqlite::Result<()>,
) -> rusqlite::Result<JobOutcome> {
    let RemovalJobs { held, void, .. } =
        select_jobs(transaction, "r.domain = ?1 AND owner = ?2", (domain.as_str(), owner))?;
    if let Some(VoidJob { row, .. }) = void.into_iter().next() {
        transaction.execute("DELETE FROM domain_removals WHERE domain = ?1", [domain.as_str()])?;
        return Ok(JobOutcome::Void(row));
    }
    if held.is_empty() {
        return Ok(JobOutcome::NotOwned);
    }
    change().map(|()| JobOutcome::Updated)
}
