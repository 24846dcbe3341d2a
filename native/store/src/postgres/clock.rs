//! The database's clock, as parts of statements.

/// The present time in milliseconds since 1970.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// The same in nanoseconds, as exactly as PostgreSQL knows it.
macro_rules! now_ns {
    () => {
        "((extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000)"
    };
}

pub(super) use {now, now_ns};
