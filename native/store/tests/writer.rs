//! What every writer promises, asked of PostgreSQL and of SQLite in the same words; and at the end,
//! what only PostgreSQL can do or suffer.
//!
//! PostgreSQL's side needs a server, as in `conformance.rs`.

#[macro_use]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use domain_core::{DomainName, EventId};
use domain_store::{
    Activation, BeginRemovalOutcome, ChangedDomain, Database, DomainSettings, Expiry, Filter, Found,
    FreshnessDeclaration, HandlerProgress, InsertOutcome, JobOutcome, Lease, LeaseState, ListedDomain, NameOrigin,
    NewDomain, RemovalJob, RemovalJobs, RemovalStatus, SetStatusOutcome, Status, StoreError, Survey, Timeouts, Ttl,
    VoidJob, Writer,
};
use postgres::fallible_iterator::FallibleIterator;
use support::{Fixture, LONG, eventually, name};

promises! {
    writers_that_open_an_empty_database_together_all_succeed
    a_new_domain_gets_an_enabled_row_and_one_event
    a_row_that_is_there_is_left_as_it_is_and_reported
    a_batch_is_answered_in_its_order
    a_batch_of_a_thousand_is_added_at_once
    an_empty_batch_changes_nothing
    a_switch_finds_no_row
    a_switch_of_another_nodes_host_type_is_refused
    a_switch_of_a_domain_in_removal_is_refused
    a_switch_to_what_is_so_already_changes_nothing
    a_switch_that_changes_something_writes_one_event
    of_two_equal_switches_at_once_one_changes_something
    settings_say_what_the_row_says
    pages_visit_every_row_once_and_in_order
    a_page_may_begin_after_a_domain_that_is_not_there
    a_listing_keeps_to_each_filter_and_to_all_of_them
    a_prefix_is_taken_literally
    a_password_is_stored_replaced_and_deleted_without_an_event
    a_removal_of_an_unknown_domain_finds_nothing
    a_removal_with_another_host_type_changes_nothing
    a_removal_marks_the_domain_and_claims_the_job
    a_removal_is_elsewhere_while_the_lease_runs
    a_removal_is_claimed_again_after_the_lease_ended
    a_removal_is_claimed_again_after_it_failed
    of_two_removals_begun_at_once_one_gets_the_job
    progress_is_noted_by_the_owner_alone_and_prolongs_the_job
    an_owner_prolongs_all_its_jobs_and_no_other
    a_job_is_given_up_by_its_owner_alone
    a_removal_is_finished_by_its_owner_alone
    a_finished_removal_leaves_nothing_but_one_event
    a_job_ends_without_another_handler_when_its_row_is_not_in_removal
    a_job_that_ends_deletes_nothing_of_a_domain_that_is_not_in_removal
    a_job_whose_row_is_not_in_removal_is_not_prolonged_and_named
    a_job_whose_row_is_not_in_removal_is_not_taken_over_and_ends
    a_job_whose_row_is_in_removal_is_ended_by_nobody
    a_failed_job_of_a_domain_that_is_served_again_is_not_listed
    a_removal_that_is_begun_for_a_new_life_of_the_domain_is_the_old_owners_no_longer
    a_job_that_is_claimed_while_void_jobs_end_stays
    only_jobs_whose_leases_ended_are_taken_over
    only_jobs_of_allowed_host_types_are_taken_over
    no_more_jobs_are_taken_over_than_asked_for
    a_job_that_was_taken_over_is_the_old_owners_no_longer
    two_owners_at_once_never_take_over_the_same_job
    jobs_are_listed_all_or_one_in_order
    owners_that_need_the_table_of_removals_together_all_succeed
    a_change_whose_event_is_refused_changes_nothing
    where_nothing_was_declared_nothing_is_fresh
    the_first_declaration_makes_the_table_of_freshness
    changes_are_told_with_what_the_rows_say_now
    a_survey_counts_the_rows_of_each_host_type
    a_domain_is_added_with_the_status_that_it_is_to_have
    a_declaration_expires_so_many_seconds_after_the_present
    a_declaration_for_ever_does_not_expire
    a_declaration_replaces_the_one_before_for_longer_or_shorter
    a_declaration_that_expired_is_past_until_the_next_one
    declarations_are_listed_in_the_order_of_their_bytes
    a_declaration_writes_no_event
    those_who_declare_first_together_all_succeed
    a_value_that_is_longer_than_any_name_spoils_its_row_alone_and_is_not_kept
}

const ALLOWED: &[&str] = &["type1", "type2"];
/// Leases that last longer than any test, and one that ends at once.
const ONE: Lease<'_> = Lease { owner: "one@host", milliseconds: 3_600_000 };
const TWO: Lease<'_> = Lease { owner: "two@host", milliseconds: 3_600_000 };
const BRIEF: Lease<'_> = Lease { owner: "one@host", milliseconds: 1 };

/// Time enough.
fn until() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn insert(writer: &mut dyn Writer, pairs: &[(&str, &str)]) -> Result<Vec<InsertOutcome>, StoreError> {
    insert_as(writer, pairs, Activation::Enabled)
}

fn insert_as(
    writer: &mut dyn Writer,
    pairs: &[(&str, &str)],
    status: Activation,
) -> Result<Vec<InsertOutcome>, StoreError> {
    let named: Vec<_> = pairs.iter().map(|(domain, host_type)| (name(domain), *host_type)).collect();
    let pairs: Vec<_> =
        named.iter().map(|(domain, host_type)| NewDomain { domain, host_type, status, subdomains: &[] }).collect();
    writer.insert(&pairs, until())
}

fn set_status(writer: &mut dyn Writer, domain: &str, wanted: Activation, allowed: &[&str]) -> SetStatusOutcome {
    let allowed: Vec<_> = allowed.iter().map(|&host_type| host_type.to_owned()).collect();
    writer.set_status(&name(domain), wanted, &allowed, until()).unwrap()
}

fn begin(writer: &mut dyn Writer, domain: &str, lease: Lease<'_>) -> BeginRemovalOutcome {
    writer.begin_removal(&name(domain), "type1", 2, lease, &[], until()).unwrap()
}

fn type1_job(domain: &str) -> RemovalJob {
    RemovalJob { domain: domain.to_owned(), host_type: "type1".to_owned(), handlers: 2 }
}

fn take_over(writer: &mut dyn Writer, lease: Lease<'_>, allowed: &[&str], limit: u32) -> Vec<RemovalJob> {
    let RemovalJobs { mut held, void, .. } = take_over_all(writer, lease, allowed, limit);
    assert_eq!(void, []);
    held.sort_by(|a, b| a.domain.cmp(&b.domain));
    held
}

fn take_over_all(writer: &mut dyn Writer, lease: Lease<'_>, allowed: &[&str], limit: u32) -> RemovalJobs {
    let allowed: Vec<_> = allowed.iter().map(|&host_type| host_type.to_owned()).collect();
    writer.take_over_removals(lease, &allowed, limit, until()).unwrap()
}

/// Those that the owner of `lease` has, none of which is void.
fn renew(writer: &mut dyn Writer, lease: Lease<'_>) -> Vec<RemovalJob> {
    let RemovalJobs { mut held, void, .. } = writer.renew_removals(lease, until()).unwrap();
    assert_eq!(void, []);
    held.sort_by(|a, b| a.domain.cmp(&b.domain));
    held
}

fn removals(writer: &mut dyn Writer) -> Vec<RemovalStatus> {
    writer.removals(None, until()).unwrap().rows
}

