//! Lookups beside writers, under all interleavings of their steps and all orders in which memory may become visible:
//! one model for each guarantee.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p domain_core --release --test loom`.
//!
//! In a model there are two stripes, buckets and entries are few, and a reader gives up early; the code is the same.
//! The models of the seqlock alone are exhaustive. A table has many words, so its models preempt a thread at most three
//! times (twice if there are three threads), which is enough to find such errors.
//!
//! The last test disables one barrier at a time, and names the model that fails without it. So each barrier is needed,
//! and the models find what they are for.
#![cfg(loom)]

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain_core::seqlock::StripedSeqLock;
use domain_core::{Barrier, Change, DomainName, HostTypeId, LookupError, Source, StaticRoute, Table, disable_barrier};
use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

/// Two words that each write keeps equal.
#[derive(Default)]
struct Pair {
    seqlock: StripedSeqLock,
    words: [AtomicU64; 2],
}

impl Pair {
    fn read(&self) -> Option<(u64, u64)> {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        self.seqlock.read(0, || Some((load(&self.words[0]), load(&self.words[1]))))
    }

    fn increment(&self) {
        for word in &self.words {
            word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }
}

/// A read returns a whole write, and never an older one than the same thread has read before.
#[test]
fn a_reader_never_sees_half_a_write_nor_one_undone() {
    loom::model(|| {
        let pair = Arc::new(Pair::default());
        let reader = {
            let pair = pair.clone();
            thread::spawn(move || {
                let mut newest = 0;
                for (one, two) in (0..2).filter_map(|_| pair.read()) {
                    assert_eq!(one, two, "half a write");
                    assert!(one >= newest, "a write undone");
                    newest = one;
                }
            })
        };
        for _ in 0..2 {
            pair.seqlock.write(0, || pair.increment());
        }
        reader.join().unwrap();
        assert_eq!(pair.read(), Some((2, 2)));
    });
}

/// A change of everything is one change, even if it consists of several.
#[test]
fn a_reader_sees_a_change_of_everything_as_one() {
    loom::model(|| {
        let pair = Arc::new(Pair::default());
        let reader = {
            let pair = pair.clone();
            thread::spawn(move || pair.read())
        };
        pair.seqlock.write_all(|| {
            pair.seqlock.write(0, || pair.increment());
            pair.seqlock.write(0, || pair.increment());
        });
        assert!([None, Some((0, 0)), Some((2, 2))].contains(&reader.join().unwrap()));
    });
}

/// A table with two allowed host types, and some domains of the first one.
struct Model {
    table: Table,
    host_types: [HostTypeId; 2],
}

const SOURCE: Source = Source(NonZeroU32::MIN);

impl Model {
    fn new() -> Model {
        let table = Table::new(1);
        let host_types = ["type1", "type2"].map(|host_type| table.host_types().intern(host_type.as_bytes()).unwrap());
        Model { table, host_types }
    }

    fn with(domains: &[DomainName]) -> Model {
        let model = Model::new();
        model.open(&[]);
        domains.iter().for_each(|domain| model.put(domain, 0));
        model
    }

    fn open(&self, pairs: &[StaticRoute]) {
        self.table.open(pairs, self.host_types);
    }

    fn put(&self, domain: &DomainName, host_type: usize) {
        let change = Change::Put(domain.clone(), self.host_types[host_type]);
        self.table.apply(self.table.epoch(), SOURCE, &[change]).unwrap();
    }

    fn remove(&self, domain: &DomainName) {
        self.table.delete(domain).unwrap();
    }

    /// The number of the domain's host type, or `None` if it is not found.
    fn lookup(&self, domain: &DomainName) -> Option<usize> {
        let found = self.table.host_type(domain.as_bytes());
        found.ok().map(|found| self.host_types.iter().position(|&host_type| host_type == found).unwrap())
    }
}

/// `count` names of this stripe, all of one length and with the same first byte.
fn names(stripe: usize, count: usize) -> Vec<DomainName> {
    // A table consists of loom's primitives, which work only in a model.
    let found = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let answer = found.clone();
    loom::model(move || {
        let table = Table::new(1);
        let all = (10..99).map(|number| DomainName::new(&format!("a{number}")).unwrap());
        *answer.lock().unwrap() = all.filter(|name| table.stripe(name.as_bytes()) == stripe).take(count).collect();
    });
    let names = std::mem::take(&mut *found.lock().unwrap());
    assert_eq!(names.len(), count);
    names
}

type Task = Box<dyn Fn(&Model) + Send + Sync>;

fn task(task: impl Fn(&Model) + Send + Sync + 'static) -> Task {
    Box::new(task)
}

/// All results that a reader can have beside these writers, each in a thread of its own.
fn explore<Seen: Ord + Send + 'static>(
    model: impl Fn() -> Model + Send + Sync + 'static,
    writers: impl IntoIterator<Item = Task>,
    reader: impl Fn(&Model) -> Seen + Send + Sync + 'static,
) -> BTreeSet<Seen> {
    let all = std::sync::Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let writers: Vec<_> = writers.into_iter().map(std::sync::Arc::new).collect();
    let (seen, reader) = (all.clone(), std::sync::Arc::new(reader));
    let mut builder = Builder::new();
    let more = std::env::var("MONGOOSE_DOMAIN_MORE_PREEMPTIONS").map_or(0, |more| more.parse().expect("a number"));
    builder.preemption_bound = Some(more + if writers.len() == 1 { 3 } else { 2 });
    builder.max_branches = 100_000;
    builder.check(move || {
        let model = Arc::new(model());
        let start = |task: std::sync::Arc<Task>| {
            let model = model.clone();
            thread::spawn(move || task(&model))
        };
        let (first, others) = writers.split_first().unwrap();
        let others: Vec<_> = others.iter().cloned().map(start).collect();
        let reading = {
            let (model, seen, reader) = (model.clone(), seen.clone(), reader.clone());
            thread::spawn(move || {
                let answer = reader(&model);
                seen.lock().unwrap().insert(answer);
            })
        };
        // This thread's first steps always come first, so it is a writer: a reader would always read before all writes.
        first(&model);
        others.into_iter().for_each(|other| other.join().unwrap());
        reading.join().unwrap();
    });
    std::mem::take(&mut *all.lock().unwrap())
}

