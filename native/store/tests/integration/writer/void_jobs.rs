//! Void jobs: the domain of a job is not in removal any more, because another program has changed its row.

use super::*;

on_every_database! {
    a_job_ends_without_another_handler_when_its_row_is_not_in_removal
    a_job_that_ends_deletes_nothing_of_a_domain_that_is_not_in_removal
    a_job_whose_row_is_not_in_removal_is_not_prolonged_and_named
    a_job_whose_row_is_not_in_removal_is_not_taken_over_and_ends
    a_job_whose_row_is_in_removal_is_ended_by_nobody
    a_failed_job_of_a_domain_that_is_served_again_is_not_listed
    a_removal_that_is_begun_for_a_new_life_of_the_domain_is_the_old_owners_no_longer
    a_job_that_is_claimed_while_void_jobs_end_stays
}

/// The changes that another program may make to the row of a domain in removal, and the row afterwards.
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

/// Begins the removal of `a.example` with this lease, and makes a change of another program.
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
        // One that runs, one whose lease has ended, one that has failed.
        interfere(fixture, &mut *writer, ONE, change);
        assert_eq!(take_over_all(&mut *writer, TWO, ALLOWED, 10), RemovalJobs::default(), "{change}");
        assert_eq!(removal(&mut *writer, "a.example").lease, LeaseState::Running, "{change}");
        fixture.write("DELETE FROM domain_removals");
        interfere(fixture, &mut *writer, BRIEF, change);
        all_leases_end(&mut *writer);
        assert_eq!(take_over_all(&mut *writer, TWO, ALLOWED, 0), RemovalJobs::default(), "{change}");
        // The host type need not be allowed on this node.
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

/// The old owner still works for the earlier row. No other node begins before the old lease has ended.
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
            // The same again, for the same row.
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

/// Ending void jobs reads rows and jobs while other sessions claim them.
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
