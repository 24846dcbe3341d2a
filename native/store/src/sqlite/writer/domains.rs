//! Domains on SQLite.

use std::time::Instant;

use domain_core::{DomainName, EventId};
use rusqlite::Transaction;

use super::SqliteWriter;
use super::statements::{add_event, delete_admins, delete_row, read_settings, update_status};
use crate::readable::Cell;
use crate::sqlite::value::cell;
use crate::writer::{
    Activation, ChangedDomain, DeleteOutcome, DomainOperations, DomainSettings, Filter, InsertOutcome, ListedDomain,
    NewDomain, OldDomain, SetStatusOutcome, Status, rows,
};
use crate::{Readable, StoreError};

impl DomainOperations for SqliteWriter {
    fn insert(&mut self, domains: &[NewDomain<'_>], until: Instant) -> Result<Vec<InsertOutcome>, StoreError> {
        self.transact("adding domains", until, |transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO domain_settings (domain, host_type, status) VALUES (?1, ?2, ?3)
                 ON CONFLICT (domain) DO NOTHING",
            )?;
            domains
                .iter()
                .map(|new| match insert.execute((new.domain.as_str(), new.host_type, new.status.number()))? {
                    0 => {
                        Ok(read_settings(transaction, new.domain)?
                            .map_or(InsertOutcome::Skipped, InsertOutcome::Exists))
                    }
                    _ => {
                        // A row that was deleted by hand has left its passwords.
                        delete_admins(transaction, new.domain, new.subdomains)?;
                        add_event(transaction, new.domain).map(InsertOutcome::Added)
                    }
                })
                .collect()
        })
    }

    fn set_statuses(
        &mut self,
        changes: &[(&DomainName, Activation)],
        allowed: &[String],
        until: Instant,
    ) -> Result<Vec<SetStatusOutcome>, StoreError> {
        let set = |transaction: &Transaction<'_>, domain: &DomainName, wanted: Activation| {
            let Some(before) = read_settings(transaction, domain)? else { return Ok(SetStatusOutcome::NotFound) };
            if !allowed.contains(&before.host_type) {
                return Ok(SetStatusOutcome::UnknownHostType);
            }
            match before.status {
                Status::Deleting => Ok(SetStatusOutcome::Deleting),
                status if status == Status::new(wanted.number().into()) => Ok(SetStatusOutcome::Unchanged),
                _ => {
                    update_status(transaction, domain, wanted.number())?;
                    Ok(SetStatusOutcome::Changed(add_event(transaction, domain)?, before.host_type))
                }
            }
        };
        self.transact("changing a domain's status", until, |transaction| {
            changes.iter().map(|(domain, wanted)| set(transaction, domain, *wanted)).collect()
        })
    }

    fn delete(&mut self, domains: &[OldDomain<'_>], until: Instant) -> Result<Vec<DeleteOutcome>, StoreError> {
        self.transact("deleting domains", until, |transaction| {
            let delete = |old: &OldDomain<'_>| match read_settings(transaction, old.domain)? {
                None => Ok(DeleteOutcome::NotFound),
                Some(before) if before.host_type != old.host_type => Ok(DeleteOutcome::WrongHostType),
                Some(before) if before.status == Status::Deleting => Ok(DeleteOutcome::Kept),
                Some(_) if delete_row(transaction, old.domain)? == 0 => Ok(DeleteOutcome::Kept),
                Some(_) => {
                    delete_admins(transaction, old.domain, old.subdomains)?;
                    add_event(transaction, old.domain).map(DeleteOutcome::Deleted)
                }
            };
            domains.iter().map(delete).collect()
        })
    }

    fn settings(&mut self, domain: &DomainName, _until: Instant) -> Result<Option<DomainSettings>, StoreError> {
        self.read("reading a domain", |connection| read_settings(connection, domain))
    }

    fn list(&mut self, filter: &Filter, limit: u32, _until: Instant) -> Result<Readable<ListedDomain>, StoreError> {
        self.read("listing domains", |connection| {
            // Blobs, which are no names, come after all texts.
            let mut select = connection.prepare_cached(
                "SELECT domain, host_type, status FROM domain_settings
                  WHERE domain IS NOT NULL AND (?1 IS NULL OR domain > ?1) AND (?2 IS NULL OR host_type = ?2)
                    AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR substr(domain, 1, length(?4)) = ?4)
                  ORDER BY domain",
            )?;
            let mut rows = select.query((&filter.after, &filter.host_type, filter.status, &filter.prefix))?;
            let mut listed = Readable::default();
            while listed.rows.len() < limit as usize
                && let Some(row) = rows.next()?
            {
                listed.push(rows::listed(cell(row, 0)?, cell(row, 1)?, cell(row, 2)?));
            }
            Ok(listed)
        })
    }

    fn changes(
        &mut self,
        after: Option<EventId>,
        limit: u32,
        _until: Instant,
    ) -> Result<Readable<ChangedDomain>, StoreError> {
        self.read("reading changes", |connection| {
            let mut select = connection.prepare_cached(
                "SELECT e.id, e.domain, s.host_type, s.status, s.id
                   FROM domain_events e LEFT JOIN domain_settings s ON s.domain = e.domain
                  WHERE e.domain <> '' AND CASE WHEN ?1 IS NULL
                        THEN e.id = (SELECT max(id) FROM domain_events WHERE domain <> '') ELSE e.id > ?1 END
                  ORDER BY e.id",
            )?;
            let mut rows = select.query([after.map(|EventId(id)| id)])?;
            let mut changes = Readable::default();
            while changes.rows.len() < limit as usize
                && let Some(row) = rows.next()?
            {
                let there = cell(row, 4)? != Cell::Null;
                let settings = if there { Some((cell(row, 2)?, cell(row, 3)?)) } else { None };
                changes.push(rows::changed(EventId(row.get(0)?), cell(row, 1)?, settings));
            }
            Ok(changes)
        })
    }
}
