//! Reads which host types are fresh.
//!
//! The first declaration creates the table. Nothing is fresh where the table is absent, where this user may not read it,
//! and where another table has its name.

use domain_core::{HostTypeId, HostTypes};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};

use super::error::{NO_SUCH_COLUMN, if_supported};
use super::log::now_us;
use super::value::{bytes, number};
use crate::Expiry;

pub(super) const DOING: &str = "reading domain_freshness";

/// The fresh host types that this node knows.
pub(super) async fn fresh(conn: &mut Conn, host_types: &HostTypes) -> Result<Vec<HostTypeId>, Error> {
    // Only the known ones: the number and the length of the others is not limited. The table's collation may find more,
    // which are no known names.
    let known: Vec<String> = host_types.names().iter().map(|name| name.to_string()).collect();
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let places = vec!["?"; known.len()].join(",");
    let of_known =
        format!("SELECT domain, expire_time, {} * 1000 FROM domain_freshness WHERE domain IN ({places})", now_us!());
    let rows: Result<Vec<Row>, Error> = conn.exec(of_known, known).await;
    let rows = match rows {
        Err(Error::Server(error)) if error.code == NO_SUCH_COLUMN => None,
        rows => if_supported(rows)?,
    };
    let is_fresh = |row: &&Row| {
        // A value of another type is taken for a time in the past.
        let expire_time = number(row, 1).unwrap_or(i64::MIN);
        Expiry::at(expire_time, number(row, 2).unwrap_or(i64::MAX)) != Expiry::Past
    };
    Ok(rows.unwrap_or_default().iter().filter(is_fresh).filter_map(|row| host_types.id(bytes(row, 0))).collect())
}
