//! Passwords of domain admins on SQLite.

use std::time::Instant;

use domain_core::DomainName;
use rusqlite::{Connection, OptionalExtension};

use super::SqliteWriter;
use super::statements::read_settings;
use crate::StoreError;
use crate::writer::{Found, NameOrigin, PasswordOperations, Status};

impl PasswordOperations for SqliteWriter {
    fn put_password(
        &mut self,
        name: &DomainName,
        origin: NameOrigin<'_>,
        stored: &str,
        until: Instant,
    ) -> Result<Found, StoreError> {
        self.transact("storing a password", until, |transaction| {
            // A subdomain with a row of its own is a domain. The admin of its parent may not set its password.
            let is_domain = matches!(origin, NameOrigin::SubdomainOf(_) | NameOrigin::ConfiguredSubdomain)
                && read_settings(transaction, name)?.is_some();
            if is_domain || !exists(transaction, name, origin, |status| status == Status::Enabled)? {
                return Ok(Found::No);
            }
            transaction.execute(
                "INSERT INTO domain_admins (domain, pass_details) VALUES (?1, ?2)
                 ON CONFLICT (domain) DO UPDATE SET pass_details = excluded.pass_details",
                (name.as_str(), stored),
            )?;
            Ok(Found::Yes)
        })
    }

    fn password(
        &mut self,
        name: &DomainName,
        origin: NameOrigin<'_>,
        until: Instant,
    ) -> Result<Option<String>, StoreError> {
        const DOING: &str = "reading a password";
        let left = until.saturating_duration_since(Instant::now()).min(self.timeouts.lock);
        let connection = &mut self.connection;
        let mut read = || {
            connection.busy_timeout(left)?;
            // One snapshot for both statements.
            let transaction = connection.transaction()?;
            if !exists(&transaction, name, origin, |status| status != Status::Deleting)? {
                return Ok(None);
            }
            let sql = "SELECT pass_details FROM domain_admins WHERE domain = ?1";
            transaction.query_row(sql, [name.as_str()], |row| row.get(0)).optional()
        };
        read().map_err(|error: rusqlite::Error| StoreError::Refused { doing: DOING, reason: error.to_string() })
    }

    fn delete_password(&mut self, domain: &DomainName, until: Instant) -> Result<Found, StoreError> {
        self.transact("deleting a password", until, |transaction| {
            let gone = transaction.execute("DELETE FROM domain_admins WHERE domain = ?1", [domain.as_str()])?;
            Ok(if gone == 0 { Found::No } else { Found::Yes })
        })
    }
}

/// Whether a name exists and has one of the statuses that `is_allowed` accepts.
fn exists(
    connection: &Connection,
    name: &DomainName,
    origin: NameOrigin<'_>,
    is_allowed: impl Fn(Status) -> bool,
) -> rusqlite::Result<bool> {
    let status = |name: &str| {
        let mut select = connection.prepare_cached("SELECT status FROM domain_settings WHERE domain = ?1")?;
        select.query_row([name], |row| row.get(0).map(Status::new)).optional()
    };
    if origin == NameOrigin::StaticDomain {
        return Ok(true);
    }
    if let Some(own) = status(name.as_str())? {
        return Ok(is_allowed(own));
    }
    Ok(match origin {
        NameOrigin::Row => false,
        NameOrigin::SubdomainOf(parent) => status(parent)?.is_some_and(is_allowed),
        NameOrigin::ConfiguredSubdomain | NameOrigin::StaticDomain => true,
    })
}
