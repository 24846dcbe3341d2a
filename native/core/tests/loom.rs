//! A lookup beside a writer under every interleaving, and every order in which memory may show: one model per
//! claim.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p domain_core --release --test loom`.
//!
//! In a model all names have one version, buckets are few, and a reader gives up early; the code is the same.
//! The models of the versions alone are exhaustive. A table has many words, so models of it switch from one
//! thread to another at most three times at points where neither waits, which is where such errors are found.
#![cfg(loom)]

use std::num::NonZeroU32;

use domain_core::versions::Versions;
use domain_core::{Change, DomainName, HostTypeId, Miss, Source, Table};
use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

/// Two words that every write keeps equal.
#[derive(Default)]
struct Pair {
    versions: Versions,
    words: [AtomicU64; 2],
}

impl Pair {
    fn read(&self) -> Option<(u64, u64)> {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        self.versions.read(0, || (load(&self.words[0]), load(&self.words[1])))
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

/// A table with one allowed host type, and some domains of it.
struct Model {
    table: Table,
    host_types: [HostTypeId; 2],
}

fn name(name: &str) -> DomainName {
    DomainName::new(name).unwrap()
}

const SOURCE: Source = Source(NonZeroU32::MIN);

impl Model {
    fn with(domains: &[&str]) -> Arc<Model> {
        let table = Table::new(1);
        let host_types = ["type1", "type2"].map(|host_type| table.host_types().intern(host_type.as_bytes()).unwrap());
        table.open(&[], host_types);
        let model = Arc::new(Model { table, host_types });
        domains.iter().for_each(|domain| model.put(domain, 0));
        model
    }

    fn put(&self, domain: &str, host_type: usize) {
        let change = Change::Put(name(domain), self.host_types[host_type]);
        self.table.apply(self.table.epoch(), SOURCE, &[change]).unwrap();
    }

    fn remove(&self, domain: &str) {
        self.table.delete(&name(domain)).unwrap();
    }

    /// The number of the host type, or none.
    fn look(&self, domain: &str) -> Option<usize> {
        let found = self.table.host_type(domain.as_bytes());
        found.ok().map(|found| self.host_types.iter().position(|&host_type| host_type == found).unwrap())
    }
}

/// Explores what two threads do at the same time, in a table that holds these domains.
fn explore(domains: &'static [&'static str], reader: fn(&Model), writer: fn(&Model)) {
    explore_from(move || Model::with(domains), reader, writer);
}

fn explore_from(model: impl Fn() -> Arc<Model> + Sync + Send + 'static, reader: fn(&Model), writer: fn(&Model)) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 100_000;
    builder.check(move || {
        let model = model();
        let reading = {
            let model = model.clone();
            thread::spawn(move || reader(&model))
        };
        writer(&model);
        reading.join().unwrap();
    });
}

/// A domain is there or not, and once it was seen it stays.
#[test]
fn an_addition_is_seen_whole_and_for_good() {
    let reader = |model: &Model| {
        let first = model.look("a.example.com");
        let second = model.look("a.example.com");
        assert!([None, Some(0)].contains(&first) && second >= first, "{first:?}, then {second:?}");
    };
    explore(&[], reader, |model| model.put("a.example.com", 0));
}

/// The route of a domain that changes leads to the old host type or the new one, never nowhere.
#[test]
fn a_moved_domain_is_never_unknown() {
    let reader = |model: &Model| assert!(model.look("a.example.com").is_some());
    explore(&["a.example.com"], reader, |model| model.put("a.example.com", 1));
}

/// A place that is used again, by a name of the same length, is never taken for what was there before.
#[test]
fn a_place_that_is_used_again_misleads_nobody() {
    let reader = |model: &Model| {
        assert!([None, Some(0)].contains(&model.look("a.example.com")), "the other domain's host type");
        assert!([None, Some(1)].contains(&model.look("b.example.com")), "the other domain's host type");
    };
    explore(&["a.example.com"], reader, |model| {
        model.remove("a.example.com");
        model.put("b.example.com", 1);
    });
}

const EIGHT: [&str; 8] =
    ["a.example", "b.example", "c.example", "d.example", "e.example", "f.example", "g.example", "h.example"];

/// A bucket that is full goes on in another line, under a reader whose domain it moves.
#[test]
fn going_on_hides_nobody() {
    let reader = |model: &Model| assert_eq!(model.look("g.example"), Some(0));
    explore(&EIGHT[..7], reader, |model| model.put("h.example", 1));
}

/// The index grows by a bucket, under a reader whose domain it moves.
#[test]
fn growing_hides_nobody() {
    let reader = |model: &Model| {
        assert_eq!(model.look("a.example"), Some(0));
        assert_eq!(model.look("h.example"), Some(0));
    };
    explore(&EIGHT, reader, |model| model.put("i.example", 1));
}

/// Removing one domain hides no other in the same bucket.
#[test]
fn removing_hides_nobody_else() {
    let reader = |model: &Model| assert_eq!(model.look("a.example.com"), Some(0));
    explore(&["b.example.com", "a.example.com"], reader, |model| model.remove("b.example.com"));
}

/// A static domain is there from when the table is open.
#[test]
fn an_opened_table_has_its_static_domains() {
    let reader = |model: &Model| {
        let found = model.table.host_type(b"static.example.com");
        assert!(matches!(found, Ok(_) | Err(Miss::Closed)), "{found:?}");
    };
    let closed = || {
        let model = Model::with(&[]);
        model.table.close();
        model
    };
    explore_from(closed, reader, |model| {
        model.table.open(&[(name("static.example.com"), model.host_types[0])], []);
    });
}
