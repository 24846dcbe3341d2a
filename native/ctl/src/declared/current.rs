//! What there is: the rows of the database that a declaration is about, and what the node has from its configuration.
//!
//! All rows are read, page by page, since one of another host type may have a declared name. Those that matter are kept.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::declaration::{Declaration, Problems, identity};
use crate::cli::{Filter, Status};
use crate::client::Client;
use crate::commands::listing::{Entry, Origin, pages, pages_of};
use crate::error::Result;

/// What there is.
#[derive(Debug, Default)]
pub struct Current {
    /// The rows, by the spelling of their names in ASCII. Two rows are two spellings of a name.
    pub rows: HashMap<String, Vec<Row>>,
    /// The static domains, spelled so.
    pub statics: HashSet<String>,
    /// The host types that dynamic domains may have.
    pub host_types: Vec<String>,
}

/// A row of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The domain.
    pub domain: String,
    /// Its host type.
    pub host_type: String,
    /// Its status; none for one that only newer servers know.
    pub status: Option<Status>,
}

#[derive(Deserialize)]
struct Overview {
    host_types: Vec<String>,
}

impl Current {
    /// Reads it from a node.
    pub fn read(client: &Client, declaration: &Declaration) -> Result<Current> {
        let Overview { host_types } = client.get("/api/status")?;
        let mut current = Current { host_types, ..Current::default() };
        pages_of(client, Origin::Static, &Filter::default(), |entries| {
            current.statics.extend(entries.iter().map(|entry| identity(&entry.domain)));
            Ok(())
        })?;
        pages(client, &Filter::default(), |entries| {
            entries.into_iter().for_each(|entry| current.add(entry, declaration));
            Ok(())
        })?;
        Ok(current)
    }

    /// Keeps a row that matters.
    fn add(&mut self, Entry { domain, host_type, status }: Entry, declaration: &Declaration) {
        let (key, host_type) = (identity(&domain), host_type.unwrap_or_default());
        if declaration.host_types.contains_key(&host_type) || declaration.domains.contains_key(&key) {
            let all = [Status::Enabled, Status::Disabled, Status::Deleting];
            let status = all.into_iter().find(|it| status.as_deref() == Some(it.name()));
            self.rows.entry(key).or_default().push(Row { domain, host_type, status });
        }
    }

    /// Checks that the node serves the declared host types.
    pub fn check_host_types(&self, declaration: &Declaration, problems: &mut Problems) {
        for (name, host_type) in &declaration.host_types {
            if !self.host_types.contains(name) {
                let served = self.host_types.join(", ");
                problems.add(
                    &host_type.place,
                    &format!("the node does not serve the host type {name}; it serves {served}"),
                );
            }
        }
    }
}

#[cfg(test)]
impl Current {
    /// For tests: rows as `(domain, host type, status)`.
    pub fn of(rows: &[(&str, &str, &str)], declaration: &Declaration) -> Current {
        let mut current = Current::default();
        for (domain, host_type, status) in rows {
            let text = |text: &str| Some(text.to_owned());
            let entry = Entry { domain: (*domain).to_owned(), host_type: text(host_type), status: text(status) };
            current.add(entry, declaration);
        }
        current
    }
}
