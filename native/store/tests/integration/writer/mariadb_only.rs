//! What only MariaDB's writer does: names in tables of any collation, tables that take two rows of one name, ids with a
//! stride, and lost races.

use std::collections::BTreeMap;

use domain_store::{Finding, Found, Severity};

use super::*;

/// MongooseIM's tables for MySQL, as a stock server creates them: in the server's character set, which is latin1, with a
/// collation that ignores case, and without a unique index on the names of `domain_settings`.
const MONGOOSEIM: &str = "
    CREATE TABLE domain_settings (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, domain VARCHAR(250) NOT NULL,
        host_type VARCHAR(250) NOT NULL, status TINYINT NOT NULL DEFAULT 1) CHARACTER SET latin1;
    CREATE TABLE domain_events (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, domain VARCHAR(250) NOT NULL,
        INDEX i_domain_events_domain (domain)) CHARACTER SET latin1;
    CREATE TABLE domain_admins (domain VARCHAR(250) NOT NULL PRIMARY KEY, pass_details TEXT NOT NULL) CHARACTER SET latin1";

const INDEX: &str = "CREATE INDEX i_domain_settings_domain ON domain_settings (domain)";
const UNIQUE_INDEX: &str = "CREATE UNIQUE INDEX i_domain_settings_domain ON domain_settings (domain)";

/// Names that a stock collation takes for one, or sorts in another order than their bytes.
const NAMES: [&str; 4] = ["strasse.example", "strâsse.example", "strässe.example", "strasse.example2"];

fn mongooseim(index: &str) -> Fixture {
    let mut fixture = Fixture::mariadb();
    fixture.write(MONGOOSEIM);
    if !index.is_empty() {
        fixture.write(index);
    }
    fixture
}

fn list(writer: &mut dyn Writer, filter: &Filter, limit: u32) -> Vec<String> {
    writer.list(filter, limit, until()).unwrap().rows.into_iter().map(|row| row.domain).collect()
}

/// Adds domains as callers do: a lost race is repeated.
fn insert_until_won(writer: &mut dyn Writer, pairs: &[(&str, &str)]) -> Vec<InsertOutcome> {
    let deadline = until();
    loop {
        match insert(writer, pairs) {
            Err(StoreError::Conflict { .. }) if Instant::now() < deadline => (),
            result => return result.unwrap(),
        }
    }
}

#[test]
fn names_are_bytes_in_a_table_of_a_stock_server() {
    for index in ["", INDEX] {
        let mut fixture = mongooseim(index);
        let mut writer = fixture.writer();
        // Written by another program. A name of this project has no capital letters.
        for domain in ["STRASSE.example", "strasse.EXAMPLE", "Strässe.example", "strasse.example "] {
            put_row(&mut fixture, domain, "type2", 1);
        }
        fixture.write("INSERT INTO domain_admins VALUES ('STRASSE.example', 'kept')");
        let pairs = NAMES.map(|domain| (domain, "type1"));
        let inserted = insert(&mut *writer, &pairs).unwrap();
        let own: BTreeSet<_> = inserted.iter().zip(NAMES).map(|(outcome, name)| event(added(outcome), name)).collect();
        assert_eq!(events(&mut fixture).into_iter().collect::<BTreeSet<_>>(), own);
        for domain in NAMES {
            let exists = insert(&mut *writer, &[(domain, "type2")]).unwrap();
            assert_eq!(exists, [InsertOutcome::Exists(settings("type1", Status::Enabled))]);
            assert!(matches!(
                set_status(&mut *writer, domain, Activation::Disabled, ALLOWED),
                SetStatusOutcome::Changed(..)
            ));
        }
        // Sorted by bytes, each name once, page by page.
        let mut all = list(&mut *writer, &Filter::default(), 100);
        assert_eq!((all.len(), all.is_sorted()), (8, true));
        let mut paged = Vec::new();
        while let Some(last) =
            list(&mut *writer, &Filter { after: paged.last().cloned(), ..Filter::default() }, 1).pop()
        {
            paged.push(last);
        }
        assert_eq!(paged, all);
        let with_prefix = Filter { prefix: Some("stras".to_owned()), ..Filter::default() };
        assert_eq!(list(&mut *writer, &with_prefix, 100).len(), 4);

        let old = NAMES.map(name);
        let old = old.each_ref().map(|domain| OldDomain { domain, host_type: "type1", subdomains: &[] });
        assert!(writer.delete(&old[..2], until()).unwrap().iter().all(|one| matches!(one, DeleteOutcome::Deleted(_))));
        for domain in &NAMES[2..] {
            claimed(&begin(&mut *writer, domain, ONE));
            assert_eq!(writer.finish_removal(&name(domain), ONE.owner, &[], until()).unwrap(), JobOutcome::Updated);
        }
        all.retain(|domain| !NAMES.contains(&domain.as_str()));
        assert_eq!(list(&mut *writer, &Filter { status: Some(1), ..Filter::default() }, 100), all);
        assert_eq!(fixture.read("SELECT domain FROM domain_admins"), ["STRASSE.example"]);
    }
}

