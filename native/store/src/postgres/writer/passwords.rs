//! Passwords of domain admins on PostgreSQL, written and read together with the row that the name depends on.
//!
//! One statement reads the row, locks it (FOR SHARE) and writes the password. A removal changes that row. So it comes
//! either first, and the statement sees that the domain is in removal, or second, and deletes the password.
//!
//! For a name without a row there is nothing to lock. A concurrent addition of a domain of that name would not be visible,
//! and would not see the password that it has to delete. So the statement locks the table (LOCK TABLE … IN SHARE MODE),
//! which waits for transactions that write it, and blocks later ones. Only passwords of subdomains are stored so.

use std::time::Instant;

use domain_core::DomainName;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::change::change;
use super::{PostgresWriter, get};
use crate::StoreError;
use crate::writer::{Found, NameOrigin, PasswordOperations};

/// A [`NameOrigin`] as parameters of a statement: $2 is the kind, $3 the parent.
struct OriginParameters<'a> {
    kind: &'static str,
    parent: Option<&'a str>,
}

impl<'a> From<NameOrigin<'a>> for OriginParameters<'a> {
    fn from(origin: NameOrigin<'a>) -> OriginParameters<'a> {
        let (kind, parent) = match origin {
            NameOrigin::Row => ("row", None),
            NameOrigin::SubdomainOf(parent) => ("parent", Some(parent)),
            NameOrigin::ConfiguredSubdomain => ("subdomain", None),
            NameOrigin::StaticDomain => ("static", None),
        };
        OriginParameters { kind, parent }
    }
}

fn parameters<'a>(name: &'a &str, origin: &'a OriginParameters<'_>) -> [(&'a (dyn ToSql + Sync), Type); 3] {
    [(name, Type::VARCHAR), (&origin.kind, Type::TEXT), (&origin.parent, Type::VARCHAR)]
}

/// Selects the password of a name, if the name exists. A text of more than 10,000 characters is no valid password, and
/// neither are the first 10,001 of them.
const SELECT: &str = "SELECT left(pass_details, 10001) FROM domain_admins
      WHERE domain = $1
        AND CASE WHEN $2 = 'static' THEN true
                 WHEN EXISTS (SELECT FROM domain_settings WHERE domain = $1)
                 THEN EXISTS (SELECT FROM domain_settings WHERE domain = $1 AND status <> 2)
                 WHEN $2 = 'subdomain' THEN true
                 ELSE EXISTS (SELECT FROM domain_settings WHERE domain = $3 AND status <> 2) END";

/// Stores the password, if the name exists and is enabled. Returns a row if it did.
const STORE: &str = "WITH own AS MATERIALIZED (SELECT status FROM domain_settings
                                  WHERE domain = $1 AND $2 <> 'static' FOR SHARE),
       parent AS MATERIALIZED (SELECT status FROM domain_settings WHERE domain = $3 FOR SHARE)
     INSERT INTO domain_admins (domain, pass_details)
     SELECT $1, $4
      WHERE CASE WHEN $2 = 'static' THEN true
                 WHEN $2 = 'row' THEN EXISTS (SELECT FROM own WHERE status = 1)
                 WHEN EXISTS (SELECT FROM own) THEN false
                 WHEN $2 = 'subdomain' THEN true
                 ELSE EXISTS (SELECT FROM parent WHERE status = 1) END
     ON CONFLICT (domain) DO UPDATE SET pass_details = excluded.pass_details
     RETURNING 1";

impl PasswordOperations for PostgresWriter {
    fn put_password(
        &mut self,
        name: &DomainName,
        origin: NameOrigin<'_>,
        stored: &str,
        until: Instant,
    ) -> Result<Found, StoreError> {
        let (name, origin_parameters) = (name.as_str(), OriginParameters::from(origin));
        let [name, kind, parent] = parameters(&name, &origin_parameters);
        let parameters = [name, kind, parent, (&stored as &(dyn ToSql + Sync), Type::TEXT)];
        let client = &self.session.client;
        let rows = change(&self.session, "storing a password", until, async {
            match origin {
                NameOrigin::Row | NameOrigin::StaticDomain => self.session.query(STORE, &parameters).await,
                NameOrigin::SubdomainOf(_) | NameOrigin::ConfiguredSubdomain => {
                    let result = store_exclusively(client, &parameters).await;
                    client.batch_execute(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
                    result
                }
            }
        })?;
        Ok(if rows.is_empty() { Found::No } else { Found::Yes })
    }

    fn password(
        &mut self,
        name: &DomainName,
        origin: NameOrigin<'_>,
        until: Instant,
    ) -> Result<Option<String>, StoreError> {
        const DOING: &str = "reading a password";
        let rows = self.query_prepared(DOING, SELECT, &parameters(&name.as_str(), &origin.into()), until)?;
        rows.first().map(|row| get(row, 0, DOING)).transpose()
    }

    fn delete_password(&mut self, domain: &DomainName, until: Instant) -> Result<Found, StoreError> {
        let sql = "DELETE FROM domain_admins WHERE domain = $1 RETURNING 1";
        let rows = self.query_prepared("deleting a password", sql, &[(&domain.as_str(), Type::VARCHAR)], until)?;
        Ok(if rows.is_empty() { Found::No } else { Found::Yes })
    }
}

/// Begins a transaction in which no other one writes `domain_settings`, and stores the password.
async fn store_exclusively(client: &Client, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED; LOCK TABLE domain_settings IN SHARE MODE").await?;
    client.query_typed(STORE, parameters).await
}