/// The one job of `domain`.
fn removal(writer: &mut dyn Writer, domain: &str) -> RemovalStatus {
    let mut found = writer.removals(Some(&name(domain)), until()).unwrap().rows;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn all_leases_end(writer: &mut dyn Writer) {
    eventually(|| removals(writer).iter().all(|job| job.lease == LeaseState::Ended));
}

const HOUR: u32 = 3600;

fn seconds(seconds: u32) -> Ttl {
    Ttl::Seconds(NonZeroU32::new(seconds).unwrap())
}

fn declare(writer: &mut dyn Writer, domain: &str, ttl: Ttl) {
    writer.upsert_freshness(domain, ttl, until()).unwrap();
}

fn freshness(writer: &mut dyn Writer) -> Vec<FreshnessDeclaration> {
    writer.freshness(until()).unwrap().rows
}

/// The one declaration that there is.
fn declared(writer: &mut dyn Writer) -> FreshnessDeclaration {
    let mut found = freshness(writer);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// How many tables of freshness there are.
fn freshness_tables(fixture: &mut Fixture) -> Vec<String> {
    fixture.read(if fixture.url.starts_with("postgres") {
        "SELECT count(*) FROM pg_class WHERE relname = 'domain_freshness'"
    } else {
        "SELECT count(*) FROM sqlite_master WHERE name = 'domain_freshness'"
    })
}

/// Nanoseconds since 1970 by this machine's clock, which is the databases' too, in whole milliseconds.
fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap() * 1_000_000
}

fn settings(host_type: &str, status: Status) -> DomainSettings {
    DomainSettings { host_type: host_type.to_owned(), status }
}

fn put_row(fixture: &mut Fixture, domain: &str, host_type: &str, status: i64) {
    fixture.write(&format!(
        "INSERT INTO domain_settings (domain, host_type, status) VALUES ('{domain}', '{host_type}', {status})"
    ));
}

/// The rows in the order of their making: `1 a.example type1 1`.
fn rows(fixture: &mut Fixture) -> Vec<String> {
    fixture.read("SELECT id || ' ' || domain || ' ' || host_type || ' ' || status FROM domain_settings ORDER BY id")
}

/// The events in order: `1 a.example`.
fn events(fixture: &mut Fixture) -> Vec<String> {
    fixture.read("SELECT id || ' ' || domain FROM domain_events ORDER BY id")
}

fn event(id: EventId, domain: &str) -> String {
    format!("{} {domain}", id.0)
}

fn added(inserted: &InsertOutcome) -> EventId {
    match inserted {
        InsertOutcome::Added(id) => *id,
        other => panic!("not added: {other:?}"),
    }
}

fn claimed(begun: &BeginRemovalOutcome) -> EventId {
    match begun {
        BeginRemovalOutcome::Claimed(id) => *id,
        other => panic!("not claimed: {other:?}"),
    }
}

fn writers_that_open_an_empty_database_together_all_succeed(fixture: &mut Fixture) {
    let opener = &fixture.opener;
    thread::scope(|scope| {
        for opening in (0..4).map(|_| scope.spawn(|| opener.connect_writer().map(drop))).collect::<Vec<_>>() {
            opening.join().unwrap().unwrap();
        }
    });
}

fn a_new_domain_gets_an_enabled_row_and_one_event(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let longest = "a".repeat(DomainName::MAX_BYTES);
    for (place, domain) in ["a.example", "пример.рф", "it's.example", LONG, &longest].into_iter().enumerate() {
        let inserted = insert(&mut *writer, &[(domain, "type1")]).unwrap();
        assert_eq!(inserted.len(), 1);
        assert_eq!(events(fixture).last(), Some(&event(added(&inserted[0]), domain)));
        assert!(rows(fixture)[place].ends_with(&format!(" {domain} type1 1")));
        assert_eq!((rows(fixture).len(), events(fixture).len()), (place + 1, place + 1));
    }
}

fn a_row_that_is_there_is_left_as_it_is_and_reported(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for (status, known) in [(0, Status::Disabled), (1, Status::Enabled), (2, Status::Deleting), (7, Status::Unknown(7))]
    {
        let domain = format!("d{status}.example");
        put_row(fixture, &domain, "type1", status);
        let before = rows(fixture);
        for host_type in ["type1", "type2"] {
            let inserted = insert(&mut *writer, &[(&domain, host_type)]).unwrap();
            assert_eq!(inserted, [InsertOutcome::Exists(settings("type1", known))]);
        }
        assert_eq!(rows(fixture), before);
    }
    assert_eq!(events(fixture), [""; 0]);
}

fn a_batch_is_answered_in_its_order(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "m.example", "type2", 0);
    let pairs = [("z.example", "type1"), ("m.example", "type1"), ("a.example", "type2"), ("k.example", "type1")];
    let inserted = insert(&mut *writer, &pairs).unwrap();
    assert_eq!(inserted.len(), 4);
    assert_eq!(inserted[1], InsertOutcome::Exists(settings("type2", Status::Disabled)));
    let mut expected: Vec<_> = [0, 2, 3].map(|place| (added(&inserted[place]), pairs[place].0)).into();
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(id, domain)| event(id, domain)).collect();
    assert_eq!(events(fixture), expected);
    let found = fixture.read("SELECT domain || ' ' || host_type || ' ' || status FROM domain_settings");
    let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
    let expected = ["a.example type2 1", "k.example type1 1", "m.example type2 0", "z.example type1 1"];
    assert_eq!(found, expected.into());
}

fn a_batch_of_a_thousand_is_added_at_once(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let domains: Vec<_> = (0..1000).map(|n| format!("tenant-{n}.example")).collect();
    let pairs: Vec<_> = domains.iter().map(|domain| (domain.as_str(), "type1")).collect();
    let inserted = insert(&mut *writer, &pairs).unwrap();
    let mut expected: Vec<_> = inserted.iter().map(added).zip(&domains).collect();
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(id, domain)| event(id, domain)).collect();
    assert_eq!(events(fixture), expected);
    assert_eq!(rows(fixture).len(), 1000);
}

fn an_empty_batch_changes_nothing(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(insert(&mut *writer, &[]).unwrap(), []);
    assert_eq!((rows(fixture).len(), events(fixture).len()), (0, 0));
}

fn a_switch_finds_no_row(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for wanted in [Activation::Enabled, Activation::Disabled] {
        assert_eq!(set_status(&mut *writer, "a.example", wanted, ALLOWED), SetStatusOutcome::NotFound);
    }
    assert_eq!((rows(fixture).len(), events(fixture).len()), (0, 0));
}

fn a_switch_of_another_nodes_host_type_is_refused(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type9", 1);
    for allowed in [ALLOWED, &[]] {
        for wanted in [Activation::Enabled, Activation::Disabled] {
            assert_eq!(set_status(&mut *writer, "a.example", wanted, allowed), SetStatusOutcome::UnknownHostType);
        }
    }
    assert_eq!(rows(fixture), ["1 a.example type9 1"]);
    assert_eq!(events(fixture).len(), 0);
}

fn a_switch_of_a_domain_in_removal_is_refused(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type1", 2);
    for wanted in [Activation::Enabled, Activation::Disabled] {
        assert_eq!(set_status(&mut *writer, "a.example", wanted, ALLOWED), SetStatusOutcome::Deleting);
    }
    assert_eq!(rows(fixture), ["1 a.example type1 2"]);
    assert_eq!(events(fixture).len(), 0);
}

fn a_switch_to_what_is_so_already_changes_nothing(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "off.example", "type1", 0);
    put_row(fixture, "on.example", "type1", 1);
    assert_eq!(set_status(&mut *writer, "off.example", Activation::Disabled, ALLOWED), SetStatusOutcome::Unchanged);
    assert_eq!(set_status(&mut *writer, "on.example", Activation::Enabled, ALLOWED), SetStatusOutcome::Unchanged);
    assert_eq!(rows(fixture), ["1 off.example type1 0", "2 on.example type1 1"]);
    assert_eq!(events(fixture).len(), 0);
}

fn a_switch_that_changes_something_writes_one_event(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type2", 1);
    put_row(fixture, "odd.example", "type1", 7);
    put_row(fixture, "other.example", "type1", 1);
    let mut expected = Vec::new();
    for (domain, wanted) in
        [("a.example", Activation::Disabled), ("a.example", Activation::Enabled), ("odd.example", Activation::Disabled)]
    {
        match set_status(&mut *writer, domain, wanted, ALLOWED) {
            SetStatusOutcome::Changed(id) => expected.push(event(id, domain)),
            other => panic!("{domain} {wanted:?}: {other:?}"),
        }
        assert_eq!(events(fixture), expected);
    }
    assert_eq!(rows(fixture), ["1 a.example type2 1", "2 odd.example type1 0", "3 other.example type1 1"]);
}

fn of_two_equal_switches_at_once_one_changes_something(fixture: &mut Fixture) {
    const ROUNDS: usize = 50;
    let mut writers = [fixture.writer(), fixture.writer()];
    put_row(fixture, "a.example", "type1", 1);
    let start = Barrier::new(2);
    let switch = |writer: &mut Box<dyn Writer>| -> Vec<SetStatusOutcome> {
        let wanted = [Activation::Disabled, Activation::Enabled].into_iter().cycle().take(ROUNDS);
        let switched = wanted.map(|wanted| {
            start.wait();
            set_status(&mut **writer, "a.example", wanted, ALLOWED)
        });
        switched.collect()
    };
    let [one, two] = writers.each_mut();
    let (one, two) = thread::scope(|scope| {
        let two = scope.spawn(|| switch(two));
        (switch(one), two.join().unwrap())
    });
    for round in one.iter().zip(&two) {
        let fine = matches!(
            round,
            (SetStatusOutcome::Changed(_), SetStatusOutcome::Unchanged)
                | (SetStatusOutcome::Unchanged, SetStatusOutcome::Changed(_))
        );
        assert!(fine, "{round:?}");
    }
    assert_eq!(events(fixture).len(), ROUNDS);
}

fn settings_say_what_the_row_says(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(writer.settings(&name("a.example"), until()).unwrap(), None);
    for (status, known) in [(0, Status::Disabled), (1, Status::Enabled), (2, Status::Deleting), (7, Status::Unknown(7))]
    {
        let domain = format!("d{status}.example");
        put_row(fixture, &domain, "type9", status);
        assert_eq!(writer.settings(&name(&domain), until()).unwrap(), Some(settings("type9", known)));
    }
}

/// Names that collations like to order in their own way.
const STRANGE: [&str; 12] = [
    "a.example",
    "a-b.example",
    "ab.example",
    "a_b.example",
    "a%b.example",
    "axb.example",
    "Upper.example",
    "upper.example",
    "пример.рф",
    "примерно.рф",
    "é.example",
    "zz.example",
];

fn listed(writer: &mut dyn Writer, filter: &Filter, limit: u32) -> Vec<String> {
    writer.list(filter, limit, until()).unwrap().rows.into_iter().map(|row| row.domain).collect()
}

fn pages_visit_every_row_once_and_in_order(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for domain in STRANGE {
        put_row(fixture, domain, "type1", 1);
    }
    fixture.fill(100);
    let all = fixture.read("SELECT domain FROM domain_settings ORDER BY domain");
    for limit in [1, 7, 56, 112, 1000] {
        let mut filter = Filter::default();
        let mut visited = Vec::new();
        loop {
            let page = listed(&mut *writer, &filter, limit);
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            filter.after = Some(last.clone());
            visited.extend(page);
        }
        assert_eq!(visited, all);
    }
}