#[test]
fn a_name_that_a_unique_index_takes_for_another_one_is_refused_with_what_to_do() {
    let mut fixture = mongooseim(UNIQUE_INDEX);
    let mut writer = fixture.writer();
    put_row(&mut fixture, "STRASSE.example", "type1", 1);
    put_row(&mut fixture, "there.example", "type1", 1);
    let error = insert(&mut *writer, &[("there.example", "type1"), ("strasse.example", "type1")]).unwrap_err();
    let StoreError::RowRefused { reason, .. } = &error else { panic!("{error:?}") };
    for part in ["i_domain_settings_domain", "domain_settings", "latin1_swedish_ci", "ALTER TABLE", "strasse.example"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!((rows(&mut fixture).len(), events(&mut fixture).len()), (2, 0));
    // The writer can be used again, and the advice helps.
    added(&insert(&mut *writer, &[("other.example", "type1")]).unwrap()[0]);
    fixture.write(
        "ALTER TABLE domain_settings MODIFY domain VARCHAR(250) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL",
    );
    added(&insert_until_won(&mut *writer, &[("strasse.example", "type1")])[0]);
}

#[test]
fn a_password_of_a_name_that_the_key_takes_for_another_one_is_refused_and_the_others_is_kept() {
    let mut fixture = mongooseim("");
    let mut writer = fixture.writer();
    fixture.write("INSERT INTO domain_admins VALUES ('STRASSE.example', 'kept')");
    put_row(&mut fixture, "strasse.example", "type1", 1);
    let mut put = |domain| writer.put_password(&name(domain), NameOrigin::Row, "stored", until());
    let error = put("strasse.example").unwrap_err();
    assert!(matches!(&error, StoreError::RowRefused { reason, .. } if reason.contains("domain_admins")), "{error:?}");
    assert_eq!(put("none.example").unwrap(), Found::No);
    assert_eq!(writer.password(&name("strasse.example"), NameOrigin::Row, until()).unwrap(), None);
    assert_eq!(writer.delete_password(&name("strasse.example"), until()).unwrap(), Found::No);
    assert_eq!(fixture.read("SELECT CONCAT(domain, pass_details) FROM domain_admins"), ["STRASSE.examplekept"]);
}

#[test]
fn a_name_that_the_character_set_lacks_is_refused_and_found_nowhere() {
    for index in ["", INDEX, UNIQUE_INDEX] {
        let mut fixture = mongooseim(index);
        let mut writer = fixture.writer();
        let domain = "пример.рф";
        put_row(&mut fixture, "??????.??", "type1", 1);
        let error = insert(&mut *writer, &[("a.example", "type1"), (domain, "type1")]).unwrap_err();
        let StoreError::RowRefused { reason, .. } = &error else { panic!("{error:?}") };
        assert!(reason.contains("domain_settings") && reason.contains("utf8mb4"), "{reason}");
        assert_eq!((rows(&mut fixture).len(), events(&mut fixture).len()), (1, 0));
        assert_eq!(writer.settings(&name(domain), until()).unwrap(), None);
        assert_eq!(set_status(&mut *writer, domain, Activation::Disabled, ALLOWED), SetStatusOutcome::NotFound);
        let old = OldDomain { domain: &name(domain), host_type: "type1", subdomains: &[] };
        assert_eq!(writer.delete(&[old], until()).unwrap(), [DeleteOutcome::NotFound]);
        assert_eq!(begin(&mut *writer, domain, ONE), BeginRemovalOutcome::NotFound);
        assert_eq!(writer.password(&name(domain), NameOrigin::Row, until()).unwrap(), None);
        assert_eq!(writer.delete_password(&name(domain), until()).unwrap(), Found::No);
        let after = Filter { after: Some(domain.to_owned()), ..Filter::default() };
        assert_eq!(list(&mut *writer, &after, 10), [""; 0]);
        // A subdomain that the column cannot hold has no password.
        let (a, subdomains) = (name("a.example"), [format!("muc.{domain}"), "x".repeat(300)]);
        let new = NewDomain { domain: &a, host_type: "type1", status: Activation::Enabled, subdomains: &subdomains };
        assert!(matches!(writer.insert(&[new], until()).unwrap()[..], [InsertOutcome::Added(_)]));
    }
}

/// Ten domains in each round, five of which another writer adds, too.
fn each_of_two_adders_adds_its_own(fixture: &mut Fixture, rounds: usize) {
    let mut writers = [fixture.writer(), fixture.writer()];
    let start = Barrier::new(2);
    let all = |writer: &mut Box<dyn Writer>, offset: usize| -> Vec<(String, EventId)> {
        let mut mine = Vec::new();
        for round in 0..rounds {
            let domains: Vec<_> = (offset..offset + 10).map(|n| format!("d{}.example", round * 15 + n)).collect();
            let pairs: Vec<_> = domains.iter().map(|domain| (domain.as_str(), "type1")).collect();
            start.wait();
            let inserted = insert_until_won(&mut **writer, &pairs);
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
    let there: BTreeSet<_> = fixture.read("SELECT domain FROM domain_settings").into_iter().collect();
    assert_eq!(fixture.read("SELECT COUNT(*) FROM domain_settings"), [(rounds * 15).to_string()]);
    assert!(there.iter().eq(adders.keys()));
    let mut expected: Vec<_> = one.iter().chain(&two).map(|(domain, id)| (*id, domain)).collect();
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(id, domain)| event(id, domain)).collect();
    assert_eq!(events(fixture), expected);
}

#[test]
fn of_two_who_add_a_domain_at_once_exactly_one_adds_it() {
    each_of_two_adders_adds_its_own(&mut Fixture::mariadb(), 60);
}

#[test]
fn of_two_who_add_a_domain_at_once_exactly_one_adds_it_although_no_index_is_unique() {
    for index in ["", INDEX] {
        each_of_two_adders_adds_its_own(&mut mongooseim(index), 100);
    }
}

#[test]
fn each_event_has_the_id_of_its_domain_although_ids_have_a_stride() {
    let mut fixture = Fixture::mariadb();
    fixture.write("CREATE TABLE others (id INT PRIMARY KEY)");
    // Sessions take the setting over when they begin.
    let before = fixture.read("SELECT @@global.auto_increment_increment");
    fixture.write("SET GLOBAL auto_increment_increment = 3, GLOBAL auto_increment_offset = 2");
    let mut writers: [_; 2] = std::array::from_fn(|_| fixture.writer());
    fixture.write(&format!("SET GLOBAL auto_increment_increment = {}, GLOBAL auto_increment_offset = 1", before[0]));
    let [one, two] = writers.each_mut();
    let add = |writer: &mut dyn Writer, side: &str| -> Vec<String> {
        let mut own = Vec::new();
        for round in 0..20 {
            let domains: Vec<_> =
                (0..20).map(|n| format!("{side}{}.example", (n * 7 + round) % 20 + round * 20)).collect();
            let pairs: Vec<_> = domains.iter().map(|domain| (domain.as_str(), "type1")).collect();
            let added_now = insert_until_won(writer, &pairs);
            own.extend(added_now.iter().zip(&domains).map(|(outcome, domain)| event(added(outcome), domain)));
        }
        own
    };
    let (one, two) = thread::scope(|scope| {
        let two = scope.spawn(|| add(&mut **two, "two"));
        (add(&mut **one, "one"), two.join().unwrap())
    });
    let all: BTreeSet<_> = one.into_iter().chain(two).collect();
    assert_eq!(events(&mut fixture).into_iter().collect::<BTreeSet<_>>(), all);
    assert!(fixture.event_ids().iter().all(|id| id % 3 == 2));
}

#[test]
fn after_a_deadlock_nothing_was_changed_and_the_next_try_succeeds() {
    let mut fixture = Fixture::mariadb();
    let mut writer = fixture.writer();
    for domain in ["a.example", "b.example"] {
        put_row(&mut fixture, domain, "type1", 1);
    }
    let (a, b) = (name("a.example"), name("b.example"));
    let off = [(&a, Activation::Disabled), (&b, Activation::Disabled)];
    // The other transaction has changed more, so that the server rolls back the writer's.
    let mut other = fixture.session(
        "CREATE TABLE heavy AS SELECT seq FROM seq_1_to_1000; START TRANSACTION; UPDATE heavy SET seq = seq + 1000;
         SELECT * FROM domain_settings WHERE domain = 'b.example' FOR UPDATE",
    );
    let unlocked = "SELECT id FROM domain_settings WHERE domain = 'a.example' FOR UPDATE SKIP LOCKED";
    let first = thread::scope(|scope| {
        let switching = scope.spawn(|| writer.set_statuses(&off, &["type1".to_owned()], until()));
        // The writer has locked the first row, and waits for the second one.
        eventually(|| fixture.read(unlocked) == [""; 0]);
        other.run("SELECT * FROM domain_settings WHERE domain = 'a.example' FOR UPDATE");
        other.run("COMMIT");
        switching.join().unwrap()
    });
    let error = first.unwrap_err();
    assert!(matches!(&error, StoreError::Conflict { reason, .. } if reason.contains("1213")), "{error:?}");
    assert_eq!(rows(&mut fixture), ["1 a.example type1 1", "2 b.example type1 1"]);
    let second = writer.set_statuses(&off, &["type1".to_owned()], until()).unwrap();
    assert!(second.iter().all(|outcome| matches!(outcome, SetStatusOutcome::Changed(..))), "{second:?}");
}

#[test]
fn rows_of_one_name_that_were_made_by_hand_are_one_domain() {
    for index in ["", INDEX] {
        let mut fixture = mongooseim(index);
        let mut writer = fixture.writer();
        for (domain, host_type, status) in [
            ("twice.example", "type1", 0),
            ("b.example", "type1", 1),
            ("twice.example", "type1", 1),
            ("twice.example", "type1", 1),
            ("z.example", "type1", 1),
        ] {
            put_row(&mut fixture, domain, host_type, status);
        }
        let twice = name("twice.example");
        let mut listed = |limit| {
            let (mut found, mut filter) = (Vec::new(), Filter::default());
            while let page @ [_, ..] = &list(&mut *writer, &filter, limit)[..] {
                assert!(page.len() <= limit as usize);
                found.extend_from_slice(page);
                filter.after = found.last().cloned();
            }
            found
        };
        for limit in 1..6 {
            assert_eq!(listed(limit), ["b.example", "twice.example", "z.example"], "{limit}");
        }
        assert_eq!(writer.settings(&twice, until()).unwrap(), Some(settings("type1", Status::Enabled)));
        let again = insert(&mut *writer, &[("twice.example", "type2")]).unwrap();
        assert_eq!(again, [InsertOutcome::Exists(settings("type1", Status::Enabled))]);
        // One event for all rows.
        let statuses = "SELECT DISTINCT status FROM domain_settings WHERE domain = 'twice.example'";
        for (wanted, status) in [(Activation::Disabled, "0"), (Activation::Enabled, "1")] {
            assert!(matches!(
                set_status(&mut *writer, "twice.example", wanted, ALLOWED),
                SetStatusOutcome::Changed(..)
            ));
            assert_eq!(fixture.read(statuses), [status]);
            assert_eq!(set_status(&mut *writer, "twice.example", wanted, ALLOWED), SetStatusOutcome::Unchanged);
        }
        assert_eq!(events(&mut fixture).len(), 2);
        let changes = writer.changes(Some(EventId(0)), 10, until()).unwrap().rows;
        assert_eq!(changes.len(), 2);
        claimed(&begin(&mut *writer, "twice.example", ONE));
        assert_eq!(fixture.read(statuses), ["2"]);
        assert_eq!(writer.finish_removal(&twice, ONE.owner, &[], until()).unwrap(), JobOutcome::Updated);
        for _ in 0..2 {
            put_row(&mut fixture, "twice.example", "type1", 1);
        }
        let old = OldDomain { domain: &twice, host_type: "type1", subdomains: &[] };
        assert!(matches!(writer.delete(&[old], until()).unwrap()[..], [DeleteOutcome::Deleted(_)]));
        assert_eq!(fixture.read("SELECT domain FROM domain_settings ORDER BY id"), ["b.example", "z.example"]);
    }
}

#[test]
fn an_addition_that_another_program_has_forestalled_is_a_lost_race() {
    let mut fixture = Fixture::mariadb();
    let mut writer = fixture.writer();
    let mut other = fixture
        .session("START TRANSACTION; INSERT INTO domain_settings (domain, host_type) VALUES ('b.example', 'type2')");
    let mut uncommitted = fixture.session("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED");
    let pairs = [("a.example", "type1"), ("b.example", "type1")];
    let first = thread::scope(|scope| {
        let inserting = scope.spawn(|| insert(&mut *writer, &pairs));
        // The writer has inserted the first row, and not committed it: it waits for the second one.
        eventually(|| uncommitted.run("SELECT id FROM domain_settings WHERE domain = 'a.example'").len() == 1);
        other.run("COMMIT");
        inserting.join().unwrap()
    });
    assert!(matches!(first, Err(StoreError::Conflict { .. })), "{first:?}");
    let domains = fixture.read("SELECT domain FROM domain_settings");
    assert_eq!((domains, events(&mut fixture).len()), (vec!["b.example".to_owned()], 0));
    let inserted = insert(&mut *writer, &pairs).unwrap();
    assert_eq!(events(&mut fixture), [event(added(&inserted[0]), "a.example")]);
    assert_eq!(inserted[1], InsertOutcome::Exists(settings("type2", Status::Enabled)));
}

fn findings(writer: &mut dyn Writer) -> Vec<Finding> {
    writer.findings(until()).unwrap()
}

#[test]
fn the_doctor_names_a_collation_that_merges_names_and_a_missing_index() {
    assert_eq!(findings(&mut *Fixture::mariadb().writer()), []);
    let mut fixture = mongooseim("");
    let mut writer = fixture.writer();
    let found = |writer: &mut dyn Writer| findings(writer).into_iter().map(|finding| finding.found).collect::<Vec<_>>();
    let without_index = found(&mut *writer);
    assert_eq!(without_index.len(), 3, "{without_index:?}");
    assert!(without_index[0].contains("domain_settings.domain has the collation latin1_swedish_ci"));
    assert!(without_index[1].contains("no index") && without_index[2].contains("domain_admins"));
    fixture.write(INDEX);
    assert!(found(&mut *writer)[1].contains("no unique index"));
    fixture.write("DROP INDEX i_domain_settings_domain ON domain_settings");
    // The advice of the findings, except their full stops.
    for finding in findings(&mut *writer) {
        fixture.write(finding.advice.trim_end_matches('.'));
        assert_eq!(finding.severity, Severity::Warning);
    }
    assert_eq!(findings(&mut *writer), []);
}
