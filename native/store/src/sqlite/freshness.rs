//! Reads which host types are fresh.

use domain_core::{HostTypeId, HostTypes};
use rusqlite::Connection;

use super::tables::columns;
use super::value::{NOW_NS, name_bytes};
use crate::Expiry;

/// The fresh host types that this node knows. The first declaration creates the table; nothing is fresh where it does not
/// exist.
pub(super) fn fresh(connection: &Connection, host_types: &HostTypes) -> rusqlite::Result<Vec<HostTypeId>> {
    if columns(connection, "domain_freshness")?.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare(&format!("SELECT domain, expire_time, {NOW_NS} FROM domain_freshness"))?;
    let mut found = select.query([])?;
    let mut fresh = Vec::new();
    while let Some(row) = found.next()? {
        // A value of another type is taken for a time in the past.
        let expire_time = row.get_ref(1)?.as_i64().unwrap_or(i64::MIN);
        if Expiry::at(expire_time, row.get(2)?) != Expiry::Past {
            fresh.extend(host_types.id(name_bytes(row.get_ref(0)?)));
        }
    }
    Ok(fresh)
}
