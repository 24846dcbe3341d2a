//! MongooseIM's tables, made by hand on a server with the default settings: names compare as Swedish dictionaries do.

use domain_core::EventId;
use domain_store::{Event, Row};

use super::rows_of_a_load;
use crate::support::{Fixture, name};

/// MongooseIM's tables for MySQL. `options` are those of a table.
fn mongooseim_tables(fixture: &mut Fixture, options: &str) {
    fixture.write(&format!(
        "CREATE TABLE domain_settings (
             id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, domain VARCHAR(250) NOT NULL, host_type VARCHAR(250) NOT NULL,
             status TINYINT NOT NULL DEFAULT 1) {options};
         CREATE TABLE domain_events (
             id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, domain VARCHAR(250) NOT NULL,
             INDEX i_domain_events_domain (domain)) {options};
         CREATE TABLE domain_admins (domain VARCHAR(250) NOT NULL PRIMARY KEY, pass_details TEXT NOT NULL) {options}"
    ));
}

/// Adds domains, each with an event.
fn add(fixture: &mut Fixture, domains: &[(&str, &str)]) {
    for (domain, host_type) in domains {
        fixture.write(&format!(
            "INSERT INTO domain_settings (domain, host_type) VALUES ('{domain}', '{host_type}');
             INSERT INTO domain_events (domain) VALUES ('{domain}')"
        ));
    }
}

fn events(fixture: &Fixture) -> Vec<Row> {
    let events = fixture.store().events(EventId(0), EventId(i64::MIN), 100).unwrap().events;
    let row = |event: Event| event.row.unwrap();
    events.into_iter().map(row).collect()
}

/// The default options of a server, and others that take different names for the same.
const COLLATIONS: [&str; 4] = [
    "",
    "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
    "CHARACTER SET utf8mb3 COLLATE utf8mb3_german2_ci",
];

#[test]
fn names_that_a_collation_takes_for_the_same_are_neither_merged_nor_lost() {
    for options in COLLATIONS {
        let mut fixture = Fixture::mariadb();
        mongooseim_tables(&mut fixture, options);
        fixture.write("ALTER TABLE domain_settings ADD INDEX (domain)");
        let domains = [
            ("strasse.example", "type1"),
            ("strässe.example", "type2"),
            ("straße.example", "type1"),
            ("STRASSE.example", "type2"),
            ("strasse.example ", "type2"),
        ];
        add(&mut fixture, &domains);
        let shown = |row: &Row| match row {
            Row::Enabled(name, id) => (name.as_str().to_owned(), Some(*id)),
            // The others are no names of domains, and so no routes.
            row => (row.domain().to_owned(), None),
        };
        let (type1, type2) = (fixture.host_type("type1"), fixture.host_type("type2"));
        let types = [Some(type1), Some(type2), None, None, Some(type2)];
        let expected: Vec<_> = domains.iter().zip(types).map(|((name, _), id)| ((*name).to_owned(), id)).collect();
        for rows in [events(&fixture), rows_of_a_load(&mut *fixture.store())] {
            assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), expected, "{options}");
        }
        fixture.write("DELETE FROM domain_settings WHERE host_type = 'type1'");
        let rows = events(&fixture);
        assert_eq!(rows[0], Row::NotEnabled(name("strasse.example")), "{options}");
        assert_eq!(rows[1], Row::Enabled(name("strässe.example"), type2), "{options}");
    }
}

#[test]
fn a_name_that_the_character_set_of_another_table_lacks_is_read() {
    let mut fixture = Fixture::mariadb();
    mongooseim_tables(&mut fixture, "");
    fixture.write("ALTER TABLE domain_events CONVERT TO CHARACTER SET utf8mb4");
    fixture.write("INSERT INTO domain_settings (domain, host_type) VALUES ('??????.??', 'type1')");
    fixture.write("INSERT INTO domain_events (domain) VALUES ('пример.рф')");
    assert_eq!(events(&fixture), [Row::NotEnabled(name("пример.рф"))]);
}

#[test]
fn of_several_rows_with_one_name_the_first_that_is_not_disabled_counts() {
    for options in ["", "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"] {
        let mut fixture = Fixture::mariadb();
        mongooseim_tables(&mut fixture, options);
        add(&mut fixture, &[("two.example", "type1"), ("one.example", "type1"), ("two.example", "type2")]);
        let two = Row::Enabled(name("two.example"), fixture.host_type("type1"));
        let one = Row::Enabled(name("one.example"), fixture.host_type("type1"));
        assert_eq!(rows_of_a_load(&mut *fixture.store()), [two.clone(), one.clone()]);
        assert_eq!(events(&fixture), [two.clone(), one.clone(), two]);
        fixture.write("UPDATE domain_settings SET status = 0 WHERE id = 1");
        let second = Row::Enabled(name("two.example"), fixture.host_type("type2"));
        assert_eq!(rows_of_a_load(&mut *fixture.store()), [one, second.clone()]);
        assert_eq!(events(&fixture)[0], second);
        fixture.write("UPDATE domain_settings SET status = 2 WHERE id = 3");
        assert_eq!(events(&fixture)[0], Row::NotEnabled(name("two.example")));
    }
}
