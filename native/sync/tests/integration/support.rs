//! What the tests of a follower need: a table, an SQLite file that the test writes to, and an owner that answers requests
//! for permits as the test chooses and keeps all messages.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use domain_core::{DomainName, EventId, Table};
use domain_store::{Database, FollowedDatabase, Timeouts};
use domain_sync::{
    Ended, Follower, FollowerLock, Force, Gate, GateMode, Options, Owner, Permit, PruneOptions, Repairs, Report,
    Ticket, WarmStart,
};
use rusqlite::Connection;
use tempfile::TempDir;

/// Far longer than any test takes: a test that waits for it has failed.
const LONG: Duration = Duration::from_secs(60);

/// What a follower sends to its owner.
#[derive(Debug, PartialEq)]
pub enum Message {
    PermitRequest,
    Reports(Vec<Report>),
    Response(Ticket, Result<domain_sync::Response, String>),
    Ended(Ended),
}

/// How an owner answers a request for a permit.
#[derive(Clone, Copy)]
pub enum OwnerReply {
    Always(Permit),
    Panic,
}

struct TestOwner {
    reply: OwnerReply,
    messages: Sender<Message>,
}

impl Owner for TestOwner {
    fn request_permit(&mut self) -> Permit {
        let _ = self.messages.send(Message::PermitRequest);
        match self.reply {
            OwnerReply::Always(permit) => permit,
            OwnerReply::Panic => panic!("on purpose"),
        }
    }

    fn report(&mut self, reports: Vec<Report>) {
        let _ = self.messages.send(Message::Reports(reports));
    }

    fn respond(&mut self, ticket: Ticket, result: Result<domain_sync::Response, String>) {
        let _ = self.messages.send(Message::Response(ticket, result));
    }

    fn ended(&mut self, how: Ended) {
        let _ = self.messages.send(Message::Ended(how));
    }
}

pub struct Fixture {
    pub table: Arc<Table>,
    /// The options of the next follower.
    pub options: Options,
    lock: FollowerLock,
    pub followed: Arc<FollowedDatabase>,
    folder: TempDir,
    writer: Connection,
    owner: Sender<Message>,
    messages: Receiver<Message>,
    reports: RefCell<VecDeque<Report>>,
    tickets: u64,
    running: Vec<Follower>,
}

