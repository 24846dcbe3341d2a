//! Passwords of domain admins on MariaDB.
//!
//! A password is written first and in a transaction, which is rolled back where the name does not exist. Writing it takes
//! the name, as the claim of an addition or a removal does ([`claims`](super::claims)). So either those come first, and
//! the rows that are read afterwards show it, or second, and delete the password.

use std::time::Instant;

use domain_core::DomainName;
use mysql_async::prelude::Queryable;

use super::MariadbWriter;
use super::batch::{Access, Batch, COMMIT};
use super::cell::cell;
use super::columns::NameColumns;
use super::sql::{bytes, literal};
use crate::StoreError;
use crate::readable::Cell;
use crate::writer::{Found, NameOrigin, PasswordOperations, Status};

impl PasswordOperations for MariadbWriter {
    fn put_password(
        &mut self,
        name: &DomainName,
        origin: NameOrigin<'_>,
        stored: &str,
        until: Instant,
    ) -> Result<Found, StoreError> {
        const DOING: &str = "storing a password";
        enum Put {
            Stored,
            NoSuchName,
            /// The key takes this name for another one, which keeps its password.
            Merged,
        }
        let name = name.as_str();
        let put = self.change(DOING, until, async |access: &mut Access<'_>| {
            let mut batch = Batch::transaction();
            batch.add(format!(
                "INSERT INTO domain_admins (domain, pass_details) VALUES ({}, {})
                 ON DUPLICATE KEY UPDATE pass_details =
                   IF({} = {}, VALUES(pass_details), domain_admins.pass_details)",
                literal(name),
                literal(stored),
                bytes("domain_admins.domain"),
                literal(name)
            ));
            let statuses = batch.add(format!(
                "SELECT {}, {}",
                statuses(access.columns, name, origin),
                there(access.columns, name)
            ));
            let answer = batch.run(access).await?.take(statuses);
            let put = match answer.first() {
                Some(row)
                    if !exists(
                        origin,
                        [cell(row, 0), cell(row, 1)],
                        |status| status == Status::Enabled,
                        Own::IsDomain,
                    ) =>
                {
                    Put::NoSuchName
                }
                Some(row) if cell(row, 2) == Cell::Number(1) => Put::Stored,
                _ => Put::Merged,
            };
            let mut batch = Batch::default();
            batch.add(if matches!(put, Put::Stored) { COMMIT } else { "ROLLBACK" });
            batch.run(access).await?;
            Ok(put)
        })?;
        match put {
            Put::Stored => Ok(Found::Yes),
            Put::NoSuchName => Ok(Found::No),
            Put::Merged => Err(StoreError::row_refused(
                DOING,
                format!(
                    "the key of domain_admins takes this name and another one for one by its collation {} (ALTER TABLE \
                     domain_admins MODIFY domain VARCHAR(250) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL keeps \
                     them apart)",
                    self.columns.admins.column.collation
                ),
            )),
        }
    }

    fn password(
        &mut self,
        name: &DomainName,
        origin: NameOrigin<'_>,
        until: Instant,
    ) -> Result<Option<String>, StoreError> {
        let name = name.as_str();
        // One statement, and so one snapshot. A text of more than 10,000 characters is no valid password, and neither are
        // the first 10,001 of them.
        let mut answers = self.read("reading a password", until, |columns, batch| {
            batch.add(format!(
                "SELECT {}, LEFT(a.pass_details, 10001) FROM {} WHERE {} LIMIT 1",
                statuses(columns, name, origin),
                columns.admins.indexed("a"),
                columns.admins.is_any("a", [name])
            ));
        })?;
        let rows = answers.take(0);
        let Some(row) = rows.first() else { return Ok(None) };
        let is_there = exists(origin, [cell(row, 0), cell(row, 1)], |status| status != Status::Deleting, Own::Decides);
        Ok(match cell(row, 2) {
            Cell::Text(stored) if is_there => Some(String::from_utf8_lossy(stored).into_owned()),
            _ => None,
        })
    }

    fn delete_password(&mut self, domain: &DomainName, until: Instant) -> Result<Found, StoreError> {
        let name = domain.as_str();
        let deleted = self.change("deleting a password", until, async |access: &mut Access<'_>| {
            if access.columns.admins.held(access.conn, vec![name]).await?.is_empty() {
                return Ok(0);
            }
            let admins = &access.columns.admins;
            let sql = format!("DELETE a FROM {} WHERE {}", admins.indexed("a"), admins.is_any("a", [name]));
            let result = access.conn.query_iter(sql).await?;
            Ok(result.affected_rows())
        })?;
        Ok(if deleted == 0 { Found::No } else { Found::Yes })
    }
}

/// What a row of its own means for a name that is taken for a subdomain.
#[derive(Clone, Copy, PartialEq)]
enum Own {
    /// The name is another tenant's domain.
    IsDomain,
    /// The row decides.
    Decides,
}

/// Selects the statuses of the rows of a name and of its parent; NULL where there is none.
fn statuses(columns: &NameColumns, name: &str, origin: NameOrigin<'_>) -> String {
    let status = |name: &str| {
        let (table, is_name) = (columns.settings.indexed("s"), columns.settings.is_any("s", [name]));
        // A status that is NULL is no status of a domain.
        format!("(SELECT IFNULL(s.status, -1) FROM {table} WHERE {is_name} ORDER BY s.status = 0, s.id LIMIT 1)")
    };
    match origin {
        NameOrigin::SubdomainOf(parent) => format!("{}, {}", status(name), status(parent)),
        _ => format!("{}, NULL", status(name)),
    }
}

/// Selects whether `domain_admins` has exactly this name.
fn there(columns: &NameColumns, name: &str) -> String {
    let (table, is_name) = (columns.admins.indexed("a"), columns.admins.is_any("a", [name]));
    format!("EXISTS (SELECT 1 FROM {table} WHERE {is_name})")
}

/// Whether a name exists and has one of the statuses that `is_allowed` accepts.
fn exists(origin: NameOrigin<'_>, [own, parent]: [Cell<'_>; 2], is_allowed: impl Fn(Status) -> bool, row: Own) -> bool {
    let status = |cell| match cell {
        Cell::Number(status) => Some(Status::new(status)),
        _ => None,
    };
    match (origin, status(own)) {
        (NameOrigin::StaticDomain, _) => true,
        (NameOrigin::Row, own) => own.is_some_and(is_allowed),
        (_, Some(_)) if row == Own::IsDomain => false,
        (_, Some(own)) => is_allowed(own),
        (NameOrigin::SubdomainOf(_), None) => status(parent).is_some_and(is_allowed),
        (NameOrigin::ConfiguredSubdomain, None) => true,
    }
}
