//! Domains on MariaDB.
//!
//! A change is one transaction of two round trips: claims and locks with what they find, then the changes.

use std::collections::HashMap;
use std::time::Instant;

use domain_core::{DomainName, EventId};

use super::MariadbWriter;
use super::addition::{add, without_password};
use super::batch::{Access, Batch};
use super::cell::cell;
use super::claims::Claims;
use super::columns::NameColumns;
use super::events::finish;
use super::found::{self, FoundRows};
use super::sql::{bounded, bytes, literal, numbers, prefix_pattern};
use crate::readable::Cell;
use crate::writer::{
    Activation, ChangedDomain, DeleteOutcome, DomainOperations, DomainSettings, Filter, InsertOutcome, ListedDomain,
    NewDomain, OldDomain, SetStatusOutcome, Status, rows,
};
use crate::{Readable, StoreError};

impl DomainOperations for MariadbWriter {
    fn insert(&mut self, domains: &[NewDomain<'_>], until: Instant) -> Result<Vec<InsertOutcome>, StoreError> {
        const DOING: &str = "adding domains";
        if domains.is_empty() {
            return Ok(Vec::new());
        }
        let mut added = Vec::new();
        let result =
            self.attempt(DOING, until, async |access: &mut Access<'_>| add(access, domains, &mut added).await)?;
        let (events, found) = result.map_err(|error| self.explain_addition(DOING, &error, &added, until))?;
        let outcome = |new: &NewDomain<'_>| match (found.settings(new.domain.as_str()), events.of(new.domain.as_str()))
        {
            (Some(settings), _) => InsertOutcome::Exists(settings.clone()),
            (None, Some(id)) => InsertOutcome::Added(id),
            (None, None) => InsertOutcome::Skipped,
        };
        Ok(domains.iter().map(outcome).collect())
    }

    fn set_statuses(
        &mut self,
        changes: &[(&DomainName, Activation)],
        allowed: &[String],
        until: Instant,
    ) -> Result<Vec<SetStatusOutcome>, StoreError> {
        const DOING: &str = "changing a domain's status";
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let (events, found) = self.change(DOING, until, async |access: &mut Access<'_>| {
            let mut batch = Batch::transaction();
            let names = changes.iter().map(|(domain, _)| domain.as_str());
            let rows = batch.add(found::select_and_lock(&access.columns.settings, names));
            let found = FoundRows::read(&batch.run(access).await?.take(rows));
            let changed: Vec<_> =
                changes.iter().filter(|(domain, wanted)| is_to_change(&found, domain, *wanted, allowed)).collect();
            let mut batch = Batch::default();
            for status in [Activation::Disabled, Activation::Enabled] {
                let these = changed.iter().filter(|(_, wanted)| *wanted == status);
                let ids: Vec<_> = these.flat_map(|(domain, _)| found.ids(domain.as_str())).collect();
                if !ids.is_empty() {
                    batch.add(format!(
                        "UPDATE domain_settings SET status = {} WHERE id IN ({})",
                        status.number(),
                        numbers(&ids)
                    ));
                }
            }
            let names: Vec<_> = changed.iter().map(|(domain, _)| domain.as_str()).collect();
            Ok((finish(access, batch, &names).await?, found))
        })?;
        let outcome = |(domain, wanted): &(&DomainName, Activation)| {
            let name = domain.as_str();
            let Some(settings) = found.settings(name) else { return SetStatusOutcome::NotFound };
            match events.of(name) {
                Some(id) => SetStatusOutcome::Changed(id, settings.host_type.clone()),
                None if !allowed.contains(&settings.host_type) => SetStatusOutcome::UnknownHostType,
                None if found.are_in_removal(name) => SetStatusOutcome::Deleting,
                None if is_to_change(&found, domain, *wanted, allowed) => SetStatusOutcome::Skipped,
                None => SetStatusOutcome::Unchanged,
            }
        };
        Ok(changes.iter().map(outcome).collect())
    }

    fn delete(&mut self, domains: &[OldDomain<'_>], until: Instant) -> Result<Vec<DeleteOutcome>, StoreError> {
        const DOING: &str = "deleting domains";
        if domains.is_empty() {
            return Ok(Vec::new());
        }
        let is_right = |found: &FoundRows, old: &OldDomain<'_>| {
            found.settings(old.domain.as_str()).is_some_and(|row| row.host_type == old.host_type)
        };
        let (events, found) = self.change(DOING, until, async |access: &mut Access<'_>| {
            let names = domains.iter().map(|old| old.domain.as_str());
            let subdomains = domains.iter().flat_map(|old| old.subdomains).map(String::as_str);
            let claims = Claims::of(access, names.clone().chain(subdomains.clone())).await?;
            let mut batch = claims.begin();
            let rows = batch.add(found::select_and_lock(&access.columns.settings, names));
            let of_subdomains = batch.add(found::select(&access.columns.settings, subdomains));
            let mut answers = batch.run(access).await?;
            let (found, own) = (FoundRows::read(&answers.take(rows)), FoundRows::read(&answers.take(of_subdomains)));
            let gone: Vec<_> = domains
                .iter()
                .filter(|old| is_right(&found, old) && !found.are_in_removal(old.domain.as_str()))
                .collect();
            let mut batch = Batch::default();
            let names: Vec<_> = gone.iter().map(|old| old.domain.as_str()).collect();
            if !names.is_empty() {
                let ids: Vec<_> = names.iter().flat_map(|name| found.ids(name)).collect();
                batch.add(format!("DELETE FROM domain_settings WHERE id IN ({})", numbers(&ids)));
                let without = without_password(gone.iter().map(|old| (old.domain, old.subdomains)), &own);
                claims.end(&mut batch, access.columns, &without);
            }
            Ok((finish(access, batch, &names).await?, found))
        })?;
        let outcome = |old: &OldDomain<'_>| match (found.settings(old.domain.as_str()), events.of(old.domain.as_str()))
        {
            (None, _) => DeleteOutcome::NotFound,
            (Some(_), Some(id)) => DeleteOutcome::Deleted(id),
            (Some(_), None) if is_right(&found, old) => DeleteOutcome::Kept,
            (Some(_), None) => DeleteOutcome::WrongHostType,
        };
        Ok(domains.iter().map(outcome).collect())
    }

