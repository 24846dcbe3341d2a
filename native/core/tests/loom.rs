//! Lookups beside writers, under the interleavings of their steps and the orders in which memory may show: one model
//! per claim.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p domain_core --release --test loom`.
//!
//! In a model there are two stripes, buckets and entries are few, and a reader gives up early; the code is the same.
//! The models of the versions alone are exhaustive. A table has many words, so models of it switch from one
//! thread to another at most three times (twice where there are three threads) at points where neither waits, which is
//! where such errors are found.
//!
//! The last test does without one fence or order at a time, and names the model that fails then: so none of them is
//! there for nothing, and the models see what they are for.
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

/// Two words that every write keeps equal.
#[derive(Default)]
struct Pair {
    versions: StripedSeqLock,
    words: [AtomicU64; 2],
}

impl Pair {
    fn read(&self) -> Option<(u64, u64)> {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        self.versions.read(0, || Some((load(&self.words[0]), load(&self.words[1]))))
    }

    fn increment(&self) {
        for word in &self.words {
            word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }
}

/// What is read is whole, and never older than what the same thread has read.
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
            pair.versions.write(0, || pair.increment());
        }
        reader.join().unwrap();
        assert_eq!(pair.read(), Some((2, 2)));
    });
}

/// A change of everything is one change, whatever smaller ones it is made of.
#[test]
fn a_reader_sees_a_change_of_everything_as_one() {
    loom::model(|| {
        let pair = Arc::new(Pair::default());
        let reader = {
            let pair = pair.clone();
            thread::spawn(move || pair.read())
        };
        pair.versions.write_all(|| {
            pair.versions.write(0, || pair.increment());
            pair.versions.write(0, || pair.increment());
        });
        assert!([None, Some((0, 0)), Some((2, 2))].contains(&reader.join().unwrap()));
    });
}

/// A table with two host types that domains may have, and some domains of the first one.
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

    /// The number of the host type, or none.
    fn look(&self, domain: &DomainName) -> Option<usize> {
        let found = self.table.host_type(domain.as_bytes());
        found.ok().map(|found| self.host_types.iter().position(|&host_type| host_type == found).unwrap())
    }
}

/// As many names as are asked for whose version is this one; all of one length and with the same first byte.
fn names(stripe: usize, count: usize) -> Vec<DomainName> {
    // A table is made of loom's primitives, so it takes a model to ask one.
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

/// All that a reader can see beside these writers, each a thread of its own.
fn explore<Seen: Ord + Send + 'static>(
    model: impl Fn() -> Model + Send + Sync + 'static,
    writers: impl IntoIterator<Item = Task>,
    reader: impl Fn(&Model) -> Seen + Send + Sync + 'static,
) -> BTreeSet<Seen> {
    let all = std::sync::Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let writers: Vec<_> = writers.into_iter().map(std::sync::Arc::new).collect();
    let (seen, reader) = (all.clone(), std::sync::Arc::new(reader));
    let mut builder = Builder::new();
    builder.preemption_bound = Some(if writers.len() == 1 { 3 } else { 2 });
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
        // loom explores what comes before a thread's first step only if that thread isn't the first one: a reader here
        // would always read first.
        first(&model);
        others.into_iter().for_each(|other| other.join().unwrap());
        reading.join().unwrap();
    });
    std::mem::take(&mut *all.lock().unwrap())
}

/// A domain is there or not, and once it was seen it stays.
#[test]
fn an_addition_is_seen_whole_and_for_good() {
    let a = names(0, 1).remove(0);
    let added = a.clone();
    let writer = task(move |model| model.put(&added, 0));
    let seen = explore(|| Model::with(&[]), [writer], move |model| [model.look(&a), model.look(&a)]);
    assert_eq!(seen, [[None, None], [None, Some(0)], [Some(0), Some(0)]].into());
}

