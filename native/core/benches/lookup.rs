//! Lookups in a table, without the VM: `cargo bench -p domain_core --bench lookup -- KEYS DOMAINS CALLS`. KEYS is
//! `hits`, `misses`, or `hot`: one name again and again, a different one in each round, because one of twenty or so is
//! slower and chance decides which. Prints the nanoseconds of one lookup, as the median of the rounds.
//!
//! Each name is read before the lookups begin, so that what these fetch from memory belongs to the table.
//!
//! `scripts/test-instructions` runs this under callgrind, which counts the instructions of `look_up` alone.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;

use domain_core::{Change, DomainName, HostTypeId, Source, Table};
use names::{name, spread};

#[path = "maps/names.rs"]
mod names;

const ROUNDS: usize = 15;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let keys = arguments.next().unwrap_or("hits".into());
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (domains, calls) = (number(1_000_000), number(1_000));

    let table = Table::new(2);
    let host_type = table.host_types().intern(b"type1").expect("a host type");
    fill(&table, domains, host_type);

    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let names: Vec<String> =
                (0..calls).map(|call| choose(&keys, domains, round, round * calls + call)).collect();
            black_box(
                names.iter().map(|name| name.as_bytes().iter().map(|&byte| u64::from(byte)).sum::<u64>()).sum::<u64>(),
            );
            let begin = Instant::now();
            look_up(&table, &names);
            begin.elapsed().as_nanos() as f64 / calls as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{domains} domains, {keys}: {:.1} ns (shortest {:.1})", times[ROUNDS / 2], times[0]);
}

#[inline(never)]
fn look_up(table: &Table, names: &[String]) {
    for name in names {
        black_box(table.host_type(black_box(name.as_bytes())).is_ok());
    }
}

fn fill(table: &Table, domains: usize, host_type: HostTypeId) {
    table.open(&[], [host_type]);
    let source = Source(NonZeroU32::MIN);
    let epoch = table.epoch();
    let begin = Instant::now();
    for from in (0..domains).step_by(1_000) {
        let changes: Vec<Change> = (from..domains.min(from + 1_000))
            .map(|number| Change::Put(DomainName::from_bytes(name(number).as_bytes()).expect("a name"), host_type))
            .collect();
        table.apply(epoch, source, &changes).expect("nobody opens the table meanwhile");
    }
    println!("filled in {} ms", begin.elapsed().as_millis());
    assert!((0..domains).all(|number| table.host_type(name(number).as_bytes()).is_ok()));
}

fn choose(keys: &str, domains: usize, round: usize, turn: usize) -> String {
    let number = spread(turn, domains);
    match keys {
        "hot" => name((domains / 2 + round) % domains),
        "misses" => name(domains + number),
        _ => name(number),
    }
}
