//! A day of faults in a few milliseconds, a thousand times.
//!
//! One or two followers, without their threads, follow a database in memory while a seed chooses the faults: see
//! [`faults`]. Meanwhile their nodes change domains themselves: see [`own_changes`]. Time is simulated and nothing waits, so a seed that fails does so again:
//!
//! | variable | seeds |
//! |---|---|
//! | `MONGOOSE_DOMAIN_SIMULATION_SEED=123` | this one |
//! | `MONGOOSE_DOMAIN_SIMULATION_SEEDS=100000` | so many |
//! | `MONGOOSE_DOMAIN_SIMULATION_SEEDS=5000..6000` | these |
//!
//! All of them are run, and those that fail are named at the end. What a seed leads to depends on each question that the
//! follower asks, so a change of the follower makes other days of the same seeds. What a seed has shown is in
//! [`scenarios`], by itself.
//!
//! After a change of the follower, the gate or this simulation, run `make test-long`: 150,000 seeds, which take 15 minutes
//! of one core.
//!
//! After each pass the [`oracle`] judges it. After each day the faults end. Then
//!
//! 1. within a poll interval every change with an event shows;
//! 2. within a converge interval the table is what the database says, and beside that only what the gate keeps;
//! 3. once all host types are fresh, it is what the database says.

mod connection;
mod database;
mod faults;
mod hidden;
mod node;
mod oracle;
mod own_changes;
mod pass_record;
mod routes;
mod scenarios;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_store::PersistentId;
use parking_lot::Mutex;

use connection::Breaks;
use database::{Database, Kind};
use faults::{ALLOWED, Conditions};
use node::{Machine, Node, OPTIONS, World};
use pass_record::Ending;
use routes::{all_wanted, routes};

use crate::gate::{Force, Gate, GateMode};
use crate::options::Options;

/// Seeds a run of the tests.
const SEEDS: u64 = 1_000;

/// Steps of a day.
const STEPS: u32 = 300;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The steps of a run, which are printed if it fails.
type Trace = Mutex<Vec<String>>;

#[test]
fn whatever_happens_the_table_does_what_it_promises() {
    let set = |name| std::env::var(name).ok();
    let seeds = match (set("MONGOOSE_DOMAIN_SIMULATION_SEED"), set("MONGOOSE_DOMAIN_SIMULATION_SEEDS")) {
        (Some(seed), _) => number(&seed)..number(&seed) + 1,
        (None, Some(seeds)) => match seeds.split_once("..") {
            Some((from, to)) => number(from)..number(to),
            None => 0..number(&seeds),
        },
        (None, None) => 0..SEEDS,
    };
    let mut failed = Vec::new();
    for seed in seeds {
        let trace = Trace::default();
        if catch_unwind(AssertUnwindSafe(|| run(seed, &trace))).is_err() {
            let trace = trace.lock();
            let last = &trace[trace.len().saturating_sub(50)..];
            let begin = trace.first().map_or("", String::as_str);
            eprintln!("MONGOOSE_DOMAIN_SIMULATION_SEED={seed} ({begin}) fails after these steps:\n{}", last.join("\n"));
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "these seeds fail: {failed:?}");
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number of seeds, FROM..TO, or a seed")
}

fn any<T: Copy>(all: &[T]) -> T {
    all[fastrand::usize(0..all.len())]
}

fn run(seed: u64, trace: &Trace) {
    fastrand::seed(seed);
    let conditions = any(&[Conditions::Orderly, Conditions::Faulty, Conditions::Faulty]);
    let kind = any(&[Kind::KnowsWriters, Kind::KnowsWriters, Kind::HidesWriters, Kind::Cluster, Kind::Serial]);
    let identity = any(&[Some("first"), Some("first"), Some("first"), None]);
    let mode = any(&[GateMode::Off, GateMode::OnLoss, GateMode::OnLoss, GateMode::Always]);
    let options = Options { gate: Gate { mode, ..OPTIONS.gate }, ..OPTIONS };
    trace.lock().push(format!("{conditions:?} {kind:?} {identity:?} {mode:?}"));
    let mut database = Database::new(kind, identity.map(|name| PersistentId(name.to_owned())));
    if conditions == Conditions::Orderly {
        // A log that was empty calls for a comparison when it begins.
        faults::apply(&mut database, faults::Incident::Dummy);
    }
    let world = World { database: Arc::new(Mutex::new(database)), conditions, now: Instant::now() };
    let mut machines: Vec<Machine> = (0..fastrand::usize(1..=2)).map(|_| Machine::new()).collect();
    let nodes = machines.iter_mut().map(|machine| Node::new(machine, &options, world.now)).collect();
    let mut simulation = Simulation { world, nodes, trace };
    for _ in 0..STEPS {
        simulation.step();
    }
    simulation.end();
}

struct Simulation<'a> {
    world: World,
    nodes: Vec<Node<'a>>,
    trace: &'a Trace,
}

