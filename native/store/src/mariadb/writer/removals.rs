//! Removals on MariaDB.
//!
//! A change of a domain's row and of its job locks in this order: the claim of its name, the row, the job. A change of the
//! job alone locks the job, and reads the row afterwards without a lock. If a removal is begun in between, it waits for the
//! job, and finds it as this change has left it.

use std::collections::HashSet;
use std::time::Instant;

use domain_core::DomainName;
use mysql_async::prelude::Queryable;
use mysql_async::{Error, Row};

use super::MariadbWriter;
use super::addition::without_password;
use super::batch::{Access, Batch, COMMIT};
use super::cell::cell;
use super::claims::Claims;
use super::events::finish;
use super::found::{self, FoundRows};
use super::jobs::{self, is_abandoned, is_idle, rows_of};
use super::sql::{NOW_MS, is_any, literal, numbers};
use crate::readable::Cell;
use crate::writer::{
    BeginRemovalOutcome, HandlerProgress, JobOutcome, Lease, RemovalJobs, RemovalOperations, RemovalStatus, Status,
    VoidJob, rows,
};
use crate::{Readable, StoreError};

/// The most jobs that are looked at to find some that may be taken over.
const MAX_CANDIDATES: usize = 10_000;

impl RemovalOperations for MariadbWriter {
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
        self.removals.create(&mut self.session, DOING, until)?;
        let name = domain.as_str();
        let begun = self.change(DOING, until, async |access: &mut Access<'_>| {
            let job = format!(
                "SELECT r.host_type, {} FROM domain_removals r WHERE r.domain = {} FOR UPDATE",
                is_idle(),
                literal(name)
            );
            let Claimed { claims, found, own, job } = claim(access, name, subdomains, job).await?;
            let settings = match found.settings(name) {
                Some(settings) if settings.host_type == host_type => settings,
                other => {
                    access.conn.query_drop("ROLLBACK").await?;
                    let outcome = other.map_or(BeginRemovalOutcome::NotFound, |_| BeginRemovalOutcome::WrongHostType);
                    return Ok(Some(outcome));
                }
            };
            let mut batch = Batch::default();
            let ids: Vec<_> = found.ids(name).collect();
            batch.add(format!("UPDATE domain_settings SET status = 2 WHERE id IN ({})", numbers(&ids)));
            claims.end(&mut batch, access.columns, &without_password([(domain, subdomains)].into_iter(), &own));
            let is_free = job.first().is_none_or(|job| cell(job, 1) == Cell::Number(1));
            // The job may have been begun for an earlier row of the domain: see the trait.
            let is_earlier = settings.status != Status::Deleting
                || job.first().is_some_and(|job| cell(job, 0) != Cell::Text(host_type.as_bytes()));
            if is_free {
                batch.add(format!(
                    "REPLACE INTO domain_removals (domain, host_type, owner, handlers, lease_until)
                     VALUES ({}, {}, {}, {handlers}, {NOW_MS} + {})",
                    literal(name),
                    literal(host_type),
                    literal(lease.owner),
                    lease.milliseconds
                ));
            } else if is_earlier {
                batch.add(format!(
                    "UPDATE domain_removals SET host_type = {}, owner = LEFT(CONCAT('former ', owner), 250),
                            handlers = {handlers}, handlers_done = 0, failure = NULL WHERE domain = {}",
                    literal(host_type),
                    literal(name)
                ));
            }
            let event = finish(access, batch, &[name]).await?.of(name);
            let outcome = if is_free { BeginRemovalOutcome::Claimed } else { BeginRemovalOutcome::OwnedElsewhere };
            Ok(event.map(outcome))
        })?;
        begun.ok_or_else(|| StoreError::row_skipped(DOING))
    }

    fn renew_removals(&mut self, lease: Lease<'_>, until: Instant) -> Result<RemovalJobs, StoreError> {
        const DOING: &str = "prolonging removals";
        if !self.removals.exists(&mut self.session, DOING, until)? {
            return Ok(RemovalJobs::default());
        }
        self.change(DOING, until, async |access: &mut Access<'_>| {
            let owner = literal(lease.owner);
            let mine =
                format!("SELECT {} FROM domain_removals r WHERE r.owner = {owner} ORDER BY r.domain", jobs::COLUMNS);
            let mine: Vec<Row> = access.conn.query(mine).await?;
            let mut jobs = jobs::with_rows(access, &mine).await?;
            if jobs.held.is_empty() {
                return Ok(jobs);
            }
            let mut batch = Batch::default();
            batch.add(format!(
                "UPDATE domain_removals SET lease_until = {NOW_MS} + {} WHERE owner = {owner} AND {}",
                lease.milliseconds,
                is_any("domain", jobs.held.iter().map(|job| job.domain.as_str()))
            ));
            // Another node may have taken some of them over before.
            let left = batch.add(format!("SELECT domain FROM domain_removals WHERE owner = {owner}"));
            let left: Vec<String> = names(&batch.run(access).await?.take(left));
            jobs.held.retain(|job| left.contains(&job.domain));
            Ok(jobs)
        })
    }

    fn note_removal(
        &mut self,
        domain: &DomainName,
        progress: HandlerProgress,
        lease: Lease<'_>,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        let set = format!(
            "handlers_done = {}, handlers = {}, lease_until = {NOW_MS} + {}",
            progress.done, progress.of, lease.milliseconds
        );
        self.update_job("noting how far a removal is", domain, lease.owner, &set, until)
    }

    fn fail_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        failure: &str,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        let set = format!("owner = NULL, failure = {}", literal(failure));
        self.update_job("noting why a removal failed", domain, owner, &set, until)
    }

    fn finish_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        subdomains: &[String],
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        const DOING: &str = "finishing a removal";
        self.removals.create(&mut self.session, DOING, until)?;
        let name = domain.as_str();
        self.change(DOING, until, async |access: &mut Access<'_>| {
            let Claimed { claims, found, own, job } = claim(access, name, subdomains, select_job(name, owner)).await?;
            let outcome = outcome(&found, name, job.first());
            let mut batch = Batch::default();
            batch.add(format!("DELETE FROM domain_removals WHERE domain = {}", literal(name)));
            match outcome {
                JobOutcome::NotOwned => access.conn.query_drop("ROLLBACK").await?,
                JobOutcome::Void(_) => {
                    claims.end(&mut batch, access.columns, &HashSet::new());
                    batch.add(COMMIT);
                    batch.run(access).await?;
                }
                JobOutcome::Updated => {
                    let ids: Vec<_> = found.ids(name).collect();
                    batch.add(format!("DELETE FROM domain_settings WHERE id IN ({})", numbers(&ids)));
                    claims.end(&mut batch, access.columns, &without_password([(domain, subdomains)].into_iter(), &own));
                    finish(access, batch, &[name]).await?;
                }
            }
            Ok(outcome)
        })
    }

    fn take_over_removals(
        &mut self,
        lease: Lease<'_>,
        allowed: &[String],
        limit: u32,
        until: Instant,
    ) -> Result<RemovalJobs, StoreError> {
        const DOING: &str = "taking over removals";
        if !self.removals.exists(&mut self.session, DOING, until)? {
            return Ok(RemovalJobs::default());
        }
        let abandoned = format!(
            "SELECT {} FROM domain_removals r WHERE {} AND {}",
            jobs::COLUMNS,
            is_abandoned(),
            is_any("r.host_type", allowed.iter().map(String::as_str))
        );
        let idle = format!("SELECT {} FROM domain_removals r WHERE {}", jobs::COLUMNS, is_idle());
        self.change(DOING, until, async |access: &mut Access<'_>| {
            // Looks for jobs without locks, and then locks those that it chooses, if they are still what they were.
            let mut batch = Batch::default();
            let first = batch.add(format!("{abandoned} ORDER BY r.lease_until, r.domain LIMIT {MAX_CANDIDATES}"));
            let second = batch.add(format!("{idle} ORDER BY r.domain LIMIT {MAX_CANDIDATES}"));
            let mut answers = batch.run(access).await?;
            let candidates = jobs::with_rows(access, &answers.take(first)).await?;
            let RemovalJobs { void, .. } = jobs::with_rows(access, &answers.take(second)).await?;
            let to_take = candidates.held.iter().take(limit as usize).map(|job| job.domain.as_str());
            let to_end = void.iter().take(limit as usize).map(|void| void.job.domain.as_str());

            let mut batch = Batch::transaction();
            let first = batch.add(format!("{abandoned} AND {} FOR UPDATE SKIP LOCKED", is_any("r.domain", to_take)));
            let second = batch.add(format!("{idle} AND {} FOR UPDATE SKIP LOCKED", is_any("r.domain", to_end)));
            let mut answers = batch.run(access).await?;
            // Whoever claims a job after this sees that it is locked, and whoever has claimed it before has marked the row.
            let RemovalJobs { held, .. } = jobs::with_rows(access, &answers.take(first)).await?;
            let RemovalJobs { void, .. } = jobs::with_rows(access, &answers.take(second)).await?;
            let mut batch = Batch::default();
            batch.add(format!(
                "UPDATE domain_removals SET owner = {}, lease_until = {NOW_MS} + {}, handlers_done = 0 WHERE {}",
                literal(lease.owner),
                lease.milliseconds,
                is_any("domain", held.iter().map(|job| job.domain.as_str()))
            ));
            let ended = void.iter().map(|VoidJob { job, .. }| job.domain.as_str());
            batch.add(format!("DELETE FROM domain_removals WHERE {}", is_any("domain", ended)));
            batch.add(COMMIT);
            batch.run(access).await?;
            Ok(RemovalJobs { held, void, left_out: candidates.left_out })
        })
    }

    fn removals(&mut self, domain: Option<&DomainName>, until: Instant) -> Result<Readable<RemovalStatus>, StoreError> {
        const DOING: &str = "reading removals";
        if !self.removals.exists(&mut self.session, DOING, until)? {
            return Ok(Readable::default());
        }
        let is_domain = domain.map_or("TRUE".to_owned(), |domain| is_any("r.domain", [domain.as_str()]));
        let sql = format!(
            "SELECT r.domain, r.host_type, LEFT(r.owner, 1000), r.lease_until < {NOW_MS}, r.handlers_done, r.handlers,
                    LEFT(r.failure, 1000)
               FROM domain_removals r WHERE {is_domain} ORDER BY r.domain"
        );
        self.change(DOING, until, async |access: &mut Access<'_>| {
            let all: Vec<Row> = access.conn.query(sql).await?;
            let mut removals =
                Readable::collect(all.iter().map(|row| rows::removal(std::array::from_fn(|column| cell(row, column)))));
            let failed = removals.rows.iter().filter(|job| job.owner.is_none()).map(|job| job.domain.as_str());
            let rows = rows_of(access, failed).await?;
            removals.rows.retain(|job| job.owner.is_some() || is_in_removal(&rows, &job.domain, &job.host_type));
            Ok(removals)
        })
    }
}

