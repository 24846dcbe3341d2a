//! Parts that several statements have in common.
//!
//! `domain_settings` holds names of up to 250 characters, which are at most 1000 bytes. A table with another schema may
//! hold names of 100 MB. The server cuts such a value, so that the rest is not sent. What it sends is still longer than
//! 1000 bytes, and [`readable`](crate::readable) reports the value as too long.

/// A name, cut where it is too long to be valid.
macro_rules! bounded_name {
    ($column:literal) => {
        concat!("CASE WHEN octet_length(", $column, ") > 1000 THEN left(", $column, ", 1001) ELSE ", $column, " END")
    };
}

/// The first 1000 characters of a text that is only shown.
macro_rules! bounded_text {
    ($column:literal) => {
        concat!("left(", $column, ", 1000)")
    };
}

/// The database's clock, in milliseconds since 1970.
macro_rules! now_ms {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// The database's clock, in nanoseconds since 1970 with a precision of microseconds.
macro_rules! now_ns {
    () => {
        "((extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000)"
    };
}

pub(super) use {bounded_name, bounded_text, now_ms, now_ns};
