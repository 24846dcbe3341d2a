//! Statements that several changes have in common.

use domain_core::{DomainName, EventId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use crate::sqlite::value::cell;
use crate::writer::{DomainSettings, rows};

/// Reads the row of a domain.
pub(super) fn read_settings(connection: &Connection, domain: &DomainName) -> rusqlite::Result<Option<DomainSettings>> {
    let mut select = connection.prepare_cached("SELECT host_type, status FROM domain_settings WHERE domain = ?1")?;
    select.query_row([domain.as_str()], |row| settings(row, 0)).optional()
}

/// The host type and the status of a domain's row, from two columns.
pub(super) fn settings(row: &Row<'_>, column: usize) -> rusqlite::Result<DomainSettings> {
    Ok(rows::settings_lossy(cell(row, column)?, cell(row, column + 1)?))
}

/// Sets the status of a domain.
pub(super) fn update_status(transaction: &Transaction<'_>, domain: &DomainName, status: i16) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE domain_settings SET status = ?2 WHERE domain = ?1")?
        .execute((domain.as_str(), status))
        .map(|_| ())
}

/// Deletes the row of a domain; returns the number of rows that were deleted.
pub(super) fn delete_row(transaction: &Transaction<'_>, domain: &DomainName) -> rusqlite::Result<usize> {
    transaction.prepare_cached("DELETE FROM domain_settings WHERE domain = ?1")?.execute([domain.as_str()])
}

/// Deletes the passwords of a domain and of its subdomains, except those subdomains that have a row of their own.
pub(super) fn delete_admins(
    transaction: &Transaction<'_>,
    domain: &DomainName,
    subdomains: &[String],
) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM domain_admins WHERE domain = ?1")?.execute([domain.as_str()])?;
    let mut delete = transaction.prepare_cached(
        "DELETE FROM domain_admins
          WHERE domain = ?1 AND NOT EXISTS (SELECT 1 FROM domain_settings WHERE domain = ?1)",
    )?;
    subdomains.iter().try_for_each(|name| delete.execute([name]).map(|_| ()))
}

/// Inserts an event.
pub(super) fn add_event(transaction: &Transaction<'_>, domain: &DomainName) -> rusqlite::Result<EventId> {
    transaction.prepare_cached("INSERT INTO domain_events (domain) VALUES (?1)")?.execute([domain.as_str()])?;
    Ok(EventId(transaction.last_insert_rowid()))
}