/// The route of a domain that changes leads to the old host type or the new one, never nowhere.
#[test]
fn a_moved_domain_is_never_unknown() {
    let a = names(0, 1).remove(0);
    let (there, moved) = (a.clone(), a.clone());
    let writer = task(move |model| model.put(&moved, 1));
    let seen = explore(move || Model::with(&[there.clone()]), [writer], move |model| model.look(&a));
    assert_eq!(seen, [Some(0), Some(1)].into());
}

/// A place that is used again, by a name of the same length, is never taken for what was there before: what a reader sees
/// of a domain that goes, and of one that comes with another host type.
fn a_place_is_used_again(stripes: [usize; 2], writers: impl Fn(DomainName, DomainName) -> Vec<Task>) {
    let (a, b) = (names(stripes[0], 1).remove(0), names(stripes[1], 2).remove(1));
    let there = a.clone();
    let writers = writers(a.clone(), b.clone());
    let seen = explore(move || Model::with(&[there.clone()]), writers, move |model| (model.look(&a), model.look(&b)));
    let (olds, news): (BTreeSet<_>, BTreeSet<_>) = seen.into_iter().unzip();
    assert_eq!((olds, news), ([None, Some(0)].into(), [None, Some(1)].into()), "another domain's host type");
}

#[test]
fn a_place_that_one_writer_uses_again_misleads_nobody() {
    let writer = |a: DomainName, b: DomainName| {
        let writer = task(move |model| {
            model.remove(&a);
            model.put(&b, 1);
        });
        vec![writer]
    };
    a_place_is_used_again([0, 0], writer);
    a_place_is_used_again([0, 1], writer);
}

#[test]
fn a_place_that_another_writer_uses_again_misleads_nobody() {
    let writers =
        |a: DomainName, b: DomainName| vec![task(move |model| model.remove(&a)), task(move |model| model.put(&b, 1))];
    a_place_is_used_again([0, 0], writers);
    a_place_is_used_again([0, 1], writers);
}

/// A route that one writer sets, at a place that another one used again, is not taken for what was there before.
#[test]
fn a_route_that_is_set_at_a_place_that_was_used_again_misleads_nobody() {
    let (a, b) = (names(0, 1).remove(0), names(1, 1).remove(0));
    let (there, gone, new, moved) = (a.clone(), a.clone(), b.clone(), b);
    let writers = [
        task(move |model| {
            model.remove(&gone);
            model.put(&new, 0);
        }),
        task(move |model| model.put(&moved, 1)),
    ];
    let seen = explore(move || Model::with(&[there.clone()]), writers, move |model| model.look(&a));
    assert_eq!(seen, [None, Some(0)].into(), "another domain's host type");
}

/// A bucket that is full goes on in another line, under a reader whose domain it moves.
#[test]
fn going_on_hides_nobody() {
    let mut some = names(0, 8);
    let (last, moved) = (some.pop().unwrap(), some[6].clone());
    let writer = task(move |model| model.put(&last, 1));
    let seen = explore(move || Model::with(&some), [writer], move |model| model.look(&moved));
    assert_eq!(seen, [Some(0)].into());
}

/// The index grows by a bucket, under a reader whose domains it moves and beside what another writer does.
fn growing(beside: Option<Task>) {
    let (even, odd) = (names(0, 4), names(1, 5));
    let there: Vec<_> = even.iter().chain(&odd[..4]).cloned().collect();
    let (first, second, last) = (even[0].clone(), even[3].clone(), odd[4].clone());
    let writers = [task(move |model| model.put(&last, 1))].into_iter().chain(beside);
    let reader = move |model: &Model| [model.look(&first), model.look(&second)];
    assert_eq!(explore(move || Model::with(&there), writers, reader), [[Some(0), Some(0)]].into());
}

#[test]
fn growing_hides_nobody() {
    growing(None);
}

#[test]
fn growing_beside_another_writer_hides_nobody() {
    let gone = names(0, 3).remove(2);
    growing(Some(task(move |model| model.remove(&gone))));
}

/// Removing one domain hides no other in the same bucket.
#[test]
fn removing_hides_nobody_else() {
    let some = names(0, 2);
    let (stays, gone) = (some[1].clone(), some[0].clone());
    let writer = task(move |model| model.remove(&gone));
    let seen = explore(move || Model::with(&some), [writer], move |model| model.look(&stays));
    assert_eq!(seen, [Some(0)].into());
}