fn a_page_may_begin_after_a_domain_that_is_not_there(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for domain in ["a.example", "c.example", "e.example"] {
        put_row(fixture, domain, "type1", 1);
    }
    let after = |domain: &str| Filter { after: Some(domain.to_owned()), ..Filter::default() };
    assert_eq!(listed(&mut *writer, &after("b.example"), 10), ["c.example", "e.example"]);
    assert_eq!(listed(&mut *writer, &after("z.example"), 10), [""; 0]);
}

fn a_listing_keeps_to_each_filter_and_to_all_of_them(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a1.example", "type1", 1);
    put_row(fixture, "a2.example", "type1", 0);
    put_row(fixture, "a3.example", "type2", 1);
    put_row(fixture, "b1.example", "type1", 1);
    put_row(fixture, "b2.example", "type1", 2);
    put_row(fixture, "b3.example", "type9", 7);
    let any = Filter::default;
    let type1 = Some("type1".to_owned());
    let a = Some("a".to_owned());
    let mut list = |filter: Filter| listed(&mut *writer, &filter, 10);
    assert_eq!(list(any()).len(), 6);
    let found = list(Filter { host_type: type1.clone(), ..any() });
    assert_eq!(found, ["a1.example", "a2.example", "b1.example", "b2.example"]);
    assert_eq!(list(Filter { host_type: Some("type3".to_owned()), ..any() }), [""; 0]);
    assert_eq!(list(Filter { status: Some(1), ..any() }), ["a1.example", "a3.example", "b1.example"]);
    assert_eq!(list(Filter { status: Some(0), ..any() }), ["a2.example"]);
    assert_eq!(list(Filter { status: Some(2), ..any() }), ["b2.example"]);
    assert_eq!(list(Filter { prefix: a.clone(), ..any() }), ["a1.example", "a2.example", "a3.example"]);
    assert_eq!(list(Filter { prefix: Some(String::new()), ..any() }).len(), 6);
    let after = Some("a1.example".to_owned());
    let all = Filter { after: after.clone(), host_type: type1, status: Some(0), prefix: a };
    assert_eq!(list(all), ["a2.example"]);
    let one = writer.list(&Filter { after, ..any() }, 1, until()).unwrap().rows;
    assert_eq!(one, [ListedDomain { domain: "a2.example".to_owned(), settings: settings("type1", Status::Disabled) }]);
    let odd = writer.list(&Filter { status: Some(7), ..any() }, 10, until()).unwrap().rows;
    assert_eq!(
        odd,
        [ListedDomain { domain: "b3.example".to_owned(), settings: settings("type9", Status::Unknown(7)) }]
    );
}

fn a_prefix_is_taken_literally(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let special = ["a*b.example", "a?b.example", "a[x]b.example", r"a\b.example", "a''b.example"];
    for domain in STRANGE.into_iter().chain(special) {
        put_row(fixture, domain, "type1", 1);
    }
    let mut with = |prefix: &str| {
        let filter = Filter { prefix: Some(prefix.to_owned()), ..Filter::default() };
        listed(&mut *writer, &filter, 100)
    };
    for domain in ["a_b.example", "a%b.example", "a*b.example", "a?b.example", "a[x]b.example", r"a\b.example"] {
        assert_eq!(with(&domain[..2]), [domain]);
        assert_eq!(with(domain), [domain]);
    }
    assert_eq!(with("a'"), ["a'b.example"]);
    assert_eq!(with("%"), [""; 0]);
    assert_eq!(with("U"), ["Upper.example"]);
    assert_eq!(with("примерн"), ["примерно.рф"]);
    assert_eq!(with("пример").len(), 2);
    assert_eq!(with("a.example.and.more"), [""; 0]);
}

fn a_password_is_stored_replaced_and_deleted_without_an_event(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let domain = &name("a.example");
    assert_eq!(writer.password(domain, NameOrigin::StaticDomain, until()).unwrap(), None);
    assert_eq!(writer.delete_password(domain, until()).unwrap(), Found::No);
    for stored in ["first", "it's the second: ключ"] {
        writer.put_password(domain, NameOrigin::StaticDomain, stored, until()).unwrap();
        assert_eq!(writer.password(domain, NameOrigin::StaticDomain, until()).unwrap().as_deref(), Some(stored));
    }
    writer.put_password(&name("b.example"), NameOrigin::StaticDomain, "other", until()).unwrap();
    assert_eq!(fixture.read("SELECT domain FROM domain_admins ORDER BY domain"), ["a.example", "b.example"]);
    assert_eq!(writer.delete_password(domain, until()).unwrap(), Found::Yes);
    assert_eq!(writer.password(domain, NameOrigin::StaticDomain, until()).unwrap(), None);
    assert_eq!(
        writer.password(&name("b.example"), NameOrigin::StaticDomain, until()).unwrap().as_deref(),
        Some("other")
    );
    assert_eq!(events(fixture).len(), 0);
}

fn a_removal_of_an_unknown_domain_finds_nothing(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(begin(&mut *writer, "a.example", ONE), BeginRemovalOutcome::NotFound);
    assert_eq!((removals(&mut *writer).len(), events(fixture).len()), (0, 0));
}

fn a_removal_with_another_host_type_changes_nothing(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type2", 1);
    assert_eq!(begin(&mut *writer, "a.example", ONE), BeginRemovalOutcome::WrongHostType);
    assert_eq!((removals(&mut *writer).len(), events(fixture).len()), (0, 0));
    assert_eq!(rows(fixture), ["1 a.example type2 1"]);
}

fn a_removal_marks_the_domain_and_claims_the_job(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for (place, status) in [0, 1, 2].into_iter().enumerate() {
        let domain = format!("d{status}.example");
        put_row(fixture, &domain, "type1", status);
        writer.put_password(&name(&domain), NameOrigin::StaticDomain, "stored", until()).unwrap();
        let id = claimed(&begin(&mut *writer, &domain, ONE));
        // Its admin has no more business there.
        assert_eq!(writer.password(&name(&domain), NameOrigin::StaticDomain, until()).unwrap(), None);
        assert_eq!(rows(fixture)[place], format!("{} {domain} type1 2", place + 1));
        assert_eq!(events(fixture).len(), place + 1);
        assert_eq!(events(fixture)[place], event(id, &domain));
        let job = RemovalStatus {
            domain: domain.clone(),
            host_type: "type1".to_owned(),
            owner: Some("one@host".to_owned()),
            lease: LeaseState::Running,
            handlers: HandlerProgress { done: 0, of: 2 },
            failure: None,
        };
        assert_eq!(removal(&mut *writer, &domain), job);
    }
}

