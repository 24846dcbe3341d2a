//! Claims of names: two transactions that claim one name do not run at the same time.
//!
//! A password depends on a row that may not exist yet, or is being removed, and a table of MongooseIM may take two rows of
//! one name. A lock of that row would not do: a row that is not there cannot be locked, and Galera's nodes do not show
//! each other their locks. So a transaction that adds or removes rows of a name writes a row of that name to
//! `domain_admins`, whose key is the name, and deletes it before its end, so that it is never seen. Storing a password
//! writes the same key. On one server the second transaction waits for the first one, and on two nodes of Galera one of
//! them fails at its commit, as a lost race. Whatever reads rows after its claim sees what the one before has committed.
//!
//! Claims come first in a transaction and in the order of their names, so that two transactions cannot deadlock.

use std::collections::HashSet;

use mysql_async::Error;

use super::batch::{Access, Batch};
use super::columns::NameColumns;
use super::sql::{bytes, is_any, literal};

/// The claimed names.
pub(super) struct Claims<'a>(Vec<&'a str>);

impl<'a> Claims<'a> {
    /// The claims of these names, as far as `domain_admins` can hold them.
    pub(super) async fn of(
        access: &mut Access<'_>,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Claims<'a>, Error> {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        Ok(Claims(access.columns.admins.held(access.conn, names).await?))
    }

    /// Begins a transaction with the claims.
    pub(super) fn begin(&self) -> Batch {
        let mut batch = Batch::transaction();
        if !self.0.is_empty() {
            let rows: Vec<_> = self.0.iter().map(|name| format!("({}, '')", literal(name))).collect();
            // The row of a name that has a password is locked, and left as it is.
            batch.add(format!(
                "INSERT INTO domain_admins (domain, pass_details) VALUES {}
                 ON DUPLICATE KEY UPDATE pass_details = domain_admins.pass_details",
                rows.join(", ")
            ));
        }
        batch
    }

    /// Deletes the claims, and the passwords of those names.
    pub(super) fn end(&self, batch: &mut Batch, columns: &NameColumns, without_password: &HashSet<&str>) {
        if self.0.is_empty() {
            return;
        }
        let mut condition = columns.admins.is_any("a", self.0.iter().copied());
        let kept: Vec<&str> = self.0.iter().copied().filter(|name| !without_password.contains(name)).collect();
        if !kept.is_empty() {
            let is_kept = is_any(&bytes("a.domain"), kept);
            condition = format!("{condition} AND (OCTET_LENGTH(a.pass_details) = 0 OR NOT {is_kept})");
        }
        batch.add(format!("DELETE a FROM {} WHERE {condition}", columns.admins.indexed("a")));
    }
}
