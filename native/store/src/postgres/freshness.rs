//! Reads which host types are fresh.
//!
//! The first declaration creates the table. Nothing is fresh where the table is absent, where this user may not read it,
//! and where another table has its name.

use domain_core::{HostTypeId, HostTypes};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, GenericClient};

use super::rights::has_filtered_rows;
use super::sql::now_ns;
use super::value::RawText;
use crate::Expiry;

pub(super) const DOING: &str = "reading domain_freshness";

/// The fresh host types that this node knows.
pub(super) async fn fresh(client: &impl GenericClient, host_types: &HostTypes) -> Result<Vec<HostTypeId>, Error> {
    // With row_security off, reading a table with a policy is an error.
    let readable = concat!(
        "SELECT coalesce(has_table_privilege(to_regclass('domain_freshness'), 'SELECT'), false)
                       AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('domain_freshness') AND ",
        has_filtered_rows!("c"),
        ")
                       AND (SELECT count(*) = 2 FROM pg_attribute
                             WHERE attrelid = to_regclass('domain_freshness')
                               AND (attname = 'domain' AND atttypid IN ('varchar'::regtype, 'text'::regtype)
                                 OR attname = 'expire_time' AND atttypid = 'bigint'::regtype))"
    );
    if !client.query_typed_one(readable, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(Vec::new());
    }
    // Only the known ones: the number and the length of the others is not limited.
    let known: Vec<String> = host_types.names().iter().map(|name| name.to_string()).collect();
    let of_known =
        concat!("SELECT domain, expire_time, ", now_ns!(), " FROM domain_freshness WHERE domain = ANY ($1::text[])");
    let mut fresh = Vec::new();
    for row in client.query_typed(of_known, &[(&known, Type::TEXT_ARRAY)]).await? {
        let name: RawText<'_> = row.try_get(0)?;
        if Expiry::at(row.try_get(1)?, row.try_get(2)?) != Expiry::Past {
            fresh.extend(host_types.id(name.0));
        }
    }
    Ok(fresh)
}
