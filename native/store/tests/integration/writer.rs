//! What every writer guarantees, tested with every database; and what only PostgreSQL's or MariaDB's does.

mod declarations;
mod deletions;
mod domains;
mod mariadb_only;
mod mariadb_waits;
mod passwords;
mod postgres_only;
mod prepared;
mod removals;
mod statuses;
mod void_jobs;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use domain_core::{DomainName, EventId};
use domain_store::{
    Activation, BeginRemovalOutcome, ChangedDomain, DeleteOutcome, DomainSettings, Expiry, Filter,
    FreshnessDeclaration, HandlerProgress, InsertOutcome, JobOutcome, Lease, LeaseState, ListedDomain, NameOrigin,
    NewDomain, OldDomain, RemovalJob, RemovalJobs, RemovalStatus, SetStatusOutcome, Status, StoreError, Survey, Ttl,
    VoidJob, Writer,
};

use crate::support::{Fixture, LONG, eventually, name};

pub(crate) const ALLOWED: &[&str] = &["type1", "type2"];
/// Two leases that do not end during a test, and one that ends at once.
pub(crate) const ONE: Lease<'_> = Lease { owner: "one@host", milliseconds: 3_600_000 };
pub(crate) const TWO: Lease<'_> = Lease { owner: "two@host", milliseconds: 3_600_000 };
pub(crate) const BRIEF: Lease<'_> = Lease { owner: "one@host", milliseconds: 1 };

/// A deadline that only a failing test reaches.
pub(crate) fn until() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

pub(crate) fn insert(writer: &mut dyn Writer, pairs: &[(&str, &str)]) -> Result<Vec<InsertOutcome>, StoreError> {
    insert_as(writer, pairs, Activation::Enabled)
}

pub(crate) fn insert_as(
    writer: &mut dyn Writer,
    pairs: &[(&str, &str)],
    status: Activation,
) -> Result<Vec<InsertOutcome>, StoreError> {
    let named: Vec<_> = pairs.iter().map(|(domain, host_type)| (name(domain), *host_type)).collect();
    let pairs: Vec<_> =
        named.iter().map(|(domain, host_type)| NewDomain { domain, host_type, status, subdomains: &[] }).collect();
    writer.insert(&pairs, until())
}

pub(crate) fn set_status(
    writer: &mut dyn Writer,
    domain: &str,
    wanted: Activation,
    allowed: &[&str],
) -> SetStatusOutcome {
    let allowed: Vec<_> = allowed.iter().map(|&host_type| host_type.to_owned()).collect();
    writer.set_status(&name(domain), wanted, &allowed, until()).unwrap()
}

pub(crate) fn begin(writer: &mut dyn Writer, domain: &str, lease: Lease<'_>) -> BeginRemovalOutcome {
    writer.begin_removal(&name(domain), "type1", 2, lease, &[], until()).unwrap()
}

pub(crate) fn type1_job(domain: &str) -> RemovalJob {
    RemovalJob { domain: domain.to_owned(), host_type: "type1".to_owned(), handlers: 2 }
}

pub(crate) fn take_over(writer: &mut dyn Writer, lease: Lease<'_>, allowed: &[&str], limit: u32) -> Vec<RemovalJob> {
    let RemovalJobs { mut held, void, .. } = take_over_all(writer, lease, allowed, limit);
    assert_eq!(void, []);
    held.sort_by(|a, b| a.domain.cmp(&b.domain));
    held
}

pub(crate) fn take_over_all(writer: &mut dyn Writer, lease: Lease<'_>, allowed: &[&str], limit: u32) -> RemovalJobs {
    let allowed: Vec<_> = allowed.iter().map(|&host_type| host_type.to_owned()).collect();
    writer.take_over_removals(lease, &allowed, limit, until()).unwrap()
}

/// The jobs of the owner of `lease`, none of which is void.
pub(crate) fn renew(writer: &mut dyn Writer, lease: Lease<'_>) -> Vec<RemovalJob> {
    let RemovalJobs { mut held, void, .. } = writer.renew_removals(lease, until()).unwrap();
    assert_eq!(void, []);
    held.sort_by(|a, b| a.domain.cmp(&b.domain));
    held
}

pub(crate) fn removals(writer: &mut dyn Writer) -> Vec<RemovalStatus> {
    writer.removals(None, until()).unwrap().rows
}

/// The job of `domain`.
pub(crate) fn removal(writer: &mut dyn Writer, domain: &str) -> RemovalStatus {
    let mut found = writer.removals(Some(&name(domain)), until()).unwrap().rows;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

pub(crate) fn all_leases_end(writer: &mut dyn Writer) {
    eventually(|| removals(writer).iter().all(|job| job.lease == LeaseState::Ended));
}

pub(crate) const HOUR: u32 = 3600;

pub(crate) fn seconds(seconds: u32) -> Ttl {
    Ttl::Seconds(NonZeroU32::new(seconds).unwrap())
}

pub(crate) fn declare(writer: &mut dyn Writer, domain: &str, ttl: Ttl) {
    writer.upsert_freshness(domain, ttl, until()).unwrap();
}

pub(crate) fn freshness(writer: &mut dyn Writer) -> Vec<FreshnessDeclaration> {
    writer.freshness(until()).unwrap().rows
}

/// The only declaration.
pub(crate) fn declared(writer: &mut dyn Writer) -> FreshnessDeclaration {
    let mut found = freshness(writer);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// The number of tables of freshness.
pub(crate) fn freshness_tables(fixture: &mut Fixture) -> Vec<String> {
    fixture.read(match fixture.url.split(':').next() {
        Some("postgres") => "SELECT count(*) FROM pg_class WHERE relname = 'domain_freshness'",
        Some("mysql") => {
            "SELECT COUNT(*) FROM information_schema.TABLES
              WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'domain_freshness'"
        }
        _ => "SELECT count(*) FROM sqlite_master WHERE name = 'domain_freshness'",
    })
}

/// Nanoseconds since 1970, in whole milliseconds, by this machine's clock, which is also the databases'.
pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap() * 1_000_000
}

pub(crate) fn settings(host_type: &str, status: Status) -> DomainSettings {
    DomainSettings { host_type: host_type.to_owned(), status }
}

pub(crate) fn put_row(fixture: &mut Fixture, domain: &str, host_type: &str, status: i64) {
    fixture.write(&format!(
        "INSERT INTO domain_settings (domain, host_type, status) VALUES ('{domain}', '{host_type}', {status})"
    ));
}

/// The rows in the order of their ids: `1 a.example type1 1`.
pub(crate) fn rows(fixture: &mut Fixture) -> Vec<String> {
    fixture.read("SELECT id || ' ' || domain || ' ' || host_type || ' ' || status FROM domain_settings ORDER BY id")
}

/// The events in the order of their ids: `1 a.example`.
pub(crate) fn events(fixture: &mut Fixture) -> Vec<String> {
    fixture.read("SELECT id || ' ' || domain FROM domain_events ORDER BY id")
}

pub(crate) fn event(id: EventId, domain: &str) -> String {
    format!("{} {domain}", id.0)
}

pub(crate) fn added(inserted: &InsertOutcome) -> EventId {
    match inserted {
        InsertOutcome::Added(id) => *id,
        other => panic!("not added: {other:?}"),
    }
}

pub(crate) fn claimed(begun: &BeginRemovalOutcome) -> EventId {
    match begun {
        BeginRemovalOutcome::Claimed(id) => *id,
        other => panic!("not claimed: {other:?}"),
    }
}