impl Simulation<'_> {
    fn note(&self, text: impl FnOnce() -> String) {
        self.trace.lock().push(text());
    }

    fn pass_time(&mut self, time: Duration) {
        self.world.now += time;
        self.world.database.lock().pass_time(time.as_millis() as i64);
    }

    fn step(&mut self) {
        match fastrand::u32(0..10) {
            0..6 => {
                let event = faults::next(self.world.conditions);
                self.note(|| format!("{event:?}"));
                let mut database = self.world.database.lock();
                faults::apply(&mut database, event);
                database.crowded |= event == faults::Incident::ManyGaps;
                for node in &self.nodes {
                    node.workers.lock().step(&mut database);
                }
                drop(database);
                self.notify();
            }
            6 => self.node_fails(),
            _ => {
                // A day has as many seconds as all its steps together.
                let mean = DAY.as_secs() * 1_000 / u64::from(STEPS) * 10 / 3;
                let most = any(&[1_000, 30_000, mean, mean * 4 - 32_000]);
                let time = Duration::from_millis(fastrand::u64(0..most));
                self.note(|| format!("{time:?} later"));
                self.pass_time(time);
                for n in 0..self.nodes.len() {
                    if self.nodes[n].idle_time(self.world.now).is_zero() || fastrand::bool() {
                        self.pass(n, Breaks::Never);
                    }
                }
            }
        }
    }

    /// The database notifies the nodes, some of which do not get it.
    fn notify(&mut self) {
        for n in 0..self.nodes.len() {
            if fastrand::u32(0..3) == 0 {
                let breaks = if fastrand::u32(0..8) == 0 { Breaks::After(fastrand::u32(0..8)) } else { Breaks::Never };
                self.nodes[n].set_breaks(breaks);
                self.pass(n, breaks);
                self.nodes[n].set_breaks(Breaks::Never);
            }
        }
    }

    fn node_fails(&mut self) {
        let n = fastrand::usize(0..self.nodes.len());
        let now = self.world.now;
        let node = &mut self.nodes[n];
        let what = match fastrand::u32(0..16) {
            0 => {
                node.crashes(now);
                "crashes"
            }
            1 => {
                node.reopens();
                "begins with an empty table"
            }
            2 | 3 => {
                node.table.reset_progress();
                "is restarted"
            }
            4 => {
                node.request_comparison(Force::Yes);
                "is forced to compare"
            }
            5..8 => {
                node.request_comparison(Force::No);
                "is requested to compare"
            }
            _ => {
                node.thread_dies(now);
                "loses its thread"
            }
        };
        self.note(|| format!("node {n} {what}"));
        let breaks = if fastrand::bool() { Breaks::After(fastrand::u32(0..8)) } else { Breaks::Never };
        self.nodes[n].set_breaks(breaks);
        self.pass(n, breaks);
        self.nodes[n].set_breaks(Breaks::Never);
    }

    fn pass(&mut self, n: usize, breaks: Breaks) {
        self.note(|| format!("node {n} begins a pass"));
        let ending = self.nodes[n].pass(&self.world, breaks);
        let Simulation { nodes, .. } = self;
        let cursor =
            nodes[n].parts().context.state.cursor.as_ref().map(|cursor| (cursor.at.0, cursor.gaps.open_count()));
        let (kept, lost) = (nodes[n].kept(), nodes[n].oracle.is_lost());
        self.note(|| {
            format!(
                "node {n} ending {ending:?} ({breaks:?}): at {cursor:?}, kept {kept}, lost {lost}{}",
                self.nodes[n].reported
            )
        });
    }

    /// The faults end, and the table becomes right in three steps.
    fn end(&mut self) {
        self.note(|| "the faults end".to_owned());
        {
            let mut database = self.world.database.lock();
            faults::end(&mut database);
            database.quiet = true;
        }
        for n in 0..self.nodes.len() {
            self.nodes[n].set_breaks(Breaks::Never);
        }
        // The oracle checks that every change with an event shows.
        self.everyone_passes(OPTIONS.poll_interval);
        self.everyone_passes(OPTIONS.converge_interval);
        for node in &self.nodes {
            let (present, database) = (routes(node.table), self.world.database.lock());
            let wanted = all_wanted(&database, node.table.host_types());
            for (domain, host_type) in &wanted {
                assert_eq!(present.get(domain), Some(host_type), "{domain} after a comparison");
            }
            let extra: Vec<_> = present.iter().filter(|(domain, _)| !wanted.contains_key(*domain)).collect();
            assert_eq!(extra.len() as u64, node.kept(), "what stays is kept, and counted: {extra:?}");
        }
        let end = i64::MAX;
        self.world.database.lock().content.fresh.extend(ALLOWED.map(|host_type| (host_type, end)));
        self.everyone_passes(OPTIONS.poll_interval);
        for node in &self.nodes {
            let wanted = all_wanted(&self.world.database.lock(), node.table.host_types());
            assert_eq!(routes(node.table), wanted, "when all host types are fresh");
            assert_eq!(node.kept(), 0);
        }
    }

    fn everyone_passes(&mut self, time: Duration) {
        self.pass_time(time);
        for n in 0..self.nodes.len() {
            self.note(|| format!("node {n} begins a pass"));
            // A connection that broke before fails now.
            if self.nodes[n].pass(&self.world, Breaks::Never) == Ending::Away {
                assert_eq!(self.nodes[n].pass(&self.world, Breaks::Never), Ending::Succeeded);
            }
        }
    }
}
