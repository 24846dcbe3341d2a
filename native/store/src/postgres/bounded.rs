//! Values in statements that are no longer than they may be, as parts of statements: the server cuts the rest, so that
//! nothing of it travels.
//!
//! `domain_settings` as it should be holds names of up to 250 characters, which are 1000 bytes at the most. A table that
//! somebody else made may hold names of 100 MB. What is cut is longer than 1000 bytes still, so it is no valid name, and
//! [`reading`](crate::reading) finds it too long.

/// A name: whole, or a beginning of it that is too long for one.
macro_rules! name {
    ($column:literal) => {
        concat!("CASE WHEN octet_length(", $column, ") > 1000 THEN left(", $column, ", 1001) ELSE ", $column, " END")
    };
}

/// The beginning of a text for people.
macro_rules! text {
    ($column:literal) => {
        concat!("left(", $column, ", 1000)")
    };
}

pub(super) use {name, text};