/// A domain is found or not, and once found it stays.
#[test]
fn an_addition_is_seen_whole_and_for_good() {
    let a = names(0, 1).remove(0);
    let added = a.clone();
    let writer = task(move |model| model.put(&added, 0));
    let seen = explore(|| Model::with(&[]), [writer], move |model| [model.lookup(&a), model.lookup(&a)]);
    assert_eq!(seen, [[None, None], [None, Some(0)], [Some(0), Some(0)]].into());
}

/// A domain whose host type changes has the old one or the new one at any moment.
#[test]
fn a_moved_domain_is_never_unknown() {
    let a = names(0, 1).remove(0);
    let (there, moved) = (a.clone(), a.clone());
    let writer = task(move |model| model.put(&moved, 1));
    let seen = explore(move || Model::with(&[there.clone()]), [writer], move |model| model.lookup(&a));
    assert_eq!(seen, [Some(0), Some(1)].into());
}

/// An entry that is used again, for a name of the same length, is never taken for the old one: a reader looks up a
/// domain that is removed, and one that is added with another host type.
fn reuse_of_an_entry(stripes: [usize; 2], writers: impl Fn(DomainName, DomainName) -> Vec<Task>) {
    let (a, b) = (names(stripes[0], 1).remove(0), names(stripes[1], 2).remove(1));
    let there = a.clone();
    let writers = writers(a.clone(), b.clone());
    let seen =
        explore(move || Model::with(&[there.clone()]), writers, move |model| (model.lookup(&a), model.lookup(&b)));
    let (olds, news): (BTreeSet<_>, BTreeSet<_>) = seen.into_iter().unzip();
    assert_eq!((olds, news), ([None, Some(0)].into(), [None, Some(1)].into()), "another domain's host type");
}

#[test]
fn an_entry_that_one_writer_uses_again_is_never_taken_for_the_old_one() {
    let writer = |a: DomainName, b: DomainName| {
        let writer = task(move |model| {
            model.remove(&a);
            model.put(&b, 1);
        });
        vec![writer]
    };
    reuse_of_an_entry([0, 0], writer);
    reuse_of_an_entry([0, 1], writer);
}

#[test]
fn an_entry_that_another_writer_uses_again_is_never_taken_for_the_old_one() {
    let writers =
        |a: DomainName, b: DomainName| vec![task(move |model| model.remove(&a)), task(move |model| model.put(&b, 1))];
    reuse_of_an_entry([0, 0], writers);
    reuse_of_an_entry([0, 1], writers);
}

/// A route that one writer sets in an entry that another one used again is never taken for the old one.
#[test]
fn a_route_that_is_set_in_a_reused_entry_is_never_taken_for_the_old_one() {
    let (a, b) = (names(0, 1).remove(0), names(1, 1).remove(0));
    let (there, gone, new, moved) = (a.clone(), a.clone(), b.clone(), b);
    let writers = [
        task(move |model| {
            model.remove(&gone);
            model.put(&new, 0);
        }),
        task(move |model| model.put(&moved, 1)),
    ];
    let seen = explore(move || Model::with(&[there.clone()]), writers, move |model| model.lookup(&a));
    assert_eq!(seen, [None, Some(0)].into(), "another domain's host type");
}

/// A full bucket overflows while a reader looks up a domain that is moved by that.
#[test]
fn an_overflow_hides_no_domain() {
    let mut some = names(0, 8);
    let (last, moved) = (some.pop().unwrap(), some[6].clone());
    let writer = task(move |model| model.put(&last, 1));
    let seen = explore(move || Model::with(&some), [writer], move |model| model.lookup(&moved));
    assert_eq!(seen, [Some(0)].into());
}

