//! Removals: which node owns a job, and for how long.

use super::*;

on_every_database! {
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
    only_jobs_whose_leases_ended_are_taken_over
    only_jobs_of_allowed_host_types_are_taken_over
    no_more_jobs_are_taken_over_than_asked_for
    a_job_that_was_taken_over_is_the_old_owners_no_longer
    two_owners_at_once_never_take_over_the_same_job
    jobs_are_listed_all_or_one_in_order
    owners_that_need_the_table_of_removals_together_all_succeed
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
        // The password of its admin is deleted.
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
    // The job has no owner now.
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
        // Another program may store one during the removal.
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

/// Makes jobs whose leases have ended: `tenant-1.example` and so on.
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
    // The plan depends on the statistics of the table.
    for (is_analyzed, limit, expected) in [(false, 0, 0), (false, 7, 7), (true, 7, 7), (false, 7, 6), (false, 7, 0)] {
        if is_analyzed {
            fixture.analyze();
        }
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
        // A job that the other one is about to take over may be skipped; then the other one has it.
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
