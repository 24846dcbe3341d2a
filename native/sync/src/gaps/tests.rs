use super::*;

fn range(first: i64, last: i64) -> IdRange {
    IdRange { first: EventId(first), last: EventId(last) }
}

fn writers(names: &[&str]) -> OpenTransactions {
    OpenTransactions::Known(names.iter().map(|name| TransactionId::Open((*name).to_owned())).collect())
}

/// Gaps that are open, beside none below the log.
fn gaps(ranges: &[(i64, i64)]) -> (Gaps, Instant) {
    let now = Instant::now();
    let mut gaps = Gaps::of_log(EventId(i64::MIN), now);
    gaps.observe(&OpenTransactions::Known(HashSet::new()), now);
    gaps.read(Scope::Open, now);
    ranges.iter().for_each(|&(first, last)| gaps.add(range(first, last), now));
    (gaps, now)
}

#[test]
fn a_gap_is_resolved_when_all_that_wrote_when_it_was_seen_have_ended_and_a_later_read_shows_nothing() {
    let (mut gaps, now) = gaps(&[(5, 7)]);
    gaps.observe(&writers(&["3/1", "4/9"]), now);
    gaps.read(Scope::Open, now);
    // Transactions that began since do not matter.
    gaps.observe(&writers(&["4/9", "5/1"]), now);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.to_read(Scope::Open), vec![range(5, 7)]);
    gaps.observe(&writers(&["5/1", "3/2"]), now);
    // It is read once more before it is resolved.
    assert_eq!(gaps.to_read(Scope::Open), vec![range(5, 7)]);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.to_read(Scope::Open), vec![]);
    assert_eq!(gaps.to_read(Scope::All), vec![range(5, 7)]);
    assert_eq!(gaps.open_count(), 0);
}

#[test]
fn without_writers_a_gap_is_resolved_at_once() {
    let (mut gaps, now) = gaps(&[(5, 7)]);
    gaps.observe(&writers(&[]), now);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.open_count(), 0);
}

#[test]
fn a_prepared_transaction_keeps_every_gap_open() {
    let (mut gaps, now) = gaps(&[(5, 7)]);
    gaps.observe(&writers(&["3/1"]), now);
    gaps.observe(&OpenTransactions::Known([TransactionId::Prepared].into()), now);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.open_count(), 1);
    gaps.observe(&writers(&[]), now);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.open_count(), 0);
}

#[test]
fn where_writers_are_unknown_a_gap_is_resolved_by_age() {
    let (mut gaps, now) = gaps(&[(5, 7)]);
    gaps.observe(&OpenTransactions::Unknown, now + resolution::MAX_AGE / 2);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.open_count(), 1);
    gaps.observe(&OpenTransactions::Unknown, now + resolution::MAX_AGE);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.open_count(), 0);
}

#[test]
fn an_event_leaves_the_rest_of_its_gap() {
    let (mut gaps, now) = gaps(&[(5, 9), (20, 20)]);
    for id in [7, 5, 9, 20, 3, 100] {
        gaps.fill(EventId(id), now);
    }
    assert_eq!(gaps.to_read(Scope::Open), vec![range(6, 6), range(8, 8)]);
}

#[test]
fn a_jump_by_a_million_is_one_gap() {
    let (gaps, _) = gaps(&[(5, 1_000_005)]);
    assert_eq!(gaps.to_read(Scope::Open).len(), 1);
}

#[test]
fn gaps_below_the_log_are_dropped_and_an_open_one_is_reported() {
    let (mut gaps, now) = gaps(&[(5, 9), (20, 29)]);
    assert_eq!(gaps.raise_oldest(EventId(5), now), Dropped::Nothing);
    assert_eq!(gaps.to_read(Scope::Open), vec![range(5, 9), range(20, 29)]);
    assert_eq!(gaps.raise_oldest(EventId(25), now), Dropped::Open);
    assert_eq!(gaps.to_read(Scope::Open), vec![range(i64::MIN, 24), range(25, 29)], "one of them may still show");
    gaps.observe(&writers(&[]), now);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.raise_oldest(EventId(100), now), Dropped::Nothing);
    assert_eq!(gaps.to_read(Scope::Open), vec![]);
    assert_eq!(gaps.to_read(Scope::All), vec![range(i64::MIN, 99)]);
}