/// The index grows by a bucket while a reader looks up domains that are moved by that, perhaps beside another writer.
fn growing(beside: Option<Task>) {
    let (even, odd) = (names(0, 4), names(1, 5));
    let there: Vec<_> = even.iter().chain(&odd[..4]).cloned().collect();
    let (first, second, last) = (even[0].clone(), even[3].clone(), odd[4].clone());
    let writers = [task(move |model| model.put(&last, 1))].into_iter().chain(beside);
    let reader = move |model: &Model| [model.lookup(&first), model.lookup(&second)];
    assert_eq!(explore(move || Model::with(&there), writers, reader), [[Some(0), Some(0)]].into());
}

#[test]
fn growth_hides_no_domain() {
    growing(None);
}

#[test]
fn growth_beside_another_writer_hides_no_domain() {
    let gone = names(0, 3).remove(2);
    growing(Some(task(move |model| model.remove(&gone))));
}

/// The removal of one domain hides no other in the same bucket.
#[test]
fn a_removal_hides_no_other_domain() {
    let some = names(0, 2);
    let (stays, gone) = (some[1].clone(), some[0].clone());
    let writer = task(move |model| model.remove(&gone));
    let seen = explore(move || Model::with(&some), [writer], move |model| model.lookup(&stays));
    assert_eq!(seen, [Some(0)].into());
}

/// A static domain is found as soon as the table is open, and as long as it is.
#[test]
fn an_opened_table_has_its_static_domains() {
    let a = names(0, 1).remove(0);
    let pair = a.clone();
    let writer = task(move |model| model.open(&[(pair.clone(), model.host_types[0])]));
    let seen = explore(Model::new, [writer], move |model| {
        let found = model.table.host_type(a.as_bytes()).map(|_| ());
        (found == Err(LookupError::NotFound), model.table.while_open(|| model.lookup(&a)).ok())
    });
    assert_eq!(seen, [(false, None), (false, Some(Some(0)))].into());
}

/// A query beside a writer that closes the table returns what it returns in an open table, or fails.
#[test]
fn no_result_is_about_a_closed_table() {
    let a = names(0, 1).remove(0);
    let there = a.clone();
    let writer = task(|model| model.table.close());
    let seen = explore(
        move || Model::with(&[there.clone()]),
        [writer],
        move |model| {
            let found = model.table.while_open(|| model.lookup(&a));
            let allowed = model.table.while_open(|| model.table.is_host_type_allowed(model.host_types[0]));
            (found.ok(), allowed.ok())
        },
    );
    let expected = [(None, None), (Some(Some(0)), None), (Some(Some(0)), Some(true))];
    assert_eq!(seen, expected.into());
}

/// The routes of one opening, in the memory of routes that another opening removed, are never taken for those.
#[test]
fn routes_of_a_second_opening_are_never_taken_for_those_before_the_first() {
    let (a, b) = (names(0, 1).remove(0), names(1, 1).remove(0));
    let there = a.clone();
    let writers = [task(|model| model.open(&[])), task(move |model| model.open(&[(b.clone(), model.host_types[1])]))];
    let seen = explore(move || Model::with(&[there.clone()]), writers, move |model| model.lookup(&a));
    assert_eq!(seen, [None, Some(0)].into(), "another domain's host type");
}

/// Building routes in the standby map does not disturb a writer of the active one: lookups see its changes as a whole.
#[test]
fn opening_beside_another_writer_mixes_up_no_routes() {
    let (a, b, c) = (names(0, 1).remove(0), names(0, 2).remove(1), names(0, 3).remove(2));
    let (there, gone, new) = (a.clone(), a.clone(), b.clone());
    let writers = [
        task(move |model| {
            model.remove(&gone);
            // The epoch may be stale: then the change is refused.
            let change = Change::Put(new.clone(), model.host_types[1]);
            _ = model.table.apply(model.table.epoch(), SOURCE, &[change]);
        }),
        task(move |model| model.open(&[(c.clone(), model.host_types[1])])),
    ];
    let seen = explore(move || Model::with(&[there.clone()]), writers, move |model| model.lookup(&a));
    assert_eq!(seen, [None, Some(0)].into(), "another domain's host type");
}

/// With any one barrier disabled, the model that is named here fails.
#[test]
fn each_barrier_is_needed() {
    let needed: [(Barrier, fn()); Barrier::ALL.len()] = [
        (Barrier::FirstVersionLoad, a_reader_never_sees_half_a_write_nor_one_undone),
        (Barrier::SecondVersionLoad, a_reader_never_sees_half_a_write_nor_one_undone),
        (Barrier::BeginWrite, a_reader_never_sees_half_a_write_nor_one_undone),
        (Barrier::EndWrite, a_reader_never_sees_half_a_write_nor_one_undone),
        (Barrier::BeginTurn, an_entry_that_another_writer_uses_again_is_never_taken_for_the_old_one),
    ];
    for barrier in Barrier::ALL {
        let (_, model) = needed.iter().find(|(one, _)| *one == barrier).expect("a model for each barrier");
        disable_barrier(Some(barrier));
        let passed = catch_unwind(AssertUnwindSafe(model)).is_ok();
        disable_barrier(None);
        assert!(!passed, "the model passes without {barrier:?}");
    }
}
