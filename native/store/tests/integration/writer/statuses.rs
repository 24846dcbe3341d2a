//! Several domains that are enabled or disabled at once.

use super::*;

on_every_database! {
    each_of_several_domains_has_its_own_outcome
}

fn set_all(writer: &mut dyn Writer, changes: &[(&str, Activation)]) -> Vec<SetStatusOutcome> {
    let named: Vec<_> = changes.iter().map(|(domain, wanted)| (name(domain), *wanted)).collect();
    let changes: Vec<_> = named.iter().map(|(domain, wanted)| (domain, *wanted)).collect();
    writer.set_statuses(&changes, &["type1".to_owned()], until()).unwrap()
}

fn each_of_several_domains_has_its_own_outcome(fixture: &mut Fixture) {
    let mut writer = fixture.writer();
    for (domain, host_type, status) in [
        ("on.example", "type1", 1),
        ("off.example", "type1", 0),
        ("going.example", "type1", 2),
        ("b.example", "type2", 1),
    ] {
        put_row(fixture, domain, host_type, status);
    }
    let (on, off) = (Activation::Enabled, Activation::Disabled);
    let changes =
        [("on.example", off), ("none.example", on), ("going.example", on), ("b.example", off), ("off.example", on)];
    match &set_all(&mut *writer, &changes)[..] {
        [
            SetStatusOutcome::Changed(first, _),
            SetStatusOutcome::NotFound,
            SetStatusOutcome::Deleting,
            SetStatusOutcome::UnknownHostType,
            SetStatusOutcome::Changed(second, _),
        ] => {
            let found: BTreeSet<_> = events(fixture).into_iter().collect();
            assert_eq!(found, [event(*first, "on.example"), event(*second, "off.example")].into());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        set_all(&mut *writer, &[("off.example", on), ("on.example", off)]),
        [SetStatusOutcome::Unchanged, SetStatusOutcome::Unchanged]
    );
    let statuses = fixture.read("SELECT domain || ' ' || status FROM domain_settings ORDER BY domain");
    assert_eq!(statuses, ["b.example 1", "going.example 2", "off.example 1", "on.example 0"]);
    assert_eq!(events(fixture).len(), 2);

    // More than are prepared on PostgreSQL.
    fixture.fill(100);
    let names: Vec<_> = (1..=100).rev().map(|n| format!("tenant-{n}.example")).collect();
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), off)).collect();
    let outcomes = set_all(&mut *writer, &all);
    let wanted: BTreeSet<_> = outcomes
        .iter()
        .zip(&names)
        .map(|(outcome, name)| match outcome {
            SetStatusOutcome::Changed(id, _) => event(*id, name),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(events(fixture).split_off(2).into_iter().collect::<BTreeSet<_>>(), wanted);
}
