//! Which host types are fresh: read, and nothing else. The table is made by the first operation that
//! writes to it, so an absent one, one that this user may not read, or something else of that name says that nothing is
//! fresh.

use domain_core::{HostTypeId, HostTypes};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, GenericClient};

use super::Bytes;
use super::clock::now_ns;
use super::rights::filtered;
use crate::Expiry;

pub(super) const DOING: &str = "reading domain_freshness";

/// The fresh ones that this node knows.
pub(super) async fn fresh(client: &impl GenericClient, host_types: &HostTypes) -> Result<Vec<HostTypeId>, Error> {
    // With row security off, a table with a policy is one that may not be read.
    let readable = concat!(
        "SELECT coalesce(has_table_privilege(to_regclass('domain_freshness'), 'SELECT'), false)
                       AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('domain_freshness') AND ",
        filtered!("c"),
        ")
                       AND (SELECT count(*) = 2 FROM pg_attribute
                             WHERE attrelid = to_regclass('domain_freshness')
                               AND (attname = 'domain' AND atttypid IN ('varchar'::regtype, 'text'::regtype)
                                 OR attname = 'expire_time' AND atttypid = 'bigint'::regtype))"
    );
    if !client.query_typed_one(readable, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(Vec::new());
    }
    // The others may be as many, and as long, as any.
    let known: Vec<String> = host_types.names().iter().map(|name| name.to_string()).collect();
    let of_known =
        concat!("SELECT domain, expire_time, ", now_ns!(), " FROM domain_freshness WHERE domain = ANY ($1::text[])");
    let mut fresh = Vec::new();
    for row in client.query_typed(of_known, &[(&known, Type::TEXT_ARRAY)]).await? {
        let name: Bytes<'_> = row.try_get(0)?;
        if Expiry::judge(row.try_get(1)?, row.try_get(2)?) != Expiry::Past {
            fresh.extend(host_types.id(name.0));
        }
    }
    Ok(fresh)
}
