//! Domains that are deleted at once, without a job.

use super::*;

on_every_database! {
    each_of_several_domains_is_deleted_or_not
    a_deletion_deletes_the_passwords_of_the_domains_and_of_their_subdomains
}

/// Deletes domains of `type1`, each with these subdomains.
fn delete(writer: &mut dyn Writer, domains: &[(&str, &[&str])]) -> Vec<DeleteOutcome> {
    let named: Vec<_> = domains
        .iter()
        .map(|(domain, subdomains)| {
            (name(domain), subdomains.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        })
        .collect();
    let old: Vec<_> =
        named.iter().map(|(domain, subdomains)| OldDomain { domain, host_type: "type1", subdomains }).collect();
    writer.delete(&old, until()).unwrap()
}

/// The events of these deletions, in any order.
fn events_of(outcomes: &[DeleteOutcome], names: &[&str]) -> BTreeSet<String> {
    let event = |(outcome, name): (&DeleteOutcome, &&str)| match outcome {
        DeleteOutcome::Deleted(id) => Some(event(*id, name)),
        _ => None,
    };
    outcomes.iter().zip(names).filter_map(event).collect()
}

fn each_of_several_domains_is_deleted_or_not(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for (domain, host_type, status) in [
        ("on.example", "type1", 1),
        ("off.example", "type1", 0),
        ("going.example", "type1", 2),
        ("odd.example", "type1", 7),
        ("b.example", "type2", 1),
        ("stays.example", "type1", 1),
    ] {
        put_row(fixture, domain, host_type, status);
    }
    let names = ["on.example", "none.example", "going.example", "b.example", "odd.example", "off.example"];
    let outcomes = delete(&mut *writer, &names.map(|name| (name, &[][..])));
    assert!(
        matches!(
            &outcomes[..],
            [
                DeleteOutcome::Deleted(_),
                DeleteOutcome::NotFound,
                DeleteOutcome::Kept,
                DeleteOutcome::WrongHostType,
                DeleteOutcome::Deleted(_),
                DeleteOutcome::Deleted(_),
            ]
        ),
        "{outcomes:?}"
    );
    assert_eq!(events(fixture).into_iter().collect::<BTreeSet<_>>(), events_of(&outcomes, &names));
    let left = fixture.read("SELECT domain || ' ' || status FROM domain_settings ORDER BY domain");
    assert_eq!(left, ["b.example 1", "going.example 2", "stays.example 1"]);

    // More than are prepared on PostgreSQL.
    fixture.fill(100);
    let names: Vec<_> = (1..=100).rev().map(|n| format!("tenant-{n}.example")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let all: Vec<_> = names.iter().map(|name| (*name, &[][..])).collect();
    let outcomes = delete(&mut *writer, &all);
    let wanted = events_of(&outcomes, &names);
    assert_eq!(wanted.len(), 100);
    assert_eq!(events(fixture).split_off(3).into_iter().collect::<BTreeSet<_>>(), wanted);
}

fn a_deletion_deletes_the_passwords_of_the_domains_and_of_their_subdomains(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for (domain, status) in [("a.example", 1), ("b.example", 0), ("tenant.a.example", 1), ("kept.example", 2)] {
        put_row(fixture, domain, "type1", status);
    }
    let admins = [
        "a.example",
        "muc.a.example",
        "tenant.a.example",
        "b.example",
        "muc.b.example",
        "kept.example",
        "muc.kept.example",
        "xa.example",
    ];
    for domain in admins {
        fixture.write(&format!("INSERT INTO domain_admins (domain, pass_details) VALUES ('{domain}', 'left')"));
    }
    let outcomes = delete(
        &mut *writer,
        &[
            ("a.example", &["muc.a.example", "tenant.a.example", "none.a.example"]),
            ("b.example", &["muc.b.example"]),
            ("kept.example", &["muc.kept.example"]),
            ("c.example", &["xa.example"]),
        ],
    );
    assert!(matches!(outcomes[2..], [DeleteOutcome::Kept, DeleteOutcome::NotFound]), "{outcomes:?}");
    // A name with a row of its own is no subdomain.
    assert_eq!(
        fixture.read("SELECT domain FROM domain_admins ORDER BY domain"),
        ["kept.example", "muc.kept.example", "tenant.a.example", "xa.example"]
    );
}
