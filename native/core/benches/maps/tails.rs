//! The slowest thousandth of the lookups beside a writer, and the memory of a name, in the table and in other maps:
//! `cargo bench -p domain_core --bench tails` prints them, and the slowest lookups while a million static domains are
//! opened.
//!
//! Each map is measured in a process of its own, so that no map uses the memory of another one.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain_core::{DomainName, Table};
use map::{Dashmap, DomainTable, Locked, Map, Papaya, Scc, filled};
use names::{name, spread};

#[path = "map.rs"]
mod map;
#[path = "names.rs"]
mod names;

const SIZE: usize = 1_000_000;
const TIME: Duration = Duration::from_secs(3);

fn main() {
    match std::env::args().skip(1).find(|argument| argument != "--bench").as_deref() {
        Some("table") => measure::<DomainTable>(),
        Some("locked") => measure::<Locked>(),
        Some("dashmap") => measure::<Dashmap>(),
        Some("papaya") => measure::<Papaya>(),
        Some("scc") => measure::<Scc>(),
        Some("opening") => measure_opening(),
        _ => {
            println!(
                "| {SIZE} names | bytes a name | p50 | p99 | p99.9 | longest, beside a writer (ns) | changes a second |"
            );
            println!("|---|---:|---:|---:|---:|---:|---:|");
            ["table", "locked", "dashmap", "papaya", "scc", "opening"].iter().for_each(|map| run(map));
        }
    }
}

fn run(map: &str) {
    let this = std::env::current_exe().expect("this program");
    let status = Command::new(this).arg(map).status().expect("a process");
    assert!(status.success(), "{map}: {status}");
}

/// The resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a system with /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    let kilobytes = line.split_whitespace().next().and_then(|number| number.parse::<usize>().ok());
    kilobytes.expect("a number of kilobytes") * 1024
}

fn measure<M: Map>() {
    let before = resident();
    let map: M = filled(SIZE);
    let bytes = (resident() - before) as f64 / SIZE as f64;
    let done = AtomicBool::new(false);
    let (times, changes) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut changes = 0;
            while !done.load(Ordering::Relaxed) {
                let name = name(SIZE + spread(changes / 2, SIZE / 10));
                if changes % 2 == 0 {
                    map.put(name.as_bytes(), 1)
                } else {
                    map.remove(name.as_bytes())
                }
                changes += 1;
            }
            changes
        });
        let times = times(&done, |turn| name(spread(turn, SIZE)), |name| assert!(map.has(name)));
        (times, writer.join().expect("the writer ends"))
    });
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let map = std::any::type_name::<M>().rsplit("::").next().unwrap_or_default();
    println!(
        "| {map} | {bytes:.0} | {} | {} | {} | {} | {:.0} |",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        f64::from(changes as u32) / TIME.as_secs_f64()
    );
}

/// Looks up names for [`TIME`]. Returns how long each lookup takes in nanoseconds, sorted.
fn times(done: &AtomicBool, name: impl Fn(usize) -> String, look_up: impl Fn(&[u8])) -> Vec<u64> {
    let begin = Instant::now();
    let mut times = Vec::with_capacity(10_000_000);
    for turn in 0.. {
        let name = name(turn);
        let before = Instant::now();
        look_up(name.as_bytes());
        times.push(before.elapsed().as_nanos() as u64);
        if turn % 1024 == 0 && begin.elapsed() > TIME {
            break;
        }
    }
    done.store(true, Ordering::Relaxed);
    times.sort_unstable();
    times
}

/// Opens the table again and again during the lookups, and for comparison another table. That does the same work and
/// does not change the table of the lookups, so it shows how long lookups take because of the machine alone.
fn measure_opening() {
    let (table, other) = (Table::new(2), Table::new(2));
    let pairs = |table: &Table| -> Vec<_> {
        let host_type = table.host_types().intern(b"type1").expect("a name");
        (0..SIZE).map(|number| (DomainName::new(&name(number)).expect("a name"), host_type)).collect()
    };
    let (pairs, other_pairs) = (pairs(&table), pairs(&other));
    table.open(&pairs, [pairs[0].1]);
    for (what, opened, pairs) in [
        ("it", &table, &pairs),
        ("another table", &other, &other_pairs),
        ("it", &table, &pairs),
        ("another table", &other, &other_pairs),
    ] {
        let done = AtomicBool::new(false);
        let (times, openings) = std::thread::scope(|scope| {
            let opener = scope.spawn(|| {
                let mut openings = 0;
                while !done.load(Ordering::Relaxed) {
                    opened.open(pairs, [pairs[0].1]);
                    openings += 1;
                }
                openings
            });
            let has = |name: &[u8]| assert!(table.host_type(name).is_ok());
            (times(&done, |turn| name(spread(turn, SIZE)), has), opener.join().expect("the opener ends"))
        });
        let over = |limit: u64| times.iter().rev().take_while(|&&time| time >= limit).count();
        println!(
            "{} lookups while a million static domains of {what} are opened {openings} times: {} took 0.1 ms and more, {} took \
             1 ms and more, the longest {} ns.",
            times.len(),
            over(100_000),
            over(1_000_000),
            times.last().copied().unwrap_or_default(),
        );
    }
}