fn a_removal_is_elsewhere_while_the_lease_runs(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type1", 1);
    let first = claimed(&begin(&mut *writer, "a.example", ONE));
    let before = removal(&mut *writer, "a.example");
    match begin(&mut *writer, "a.example", TWO) {
        BeginRemovalOutcome::OwnedElsewhere(id) => {
            assert_eq!(events(fixture), [event(first, "a.example"), event(id, "a.example")])
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(removal(&mut *writer, "a.example"), before);
}

fn a_removal_is_claimed_again_after_the_lease_ended(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type1", 1);
    claimed(&begin(&mut *writer, "a.example", BRIEF));
    let progress = HandlerProgress { done: 1, of: 3 };
    assert_eq!(writer.note_removal(&name("a.example"), progress, BRIEF, until()).unwrap(), JobOutcome::Updated);
    all_leases_end(&mut *writer);
    claimed(&begin(&mut *writer, "a.example", TWO));
    let job = removal(&mut *writer, "a.example");
    assert_eq!((job.owner.as_deref(), job.lease), (Some("two@host"), LeaseState::Running));
    assert_eq!(job.handlers, HandlerProgress { done: 0, of: 2 });
}

fn a_removal_is_claimed_again_after_it_failed(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type1", 1);
    claimed(&begin(&mut *writer, "a.example", ONE));
    assert_eq!(writer.fail_removal(&name("a.example"), ONE.owner, "on purpose", until()).unwrap(), JobOutcome::Updated);
    claimed(&begin(&mut *writer, "a.example", TWO));
    let job = removal(&mut *writer, "a.example");
    assert_eq!((job.owner.as_deref(), job.lease), (Some("two@host"), LeaseState::Running));
    assert_eq!(job.failure, None);
}

fn of_two_removals_begun_at_once_one_gets_the_job(fixture: &mut Fixture) {
    const ROUNDS: usize = 30;
    let mut writers = [fixture.writer(), fixture.writer()];
    fixture.fill(ROUNDS);
    let start = Barrier::new(2);
    let all = |writer: &mut Box<dyn Writer>, lease: Lease<'_>| -> Vec<BeginRemovalOutcome> {
        let begun = (1..=ROUNDS).map(|n| {
            start.wait();
            begin(&mut **writer, &format!("tenant-{n}.example"), lease)
        });
        begun.collect()
    };
    let [one, two] = writers.each_mut();
    let (one, two) = thread::scope(|scope| {
        let two = scope.spawn(|| all(two, TWO));
        (all(one, ONE), two.join().unwrap())
    });
    for round in one.iter().zip(&two) {
        use BeginRemovalOutcome::{Claimed, OwnedElsewhere};
        assert!(matches!(round, (Claimed(_), OwnedElsewhere(_)) | (OwnedElsewhere(_), Claimed(_))), "{round:?}");
    }
    for job in removals(&mut *writers[0]) {
        let place: usize = job.domain.trim_start_matches("tenant-").trim_end_matches(".example").parse().unwrap();
        let mine = matches!(one[place - 1], BeginRemovalOutcome::Claimed(_));
        assert_eq!(job.owner.as_deref() == Some(ONE.owner), mine, "{job:?}");
    }
    assert_eq!(events(fixture).len(), 2 * ROUNDS);
}

fn progress_is_noted_by_the_owner_alone_and_prolongs_the_job(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let domain = &name("a.example");
    let progress = HandlerProgress { done: 2, of: 5 };
    assert_eq!(writer.note_removal(domain, progress, ONE, until()).unwrap(), JobOutcome::NotOwned);
    put_row(fixture, "a.example", "type1", 1);
    claimed(&begin(&mut *writer, "a.example", BRIEF));
    all_leases_end(&mut *writer);
    let before = removal(&mut *writer, "a.example");
    assert_eq!(writer.note_removal(domain, progress, TWO, until()).unwrap(), JobOutcome::NotOwned);
    assert_eq!(removal(&mut *writer, "a.example"), before);
    assert_eq!(writer.note_removal(domain, progress, ONE, until()).unwrap(), JobOutcome::Updated);
    let job = removal(&mut *writer, "a.example");
    assert_eq!((job.handlers, job.lease), (progress, LeaseState::Running));
    assert_eq!(events(fixture).len(), 1);
}

fn an_owner_prolongs_all_its_jobs_and_no_other(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(renew(&mut *writer, ONE), []);
    for domain in ["a.example", "b.example", "c.example", "d.example"] {
        put_row(fixture, domain, "type1", 1);
    }
    claimed(&begin(&mut *writer, "a.example", BRIEF));
    claimed(&begin(&mut *writer, "b.example", BRIEF));
    claimed(&begin(&mut *writer, "c.example", Lease { milliseconds: 1, ..TWO }));
    claimed(&begin(&mut *writer, "d.example", BRIEF));
    assert_eq!(writer.fail_removal(&name("d.example"), ONE.owner, "on purpose", until()).unwrap(), JobOutcome::Updated);
    all_leases_end(&mut *writer);
    assert_eq!(renew(&mut *writer, ONE), ["a.example", "b.example"].map(type1_job));
    let leases: Vec<_> = removals(&mut *writer).into_iter().map(|job| job.lease).collect();
    assert_eq!(leases, [LeaseState::Running, LeaseState::Running, LeaseState::Ended, LeaseState::Ended]);
}

fn a_job_is_given_up_by_its_owner_alone(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let domain = &name("a.example");
    assert_eq!(writer.fail_removal(domain, ONE.owner, "why", until()).unwrap(), JobOutcome::NotOwned);
    put_row(fixture, "a.example", "type1", 1);
    claimed(&begin(&mut *writer, "a.example", ONE));
    let before = removal(&mut *writer, "a.example");
    assert_eq!(writer.fail_removal(domain, TWO.owner, "why", until()).unwrap(), JobOutcome::NotOwned);
    assert_eq!(removal(&mut *writer, "a.example"), before);
    assert_eq!(writer.fail_removal(domain, ONE.owner, "the why's reason", until()).unwrap(), JobOutcome::Updated);
    let job = removal(&mut *writer, "a.example");
    assert_eq!((job.owner, job.failure.as_deref()), (None, Some("the why's reason")));
    assert_eq!(rows(fixture), ["1 a.example type1 2"]);
    // It is nobody's now.
    assert_eq!(writer.fail_removal(domain, ONE.owner, "again", until()).unwrap(), JobOutcome::NotOwned);
    assert_eq!(
        writer.note_removal(domain, HandlerProgress { done: 1, of: 1 }, ONE, until()).unwrap(),
        JobOutcome::NotOwned
    );
    assert_eq!(writer.finish_removal(domain, ONE.owner, &[], until()).unwrap(), JobOutcome::NotOwned);
    assert_eq!(removal(&mut *writer, "a.example").failure.as_deref(), Some("the why's reason"));
}

fn a_removal_is_finished_by_its_owner_alone(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let domain = &name("a.example");
    assert_eq!(writer.finish_removal(domain, ONE.owner, &[], until()).unwrap(), JobOutcome::NotOwned);
    put_row(fixture, "a.example", "type1", 1);
    claimed(&begin(&mut *writer, "a.example", ONE));
    writer.put_password(domain, NameOrigin::StaticDomain, "stored", until()).unwrap();
    let before = (rows(fixture), events(fixture), removals(&mut *writer));
    assert_eq!(writer.finish_removal(domain, TWO.owner, &[], until()).unwrap(), JobOutcome::NotOwned);
    assert_eq!((rows(fixture), events(fixture), removals(&mut *writer)), before);
    assert_eq!(writer.password(domain, NameOrigin::StaticDomain, until()).unwrap().as_deref(), Some("stored"));
}

fn a_finished_removal_leaves_nothing_but_one_event(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for domain in ["a.example", "b.example"] {
        put_row(fixture, domain, "type1", 1);
        claimed(&begin(&mut *writer, domain, ONE));
        // Somebody may store one all the same.
        writer.put_password(&name(domain), NameOrigin::StaticDomain, "stored", until()).unwrap();
    }
    assert_eq!(events(fixture).len(), 2);
    assert_eq!(writer.finish_removal(&name("a.example"), ONE.owner, &[], until()).unwrap(), JobOutcome::Updated);
    assert_eq!(events(fixture).len(), 3);
    assert!(events(fixture)[2].ends_with(" a.example"));
    assert_eq!(rows(fixture), ["2 b.example type1 2"]);
    assert_eq!(fixture.read("SELECT domain FROM domain_admins"), ["b.example"]);
    assert_eq!(fixture.read("SELECT domain FROM domain_removals"), ["b.example"]);
    assert_eq!(writer.finish_removal(&name("a.example"), ONE.owner, &[], until()).unwrap(), JobOutcome::NotOwned);
    assert_eq!(events(fixture).len(), 3);
    // The name is free for another domain.
    added(&insert(&mut *writer, &[("a.example", "type2")]).unwrap()[0]);
}

/// What another program may do to a domain in removal: the change, and what the row says then.
fn interferences() -> [(&'static str, Option<DomainSettings>); 5] {
    [
        ("UPDATE domain_settings SET status = 1 WHERE domain = 'a.example'", Some(settings("type1", Status::Enabled))),
        ("UPDATE domain_settings SET status = 0 WHERE domain = 'a.example'", Some(settings("type1", Status::Disabled))),
        (
            "UPDATE domain_settings SET host_type = 'type2' WHERE domain = 'a.example'",
            Some(settings("type2", Status::Deleting)),
        ),
        ("DELETE FROM domain_settings WHERE domain = 'a.example'", None),
        (
            "DELETE FROM domain_settings WHERE domain = 'a.example';
             INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1')",
            Some(settings("type1", Status::Enabled)),
        ),
    ]
}

/// `a.example`, which `lease` has in removal, and what another program did to it.
fn interfere(fixture: &mut Fixture, writer: &mut dyn Writer, lease: Lease<'_>, change: &str) {
    fixture.write("DELETE FROM domain_settings WHERE domain = 'a.example'");
    put_row(fixture, "a.example", "type1", 1);
    claimed(&begin(writer, "a.example", lease));
    fixture.write(change);
}

fn void(row: Option<DomainSettings>) -> VoidJob {
    VoidJob { job: type1_job("a.example"), row }
}

fn a_job_ends_without_another_handler_when_its_row_is_not_in_removal(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let domain = &name("a.example");
    let progress = HandlerProgress { done: 1, of: 2 };
    for (change, row) in interferences() {
        interfere(fixture, &mut *writer, ONE, change);
        let before = (rows(fixture), events(fixture));
        assert_eq!(writer.note_removal(domain, progress, TWO, until()).unwrap(), JobOutcome::NotOwned, "{change}");
        assert_eq!(removals(&mut *writer).len(), 1, "{change}");
        assert_eq!(
            writer.note_removal(domain, progress, ONE, until()).unwrap(),
            JobOutcome::Void(row.clone()),
            "{change}"
        );
        assert_eq!((removals(&mut *writer), rows(fixture), events(fixture)), (Vec::new(), before.0, before.1));
        assert_eq!(writer.note_removal(domain, progress, ONE, until()).unwrap(), JobOutcome::NotOwned, "{change}");
        interfere(fixture, &mut *writer, ONE, change);
        assert_eq!(writer.fail_removal(domain, ONE.owner, "why", until()).unwrap(), JobOutcome::Void(row), "{change}");
        assert_eq!(removals(&mut *writer), []);
    }
}

fn a_job_that_ends_deletes_nothing_of_a_domain_that_is_not_in_removal(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let domain = &name("a.example");
    for (change, row) in interferences() {
        interfere(fixture, &mut *writer, ONE, change);
        writer.put_password(domain, NameOrigin::StaticDomain, "stored", until()).unwrap();
        let before = (rows(fixture), events(fixture));
        assert_eq!(writer.finish_removal(domain, TWO.owner, &[], until()).unwrap(), JobOutcome::NotOwned, "{change}");
        assert_eq!(writer.finish_removal(domain, ONE.owner, &[], until()).unwrap(), JobOutcome::Void(row), "{change}");
        assert_eq!((rows(fixture), events(fixture)), before, "{change}");
        assert_eq!(removals(&mut *writer), []);
        assert_eq!(
            writer.password(domain, NameOrigin::StaticDomain, until()).unwrap().as_deref(),
            Some("stored"),
            "{change}"
        );
    }
}

fn a_job_whose_row_is_not_in_removal_is_not_prolonged_and_named(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "b.example", "type1", 1);
    claimed(&begin(&mut *writer, "b.example", ONE));
    for (change, row) in interferences() {
        interfere(fixture, &mut *writer, BRIEF, change);
        eventually(|| removal(&mut *writer, "a.example").lease == LeaseState::Ended);
        let renewed = writer.renew_removals(ONE, until()).unwrap();
        assert_eq!(
            renewed,
            RemovalJobs { held: vec![type1_job("b.example")], void: vec![void(row)], ..RemovalJobs::default() },
            "{change}"
        );
        assert_eq!(removal(&mut *writer, "a.example").lease, LeaseState::Ended, "{change}");
        assert_eq!(writer.renew_removals(TWO, until()).unwrap(), RemovalJobs::default(), "{change}");
        fixture.write("DELETE FROM domain_removals WHERE domain = 'a.example'");
    }
}

fn a_job_whose_row_is_not_in_removal_is_not_taken_over_and_ends(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for (change, row) in interferences() {
        // One at work, one that was left, one that failed.
        interfere(fixture, &mut *writer, ONE, change);
        assert_eq!(take_over_all(&mut *writer, TWO, ALLOWED, 10), RemovalJobs::default(), "{change}");
        assert_eq!(removal(&mut *writer, "a.example").lease, LeaseState::Running, "{change}");
        fixture.write("DELETE FROM domain_removals");
        interfere(fixture, &mut *writer, BRIEF, change);
        all_leases_end(&mut *writer);
        assert_eq!(take_over_all(&mut *writer, TWO, ALLOWED, 0), RemovalJobs::default(), "{change}");
        // This node need not serve the host type.
        let ended = RemovalJobs { held: Vec::new(), void: vec![void(row)], ..RemovalJobs::default() };
        assert_eq!(take_over_all(&mut *writer, TWO, &[], 10), ended, "{change}");
        assert_eq!(removals(&mut *writer), [], "{change}");
        interfere(fixture, &mut *writer, BRIEF, "SELECT 1");
        assert_eq!(writer.fail_removal(&name("a.example"), BRIEF.owner, "why", until()).unwrap(), JobOutcome::Updated);
        fixture.write(change);
        assert_eq!(take_over_all(&mut *writer, TWO, ALLOWED, 10), ended, "{change}");
        assert_eq!(fixture.read("SELECT domain FROM domain_removals"), [""; 0], "{change}");
    }
}

fn a_job_whose_row_is_in_removal_is_ended_by_nobody(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for domain in ["failed.example", "running.example", "left.example"] {
        put_row(fixture, domain, "type1", 1);
    }
    claimed(&begin(&mut *writer, "failed.example", ONE));
    assert_eq!(writer.fail_removal(&name("failed.example"), ONE.owner, "why", until()).unwrap(), JobOutcome::Updated);
    claimed(&begin(&mut *writer, "running.example", ONE));
    claimed(&begin(&mut *writer, "left.example", BRIEF));
    eventually(|| removal(&mut *writer, "left.example").lease == LeaseState::Ended);
    let before = removals(&mut *writer);
    assert_eq!(take_over_all(&mut *writer, TWO, &["type2"], 10), RemovalJobs::default());
    assert_eq!(removals(&mut *writer), before);
}

fn a_failed_job_of_a_domain_that_is_served_again_is_not_listed(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for (change, _row) in interferences() {
        interfere(fixture, &mut *writer, ONE, "SELECT 1");
        assert_eq!(writer.fail_removal(&name("a.example"), ONE.owner, "why", until()).unwrap(), JobOutcome::Updated);
        assert_eq!(removals(&mut *writer).len(), 1, "{change}");
        fixture.write(change);
        assert_eq!(removals(&mut *writer), [], "{change}");
        assert_eq!(writer.removals(Some(&name("a.example")), until()).unwrap().rows, [], "{change}");
    }
}

/// What the old owner has at work belongs to the life before. Nobody else begins before it has ended.
fn a_removal_that_is_begun_for_a_new_life_of_the_domain_is_the_old_owners_no_longer(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let domain = &name("a.example");
    for (change, row) in interferences() {
        let Some(DomainSettings { host_type, .. }) = row else { continue };
        for lease in [ONE, TWO] {
            interfere(fixture, &mut *writer, Lease { milliseconds: 400, ..ONE }, change);
            let progress = HandlerProgress { done: 1, of: 2 };
            let begun = writer.begin_removal(domain, &host_type, 3, lease, &[], until()).unwrap();
            assert!(matches!(begun, BeginRemovalOutcome::OwnedElsewhere(_)), "{change}: {begun:?}");
            assert!(rows(fixture)[0].ends_with(&format!("a.example {host_type} 2")), "{change}");
            let job = removal(&mut *writer, "a.example");
            assert_eq!(
                (job.host_type.as_str(), job.handlers),
                (host_type.as_str(), HandlerProgress { done: 0, of: 3 })
            );
            assert_eq!(job.owner.as_deref(), Some("former one@host"));
            assert_eq!(writer.note_removal(domain, progress, ONE, until()).unwrap(), JobOutcome::NotOwned, "{change}");
            assert_eq!(renew(&mut *writer, ONE), [], "{change}");
            // And again, for the same life.
            let begun = writer.begin_removal(domain, &host_type, 3, lease, &[], until()).unwrap();
            assert!(matches!(begun, BeginRemovalOutcome::OwnedElsewhere(_)), "{change}: {begun:?}");
            assert_eq!(removal(&mut *writer, "a.example").owner.as_deref(), Some("former one@host"));
            all_leases_end(&mut *writer);
            let taken = RemovalJob { domain: "a.example".to_owned(), host_type: host_type.clone(), handlers: 3 };
            assert_eq!(take_over(&mut *writer, TWO, ALLOWED, 10), [taken], "{change}");
            assert_eq!(
                writer.finish_removal(domain, TWO.owner, &[], until()).unwrap(),
                JobOutcome::Updated,
                "{change}"
            );
            assert_eq!(rows(fixture), [""; 0], "{change}");
        }
    }
}

/// Whoever ends void jobs looks at rows and jobs, which are claimed at the same time.
fn a_job_that_is_claimed_while_void_jobs_end_stays(fixture: &mut Fixture) {
    const ROUNDS: usize = 100;
    let mut writers = [fixture.writer(), fixture.writer()];
    fixture.fill(ROUNDS);
    for n in 1..=ROUNDS {
        let domain = format!("tenant-{n}.example");
        claimed(&begin(&mut *writers[0], &domain, BRIEF));
        assert_eq!(writers[0].fail_removal(&name(&domain), BRIEF.owner, "why", until()).unwrap(), JobOutcome::Updated);
    }
    fixture.write("UPDATE domain_settings SET status = 1");
    let begun = AtomicBool::new(false);
    let [one, two] = writers.each_mut();
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in (1..=ROUNDS).rev() {
                claimed(&begin(&mut **one, &format!("tenant-{n}.example"), ONE));
            }
            begun.store(true, Ordering::Release);
        });
        while !begun.load(Ordering::Acquire) {
            take_over_all(&mut **two, TWO, ALLOWED, 3);
        }
    });
    assert_eq!(renew(&mut *writers[0], ONE).len(), ROUNDS);
}

