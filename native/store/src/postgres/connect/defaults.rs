//! The parameters of a connection that its URL does not set.
//!
//! A dead peer is detected within about a minute: by keep-alives while the connection is idle, and by
//! `tcp_user_timeout` while data is unacknowledged. The server itself ends a statement, a wait for a lock or an idle
//! transaction that takes too long, even after this node is gone.
//!
//! These limits and the [`settings`] of a session are sent as startup `options`. PgBouncer refuses them unless its
//! `ignore_startup_parameters` contains `options`.

use std::time::Duration;

use tokio_postgres::Config;

use crate::Timeouts;
use crate::postgres::settings;
use crate::postgres::url::Url;

/// The URL's configuration, with defaults for what it does not set.
pub(super) fn fill_in(url: &Url, timeouts: &Timeouts) -> Config {
    let mut config = url.config.clone();
    if !url.sets("application_name") {
        config.application_name("mongoose_domain");
    }
    if !url.sets("connect_timeout") {
        config.connect_timeout(timeouts.connect);
    }
    if !url.sets("keepalives_idle") {
        config.keepalives_idle(Duration::from_secs(30));
    }
    if !url.sets("keepalives_interval") {
        config.keepalives_interval(Duration::from_secs(10));
    }
    if !url.sets("keepalives_count") && !url.sets("keepalives_retries") {
        config.keepalives_retries(3);
    }
    if !url.sets("tcp_user_timeout") {
        config.tcp_user_timeout(Duration::from_secs(30));
    }
    let limits = [
        ("statement_timeout", timeouts.statement),
        ("lock_timeout", timeouts.lock),
        ("idle_in_transaction_session_timeout", timeouts.statement),
    ];
    let mut options: Vec<String> = settings::AT_START.iter().map(|setting| format!("-c {setting}")).collect();
    let limits = limits.into_iter().filter(|(_, limit)| !limit.is_zero());
    options.extend(limits.map(|(name, limit)| format!("-c {name}={}", server_milliseconds(limit))));
    // Last, because the last of several settings of one name applies.
    options.extend(config.get_options().map(str::to_owned));
    config.options(options.join(" "));
    config
}

/// Rounded up, since 0 means no limit; at most what the server accepts.
fn server_milliseconds(limit: Duration) -> u128 {
    limit.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128)
}