#[test]
fn an_event_below_the_oldest_becomes_the_oldest() {
    let now = Instant::now();
    let mut gaps = Gaps::of_log(EventId(100), now);
    assert_eq!(gaps.to_read(Scope::Open), vec![range(i64::MIN, 99)]);
    gaps.fill(EventId(40), now);
    gaps.fill(EventId(50), now);
    gaps.fill(EventId(-7), now);
    assert_eq!(gaps.oldest(), EventId(-7));
    let ranges = vec![range(i64::MIN, -8), range(-6, 39), range(41, 49), range(51, 99)];
    assert_eq!(gaps.to_read(Scope::Open), ranges);
}

#[test]
fn the_number_of_gaps_is_bounded_and_resolved_ones_are_dropped_first() {
    let (mut gaps, now) = gaps(&[(1, 1), (3, 3)]);
    gaps.observe(&writers(&[]), now);
    gaps.read(Scope::Open, now);
    // Too far from each other to be joined.
    for n in 1..MAX_GAPS as i64 {
        gaps.add(range(10_000 * n, 10_000 * n), now);
    }
    assert_eq!(gaps.to_read(Scope::All).first(), Some(&range(3, 3)));
    assert_eq!((gaps.open_count(), gaps.take_overflow()), (MAX_GAPS - 1, false));
}

#[test]
fn too_many_open_gaps_overflow_once_they_have_no_writers() {
    let (mut gaps, now) = gaps(&[]);
    for n in 0..=MAX_GAPS as i64 {
        gaps.add(range(10_000 * n, 10_000 * n), now);
    }
    assert_eq!(gaps.to_read(Scope::Open).len(), MAX_GAPS);
    gaps.observe(&writers(&["3/1"]), now);
    assert!(!gaps.take_overflow());
    gaps.observe(&writers(&["4/1"]), now);
    assert!(gaps.take_overflow());
    assert!(!gaps.take_overflow(), "once");
}

#[test]
fn on_another_server_the_writers_are_listed_again() {
    let (mut gaps, now) = gaps(&[(5, 7)]);
    gaps.observe(&writers(&["3/1"]), now);
    gaps.forget_writers();
    gaps.observe(&writers(&["9/9"]), now);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.open_count(), 1);
}

/// The gaps beside events whose ids are three apart, and what lies below the log is resolved.
fn strides(count: i64) -> (Gaps, Instant) {
    gaps(&(0..count).map(|n| (3 * n + 1, 3 * n + 2)).collect::<Vec<_>>())
}

fn ids(ids: impl IntoIterator<Item = i64>) -> Vec<EventId> {
    ids.into_iter().map(EventId).collect()
}

#[test]
fn gaps_beside_strides_of_ids_are_joined_and_know_what_was_read() {
    let (mut gaps, now) = strides(100);
    assert!(gaps.apart.len() <= MAX_APART + 100 / 10, "{} gaps", gaps.apart.len());
    assert!(gaps.to_read(Scope::Open).len() <= MAX_APART);
    assert_eq!(gaps.remembered().count(), 100, "none is lost");
    let joined = gaps.to_list(Scope::All, now);
    let first = joined[0];
    assert_eq!(first.first, EventId(1));
    // What was read is not read again; what is late is.
    assert_eq!(gaps.unread(ids((0..=first.last.0).filter(|id| id % 3 == 0))), vec![]);
    assert_eq!(gaps.unread(ids([3, 4, 5, 6, 7, 9])), vec![range(4, 5), range(7, 7)]);
    gaps.fill(EventId(4), now);
    gaps.fill(EventId(1), now);
    gaps.fill(EventId(3), now);
    assert_eq!(gaps.unread(ids([1, 2, 3, 4, 5])), vec![range(2, 2), range(5, 5)]);
    assert_eq!(gaps.remembered().count(), 100);
    // Whichever are filled, the others are remembered.
    for id in (0..300).filter(|id| id % 3 == 1) {
        gaps.fill(EventId(id), now);
    }
    let left: Vec<IdRange> = (0..100).map(|n| range(3 * n + 2, 3 * n + 2)).collect();
    assert_eq!(gaps.remembered().collect::<Vec<_>>(), left);
}