fn only_jobs_whose_leases_ended_are_taken_over(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(take_over(&mut *writer, TWO, ALLOWED, 10), []);
    for domain in ["ended.example", "failed.example", "running.example"] {
        put_row(fixture, domain, "type1", 1);
        claimed(&begin(&mut *writer, domain, BRIEF));
    }
    writer.note_removal(&name("ended.example"), HandlerProgress { done: 1, of: 2 }, BRIEF, until()).unwrap();
    writer.fail_removal(&name("failed.example"), BRIEF.owner, "on purpose", until()).unwrap();
    all_leases_end(&mut *writer);
    writer.note_removal(&name("running.example"), HandlerProgress { done: 1, of: 2 }, ONE, until()).unwrap();
    let before = removals(&mut *writer);
    let taken = take_over(&mut *writer, TWO, ALLOWED, 10);
    assert_eq!(taken, [type1_job("ended.example")]);
    let after = removals(&mut *writer);
    assert_eq!(after[1..], before[1..]);
    assert_eq!((after[0].owner.as_deref(), after[0].lease), (Some("two@host"), LeaseState::Running));
    assert_eq!(after[0].handlers, HandlerProgress { done: 0, of: 2 });
    assert_eq!(take_over(&mut *writer, ONE, ALLOWED, 10), []);
}

fn only_jobs_of_allowed_host_types_are_taken_over(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for (domain, host_type) in [("a.example", "type1"), ("b.example", "type2"), ("c.example", "type3")] {
        put_row(fixture, domain, host_type, 1);
        claimed(&writer.begin_removal(&name(domain), host_type, 2, BRIEF, &[], until()).unwrap());
    }
    all_leases_end(&mut *writer);
    assert_eq!(take_over(&mut *writer, TWO, &[], 10), []);
    let taken = |domain: &str, host_type: &str| RemovalJob {
        domain: domain.to_owned(),
        host_type: host_type.to_owned(),
        handlers: 2,
    };
    assert_eq!(take_over(&mut *writer, TWO, &["type3"], 10), [taken("c.example", "type3")]);
    assert_eq!(take_over(&mut *writer, TWO, ALLOWED, 10), [taken("a.example", "type1"), taken("b.example", "type2")]);
}

/// RemovalJobs whose leases ended: `tenant-1.example` and so on.
fn leave_jobs(fixture: &mut Fixture, writer: &mut dyn Writer, count: usize) {
    fixture.fill(count);
    for n in 1..=count {
        claimed(&begin(writer, &format!("tenant-{n}.example"), BRIEF));
    }
    all_leases_end(writer);
}

