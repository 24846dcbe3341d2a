//! Admins' passwords on PostgreSQL: written and read together with the row that they rest on.
//!
//! One statement looks at the row and writes, and holds the row meanwhile (FOR SHARE). A removal changes that row, so it
//! comes before, and the statement finds the domain in removal, or after, and deletes what the statement wrote.
//!
//! A name without a row has nothing to hold: an addition of a domain of that name could be under way, whose row does not
//! show yet and which does not see the password that it should delete. So this waits for those who write the table of
//! domains (LOCK TABLE … IN SHARE MODE), and those who come later wait for it. Only passwords of subdomains are set so.

use std::time::Instant;

use domain_core::DomainName;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::change::change;
use super::session::Session;
use crate::StoreError;
use crate::writer::{Basis, Found};

/// What a password rests on, as SQL takes it: $2 is what a name without a row rests on, $3 the parent.
pub(super) struct Rest<'a> {
    kind: &'static str,
    parent: Option<&'a str>,
}

impl<'a> From<Basis<'a>> for Rest<'a> {
    fn from(basis: Basis<'a>) -> Rest<'a> {
        let (kind, parent) = match basis {
            Basis::Row => ("row", None),
            Basis::Parent(parent) => ("parent", Some(parent)),
            Basis::Subdomain => ("subdomain", None),
            Basis::Static => ("static", None),
        };
        Rest { kind, parent }
    }
}

pub(super) fn parameters<'a>(name: &'a &str, rest: &'a Rest<'_>) -> [(&'a (dyn ToSql + Sync), Type); 3] {
    [(name, Type::VARCHAR), (&rest.kind, Type::TEXT), (&rest.parent, Type::VARCHAR)]
}

/// The password of a name, while what it rests on is there.
///
/// One that is stored in more than 10,000 bytes makes no sense, and its beginning none, either.
pub(super) const HOLDS: &str = "SELECT left(pass_details, 10001) FROM domain_admins
      WHERE domain = $1
        AND CASE WHEN $2 = 'static' THEN true
                 WHEN EXISTS (SELECT FROM domain_settings WHERE domain = $1)
                 THEN EXISTS (SELECT FROM domain_settings WHERE domain = $1 AND status <> 2)
                 WHEN $2 = 'subdomain' THEN true
                 ELSE EXISTS (SELECT FROM domain_settings WHERE domain = $3 AND status <> 2) END";

/// Whether the password was stored.
const STORED: &str = "WITH own AS MATERIALIZED (SELECT status FROM domain_settings
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

/// Stores a password, if what it rests on is there and enabled.
pub(super) fn put(
    session: &Session,
    name: &DomainName,
    basis: Basis<'_>,
    stored: &str,
    until: Instant,
) -> Result<Found, StoreError> {
    let (name, rest) = (name.as_str(), Rest::from(basis));
    let [name, kind, parent] = parameters(&name, &rest);
    let parameters = [name, kind, parent, (&stored as &(dyn ToSql + Sync), Type::TEXT)];
    let client = &session.client;
    let rows = change(session, "storing a password", until, async {
        match basis {
            Basis::Row | Basis::Static => client.query_typed(STORED, &parameters).await,
            Basis::Parent(_) | Basis::Subdomain => {
                let result = alone(client, &parameters).await;
                client.batch_execute(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
                result
            }
        }
    })?;
    Ok(if rows.is_empty() { Found::No } else { Found::Yes })
}

/// Begins a transaction in which nobody else writes the table of domains, and stores the password.
async fn alone(client: &Client, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED; LOCK TABLE domain_settings IN SHARE MODE").await?;
    client.query_typed(STORED, parameters).await
}
