//! The follower's thread on an SQLite file that the tests write to.

mod comparisons;
mod database;
mod log;
mod support;
mod thread;
mod warm_start;
