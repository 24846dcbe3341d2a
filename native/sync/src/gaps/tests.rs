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
    gaps.resolve();
    ranges.iter().for_each(|&(first, last)| gaps.add(range(first, last), now));
    (gaps, now)
}

#[test]
fn a_gap_is_resolved_when_all_that_wrote_when_it_was_seen_have_ended_and_a_later_read_shows_nothing() {
    let (mut gaps, now) = gaps(&[(5, 7)]);
    gaps.observe(&writers(&["3/1", "4/9"]), now);
    gaps.resolve();
    // Transactions that began since do not matter.
    gaps.observe(&writers(&["4/9", "5/1"]), now);
    gaps.resolve();
    assert_eq!(gaps.to_read(Scope::Open), vec![range(5, 7)]);
    gaps.observe(&writers(&["5/1", "3/2"]), now);
    // It is read once more before it is resolved.
    assert_eq!(gaps.to_read(Scope::Open), vec![range(5, 7)]);
    gaps.resolve();
    assert_eq!(gaps.to_read(Scope::Open), vec![]);
    assert_eq!(gaps.to_read(Scope::All), vec![range(5, 7)]);
    assert_eq!(gaps.open_count(), 0);
}

#[test]
fn without_writers_a_gap_is_resolved_at_once() {
    let (mut gaps, now) = gaps(&[(5, 7)]);
    gaps.observe(&writers(&[]), now);
    gaps.resolve();
    assert_eq!(gaps.open_count(), 0);
}

#[test]
fn a_prepared_transaction_keeps_every_gap_open() {
    let (mut gaps, now) = gaps(&[(5, 7)]);
    gaps.observe(&writers(&["3/1"]), now);
    gaps.observe(&OpenTransactions::Known([TransactionId::Prepared].into()), now);
    gaps.resolve();
    assert_eq!(gaps.open_count(), 1);
    gaps.observe(&writers(&[]), now);
    gaps.resolve();
    assert_eq!(gaps.open_count(), 0);
}

#[test]
fn where_writers_are_unknown_a_gap_is_resolved_by_age() {
    let (mut gaps, now) = gaps(&[(5, 7)]);
    gaps.observe(&OpenTransactions::Unknown, now + resolution::MAX_AGE / 2);
    gaps.resolve();
    assert_eq!(gaps.open_count(), 1);
    gaps.observe(&OpenTransactions::Unknown, now + resolution::MAX_AGE);
    gaps.resolve();
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
    gaps.resolve();
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
    gaps.resolve();
    for n in 0..MAX_GAPS as i64 - 1 {
        gaps.add(range(10 + 2 * n, 10 + 2 * n), now);
    }
    assert_eq!(gaps.to_read(Scope::All).first(), Some(&range(3, 3)));
    assert_eq!((gaps.open_count(), gaps.take_overflow()), (MAX_GAPS - 1, false));
}

#[test]
fn too_many_open_gaps_overflow_once_they_have_no_writers() {
    let (mut gaps, now) = gaps(&[]);
    for n in 0..=MAX_GAPS as i64 {
        gaps.add(range(2 * n, 2 * n), now);
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
    gaps.resolve();
    assert_eq!(gaps.open_count(), 1);
}
