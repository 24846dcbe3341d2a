//! The settings of a session, whatever the defaults of the server, the database or the role are.
//!
//! Settings that every version and CockroachDB know are sent as startup `options` ([`AT_START`]). They override
//! `ALTER ROLE … SET`, cost no round trip, and do not stay behind in a pool's connection. Settings that depend on the
//! server's version or on the present value are made by the first statements of a session ([`apply`]), in one round
//! trip. The `options` of a URL override all of them.
//!
//! Every setting of PostgreSQL that a client can make was considered:
//!
//! | setting | value, and why |
//! |---|---|
//! | `default_transaction_isolation` | read committed. FOR UPDATE has to see the newest row; under `serializable`, additions fail while an import runs. The load sets its own level |
//! | `row_security` | off. PostgreSQL then refuses a statement whose rows a policy would filter (42501). With `on` it returns fewer rows, and hidden rows look like deleted ones |
//! | `statement_timeout`, `lock_timeout`, `idle_in_transaction_session_timeout` | from this node's options, see `connect::defaults` |
//! | `synchronous_commit` | on, where it is `off`: an acknowledged change survives a crash of the server. With `local`, `remote_write` and `remote_apply` it does, too; what they say about standbys is the administrator's decision |
//! | `idle_session_timeout` (14), `transaction_timeout` (17) | none: the follower's connection is often idle, a load may take long, and every statement has a deadline here |
//! | `client_encoding` | UTF-8, which the driver sets; `SQL_ASCII` where the database has that, since the server would otherwise refuse every statement that returns a text which is not UTF-8 |
//! | `default_transaction_read_only` | unchanged: `target_session_attrs` reads it, and an administrator sets it on purpose |
//! | `default_transaction_deferrable` | unchanged: it affects serializable transactions only |
//! | `search_path`, `role`, `session_authorization`, `default_tablespace` | unchanged: the administrator selects tables and users with them |
//! | `session_replication_role` | unchanged: only superusers set it, to disable triggers on purpose |
//! | `standard_conforming_strings`, `backslash_quote`, `transform_null_equals` | unchanged: no statement here has a backslash or a comparison with NULL |
//! | `DateStyle`, `IntervalStyle`, `TimeZone`, `extra_float_digits`, `bytea_output`, `xmloption` | unchanged: values are binary, and times are numbers since 1970 |
//! | `lc_messages` | unchanged: errors are recognised by their codes |
//! | `enable_seqscan` | off, where statements are [`prepared`] and the URL does not set it: the plan that is kept for a small table must suit a large one. The load, which reads a whole table, sets it on |
//! | `jit`, other `enable_*`, `plan_cache_mode`, `work_mem` and other costs | unchanged: they affect how long a statement takes, not its result |

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use super::prepared::{self, Parameters};
use super::sqlstate::if_supported;
use crate::Route;

/// Settings for the startup `options`.
pub(super) const AT_START: [&str; 2] = [r"default_transaction_isolation=read\ committed", "row_security=off"];

/// Makes the settings that depend on the server, and finds out where the connection leads. A database that lacks one of
/// the functions keeps its own.
pub(super) async fn apply(client: &Client) -> Result<Route, Error> {
    let process = prepared::process_id(client).await;
    let of_process: [(&(dyn ToSql + Sync), Type); 1] = [(&process, Type::INT4)];
    // Pipelined: one round trip.
    let (direct, ..) = tokio::try_join!(
        set(client, "SELECT WHERE pg_backend_pid() = $1", &of_process),
        set(
            client,
            "SELECT set_config(name, 'off', false) FROM pg_settings
              WHERE name = 'enable_seqscan' AND source <> 'client' AND pg_backend_pid() = $1",
            &of_process
        ),
        set(
            client,
            "SELECT set_config('client_encoding', 'SQL_ASCII', false) WHERE getdatabaseencoding() = 'SQL_ASCII'",
            &[]
        ),
        set(
            client,
            "SELECT set_config('synchronous_commit', 'on', false)
              WHERE current_setting('synchronous_commit', true) = 'off'",
            &[]
        ),
        set(
            client,
            "SELECT set_config(name, '0', false) FROM pg_settings
              WHERE name IN ('idle_session_timeout', 'transaction_timeout') AND setting <> '0'",
            &[]
        ),
    )?;
    Ok(if direct > 0 { Route::Direct } else { Route::Pooled })
}

/// Runs a statement that the database may lack, and returns the number of its rows.
async fn set(client: &Client, sql: &str, parameters: &Parameters<'_>) -> Result<usize, Error> {
    let rows = if_supported(client.query_typed(sql, parameters).await)?;
    Ok(rows.map_or(0, |rows| rows.len()))
}