fn no_more_jobs_are_taken_over_than_asked_for(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    leave_jobs(fixture, &mut *writer, 20);
    // What the database knows of the table decides how it goes about this.
    for (statistics, limit, expected) in [("", 0, 0), ("", 7, 7), ("ANALYZE", 7, 7), ("", 7, 6), ("", 7, 0)] {
        fixture.write(statistics);
        assert_eq!(take_over(&mut *writer, TWO, ALLOWED, limit).len(), expected);
    }
    assert!(removals(&mut *writer).iter().all(|job| job.owner.as_deref() == Some(TWO.owner)));
}

fn a_job_that_was_taken_over_is_the_old_owners_no_longer(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    leave_jobs(fixture, &mut *writer, 1);
    let domain = &name("tenant-1.example");
    assert_eq!(take_over(&mut *writer, TWO, ALLOWED, 1).len(), 1);
    let before = removals(&mut *writer);
    assert_eq!(renew(&mut *writer, ONE), []);
    assert_eq!(
        writer.note_removal(domain, HandlerProgress { done: 1, of: 1 }, ONE, until()).unwrap(),
        JobOutcome::NotOwned
    );
    assert_eq!(writer.fail_removal(domain, ONE.owner, "why", until()).unwrap(), JobOutcome::NotOwned);
    assert_eq!(writer.finish_removal(domain, ONE.owner, &[], until()).unwrap(), JobOutcome::NotOwned);
    assert_eq!(removals(&mut *writer), before);
    assert_eq!(writer.finish_removal(domain, TWO.owner, &[], until()).unwrap(), JobOutcome::Updated);
    assert_eq!(removals(&mut *writer), []);
}

fn two_owners_at_once_never_take_over_the_same_job(fixture: &mut Fixture) {
    const JOBS: usize = 60;
    let mut writers = [fixture.writer(), fixture.writer()];
    leave_jobs(fixture, &mut *writers[0], JOBS);
    let (start, count) = (Barrier::new(2), AtomicUsize::new(0));
    let all = |writer: &mut Box<dyn Writer>, lease: Lease<'_>| -> Vec<String> {
        let mut mine = Vec::new();
        start.wait();
        // A job that the other is about to take may be passed over; then the other has it.
        eventually(|| {
            let taken = take_over(&mut **writer, lease, ALLOWED, 3);
            assert!(taken.len() <= 3, "{taken:?}");
            count.fetch_add(taken.len(), Ordering::Relaxed);
            mine.extend(taken.into_iter().map(|taken| taken.domain));
            count.load(Ordering::Relaxed) >= JOBS
        });
        mine
    };
    let [one, two] = writers.each_mut();
    let (one, two) = thread::scope(|scope| {
        let two = scope.spawn(|| all(two, TWO));
        (all(one, ONE), two.join().unwrap())
    });
    assert_eq!(one.len() + two.len(), JOBS);
    assert_eq!(one.iter().chain(&two).collect::<BTreeSet<_>>().len(), JOBS);
    for job in removals(&mut *writers[0]) {
        let (owner, theirs) = if one.contains(&job.domain) { (ONE.owner, &one) } else { (TWO.owner, &two) };
        assert!(theirs.contains(&job.domain));
        assert_eq!(job.owner.as_deref(), Some(owner));
    }
}

fn jobs_are_listed_all_or_one_in_order(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(removals(&mut *writer), []);
    assert_eq!(writer.removals(Some(&name("a.example")), until()).unwrap().rows, []);
    for domain in ["c.example", "a.example", "b.example"] {
        put_row(fixture, domain, "type1", 1);
        claimed(&begin(&mut *writer, domain, ONE));
    }
    let all = removals(&mut *writer);
    let domains: Vec<_> = all.iter().map(|job| job.domain.as_str()).collect();
    assert_eq!(domains, ["a.example", "b.example", "c.example"]);
    for (job, domain) in all.iter().zip(["a.example", "b.example", "c.example"]) {
        assert_eq!(*job, removal(&mut *writer, domain));
    }
    assert_eq!(writer.removals(Some(&name("d.example")), until()).unwrap().rows, []);
}

fn owners_that_need_the_table_of_removals_together_all_succeed(fixture: &mut Fixture) {
    let mut writers: [_; 4] = std::array::from_fn(|_| fixture.writer());
    let start = Barrier::new(writers.len());
    thread::scope(|scope| {
        for writer in &mut writers {
            scope.spawn(|| {
                start.wait();
                assert_eq!(removals(&mut **writer), []);
            });
        }
    });
}

fn a_change_whose_event_is_refused_changes_nothing(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type1", 1);
    put_row(fixture, "going.example", "type1", 1);
    writer.put_password(&name("a.example"), NameOrigin::StaticDomain, "stored", until()).unwrap();
    claimed(&begin(&mut *writer, "going.example", ONE));
    writer.put_password(&name("going.example"), NameOrigin::StaticDomain, "stored", until()).unwrap();
    let before = (rows(fixture), events(fixture), removals(&mut *writer));
    fixture.refuse_events();
    let refused = |error: StoreError| {
        let named = error.to_string().contains("none_today");
        assert!(matches!(error, StoreError::RowRefused { .. }) && named, "{error:?}");
    };
    let allowed = ["type1".to_owned()];
    let a = &name("a.example");
    refused(insert(&mut *writer, &[("new.example", "type1")]).unwrap_err());
    refused(writer.set_status(a, Activation::Disabled, &allowed, until()).unwrap_err());
    refused(writer.begin_removal(a, "type1", 2, ONE, &[], until()).unwrap_err());
    refused(writer.finish_removal(&name("going.example"), ONE.owner, &[], until()).unwrap_err());
    // And the writer is good for more.
    assert_eq!((rows(fixture), events(fixture), removals(&mut *writer)), before);
    for domain in ["a.example", "going.example"] {
        assert_eq!(
            writer.password(&name(domain), NameOrigin::StaticDomain, until()).unwrap().as_deref(),
            Some("stored")
        );
    }
}

fn where_nothing_was_declared_nothing_is_fresh(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type1", 1);
    assert_eq!(freshness(&mut *writer), []);
}

fn changes_are_told_with_what_the_rows_say_now(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(writer.changes(None, 10, until()).unwrap().rows, []);
    put_row(fixture, "kept.example", "type1", 1);
    put_row(fixture, "off.example", "type2", 0);
    fixture.write(
        "INSERT INTO domain_events (domain) VALUES ('kept.example'), (''), ('gone.example'), ('off.example'), ('')",
    );
    let changed = |id, domain: &str, settings| ChangedDomain { id: EventId(id), domain: domain.to_owned(), settings };
    let all = [
        changed(1, "kept.example", Some(DomainSettings { host_type: "type1".to_owned(), status: Status::Enabled })),
        changed(3, "gone.example", None),
        changed(4, "off.example", Some(DomainSettings { host_type: "type2".to_owned(), status: Status::Disabled })),
    ];
    assert_eq!(writer.changes(Some(EventId(0)), 10, until()).unwrap().rows, all);
    assert_eq!(writer.changes(Some(EventId(1)), 1, until()).unwrap().rows, all[1..2]);
    assert_eq!(writer.changes(None, 10, until()).unwrap().rows, all[2..]);
    assert_eq!(writer.changes(Some(EventId(4)), 10, until()).unwrap().rows, []);
}

fn a_domain_is_added_with_the_status_that_it_is_to_have(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let settings = |status| DomainSettings { host_type: "type1".to_owned(), status };
    for (domain, wanted, status) in
        [("off.example", Activation::Disabled, Status::Disabled), ("on.example", Activation::Enabled, Status::Enabled)]
    {
        let added = insert_as(&mut *writer, &[(domain, "type1")], wanted).unwrap();
        assert!(matches!(added[..], [InsertOutcome::Added(_)]), "{added:?}");
        assert_eq!(writer.settings(&name(domain), until()).unwrap(), Some(settings(status)));
    }
    let again = insert_as(&mut *writer, &[("off.example", "type1")], Activation::Enabled).unwrap();
    assert_eq!(again, [InsertOutcome::Exists(settings(Status::Disabled))]);
}

fn a_survey_counts_the_rows_of_each_host_type(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    assert_eq!(writer.survey(until()).unwrap().host_types, []);
    for (domain, host_type, status) in [("a", "type2", 1), ("b", "Type", 0), ("c", "type2", 2)] {
        put_row(fixture, domain, host_type, status);
    }
    let Survey { time, host_types, .. } = writer.survey(until()).unwrap();
    assert_eq!(host_types, [("Type".to_owned(), 1), ("type2".to_owned(), 2)]);
    let own = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    assert!((time - own).abs() < 60_000, "{time} is not {own}");
}

fn the_first_declaration_makes_the_table_of_freshness(fixture: &mut Fixture) {
    let (mut writer, mut other) = (fixture.writer(), fixture.writer());
    freshness(&mut *writer);
    freshness(&mut *other);
    insert(&mut *writer, &[("a.example", "type1")]).unwrap();
    begin(&mut *writer, "a.example", ONE);
    assert_eq!(freshness_tables(fixture), ["0"]);
    declare(&mut *writer, "type1", Ttl::Forever);
    assert_eq!(freshness_tables(fixture), ["1"]);
    // Who looked before sees it, too.
    assert_eq!(declared(&mut *other), declared(&mut *writer));
    declare(&mut *other, "type2", Ttl::Forever);
    assert_eq!(freshness(&mut *writer).len(), 2);
}