impl Fixture {
    /// A table with the host types type1 and type2 and one static domain; a database with tables.
    pub fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let writer = Connection::open(folder.path().join("domains.db")).unwrap();
        writer.busy_timeout(LONG).unwrap();
        writer.execute_batch(include_str!("../../../../priv/sql/sqlite.sql")).unwrap();
        let (owner, messages) = channel();
        let table = Arc::new(Table::new(2));
        let (reports, running) = (RefCell::default(), Vec::new());
        let hour = Duration::from_secs(3600);
        let options = Options {
            poll_interval: hour,
            converge_interval: hour,
            gate: Gate { mode: GateMode::OnLoss, max_removal_share: 0.5 },
            pruning: PruneOptions { interval: hour, max_age: hour },
            warm_start: None,
        };
        let lock = FollowerLock::default();
        let followed = Arc::default();
        let fixture =
            Fixture { table, options, lock, followed, folder, writer, owner, messages, reports, tickets: 0, running };
        fixture.open();
        fixture
    }

    /// Empties the table and opens it anew.
    pub fn open(&self) {
        let id = |name: &str| self.table.host_types().intern(name.as_bytes()).unwrap();
        let pair = (DomainName::new("static.example").unwrap(), id("static"));
        self.table.open(&[pair], [id("type1"), id("type2")]);
    }

    pub fn start(&mut self, reply: OwnerReply) -> Follower {
        let database = self.database();
        let owner = Box::new(TestOwner { reply, messages: self.owner.clone() });
        let (table, lock) = (self.table.clone(), self.lock.clone());
        let follower =
            Follower::start(table, lock, database, self.followed.clone(), self.options.clone(), owner).unwrap();
        self.running.push(follower.clone());
        follower
    }

    /// The database, as a node is configured with it.
    pub fn database(&self) -> Database {
        let timeouts = Timeouts { connect: LONG, statement: LONG, lock: LONG };
        Database::parse(&format!("sqlite:{}", self.file().display()), timeouts).unwrap()
    }

    /// Makes the follower look at the database and for this event. Returns the response.
    pub fn find(&mut self, follower: &Follower, event: i64) -> domain_sync::Response {
        let ticket = self.ticket();
        follower.find(ticket, EventId(event));
        self.response(ticket).unwrap()
    }

    /// Waits for this message. Reports that come before it are kept.
    pub fn expect(&mut self, wanted: Message) {
        loop {
            match self.next() {
                message if message == wanted => return,
                Message::Reports(reports) => self.reports.borrow_mut().extend(reports),
                Message::Ended(how) => panic!("the follower ended: {how:?}"),
                Message::PermitRequest | Message::Response(..) => (),
            }
        }
    }

    /// Makes the follower look at the database. Returns the response.
    pub fn sync(&mut self, follower: &Follower) -> Result<(), String> {
        let ticket = self.ticket();
        follower.sync(ticket);
        self.response(ticket).map(|response| assert_eq!(response, domain_sync::Response::Synced))
    }

    /// Makes the follower compare the whole table. Returns the repairs.
    pub fn converge(&mut self, follower: &Follower, force: Force) -> Repairs {
        let ticket = self.ticket();
        follower.converge(ticket, force);
        match self.response(ticket).unwrap() {
            domain_sync::Response::Converged(repairs) => repairs,
            domain_sync::Response::Synced | domain_sync::Response::Missing => panic!("a comparison was requested"),
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn response(&mut self, wanted: Ticket) -> Result<domain_sync::Response, String> {
        loop {
            match self.next() {
                Message::Response(ticket, result) if ticket == wanted => return result,
                Message::Reports(reports) => self.reports.borrow_mut().extend(reports),
                Message::Ended(how) => panic!("the follower ended: {how:?}"),
                Message::PermitRequest | Message::Response(..) => (),
            }
        }
    }

    /// Waits until the table shows what the database says.
    pub fn synced(&mut self, follower: &Follower) {
        self.sync(follower).unwrap();
    }

    fn next(&self) -> Message {
        self.messages.recv_timeout(LONG).expect("the follower sends nothing")
    }

    /// All reports so far.
    pub fn reports(&self) -> Vec<Report> {
        self.reports.borrow().iter().cloned().collect()
    }

    pub fn expect_report(&self, wanted: impl Fn(&Report) -> bool) {
        let reports = self.reports();
        assert!(reports.iter().any(wanted), "not among the reports: {reports:?}");
    }

    /// The domains with warnings since the last call, sorted.
    pub fn warnings(&self) -> Vec<String> {
        let mut domains: Vec<_> = self
            .reports
            .borrow_mut()
            .drain(..)
            .filter_map(|report| match report {
                Report::RowWarning(warning) => Some(warning.domain().to_owned()),
                _ => None,
            })
            .collect();
        domains.sort();
        domains
    }

    pub fn host_type(&self, domain: &str) -> Option<String> {
        self.table.host_type(domain.as_bytes()).ok().map(|id| self.table.host_types().name(id).to_string())
    }

    /// Runs statements in one transaction: the follower may look at any time, and must not see a part of them.
    pub fn write(&self, sql: &str) {
        self.writer.execute_batch(&format!("BEGIN; {sql}; COMMIT")).unwrap();
    }

    /// A settings row and its event.
    pub fn enable(&self, domain: &str, host_type: &str) {
        let insert = format!("INSERT INTO domain_settings (domain, host_type) VALUES ('{domain}', '{host_type}')");
        self.change(&insert, domain);
    }

    /// A change and its event, in one transaction.
    pub fn change(&self, sql: &str, domain: &str) {
        self.write(&format!("{sql}; INSERT INTO domain_events (domain) VALUES ('{domain}')"));
    }

    /// Moves the database away, so that it cannot be opened.
    pub fn hide_database(&self) {
        std::fs::create_dir(self.folder.path().join("hidden")).unwrap();
        for end in ["", "-wal", "-shm"] {
            let file = format!("domains.db{end}");
            let _ = std::fs::rename(self.folder.path().join(&file), self.folder.path().join("hidden").join(&file));
        }
        std::fs::create_dir(self.file()).unwrap();
    }

    pub fn show_database(&self) {
        std::fs::remove_dir(self.file()).unwrap();
        for end in ["", "-wal", "-shm"] {
            let file = format!("domains.db{end}");
            let _ = std::fs::rename(self.folder.path().join("hidden").join(&file), self.folder.path().join(&file));
        }
    }

    /// Declares the content of a host type to be complete.
    pub fn fresh(&self, host_type: &str) {
        self.write(
            "CREATE TABLE IF NOT EXISTS domain_freshness (domain VARCHAR(250) PRIMARY KEY, expire_time BIGINT NOT NULL)",
        );
        self.write(&format!("INSERT INTO domain_freshness VALUES ('{host_type}', 9223372036854775807)"));
    }

    /// How many events there are.
    pub fn events(&self) -> i64 {
        self.writer.query_row("SELECT count(*) FROM domain_events", [], |row| row.get(0)).unwrap()
    }

    /// Replaces the database by a copy, in which this SQL was executed.
    pub fn replace_database(&mut self, sql: &str) {
        let copy = self.folder.path().join("copy.db");
        self.writer.execute_batch(&format!("VACUUM INTO '{}'", copy.display())).unwrap();
        Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        std::fs::rename(copy, self.file()).unwrap();
    }

    /// Waits for a report.
    pub fn until_reported(&mut self, wanted: impl Fn(&Report) -> bool) {
        while !self.reports().iter().any(&wanted) {
            match self.next() {
                Message::Reports(reports) => self.reports.borrow_mut().extend(reports),
                Message::Ended(how) => panic!("the follower ended: {how:?}"),
                Message::PermitRequest | Message::Response(..) => (),
            }
        }
    }

    /// Lets the next follower use a snapshot file. Returns the file.
    pub fn use_snapshots(&mut self) -> PathBuf {
        let file = self.folder.path().join("routes.snapshot");
        let (interval, max_age) = (Duration::from_secs(3600), Duration::from_secs(3600));
        self.options.warm_start = Some(WarmStart { file: file.clone(), interval, max_age });
        file
    }

    /// Stops a follower, and waits for its end.
    pub fn stop(&mut self, follower: &Follower) {
        follower.stop();
        self.expect(Message::Ended(Ended::Stopped));
    }

    /// Replaces the node by a new one, with an empty table and no state.
    pub fn crash(&mut self) {
        self.table = Arc::new(Table::new(2));
        self.lock = FollowerLock::default();
        self.open();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("domains.db")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.running.iter().for_each(Follower::stop);
    }
}
