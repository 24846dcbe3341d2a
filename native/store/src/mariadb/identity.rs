//! Which database a session is connected to.
//!
//! A Galera cluster has an id, which all its nodes have in common and which survives restarts. A server alone has
//! `@@server_uid` since MariaDB 10.11, made of its network address and its port; an older one is known by the name of its
//! machine, its port and its data directory. A restored dump has the identity of the database before: it is told by
//! its log, whose events do not go on from the follower's cursor.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::error::if_supported;
use super::settings::Server;
use crate::DatabaseIdentity;

pub(super) const DOING: &str = "reading which database this is";

pub(super) async fn read(conn: &mut Conn, server: &Server) -> Result<Option<DatabaseIdentity>, Error> {
    let database: Option<Option<String>> = conn.query_first("SELECT DATABASE()").await?;
    let Some(database) = database.flatten() else { return Ok(None) };
    let server = match &server.cluster {
        Some(cluster) => format!("Galera {cluster}"),
        None => match if_supported(conn.query_first("SELECT @@server_uid").await)?.flatten() {
            Some(uid) => uid,
            None => {
                let place: Option<String> =
                    conn.query_first("SELECT CONCAT(@@hostname, ':', @@port, @@datadir)").await?;
                place.unwrap_or_default()
            }
        },
    };
    Ok(Some(DatabaseIdentity::Mariadb { server, database }))
}
