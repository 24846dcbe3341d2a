//! Declarations of freshness.

use super::*;

on_every_database! {
    where_nothing_was_declared_nothing_is_fresh
    the_first_declaration_makes_the_table_of_freshness
    a_declaration_expires_so_many_seconds_after_the_present
    a_declaration_for_ever_does_not_expire
    a_declaration_replaces_the_one_before_for_longer_or_shorter
    a_declaration_that_expired_is_past_until_the_next_one
    declarations_are_listed_in_the_order_of_their_bytes
    a_declaration_writes_no_event
    those_who_declare_first_together_all_succeed
}

fn where_nothing_was_declared_nothing_is_fresh(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    put_row(fixture, "a.example", "type1", 1);
    assert_eq!(freshness(&mut *writer), []);
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
    // A writer that was connected before sees the table, too.
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
        // Rounding changes this by up to half a second.
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
