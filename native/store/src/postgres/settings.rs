//! What a session has to be like, whatever the server, the database or the role have as their defaults.
//!
//! Two ways lead there. Settings that every version and CockroachDB know travel as startup `options`, which come
//! before `ALTER ROLE … SET`, cost nothing and leave nothing behind in a pool's connection ([`AT_START`]). Settings
//! that depend on the server's version or on the present value are made by the first statements of a session
//! ([`settle`]), together in one round trip. What a URL's `options` say comes last and holds.
//!
//! Each setting of PostgreSQL that a client can make was looked at:
//!
//! | setting | what is done, and why |
//! |---|---|
//! | `default_transaction_isolation` | read committed. FOR UPDATE has to see the newest row; under `serializable` additions fail beside an import. The load asks for its own level |
//! | `row_security` | off. Then PostgreSQL refuses a statement whose rows a policy would filter (42501). With `on` it answers fewer rows, and what may not be seen is taken for what is not there |
//! | `statement_timeout`, `lock_timeout`, `idle_in_transaction_session_timeout` | from this node's options, see `connect::defaults` |
//! | `synchronous_commit` | on where it is `off`: a change that is answered `ok` survives a crash of the server. `local`, `remote_write` and `remote_apply` survive it, too, and say something of standbys, which is the administrator's to say |
//! | `idle_session_timeout` (14), `transaction_timeout` (17) | none: the follower's connection is idle by design, and a load may take long; every statement has a deadline of ours |
//! | `client_encoding` | UTF-8, as the driver sets it; `SQL_ASCII` where the database has none, since the server would refuse every statement that answers a text that is not UTF-8 |
//! | `default_transaction_read_only` | as it is: `target_session_attrs` looks at it, and an administrator who sets it means it |
//! | `default_transaction_deferrable` | as it is: it concerns serializable transactions only |
//! | `search_path`, `role`, `session_authorization`, `default_tablespace` | the administrator's: they say which tables are meant and as whom |
//! | `session_replication_role` | a superuser's, who switches triggers off on purpose |
//! | `standard_conforming_strings`, `backslash_quote`, `transform_null_equals` | as they are: no statement has a backslash or a comparison with NULL in it |
//! | `DateStyle`, `IntervalStyle`, `TimeZone`, `extra_float_digits`, `bytea_output`, `xmloption` | as they are: values come in binary, and times as numbers since 1970 |
//! | `lc_messages` | as it is: errors are told apart by their codes |
//! | `jit`, `enable_*`, `plan_cache_mode`, `work_mem` and other costs | as they are: they change how long a statement takes, not what it answers |

use tokio_postgres::{Client, Error};

use super::offered;

/// Settings for the startup `options`.
pub(super) const AT_START: [&str; 2] = [r"default_transaction_isolation=read\ committed", "row_security=off"];

/// Makes the settings that need a look at the server. A database that lacks one of the functions is left as it is.
pub(super) async fn settle(client: &Client) -> Result<(), Error> {
    // They go out at once.
    tokio::try_join!(
        set(
            client,
            "SELECT set_config('client_encoding', 'SQL_ASCII', false) WHERE getdatabaseencoding() = 'SQL_ASCII'"
        ),
        set(
            client,
            "SELECT set_config('synchronous_commit', 'on', false)
              WHERE current_setting('synchronous_commit', true) = 'off'"
        ),
        set(
            client,
            "SELECT set_config(name, '0', false) FROM pg_settings
              WHERE name IN ('idle_session_timeout', 'transaction_timeout') AND setting <> '0'"
        ),
    )?;
    Ok(())
}

async fn set(client: &Client, sql: &str) -> Result<(), Error> {
    offered(client.query_typed(sql, &[]).await).map(|_| ())
}