fn a_declaration_expires_so_many_seconds_after_the_present(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for ttl in [HOUR, u32::MAX] {
        let length = i64::from(ttl) * 1_000_000_000;
        let before = now();
        declare(&mut *writer, "type1", seconds(ttl));
        let after = now() + 1_000_000;
        let FreshnessDeclaration { domain, expire_time, expiry } = declared(&mut *writer);
        assert_eq!(domain, "type1");
        assert!((before + length..=after + length).contains(&expire_time), "{expire_time} from {before} on");
        // Rounding gives or takes half a second.
        match expiry {
            Expiry::In(left) => assert!((u64::from(ttl) - 60..=u64::from(ttl) + 1).contains(&left), "{left} s"),
            other => panic!("{other:?}"),
        }
        let stored = fixture.read("SELECT expire_time FROM domain_freshness WHERE domain = 'type1'");
        assert_eq!(stored, [expire_time.to_string()]);
    }
}

fn a_declaration_for_ever_does_not_expire(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    declare(&mut *writer, "type1", Ttl::Forever);
    let for_ever = FreshnessDeclaration { domain: "type1".to_owned(), expire_time: i64::MAX, expiry: Expiry::Never };
    assert_eq!(freshness(&mut *writer), [for_ever]);
    assert_eq!(fixture.read("SELECT expire_time FROM domain_freshness"), ["9223372036854775807"]);
}

fn a_declaration_replaces_the_one_before_for_longer_or_shorter(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let mut expiry = |ttl| {
        declare(&mut *writer, "type1", ttl);
        declared(&mut *writer).expire_time
    };
    let hour = expiry(seconds(HOUR));
    let longer = expiry(seconds(3 * HOUR));
    let shorter = expiry(seconds(2 * HOUR));
    assert!(hour < shorter && shorter < longer, "{hour} {shorter} {longer}");
    assert_eq!(expiry(Ttl::Forever), i64::MAX);
    assert!(expiry(seconds(HOUR)) < shorter);
}

fn a_declaration_that_expired_is_past_until_the_next_one(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for expire_time in [1, 0, -1, now() - 1_000_000_000] {
        declare(&mut *writer, "type1", seconds(HOUR));
        assert!(matches!(declared(&mut *writer).expiry, Expiry::In(_)));
        fixture.write(&format!("UPDATE domain_freshness SET expire_time = {expire_time}"));
        let past = FreshnessDeclaration { domain: "type1".to_owned(), expire_time, expiry: Expiry::Past };
        assert_eq!(declared(&mut *writer), past);
    }
}

fn declarations_are_listed_in_the_order_of_their_bytes(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    let longest = "t".repeat(250);
    let mut names = vec!["type1", "type 2", "Type1", "type-1", "тип", "it's", "%", " ", "a|b", &longest];
    for name in &names {
        declare(&mut *writer, name, seconds(HOUR));
    }
    names.sort_unstable();
    let listed: Vec<_> = freshness(&mut *writer).into_iter().map(|freshness| freshness.domain).collect();
    assert_eq!(listed, names);
}

fn a_declaration_writes_no_event(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type1", 1);
    declare(&mut *writer, "type1", seconds(HOUR));
    declare(&mut *writer, "type1", Ttl::Forever);
    assert_eq!((rows(fixture).len(), events(fixture).len()), (1, 0));
}

fn those_who_declare_first_together_all_succeed(fixture: &mut Fixture) {
    let mut writers: [_; 4] = std::array::from_fn(|_| fixture.writer());
    let start = Barrier::new(writers.len());
    thread::scope(|scope| {
        for writer in &mut writers {
            scope.spawn(|| {
                start.wait();
                declare(&mut **writer, "type1", Ttl::Forever);
            });
        }
    });
    assert_eq!(declared(&mut *writers[0]).expiry, Expiry::Never);
}

// What only PostgreSQL can do or suffer.

/// How many connections of writers wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'mongoose_domain' AND wait_event_type = 'Lock'";

#[test]
fn every_change_notifies_and_nothing_else_does() {
    let fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    let mut listener = postgres::Client::connect(&fixture.url, postgres::NoTls).unwrap();
    listener.batch_execute("LISTEN mongoose_domain_events").unwrap();
    // How many notifications came before this one.
    let mut heard = || {
        listener.batch_execute("NOTIFY mongoose_domain_events, 'counted'").unwrap();
        let mut notifications = listener.notifications();
        let mut coming = notifications.timeout_iter(Duration::from_secs(30));
        let mut count = 0;
        while coming.next().unwrap().expect("a notification").payload() != "counted" {
            count += 1;
        }
        count
    };
    added(&insert(&mut *writer, &[("a.example", "type1"), ("b.example", "type1")]).unwrap()[0]);
    assert_eq!(heard(), 1);
    insert(&mut *writer, &[("a.example", "type1")]).unwrap();
    assert_eq!(set_status(&mut *writer, "a.example", Activation::Enabled, ALLOWED), SetStatusOutcome::Unchanged);
    assert_eq!(set_status(&mut *writer, "none.example", Activation::Enabled, ALLOWED), SetStatusOutcome::NotFound);
    assert_eq!(begin(&mut *writer, "none.example", ONE), BeginRemovalOutcome::NotFound);
    writer.put_password(&name("a.example"), NameOrigin::StaticDomain, "stored", until()).unwrap();
    assert_eq!(heard(), 0);
    assert!(matches!(
        set_status(&mut *writer, "a.example", Activation::Disabled, ALLOWED),
        SetStatusOutcome::Changed(_)
    ));
    assert_eq!(heard(), 1);
    claimed(&begin(&mut *writer, "a.example", ONE));
    assert_eq!(heard(), 1);
    writer.note_removal(&name("a.example"), HandlerProgress { done: 1, of: 1 }, ONE, until()).unwrap();
    writer.finish_removal(&name("a.example"), TWO.owner, &[], until()).unwrap();
    assert_eq!(heard(), 0);
    assert_eq!(writer.finish_removal(&name("a.example"), ONE.owner, &[], until()).unwrap(), JobOutcome::Updated);
    assert_eq!(heard(), 1);
    // A declaration changes what followers may do, however often it is made.
    for ttl in [seconds(HOUR), seconds(HOUR), Ttl::Forever] {
        declare(&mut *writer, "type1", ttl);
        assert_eq!(heard(), 1);
    }
    freshness(&mut *writer);
    assert_eq!(heard(), 0);
}

#[test]
fn after_a_lost_race_nothing_was_changed_and_the_next_try_succeeds() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    let mut other = postgres::Client::connect(&fixture.url, postgres::NoTls).unwrap();
    let mut race = other.transaction().unwrap();
    race.execute("INSERT INTO domain_settings (domain, host_type) VALUES ('b.example', 'type2')", &[]).unwrap();
    let pairs = [("a.example", "type1"), ("b.example", "type1")];
    let first = thread::scope(|scope| {
        let inserting = scope.spawn(|| insert(&mut *writer, &pairs));
        eventually(|| fixture.read(WAITING) == ["1"]);
        race.commit().unwrap();
        inserting.join().unwrap()
    });
    let inserted = match first {
        Err(StoreError::Conflict { .. }) => {
            let domains = fixture.read("SELECT domain FROM domain_settings");
            assert_eq!((domains, events(&mut fixture).len()), (vec!["b.example".to_owned()], 0));
            insert(&mut *writer, &pairs).unwrap()
        }
        other => other.unwrap(),
    };
    assert_eq!(events(&mut fixture), [event(added(&inserted[0]), "a.example")]);
    assert_eq!(inserted[1], InsertOutcome::Exists(settings("type2", Status::Enabled)));
}

#[test]
fn of_two_who_add_a_domain_at_once_exactly_one_adds_it() {
    const ROUNDS: usize = 60;
    let mut fixture = Fixture::postgres();
    let mut writers = [fixture.writer(), fixture.writer()];
    let start = Barrier::new(2);
    // Ten domains a round, of which the other adds five as well.
    let all = |writer: &mut Box<dyn Writer>, offset: usize| -> Vec<(String, EventId)> {
        let mut mine = Vec::new();
        for round in 0..ROUNDS {
            let domains: Vec<_> = (offset..offset + 10).map(|n| format!("d{}.example", round * 15 + n)).collect();
            let pairs: Vec<_> = domains.iter().map(|domain| (domain.as_str(), "type1")).collect();
            let deadline = until();
            start.wait();
            let inserted = loop {
                match insert(&mut **writer, &pairs) {
                    Err(StoreError::Conflict { .. }) if Instant::now() < deadline => (),
                    result => break result.unwrap(),
                }
            };
            for (domain, inserted) in domains.into_iter().zip(inserted) {
                match inserted {
                    InsertOutcome::Added(id) => mine.push((domain, id)),
                    other => assert_eq!(other, InsertOutcome::Exists(settings("type1", Status::Enabled))),
                }
            }
        }
        mine
    };
    let [one, two] = writers.each_mut();
    let (one, two) = thread::scope(|scope| {
        let two = scope.spawn(|| all(two, 5));
        (all(one, 0), two.join().unwrap())
    });
    let mut adders = BTreeMap::<String, u32>::new();
    for (domain, _) in one.iter().chain(&two) {
        *adders.entry(domain.clone()).or_default() += 1;
    }
    let twice: Vec<_> = adders.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "added by both: {twice:?}");
    let there = fixture.read("SELECT domain FROM domain_settings");
    assert_eq!(there.len(), ROUNDS * 15);
    let nobodys: Vec<_> = there.iter().filter(|domain| !adders.contains_key(*domain)).collect();
    assert!(nobodys.is_empty(), "added by neither: {nobodys:?}");
    let mut expected: Vec<_> = one.iter().chain(&two).map(|(domain, id)| (*id, domain)).collect();
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(id, domain)| event(id, domain)).collect();
    assert_eq!(events(&mut fixture), expected);
}