    fn settings(&mut self, domain: &DomainName, until: Instant) -> Result<Option<DomainSettings>, StoreError> {
        let name = domain.as_str();
        let mut answers = self.read("reading a domain", until, |columns, batch| {
            batch.add(found::select(&columns.settings, [name]));
        })?;
        Ok(FoundRows::read(&answers.take(0)).settings(name).cloned())
    }

    fn list(&mut self, filter: &Filter, limit: u32, until: Instant) -> Result<Readable<ListedDomain>, StoreError> {
        const DOING: &str = "listing domains";
        let mut after = filter.after.clone();
        let mut listed = Readable::<ListedDomain>::default();
        loop {
            let left = limit as usize - listed.rows.len();
            let mut answers = self.read(DOING, until, |columns, batch| {
                batch.add(select_page(columns, filter, after.as_deref(), left));
            })?;
            let rows = answers.take(0);
            // The next page begins after the last row, whether that was readable or not.
            let last = rows.last().and_then(|row| match cell(row, 0) {
                Cell::Text(last) => std::str::from_utf8(last).ok().map(str::to_owned),
                _ => None,
            });
            for row in &rows {
                let row = rows::listed(cell(row, 0), cell(row, 1), cell(row, 2));
                // A second row of a name, made by hand, does not count.
                if !matches!((&row, listed.rows.last()), (Ok(row), Some(before)) if row.domain == before.domain) {
                    listed.push(row);
                }
            }
            if listed.rows.len() >= limit as usize || rows.len() < left || last.is_none() {
                return Ok(listed);
            }
            after = last;
        }
    }

