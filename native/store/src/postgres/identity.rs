//! Which database a session is connected to.

use tokio_postgres::{Client, Error, Row};

use super::sqlstate::if_supported;
use crate::{DatabaseIdentity, ServerRole};

pub(super) const DOING: &str = "reading which database this is";

/// The cluster, the database in it, and the timeline, which changes when a standby is promoted. The timeline in the
/// control file is that of the last checkpoint, and so may be late.
pub(super) async fn read(client: &Client) -> Result<Option<DatabaseIdentity>, Error> {
    let answer = client
        .query_typed_one(
            "SELECT s.system_identifier || '/' || d.oid,
                    CASE WHEN pg_is_in_recovery() THEN lpad(to_hex((pg_control_checkpoint()).timeline_id), 8, '0')
                         ELSE lower(left(pg_walfile_name(pg_current_wal_lsn()), 8)) END,
                    pg_is_in_recovery(),
                    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint
               FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()",
            &[],
        )
        .await;
    let identity = |row: Row| {
        let role = if row.try_get(2)? { ServerRole::Standby } else { ServerRole::Primary { started: row.try_get(3)? } };
        Ok(DatabaseIdentity::Server { database: row.try_get(0)?, timeline: row.try_get(1)?, role })
    };
    if_supported(answer)?.map(identity).transpose()
}

/// Whether a transaction that begins now may change anything.
pub(super) async fn is_writable(client: &Client) -> Result<bool, Error> {
    let row = client.query_typed_one("SELECT current_setting('transaction_read_only') = 'off'", &[]).await?;
    row.try_get(0)
}