/// What a follower relies on there, since SQLite does not tell who writes.
#[test]
fn on_sqlite_events_show_in_the_order_of_their_ids() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 40;
    let mut fixture = Fixture::sqlite();
    let mut writers: [_; THREADS] = std::array::from_fn(|_| fixture.writer());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writing: Vec<_> = writers
            .iter_mut()
            .enumerate()
            .map(|(thread, writer)| {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let domains: [_; 3] = std::array::from_fn(|n| format!("d{thread}-{round}-{n}.example"));
                        let pairs: Vec<_> = domains.iter().map(|domain| (domain.as_str(), "type1")).collect();
                        added(&insert(&mut **writer, &pairs).unwrap()[0]);
                        set_status(&mut **writer, &domains[0], Activation::Disabled, ALLOWED);
                        claimed(&begin(&mut **writer, &domains[1], ONE));
                        writer.finish_removal(&name(&domains[1]), ONE.owner, &[], until()).unwrap();
                    }
                })
            })
            .collect();
        let reading = scope.spawn(|| {
            let mut known = Vec::<i64>::new();
            loop {
                // Asked before the last look, so that it sees everything.
                let last = done.load(Ordering::Relaxed);
                let ids = fixture.read("SELECT id FROM domain_events ORDER BY id");
                let ids: Vec<i64> = ids.iter().map(|id| id.parse().unwrap()).collect();
                assert!(ids.starts_with(&known), "an id below {:?} appeared", known.last());
                known = ids;
                if last {
                    return known.len();
                }
            }
        });
        let written: Vec<_> = writing.into_iter().map(|writing| writing.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(written.iter().all(Result::is_ok));
        assert_eq!(reading.join().unwrap(), THREADS * ROUNDS * 6);
    });
}

#[test]
fn a_writer_is_alive_until_its_connection_is_cut_and_asks_nobody() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    assert!(writer.is_alive());
    writer.settings(&name("a.example"), until()).unwrap();
    let changed = "SELECT state_change FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'mongoose_domain'";
    let before = fixture.read(changed);
    assert_eq!(before.len(), 1);
    assert!((0..100).all(|_| writer.is_alive()));
    assert_eq!(fixture.read(changed), before);
    fixture.write(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'mongoose_domain'",
    );
    eventually(|| !writer.is_alive());
    assert!(!writer.is_alive());
    let error = writer.settings(&name("a.example"), until()).unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
}

#[test]
fn a_statement_that_hangs_ends_at_its_deadline() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    fixture.write("BEGIN; LOCK TABLE domain_settings");
    let (domain, began, limit) = (name("a.example"), Instant::now(), Duration::from_millis(200));
    let pair = NewDomain { domain: &domain, host_type: "type1", status: Activation::Enabled, subdomains: &[] };
    let error = writer.insert(&[pair], began + limit).unwrap_err();
    assert!(matches!(error, StoreError::Timeout { doing: "adding domains", .. }), "{error:?}");
    // Well before the server's own limit.
    assert!((limit..Duration::from_secs(15)).contains(&began.elapsed()));
}

#[test]
fn a_statement_that_hangs_ends_at_the_limit_for_statements() {
    let mut fixture = Fixture::postgres();
    drop(fixture.writer());
    let hour = Duration::from_secs(3600);
    let timeouts = Timeouts { connect: hour, statement: Duration::from_millis(200), lock: hour };
    let database = Database::parse(&fixture.url, timeouts).unwrap();
    let mut writer = database.connect_writer(fixture.signal.clone()).unwrap();
    fixture.write("BEGIN; LOCK TABLE domain_settings");
    let error = writer.settings(&name("a.example"), Instant::now() + hour).unwrap_err();
    // The server's limit is the same, and either may be first.
    assert!(matches!(error, StoreError::Timeout { .. } | StoreError::Refused { .. }), "{error:?}");
}

#[test]
fn a_stop_ends_a_change_that_waits_for_a_lock() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    let mut other = postgres::Client::connect(&fixture.url, postgres::NoTls).unwrap();
    other.batch_execute("BEGIN; LOCK TABLE domain_settings").unwrap();
    let signal = fixture.signal.clone();
    thread::scope(|scope| {
        let inserting = scope.spawn(|| insert(&mut *writer, &[("a.example", "type1")]));
        eventually(|| fixture.read(WAITING) == ["1"]);
        signal.stop();
        assert!(matches!(inserting.join().unwrap(), Err(StoreError::Stopped)));
    });
}

#[test]
fn the_table_of_removals_is_made_where_another_server_prepared_the_database() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    let there = "SELECT count(*) FROM pg_class WHERE relname = 'domain_removals'";
    added(&insert(&mut *writer, &[("a.example", "type1")]).unwrap()[0]);
    assert_eq!(fixture.read(there), ["0"]);
    claimed(&begin(&mut *writer, "a.example", ONE));
    assert_eq!(fixture.read(there), ["1"]);
}

#[test]
fn a_user_who_may_only_read_reads_freshness_and_makes_no_table() {
    let mut fixture = Fixture::postgres();
    drop(fixture.writer());
    let (_, database) = fixture.url.rsplit_once('/').unwrap();
    let user = format!("reader_of_{database}");
    fixture.write(&format!(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {user} LOGIN;
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user};
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {user}"
    ));
    let url = fixture.url.replacen("://mongoose@", &format!("://{user}@"), 1);
    let second = Duration::from_secs(1);
    let timeouts = Timeouts { connect: 30 * second, statement: 30 * second, lock: 30 * second };
    let database = Database::parse(&url, timeouts).unwrap();
    let mut reader = database.connect_writer(fixture.signal.clone()).unwrap();
    assert_eq!(freshness(&mut *reader), []);
    // What is refused leaves the writer good for the next call.
    for _ in 0..2 {
        match reader.upsert_freshness("type1", Ttl::Forever, until()).unwrap_err() {
            StoreError::Refused { reason, .. } => assert!(reason.contains("permission denied"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(freshness(&mut *reader), []);
    }
    assert_eq!(freshness_tables(&mut fixture), ["0"]);
    declare(&mut *fixture.writer(), "type1", Ttl::Forever);
    assert_eq!(declared(&mut *reader).expiry, Expiry::Never);
    drop(reader);
    fixture.write(&format!("DROP OWNED BY {user}; DROP ROLE {user}"));
}

// LogBounds.

fn a_value_that_is_longer_than_any_name_spoils_its_row_alone_and_is_not_kept(fixture: &mut Fixture) {
    let (mut store, mut writer) = (fixture.store(), fixture.writer());
    insert(&mut *writer, &[("gone.example", "type1")]).unwrap();
    begin(&mut *writer, "gone.example", ONE);
    if fixture.url.starts_with("postgres") {
        fixture.write(
            "ALTER TABLE domain_settings DROP CONSTRAINT domain_settings_pkey;
             ALTER TABLE domain_settings ALTER domain TYPE text, ALTER host_type TYPE text;
             DROP INDEX i_domain_events_domain; ALTER TABLE domain_events ALTER domain TYPE text",
        );
    }
    // Longer than any message that is taken.
    let huge = "x".repeat(3_000_000);
    fixture.write(&format!(
        "INSERT INTO domain_settings (domain, host_type)
             VALUES ('{huge}', 'type1'), ('a.example', '{huge}'), ('b.example', 'type1');
         INSERT INTO domain_events (domain) VALUES ('{huge}'), ('a.example'), ('b.example');
         UPDATE domain_removals SET failure = '{huge}'"
    ));
    let small = |what: String| assert!(what.len() < 6000, "{} bytes: {}", what.len(), &what[..2000]);

    let mut rows = Vec::new();
    let loaded = store.load(1000, 10, &mut |some| {
        rows.extend(some);
        std::ops::ControlFlow::Continue(())
    });
    loaded.unwrap().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows.iter().filter(|row| matches!(row, domain_store::Row::Invalid(_))).count(), 2, "{rows:?}");
    small(format!("{rows:?}"));
    small(format!("{:?}", store.events(EventId(0), EventId(i64::MIN), 10).unwrap()));
    let ranges = [domain_store::IdRange { first: EventId(0), last: EventId(100) }];
    small(format!("{:?}", store.events_in(&ranges, 10).unwrap()));

    let listed = writer.list(&Filter::default(), 10, until()).unwrap();
    let domains: Vec<_> = listed.rows.iter().map(|listed| listed.domain.as_str()).collect();
    assert_eq!(domains, ["b.example", "gone.example"]);
    assert!(listed.left_out.examples[0].to_string().ends_with("host_type is longer than 1000 bytes"), "{listed:?}");
    small(format!("{listed:?}"));
    assert_eq!(writer.survey(until()).unwrap().left_out.count, 2);
    small(format!("{:?}", writer.survey(until()).unwrap()));
    small(format!("{:?}", writer.settings(&name("a.example"), until()).unwrap()));
    let changes = writer.changes(Some(EventId(0)), 10, until()).unwrap();
    assert_eq!((changes.rows.last().unwrap().domain.as_str(), changes.left_out.count), ("b.example", 2));
    small(format!("{changes:?}"));
    assert_eq!(removals(&mut *writer)[0].failure.as_ref().unwrap().len(), 1000);
    // The same connections go on.
    assert!(writer.is_alive());
    assert_eq!(writer.settings(&name("b.example"), until()).unwrap().unwrap().host_type, "type1");
}