    fn changes(
        &mut self,
        after: Option<EventId>,
        limit: u32,
        until: Instant,
    ) -> Result<Readable<ChangedDomain>, StoreError> {
        const DOING: &str = "reading changes";
        let mut after = after.map(|EventId(id)| id);
        let mut changes = Readable::<ChangedDomain>::default();
        loop {
            let left = limit as usize - changes.rows.len();
            let mut answers = self.read(DOING, until, |_, batch| {
                batch.add(select_events(after, left));
            })?;
            let events = answers.take(0);
            let names: Vec<&str> = events.iter().filter_map(|event| cell(event, 1).text("domain").ok()).collect();
            // The rows are read after the events, so that none of them is older.
            let mut answers = self.read(DOING, until, |columns, batch| {
                batch.add(found::select(&columns.settings, names.iter().copied()));
            })?;
            let rows = answers.take(0);
            let mut by_name = HashMap::new();
            for row in &rows {
                if let Cell::Text(name) = cell(row, 0) {
                    by_name.entry(name).or_insert((cell(row, 1), cell(row, 2)));
                }
            }
            for event in &events {
                let (Cell::Number(id), domain) = (cell(event, 0), cell(event, 1)) else { continue };
                let row = match domain {
                    Cell::Text(name) => by_name.get(name).copied(),
                    _ => None,
                };
                changes.push(rows::changed(EventId(id), domain, row));
            }
            match events.last().map(|last| cell(last, 0)) {
                // Without `after` there is at most one.
                Some(Cell::Number(last))
                    if after.is_some() && changes.rows.len() < limit as usize && events.len() == left =>
                {
                    after = Some(last);
                }
                _ => return Ok(changes),
            }
        }
    }
}

/// Whether a change of the status changes any row of the domain.
fn is_to_change(found: &FoundRows, domain: &DomainName, wanted: Activation, allowed: &[String]) -> bool {
    let name = domain.as_str();
    let wanted = Status::new(i64::from(wanted.number()));
    found.settings(name).is_some_and(|row| allowed.contains(&row.host_type))
        && !found.are_in_removal(name)
        && found.all(name).iter().any(|row| row.settings.status != wanted)
}

/// Selects a page of the listing, in the order of the bytes of the names. Where the column sorts by bytes itself, its index
/// is read from the name on. Otherwise the server sorts all rows for each page.
fn select_page(columns: &NameColumns, filter: &Filter, after: Option<&str>, limit: usize) -> String {
    let (name, order) = if columns.settings.sorts_by_bytes() {
        ("s.domain".to_owned(), "s.domain".to_owned())
    } else {
        (bytes("s.domain"), format!("{}, s.status = 0, s.id", bytes("s.domain")))
    };
    // The list could not continue after a name that was cut. The survey counts those rows.
    let mut conditions = vec![format!("OCTET_LENGTH({}) <= 1000", bytes("s.domain"))];
    conditions.extend(after.map(|after| format!("{name} > {}", literal(after))));
    let prefix = filter.prefix.as_deref().map(prefix_pattern);
    conditions.extend(prefix.map(|pattern| format!("{name} LIKE {} ESCAPE '|'", literal(&pattern))));
    let host_type = filter.host_type.as_deref();
    conditions.extend(host_type.map(|host_type| format!("{} = {}", bytes("s.host_type"), literal(host_type))));
    conditions.extend(filter.status.map(|status| format!("s.status = {status}")));
    format!(
        "SELECT s.domain, {}, s.status FROM domain_settings s WHERE {} ORDER BY {order} LIMIT {limit}",
        bounded("s.host_type"),
        conditions.join(" AND ")
    )
}

/// Selects the events after this one, or the newest.
fn select_events(after: Option<i64>, limit: usize) -> String {
    let domain = bounded("e.domain");
    match after {
        Some(after) => format!(
            "SELECT e.id, {domain} FROM domain_events e WHERE e.domain <> '' AND e.id > {after} ORDER BY e.id LIMIT {limit}"
        ),
        None => format!(
            "SELECT e.id, {domain} FROM domain_events e WHERE e.domain <> '' ORDER BY e.id DESC LIMIT {}",
            limit.min(1)
        ),
    }
}
