//! What the workers guarantee, with every database; and what happens to requests when the database refuses a
//! change, hangs, is gone, or never existed.
//!
//! PostgreSQL and MariaDB need a server each: `MONGOOSE_DOMAIN_TEST_PG` and `MONGOOSE_DOMAIN_TEST_MARIADB` are the URLs of
//! servers where databases may be created, as `make test` provides.

#[macro_use]
mod support;

mod company;
mod outages;
mod refusals;
mod requests;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use domain_core::{DomainName, EventId, Pattern};
use domain_ops::{Completed, FailureKind, OperationError, Overloaded, PasswordCheck, Request, Response, Workers};
use domain_store::{
    Activation, BeginRemovalOutcome, DeleteOutcome, DomainSettings, Expiry, Filter, Found, HandlerProgress,
    InsertOutcome, JobOutcome, LeaseState, ListedDomain, NameOrigin, RemovalJob, RemovalJobs, Sequence,
    SetStatusOutcome, Signal, Status, StoreError, Ttl,
};

use crate::support::*;
