//! Adds rows, and finds out why an addition was refused.
//!
//! Additions of one name run one after the other, since they claim it ([`claims`](super::claims)). So a table without a
//! unique index gets no second row of a name, from one server or from several nodes of Galera. Programs that claim
//! nothing, as MongooseIM, can be kept from that by a unique index only.

use std::collections::HashSet;
use std::time::Instant;

use domain_core::DomainName;
use mysql_async::Error;
use mysql_async::prelude::Queryable;

use super::MariadbWriter;
use super::batch::{Access, Batch};
use super::claims::Claims;
use super::events::{NewEvents, finish};
use super::found::{self, FoundRows};
use super::jobs::rows_of;
use super::sql::literal;
use crate::StoreError;
use crate::mariadb::error::{DUPLICATE, change_error, reason};
use crate::writer::NewDomain;

/// A character that the column's character set does not have.
const NO_SUCH_CHARACTER: u16 = 1366;

/// Adds the rows that are absent, each with an event. Returns the events, and the rows that were there. `added` gets the
/// names of the rows that were absent.
pub(super) async fn add<'a>(
    access: &mut Access<'_>,
    domains: &[NewDomain<'a>],
    added: &mut Vec<&'a str>,
) -> Result<(NewEvents, FoundRows), Error> {
    let names = domains.iter().map(|new| new.domain.as_str());
    let subdomains = domains.iter().flat_map(|new| new.subdomains).map(String::as_str);
    let all = names.chain(subdomains);
    let claims = Claims::of(access, all.clone()).await?;
    let mut batch = claims.begin();
    let rows = batch.add(found::select(&access.columns.settings, all));
    let found = FoundRows::read(&batch.run(access).await?.take(rows));

    let mut absent: Vec<_> = domains.iter().filter(|new| found.settings(new.domain.as_str()).is_none()).collect();
    absent.sort_unstable_by_key(|new| new.domain.as_str());
    added.extend(absent.iter().map(|new| new.domain.as_str()));
    let mut batch = Batch::default();
    if !absent.is_empty() {
        let row = |new: &&NewDomain<'_>| {
            format!("({}, {}, {})", literal(new.domain.as_str()), literal(new.host_type), new.status.number())
        };
        batch.add(format!(
            "INSERT INTO domain_settings (domain, host_type, status) VALUES {}",
            absent.iter().map(row).collect::<Vec<_>>().join(", ")
        ));
        // A row that was deleted by hand has left its passwords.
        let without = without_password(absent.iter().map(|new| (new.domain, new.subdomains)), &found);
        claims.end(&mut batch, access.columns, &without);
    }
    Ok((finish(access, batch, added).await?, found))
}

/// The names that lose their passwords: these domains, and their subdomains that have no row of their own.
pub(super) fn without_password<'a>(
    domains: impl Iterator<Item = (&'a DomainName, &'a [String])>,
    own: &FoundRows,
) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    for (domain, subdomains) in domains {
        names.insert(domain.as_str());
        names.extend(subdomains.iter().map(String::as_str).filter(|name| own.settings(name).is_none()));
    }
    names
}

impl MariadbWriter {
    /// Why an addition of these rows was refused. A duplicate is a lost race if one of the rows is there now. Otherwise the collation of
    /// a unique index takes two names for one.
    pub(super) fn explain_addition(
        &mut self,
        doing: &'static str,
        error: &Error,
        added: &[&str],
        until: Instant,
    ) -> StoreError {
        let Error::Server(server) = error else { return change_error(doing, error) };
        match server.code {
            DUPLICATE => (),
            NO_SUCH_CHARACTER => {
                let advice = "the column's character set lacks a character; one that has all is utf8mb4";
                return StoreError::row_refused(doing, format!("{} ({advice})", server.message));
            }
            _ => return self.explain(doing, error, until, change_error),
        }
        // The message names the key in any language of the server.
        let key = server.message.rsplit('\'').nth(1).unwrap_or_default();
        let columns = format!(
            "SELECT COLUMN_NAME FROM information_schema.STATISTICS
              WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'domain_settings' AND NON_UNIQUE = 0
                AND INDEX_NAME = {}",
            literal(key)
        );
        let looked = self.attempt(doing, until, async |access: &mut Access<'_>| {
            let rows = rows_of(access, added.iter().copied()).await?;
            Ok((rows, access.conn.query::<String, _>(columns).await?))
        });
        let conflict = || StoreError::Conflict { doing, reason: reason(error) };
        match looked {
            Err(error) => error,
            Ok(Err(error)) => change_error(doing, &error),
            Ok(Ok((found, _))) if added.iter().any(|name| found.settings(name).is_some()) => conflict(),
            Ok(Ok((_, columns))) if columns == ["domain"] => StoreError::row_refused(
                doing,
                format!(
                    "the unique index {key} of domain_settings takes two names for one by its collation {} (ALTER TABLE \
                     domain_settings MODIFY domain VARCHAR(250) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL \
                     keeps them apart): {}",
                    self.columns.settings.column.collation, server.message
                ),
            ),
            Ok(Ok((_, columns))) if columns.is_empty() => conflict(),
            Ok(Ok(_)) => StoreError::row_refused(doing, server.message.clone()),
        }
    }
}