impl MariadbWriter {
    /// Changes the job that the owner has of the domain. Deletes the job instead if it is void.
    fn update_job(
        &mut self,
        doing: &'static str,
        domain: &DomainName,
        owner: &str,
        set: &str,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        self.removals.create(&mut self.session, doing, until)?;
        let name = domain.as_str();
        self.change(doing, until, async |access: &mut Access<'_>| {
            let mut batch = Batch::transaction();
            let job = batch.add(select_job(name, owner));
            let rows = batch.add(found::select(&access.columns.settings, [name]));
            let mut answers = batch.run(access).await?;
            let outcome = outcome(&FoundRows::read(&answers.take(rows)), name, answers.take(job).first());
            let mut batch = Batch::default();
            match outcome {
                JobOutcome::NotOwned => (),
                JobOutcome::Void(_) => {
                    batch.add(format!("DELETE FROM domain_removals WHERE domain = {}", literal(name)));
                }
                JobOutcome::Updated => {
                    batch.add(format!("UPDATE domain_removals SET {set} WHERE domain = {}", literal(name)));
                }
            }
            batch.add(COMMIT);
            batch.run(access).await?;
            Ok(outcome)
        })
    }
}

/// What a transaction that has claimed a domain and its subdomains found.
struct Claimed<'a> {
    claims: Claims<'a>,
    /// The rows of the domain, which are locked.
    found: FoundRows,
    /// The rows of its subdomains.
    own: FoundRows,
    /// What the job's statement has selected.
    job: Vec<Row>,
}

