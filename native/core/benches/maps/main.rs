//! Lookups in the table and in other maps, by one thread and by two, without the VM: `cargo bench -p domain_core
//! --bench maps`, with divan's options after `--` (`--bench maps hot` runs some).
//!
//! A measurement is a thousand lookups, so a microsecond in the output is a nanosecond for a lookup. The names lie side
//! by side and have just been written, so what the lookups fetch from memory belongs to the map.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use divan::Bencher;
use map::{Dashmap, DomainTable, Locked, Map, Papaya, Scc, filled};
use names::{name, spread};

#[allow(dead_code, reason = "names are only added here")]
#[path = "map.rs"]
mod map;
#[path = "names.rs"]
mod names;

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const THREADS: [usize; 2] = [1, 2];
const LOOKUPS: usize = 1_000;

fn main() {
    divan::main();
}

/// A thousand names without separators.
struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    fn new(numbers: impl Iterator<Item = usize>) -> Names {
        let mut names = Names { bytes: Vec::with_capacity(LOOKUPS * 40), ends: Vec::with_capacity(LOOKUPS) };
        for number in numbers.take(LOOKUPS) {
            names.bytes.extend_from_slice(name(number).as_bytes());
            names.ends.push(names.bytes.len());
        }
        names
    }

    fn look_up(&self, map: &impl Map) {
        let mut begin = 0;
        for &end in &self.ends {
            black_box(map.has(black_box(&self.bytes[begin..end])));
            begin = end;
        }
    }
}

/// Looks up the name of the number that `number` returns for each turn.
fn look_up<M: Map>(bencher: Bencher, size: usize, number: impl Fn(usize) -> usize + Sync) {
    let map: M = filled(size);
    let turns = AtomicUsize::new(0);
    bencher
        .with_inputs(|| {
            let first = turns.fetch_add(LOOKUPS, Ordering::Relaxed);
            Names::new((first..).map(&number))
        })
        .bench_refs(|names| names.look_up(&map));
}

/// One name, again and again.
#[divan::bench(types = [DomainTable, Locked, Dashmap, Papaya, Scc], args = SIZES, threads = THREADS, sample_size = 1, sample_count = 300)]
fn hot<M: Map>(bencher: Bencher, size: usize) {
    look_up::<M>(bencher, size, |_| size / 2);
}

/// Names of domains.
#[divan::bench(types = [DomainTable, Locked, Dashmap, Papaya, Scc], args = SIZES, threads = THREADS, sample_size = 1, sample_count = 300)]
fn random<M: Map>(bencher: Bencher, size: usize) {
    look_up::<M>(bencher, size, |turn| spread(turn, size));
}

/// Other names.
#[divan::bench(types = [DomainTable, Locked, Dashmap, Papaya, Scc], args = SIZES, threads = THREADS, sample_size = 1, sample_count = 300)]
fn missing<M: Map>(bencher: Bencher, size: usize) {
    look_up::<M>(bencher, size, |turn| size + spread(turn, size));
}
