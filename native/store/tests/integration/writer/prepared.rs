//! Statements that PostgreSQL parses once for a connection.

use domain_store::{IdRange, Store};

use super::*;

/// Notes at each event which statements the session has, with how often they ran by the plan that is kept. The event of
/// `forget.example` has the session forget them.
const NOTE: &str = "CREATE TABLE prepared (statement text, kept bigint);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      DELETE FROM prepared;
      INSERT INTO prepared SELECT statement, generic_plans FROM pg_prepared_statements;
      IF NEW.domain = 'forget.example' THEN EXECUTE 'DEALLOCATE ALL'; END IF;
      RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT ON domain_events FOR EACH ROW EXECUTE FUNCTION note()";

/// Adds a domain, disables and enables it.
fn change(writer: &mut dyn Writer, domain: &str) {
    added(&insert(writer, &[(domain, "type1")]).unwrap()[0]);
    for status in [Activation::Disabled, Activation::Enabled] {
        assert!(matches!(set_status(writer, domain, status, ALLOWED), SetStatusOutcome::Changed(..)));
    }
}

/// The number of the session's statements that meet a condition, at the last event.
fn prepared(fixture: &mut Fixture, condition: &str) -> String {
    fixture.read(&format!("SELECT count(*) FROM prepared WHERE {condition}")).remove(0)
}

#[test]
fn a_statement_is_prepared_once_and_keeps_a_plan_that_reads_no_whole_table() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    fixture.write(NOTE);
    // As the automatic analysis does, which comes while the tables are small.
    fixture.write("VACUUM ANALYZE domain_settings");
    fixture.write("VACUUM ANALYZE domain_admins");
    for n in 0..20 {
        change(&mut *writer, &format!("d{n}.example"));
    }
    assert_eq!(prepared(&mut fixture, "true"), "2");
    assert_eq!(prepared(&mut fixture, "kept > 10"), "2");
    drop(writer);
    // The counters are sent when the session ends.
    let counters = "FROM pg_stat_user_tables WHERE relname IN ('domain_settings', 'domain_admins')";
    eventually(|| fixture.read(&format!("SELECT sum(n_tup_ins) {counters}")) == ["20"]);
    // The creation of an index counts, too.
    assert_eq!(fixture.read(&format!("SELECT sum(seq_scan) < 10 {counters}")), ["t"]);
}

#[test]
fn a_batch_is_planned_for_its_size() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    fixture.write(NOTE);
    let names: Vec<_> = (0..100).map(|n| format!("d{n}.example")).collect();
    let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), "type1")).collect();
    insert(&mut *writer, &pairs).unwrap();
    assert_eq!(prepared(&mut fixture, "true"), "0");
}

#[test]
fn changes_succeed_after_the_session_has_forgotten_its_statements() {
    let mut fixture = Fixture::postgres();
    let mut writer = fixture.writer();
    fixture.write(NOTE);
    change(&mut *writer, "a.example");
    assert_eq!(prepared(&mut fixture, "true"), "2");
    added(&insert(&mut *writer, &[("forget.example", "type1")]).unwrap()[0]);
    change(&mut *writer, "b.example");
    assert_eq!(prepared(&mut fixture, "true"), "0");
    change(&mut *writer, "c.example");
    assert_eq!(prepared(&mut fixture, "true"), "0");
}

#[test]
fn calls_succeed_after_a_column_has_got_another_type() {
    let mut fixture = Fixture::postgres();
    let (mut writer, mut store) = (fixture.writer(), fixture.store());
    fixture.write(NOTE);
    let events = |store: &mut dyn Store| {
        let first = EventId(0);
        let after = store.events(first, EventId(i64::MIN), 100).unwrap().events;
        let all = IdRange { first, last: EventId(i64::MAX) };
        assert_eq!(store.events_in(&[all], 100).unwrap().len(), after.len());
        after.into_iter().filter(|event| event.row.is_some()).count()
    };
    change(&mut *writer, "a.example");
    assert_eq!(events(&mut *store), 3);
    fixture.write("ALTER TABLE domain_settings ALTER host_type TYPE text");
    change(&mut *writer, "b.example");
    assert_eq!(writer.settings(&name("b.example"), until()).unwrap(), Some(settings("type1", Status::Enabled)));
    assert_eq!(events(&mut *store), 6);
    // They are prepared anew.
    change(&mut *writer, "c.example");
    assert_ne!(prepared(&mut fixture, "true"), "0");
}
