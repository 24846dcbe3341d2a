//! Reads jobs of `domain_removals`, with the rows of their domains.
//!
//! The two tables may differ in their collations, and so are not joined: the jobs are read first, and then the rows of
//! their domains.

use mysql_async::{Error, Row};

use super::batch::{Access, Batch};
use super::cell::cell;
use super::found::{self, FoundRows};
use crate::writer::{RemovalJobs, VoidJob, rows};

/// The columns of a job `r`, for [`with_rows`].
pub(super) const COLUMNS: &str = "r.domain, r.host_type, r.handlers";

/// Whether the job `r` has an owner whose lease has ended.
pub(super) fn is_abandoned() -> String {
    format!("r.owner IS NOT NULL AND r.lease_until < {}", super::sql::NOW_MS)
}

/// Whether no node works on the job `r`: it has failed, or its lease has ended.
pub(super) fn is_idle() -> String {
    format!("(r.owner IS NULL OR r.lease_until < {})", super::sql::NOW_MS)
}

/// The jobs that a statement has selected, by whether they are void. The rows of their domains are read now.
pub(super) async fn with_rows(access: &mut Access<'_>, selected: &[Row]) -> Result<RemovalJobs, Error> {
    let mut jobs = RemovalJobs::default();
    let mut found = Vec::new();
    for row in selected {
        match rows::job(cell(row, 0), cell(row, 1), cell(row, 2)) {
            Ok(job) => found.push(job),
            Err(row) => jobs.left_out.push(row),
        }
    }
    let rows = rows_of(access, found.iter().map(|job| job.domain.as_str())).await?;
    for job in found {
        match rows.settings(&job.domain) {
            Some(row) if row.are_in_removal(&job.host_type) => jobs.held.push(job),
            row => jobs.void.push(VoidJob { row: row.cloned(), job }),
        }
    }
    Ok(jobs)
}

/// Reads the rows of these names.
pub(super) async fn rows_of<'a>(
    access: &mut Access<'_>,
    names: impl IntoIterator<Item = &'a str> + Clone,
) -> Result<FoundRows, Error> {
    let mut batch = Batch::default();
    let rows = batch.add(found::select(&access.columns.settings, names));
    Ok(FoundRows::read(&batch.run(access).await?.take(rows)))
}