#[test]
fn a_joined_gap_is_read_less_and_less_often_where_the_writers_are_unknown() {
    let (mut gaps, now) = strides(20);
    let list = |gaps: &Gaps, now| gaps.to_list(Scope::Open, now).len();
    let all = list(&gaps, now);
    assert!(all > 0, "where they are known, in each pass");
    assert_eq!(gaps.pause(now), None);
    gaps.observe(&OpenTransactions::Unknown, now);
    assert_eq!(list(&gaps, now), 0);
    let (mut now, mut reads) = (now, 0);
    let end = now + resolution::MAX_AGE * 2;
    while let Some(pause) = gaps.pause(now) {
        now += pause;
        assert!(now < end);
        assert_eq!(list(&gaps, now), all);
        gaps.observe(&OpenTransactions::Unknown, now);
        gaps.read(Scope::Open, now);
        reads += 1;
    }
    assert!((50..200).contains(&reads), "{reads} reads");
    assert!(gaps.apart.values().filter(|gap| gap.is_joined()).all(|gap| !gap.is_open()));
}

#[test]
fn a_joined_gap_is_as_young_as_its_youngest_part() {
    let (mut gaps, now) = strides(4);
    let later = now + Duration::from_secs(30);
    (4..7).for_each(|n| gaps.add(range(3 * n + 1, 3 * n + 2), later));
    gaps.observe(&OpenTransactions::Unknown, now + resolution::MAX_AGE);
    gaps.read(Scope::All, now + resolution::MAX_AGE);
    assert!(gaps.to_list(Scope::All, later).iter().any(|gap| *gap == range(1, 20)), "{gaps:?}");
    assert_eq!(gaps.open_count(), 1);
    gaps.observe(&OpenTransactions::Unknown, later + resolution::MAX_AGE);
    gaps.read(Scope::All, later + resolution::MAX_AGE);
    assert_eq!(gaps.open_count(), 0);
}

#[test]
fn a_joined_gap_waits_for_the_transactions_of_all_its_parts() {
    let (mut gaps, now) = strides(4);
    gaps.observe(&writers(&["3/1"]), now);
    (4..7).for_each(|n| gaps.add(range(3 * n + 1, 3 * n + 2), now));
    gaps.observe(&writers(&["4/1"]), now);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.open_count(), 1, "one of these may hold an id of the youngest part");
    gaps.observe(&writers(&["5/1"]), now);
    gaps.read(Scope::Open, now);
    assert_eq!(gaps.open_count(), 0);
}

#[test]
fn gaps_that_were_seen_long_after_each_other_are_not_joined() {
    let (mut gaps, now) = gaps(&[]);
    for n in 0..20 {
        gaps.add(range(3 * n + 1, 3 * n + 2), now + Duration::from_secs(120) * n as u32);
    }
    assert_eq!(gaps.apart.len(), 20);
}

#[test]
fn of_joined_gaps_that_are_resolved_the_last_are_remembered() {
    let (mut gaps, now) = strides(1_000);
    assert_eq!(gaps.to_list(Scope::All, now).first().map(|gap| gap.first), Some(EventId(1)));
    gaps.observe(&writers(&[]), now);
    gaps.read(Scope::Open, now);
    let joined = gaps.to_list(Scope::All, now);
    assert_eq!(joined.len(), MAX_RESOLVED);
    assert!(joined[0].first > EventId(2_000));
}

#[test]
fn what_is_cut_off_leaves_the_rest_of_a_joined_gap() {
    let (mut gaps, now) = strides(7);
    assert_eq!(gaps.to_list(Scope::All, now), vec![range(1, 20)]);
    gaps.truncate(EventId(16));
    assert_eq!(gaps.raise_oldest(EventId(5), now), Dropped::Open);
    let left: Vec<IdRange> =
        [(5, 5), (7, 8), (10, 11), (13, 14), (16, 16)].map(|(first, last)| range(first, last)).into();
    assert_eq!(gaps.remembered().collect::<Vec<_>>(), left);
    assert!(gaps.has(Scope::Open, EventId(16)) && !gaps.has(Scope::Open, EventId(15)));
}