/// Begins a transaction that claims a domain and its subdomains, and reads their rows and the job.
async fn claim<'a>(
    access: &mut Access<'_>,
    name: &'a str,
    subdomains: &'a [String],
    job: String,
) -> Result<Claimed<'a>, Error> {
    let subdomains = subdomains.iter().map(String::as_str);
    let claims = Claims::of(access, subdomains.clone().chain([name])).await?;
    let mut batch = claims.begin();
    let found = batch.add(found::select_and_lock(&access.columns.settings, [name]));
    let own = batch.add(found::select(&access.columns.settings, subdomains));
    let job = batch.add(job);
    let mut answers = batch.run(access).await?;
    let [found, own] = [found, own].map(|place| FoundRows::read(&answers.take(place)));
    Ok(Claimed { claims, found, own, job: answers.take(job) })
}

/// Selects and locks the job that the owner has of a domain.
fn select_job(name: &str, owner: &str) -> String {
    format!(
        "SELECT r.host_type FROM domain_removals r WHERE r.domain = {} AND r.owner = {} FOR UPDATE",
        literal(name),
        literal(owner)
    )
}

/// What to do with the job that [`select_job`] has found.
fn outcome(found: &FoundRows, name: &str, job: Option<&Row>) -> JobOutcome {
    let Some(job) = job else { return JobOutcome::NotOwned };
    match cell(job, 0).text("host_type") {
        Ok(host_type) if is_in_removal(found, name, host_type) => JobOutcome::Updated,
        _ => JobOutcome::Void(found.settings(name).cloned()),
    }
}

/// Whether a domain is in removal with this host type, so that its job is not void.
fn is_in_removal(found: &FoundRows, name: &str, host_type: &str) -> bool {
    found.settings(name).is_some_and(|row| row.are_in_removal(host_type))
}

/// The first column of rows.
fn names(rows: &[Row]) -> Vec<String> {
    rows.iter().filter_map(|row| cell(row, 0).text("domain").ok().map(str::to_owned)).collect()
}