/// A static domain is there from when the table is open, and while it was seen to be open.
#[test]
fn an_opened_table_has_its_static_domains() {
    let a = names(0, 1).remove(0);
    let pair = a.clone();
    let writer = task(move |model| model.open(&[(pair.clone(), model.host_types[0])]));
    let seen = explore(Model::new, [writer], move |model| {
        let found = model.table.host_type(a.as_bytes()).map(|_| ());
        (found == Err(LookupError::NotFound), model.table.while_open(|| model.look(&a)).ok())
    });
    assert_eq!(seen, [(false, None), (false, Some(Some(0)))].into());
}

/// A question to a table that is closed beside it is answered as by an open one, or not at all.
#[test]
fn no_answer_is_about_a_closed_table() {
    let a = names(0, 1).remove(0);
    let there = a.clone();
    let writer = task(|model| model.table.close());
    let seen = explore(
        move || Model::with(&[there.clone()]),
        [writer],
        move |model| {
            let found = model.table.while_open(|| model.look(&a));
            let allowed = model.table.while_open(|| model.table.is_host_type_allowed(model.host_types[0]));
            (found.ok(), allowed.ok())
        },
    );
    let expected = [(None, None), (Some(Some(0)), None), (Some(Some(0)), Some(true))];
    assert_eq!(seen, expected.into());
}

/// What one writer opened, where routes lay before that another one took away, is not taken for those.
#[test]
fn opening_twice_misleads_nobody() {
    let (a, b) = (names(0, 1).remove(0), names(1, 1).remove(0));
    let there = a.clone();
    let writers = [task(|model| model.open(&[])), task(move |model| model.open(&[(b.clone(), model.host_types[1])]))];
    let seen = explore(move || Model::with(&[there.clone()]), writers, move |model| model.look(&a));
    assert_eq!(seen, [None, Some(0)].into(), "another domain's host type");
}

/// What is built aside disturbs no writer of what lookups read: they see its change whole.
#[test]
fn opening_beside_another_writer_misleads_nobody() {
    let (a, b, c) = (names(0, 1).remove(0), names(0, 2).remove(1), names(0, 3).remove(2));
    let (there, gone, new) = (a.clone(), a.clone(), b.clone());
    let writers = [
        task(move |model| {
            model.remove(&gone);
            // Its epoch may be over: then it is not wanted any more.
            let change = Change::Put(new.clone(), model.host_types[1]);
            _ = model.table.apply(model.table.epoch(), SOURCE, &[change]);
        }),
        task(move |model| model.open(&[(c.clone(), model.host_types[1])])),
    ];
    let seen = explore(move || Model::with(&[there.clone()]), writers, move |model| model.look(&a));
    assert_eq!(seen, [None, Some(0)].into(), "another domain's host type");
}

/// Without any one of the fences and orders, one of the models fails: the one that is named here.
#[test]
fn each_fence_and_each_order_is_needed() {
    let needed: [(Barrier, fn()); Barrier::ALL.len()] = [
        (Barrier::VersionIsRead, a_reader_never_sees_half_a_write_nor_one_undone),
        (Barrier::VersionIsReadAgain, a_reader_never_sees_half_a_write_nor_one_undone),
        (Barrier::WriteBegins, a_reader_never_sees_half_a_write_nor_one_undone),
        (Barrier::WriteEnds, a_reader_never_sees_half_a_write_nor_one_undone),
        (Barrier::WriterFollows, a_place_that_another_writer_uses_again_misleads_nobody),
    ];
    for site in Barrier::ALL {
        let (_, model) = needed.iter().find(|(one, _)| *one == site).expect("a model for each place");
        disable_barrier(Some(site));
        let passed = catch_unwind(AssertUnwindSafe(model)).is_ok();
        disable_barrier(None);
        assert!(!passed, "the model passes without {site:?}");
    }
}
