//! SQLite, changed: one transaction a change, which takes the file's only write lock when it begins.
//!
//! So writers take turns, and what one of them reads in its transaction is what it changes. Waiting
//! for the lock is limited by the busy time-out or by what is left of the caller's time.
//!
//! A file can be replaced while it is open, and the old one still takes changes that nobody will see. So each
//! transaction looks whether its file still has its name, when it has begun and when it has ended.

use std::path::Path;
use std::time::Instant;

use domain_core::{DomainName, EventId};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Params, Row, Rows, Transaction, TransactionBehavior, params_from_iter,
};

use super::{NOW, NOW_NS, Opened, has_moved, open};
use crate::freshness::NEVER;
use crate::reading::{self, Cell};
use crate::schema;
use crate::writer::*;
use crate::{DatabaseIdentity, FreshnessDeclaration, Readable, StoreError, Timeouts, Ttl, UnreadableRow};

pub(crate) struct SqliteWriter {
    connection: Connection,
    file: Opened,
    timeouts: Timeouts,
}

/// Why a transaction came to nothing.
enum Broken {
    Sqlite(rusqlite::Error),
    /// The file has no longer its name; nothing was changed.
    Moved,
}

impl From<rusqlite::Error> for Broken {
    fn from(error: rusqlite::Error) -> Broken {
        Broken::Sqlite(error)
    }
}

impl SqliteWriter {
    pub(crate) fn open(file: &Path, timeouts: Timeouts) -> Result<SqliteWriter, StoreError> {
        let (connection, file) = open(file, timeouts)?;
        connection
            .execute_batch(schema::REMOVALS)
            .map_err(|error| StoreError::failed("creating the table of removals", &error))?;
        Ok(SqliteWriter { connection, file, timeouts })
    }

    /// Runs `change` in a transaction of its own; an error changes nothing.
    fn transact<T>(
        &mut self,
        doing: &'static str,
        until: Instant,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let left = until.saturating_duration_since(Instant::now()).min(self.timeouts.lock);
        let connection = &mut self.connection;
        let transact = || {
            connection.busy_timeout(left)?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if has_moved(&transaction)? {
                return Err(Broken::Moved);
            }
            let value = change(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        let value = transact().map_err(|broken| match broken {
            Broken::Sqlite(error) => refused(doing, &error),
            Broken::Moved => StoreError::StaleConnection {
                doing,
                reason: format!("another file is called {} now", self.file.path.display()),
            },
        })?;
        // The change may be in the new file or not: that depends on when the copy was made.
        self.file.check(doing)?;
        Ok(value)
    }

    /// Runs `read` outside of any transaction.
    fn read<T>(
        &mut self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        read(&self.connection).map_err(|error| StoreError::Refused { doing, reason: error.to_string() })
    }
}

impl Writer for SqliteWriter {
    fn is_alive(&mut self) -> bool {
        // What cannot be told is told by the next transaction.
        !has_moved(&self.connection).unwrap_or(false)
    }

    fn identity(&mut self, _until: Instant) -> Result<Option<DatabaseIdentity>, StoreError> {
        Ok(Some(self.file.identity.clone()))
    }

    fn insert(&mut self, pairs: &[NewDomain<'_>], until: Instant) -> Result<Vec<InsertOutcome>, StoreError> {
        self.transact("adding domains", until, |transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO domain_settings (domain, host_type, status) VALUES (?1, ?2, ?3)
                 ON CONFLICT (domain) DO NOTHING",
            )?;
            pairs
                .iter()
                .map(|pair| match insert.execute((pair.domain.as_str(), pair.host_type, pair.status.number()))? {
                    0 => {
                        Ok(read_settings(transaction, pair.domain)?
                            .map_or(InsertOutcome::Skipped, InsertOutcome::Exists))
                    }
                    _ => {
                        // What an earlier life left: a row that was deleted by hand takes no password along.
                        delete_admins(transaction, pair.domain, pair.subdomains)?;
                        add_event(transaction, pair.domain).map(InsertOutcome::Added)
                    }
                })
                .collect()
        })
    }

    fn set_status(
        &mut self,
        domain: &DomainName,
        wanted: Activation,
        rules: Rules<'_>,
        until: Instant,
    ) -> Result<SetStatusOutcome, StoreError> {
        let number = wanted.number();
        let wanted = Status::new(number.into());
        self.transact("changing a domain's status", until, |transaction| {
            let Some(before) = read_settings(transaction, domain)? else { return Ok(SetStatusOutcome::NotFound) };
            if !rules.allowed.contains(&before.host_type) {
                return Ok(SetStatusOutcome::UnknownHostType);
            }
            match before.status {
                Status::Deleting => Ok(SetStatusOutcome::Deleting),
                status if status == wanted => Ok(SetStatusOutcome::Unchanged),
                _ => {
                    update_status(transaction, domain, number)?;
                    add_event(transaction, domain).map(SetStatusOutcome::Changed)
                }
            }
        })
    }

    fn settings(&mut self, domain: &DomainName, _until: Instant) -> Result<Option<DomainSettings>, StoreError> {
        self.read("reading a domain", |connection| read_settings(connection, domain))
    }

    fn list(&mut self, filter: &Filter, limit: u32, _until: Instant) -> Result<Readable<ListedDomain>, StoreError> {
        self.read("listing domains", |connection| {
            // A blob comes after every text, and is the name of no domain.
            let mut select = connection.prepare_cached(
                "SELECT domain, host_type, status FROM domain_settings
                  WHERE domain IS NOT NULL AND (?1 IS NULL OR domain > ?1) AND (?2 IS NULL OR host_type = ?2)
                    AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR substr(domain, 1, length(?4)) = ?4)
                  ORDER BY domain",
            )?;
            let mut rows = select.query((&filter.after, &filter.host_type, filter.status, &filter.prefix))?;
            let mut listed = Readable::default();
            while listed.rows.len() < limit as usize
                && let Some(row) = rows.next()?
            {
                listed.push(reading::listed(cell(row, 0)?, cell(row, 1)?, cell(row, 2)?));
            }
            Ok(listed)
        })
    }

    fn put_password(
        &mut self,
        name: &DomainName,
        basis: Basis<'_>,
        stored: &str,
        until: Instant,
    ) -> Result<Found, StoreError> {
        self.transact("storing a password", until, |transaction| {
            // A subdomain that has a row of its own is a domain: its password is not for its parent's admin to set.
            let is_domain =
                matches!(basis, Basis::Parent(_) | Basis::Subdomain) && read_settings(transaction, name)?.is_some();
            if is_domain || !stands(transaction, name, basis, |status| status == Status::Enabled)? {
                return Ok(Found::No);
            }
            transaction.execute(
                "INSERT INTO domain_admins (domain, pass_details) VALUES (?1, ?2)
                 ON CONFLICT (domain) DO UPDATE SET pass_details = excluded.pass_details",
                (name.as_str(), stored),
            )?;
            Ok(Found::Yes)
        })
    }

    fn password(&mut self, name: &DomainName, basis: Basis<'_>, until: Instant) -> Result<Option<String>, StoreError> {
        const DOING: &str = "reading a password";
        let left = until.saturating_duration_since(Instant::now()).min(self.timeouts.lock);
        let connection = &mut self.connection;
        let mut read = || {
            connection.busy_timeout(left)?;
            // One moment for all that is read.
            let transaction = connection.transaction()?;
            if !stands(&transaction, name, basis, |status| status != Status::Deleting)? {
                return Ok(None);
            }
            let sql = "SELECT pass_details FROM domain_admins WHERE domain = ?1";
            transaction.query_row(sql, [name.as_str()], |row| row.get(0)).optional()
        };
        read().map_err(|error: rusqlite::Error| StoreError::Refused { doing: DOING, reason: error.to_string() })
    }

    fn delete_password(&mut self, domain: &DomainName, until: Instant) -> Result<Found, StoreError> {
        self.transact("deleting a password", until, |transaction| {
            let gone = transaction.execute("DELETE FROM domain_admins WHERE domain = ?1", [domain.as_str()])?;
            Ok(if gone == 0 { Found::No } else { Found::Yes })
        })
    }

    fn begin_removal(
        &mut self,
        domain: &DomainName,
        host_type: &str,
        handlers: u32,
        lease: Lease<'_>,
        subdomains: &[String],
        until: Instant,
    ) -> Result<BeginRemovalOutcome, StoreError> {
        self.transact("marking a domain as in removal", until, |transaction| {
            let before = match read_settings(transaction, domain)? {
                None => return Ok(BeginRemovalOutcome::NotFound),
                Some(settings) if settings.host_type != host_type => return Ok(BeginRemovalOutcome::WrongHostType),
                Some(settings) => settings,
            };
            update_status(transaction, domain, 2)?;
            delete_admins(transaction, domain, subdomains)?;
            let event = add_event(transaction, domain)?;
            let claimed = transaction.execute(
                &format!(
                    "INSERT INTO domain_removals AS r (domain, host_type, owner, lease_until, handlers)
                     VALUES (?1, ?2, ?3, {NOW} + ?4, ?5)
                     ON CONFLICT (domain) DO UPDATE
                        SET host_type = excluded.host_type, owner = excluded.owner, lease_until = excluded.lease_until,
                            handlers = excluded.handlers, handlers_done = 0, failure = NULL
                      WHERE r.owner IS NULL OR r.lease_until < {NOW}"
                ),
                (domain.as_str(), host_type, lease.owner, lease.milliseconds, handlers),
            )?;
            if claimed > 0 {
                return Ok(BeginRemovalOutcome::Claimed(event));
            }
            // Begun for an earlier life of the domain: see the trait.
            let anew = "UPDATE domain_removals
                           SET host_type = ?2, owner = substr('former ' || owner, 1, 250), handlers = ?3, handlers_done = 0
                         WHERE domain = ?1 AND (?4 OR host_type <> ?2)";
            let was_served = before.status != Status::Deleting;
            transaction.execute(anew, (domain.as_str(), host_type, handlers, was_served))?;
            Ok(BeginRemovalOutcome::OwnedElsewhere(event))
        })
    }

    fn renew_removals(&mut self, lease: Lease<'_>, until: Instant) -> Result<RemovalJobs, StoreError> {
        self.transact("prolonging removals", until, |transaction| {
            let found = select_jobs(transaction, "owner = ?1", [lease.owner])?;
            let sql = format!("UPDATE domain_removals SET lease_until = {NOW} + ?2 WHERE domain = ?1");
            let mut update = transaction.prepare(&sql)?;
            for job in &found.held {
                update.execute((&job.domain, lease.milliseconds))?;
            }
            Ok(found)
        })
    }

    fn note_removal(
        &mut self,
        domain: &DomainName,
        progress: HandlerProgress,
        lease: Lease<'_>,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        self.transact("noting how far a removal is", until, |transaction| {
            if_held(transaction, domain, lease.owner, || {
                let sql = format!(
                    "UPDATE domain_removals SET handlers_done = ?2, handlers = ?3, lease_until = {NOW} + ?4 WHERE domain = ?1"
                );
                let parameters = (domain.as_str(), progress.done, progress.of, lease.milliseconds);
                transaction.execute(&sql, parameters).map(|_| ())
            })
        })
    }

    fn fail_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        failure: &str,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        self.transact("noting why a removal failed", until, |transaction| {
            if_held(transaction, domain, owner, || {
                let sql = "UPDATE domain_removals SET owner = NULL, failure = ?2 WHERE domain = ?1";
                transaction.execute(sql, (domain.as_str(), failure)).map(|_| ())
            })
        })
    }

    fn finish_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        subdomains: &[String],
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        self.transact("finishing a removal", until, |transaction| {
            if_held(transaction, domain, owner, || {
                for table in ["domain_removals", "domain_settings"] {
                    transaction.execute(&format!("DELETE FROM {table} WHERE domain = ?1"), [domain.as_str()])?;
                }
                delete_admins(transaction, domain, subdomains)?;
                add_event(transaction, domain).map(|_| ())
            })
        })
    }

    fn take_over_removals(
        &mut self,
        lease: Lease<'_>,
        rules: Rules<'_>,
        limit: u32,
        until: Instant,
    ) -> Result<RemovalJobs, StoreError> {
        self.transact("taking over removals", until, |transaction| {
            let marks = vec!["?"; rules.allowed.len()].join(", ");
            let host_types = rules.allowed.iter().map(|host_type| Value::from(host_type.clone()));
            let abandoned = format!(
                "owner IS NOT NULL AND lease_until < {NOW} AND r.host_type IN ({marks}) AND {IN_REMOVAL}
                 ORDER BY lease_until LIMIT ?"
            );
            let parameters = host_types.chain([Value::from(i64::from(limit))]);
            let RemovalJobs { held, left_out, .. } =
                select_jobs(transaction, &abandoned, params_from_iter(parameters))?;
            let sql = format!(
                "UPDATE domain_removals SET owner = ?2, lease_until = {NOW} + ?3, handlers_done = 0 WHERE domain = ?1"
            );
            let mut take = transaction.prepare(&sql)?;
            for job in &held {
                take.execute((&job.domain, lease.owner, lease.milliseconds))?;
            }
            let ended = format!("(owner IS NULL OR lease_until < {NOW}) AND {IN_REMOVAL} IS NOT TRUE LIMIT ?1");
            let RemovalJobs { void, .. } = select_jobs(transaction, &ended, [limit])?;
            for VoidJob { job, .. } in &void {
                transaction.execute("DELETE FROM domain_removals WHERE domain = ?1", [&job.domain])?;
            }
            Ok(RemovalJobs { held, void, left_out })
        })
    }

    fn removals(&mut self, which: Which<'_>, _until: Instant) -> Result<Readable<RemovalStatus>, StoreError> {
        let domain = match which {
            Which::One(domain) => Some(domain.as_str()),
            Which::All => None,
        };
        self.read("reading removals", |connection| {
            let sql = format!(
                "SELECT domain, r.host_type, owner, lease_until < {NOW}, handlers_done, handlers, failure
                   FROM domain_removals r LEFT JOIN domain_settings s USING (domain)
                  WHERE (?1 IS NULL OR domain = ?1) AND (owner IS NOT NULL OR {IN_REMOVAL}) ORDER BY domain"
            );
            let mut select = connection.prepare_cached(&sql)?;
            readable(select.query([domain])?, |row| {
                Ok(reading::removal([
                    cell(row, 0)?,
                    cell(row, 1)?,
                    cell(row, 2)?,
                    cell(row, 3)?,
                    cell(row, 4)?,
                    cell(row, 5)?,
                    cell(row, 6)?,
                ]))
            })
        })
    }

    fn upsert_freshness(&mut self, domain: &str, ttl: Ttl, until: Instant) -> Result<(), StoreError> {
        self.transact("declaring freshness", until, |transaction| {
            transaction.execute_batch(schema::FRESHNESS)?;
            let sql = format!(
                "INSERT INTO domain_freshness (domain, expire_time) VALUES (?1, coalesce({NOW_NS} + ?2, ?3))
                 ON CONFLICT (domain) DO UPDATE SET expire_time = excluded.expire_time"
            );
            transaction.execute(&sql, (domain, ttl.nanoseconds(), NEVER)).map(|_| ())
        })
    }

    fn freshness(&mut self, _until: Instant) -> Result<Readable<FreshnessDeclaration>, StoreError> {
        self.read("reading freshness", |connection| {
            let there = "SELECT 1 FROM sqlite_master WHERE name = 'domain_freshness'";
            if connection.query_row(there, [], |_| Ok(())).optional()?.is_none() {
                return Ok(Readable::default());
            }
            let sql = format!("SELECT domain, expire_time, {NOW_NS} FROM domain_freshness ORDER BY domain");
            let mut select = connection.prepare(&sql)?;
            readable(select.query([])?, |row| Ok(reading::freshness(cell(row, 0)?, cell(row, 1)?, cell(row, 2)?)))
        })
    }

    fn changes(
        &mut self,
        after: Option<EventId>,
        limit: u32,
        _until: Instant,
    ) -> Result<Readable<ChangedDomain>, StoreError> {
        self.read("reading changes", |connection| {
            let mut select = connection.prepare_cached(
                "SELECT e.id, e.domain, s.host_type, s.status, s.id
                   FROM domain_events e LEFT JOIN domain_settings s ON s.domain = e.domain
                  WHERE e.domain <> '' AND CASE WHEN ?1 IS NULL
                        THEN e.id = (SELECT max(id) FROM domain_events WHERE domain <> '') ELSE e.id > ?1 END
                  ORDER BY e.id",
            )?;
            let mut rows = select.query([after.map(|EventId(id)| id)])?;
            let mut changes = Readable::default();
            while changes.rows.len() < limit as usize
                && let Some(row) = rows.next()?
            {
                let there = cell(row, 4)? != Cell::Null;
                let settings = if there { Some((cell(row, 2)?, cell(row, 3)?)) } else { None };
                changes.push(reading::changed(EventId(row.get(0)?), cell(row, 1)?, settings));
            }
            Ok(changes)
        })
    }

    /// Whoever may open the file sees all of it.
    fn findings(&mut self, _until: Instant) -> Result<Vec<Finding>, StoreError> {
        Ok(Vec::new())
    }

    /// AUTOINCREMENT hands out what is larger than all ids that are there.
    fn sequences(&mut self, _until: Instant) -> Result<Vec<Sequence>, StoreError> {
        Ok(Vec::new())
    }

    fn survey(&mut self, _until: Instant) -> Result<Survey, StoreError> {
        self.read("counting rows", |connection| {
            let time = connection.query_row(&format!("SELECT {NOW}"), [], |row| row.get(0))?;
            let sql = "SELECT host_type, count(*) FROM domain_settings GROUP BY host_type ORDER BY host_type";
            let mut select = connection.prepare(sql)?;
            let counted = select.query_map([], |row| Ok((cell(row, 0)?.shown(), row.get(1)?)))?;
            let host_types = counted.collect::<Result<_, _>>()?;
            // A text may still be none: SQLite takes any bytes for one.
            let mut all = connection.prepare(
                "SELECT domain, host_type, status FROM domain_settings
                  WHERE typeof(domain) <> 'text' OR typeof(host_type) <> 'text' OR typeof(status) <> 'integer'
                     OR domain GLOB '*[^ -~]*' OR host_type GLOB '*[^ -~]*'
                     OR octet_length(domain) > 1000 OR octet_length(host_type) > 1000
                  LIMIT 10000",
            )?;
            let read = |row: &Row<'_>| Ok(reading::listed(cell(row, 0)?, cell(row, 1)?, cell(row, 2)?));
            Ok(Survey { time, host_types, left_out: readable(all.query([])?, read)?.left_out })
        })
    }
}

/// A column of an answer, whatever it holds.
fn cell<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Cell<'a>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Number(number),
        ValueRef::Text(text) => Cell::Text(text),
        ValueRef::Real(_) | ValueRef::Blob(_) => Cell::Other,
    })
}

fn readable<T>(
    mut rows: Rows<'_>,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Result<T, UnreadableRow>>,
) -> rusqlite::Result<Readable<T>> {
    let mut readable = Readable::default();
    while let Some(row) = rows.next()? {
        readable.push(read(row)?);
    }
    Ok(readable)
}

/// Whether the domain of the job `r` is in removal with the job's host type, by its row `s`: null where there is none.
const IN_REMOVAL: &str = "(s.status = 2 AND s.host_type = r.host_type)";

/// The jobs for which this holds of `r` and `s`.
fn select_jobs(
    transaction: &Transaction<'_>,
    condition: &str,
    parameters: impl Params,
) -> rusqlite::Result<RemovalJobs> {
    let mut select = transaction.prepare(&format!(
        "SELECT domain, r.host_type, r.handlers, s.host_type, s.status
           FROM domain_removals r LEFT JOIN domain_settings s USING (domain) WHERE {condition}"
    ))?;
    let mut rows = select.query(parameters)?;
    let mut jobs = RemovalJobs::default();
    while let Some(row) = rows.next()? {
        let there = cell(row, 3)? != Cell::Null || cell(row, 4)? != Cell::Null;
        let of_domain = if there { Some(settings(row, 3)?) } else { None };
        match (reading::job(cell(row, 0)?, cell(row, 1)?, cell(row, 2)?), of_domain) {
            (Ok(job), Some(settings)) if settings.are_in_removal(&job.host_type) => jobs.held.push(job),
            (Ok(job), row) => jobs.void.push(VoidJob { job, row }),
            (Err(spoilt), _) => jobs.left_out.push(spoilt),
        }
    }
    Ok(jobs)
}

/// Makes this change to the job that the owner has of the domain; deletes the job when it is void.
fn if_held(
    transaction: &Transaction<'_>,
    domain: &DomainName,
    owner: &str,
    change: impl FnOnce() -> rusqlite::Result<()>,
) -> rusqlite::Result<JobOutcome> {
    let RemovalJobs { held, void, .. } =
        select_jobs(transaction, "r.domain = ?1 AND owner = ?2", (domain.as_str(), owner))?;
    if let Some(VoidJob { row, .. }) = void.into_iter().next() {
        transaction.execute("DELETE FROM domain_removals WHERE domain = ?1", [domain.as_str()])?;
        return Ok(JobOutcome::Void(row));
    }
    if held.is_empty() {
        return Ok(JobOutcome::NotOwned);
    }
    change().map(|()| JobOutcome::Updated)
}

/// What a refusal means: a constraint, a trigger or a type is against the row, or the statement cannot be run.
fn refused(doing: &'static str, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            StoreError::row_refused(doing, error.to_string())
        }
        _ => StoreError::Refused { doing, reason: error.to_string() },
    }
}

fn read_settings(connection: &Connection, domain: &DomainName) -> rusqlite::Result<Option<DomainSettings>> {
    let mut select = connection.prepare_cached("SELECT host_type, status FROM domain_settings WHERE domain = ?1")?;
    select.query_row([domain.as_str()], |row| settings(row, 0)).optional()
}

fn settings(row: &Row<'_>, column: usize) -> rusqlite::Result<DomainSettings> {
    Ok(reading::settings_of_one(cell(row, column)?, cell(row, column + 1)?))
}

fn update_status(transaction: &Transaction<'_>, domain: &DomainName, status: i16) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE domain_settings SET status = ?2 WHERE domain = ?1")?
        .execute((domain.as_str(), status))
        .map(|_| ())
}

/// Deletes the admin of a domain and those of its subdomains; one that has a row of its own is none.
fn delete_admins(transaction: &Transaction<'_>, domain: &DomainName, subdomains: &[String]) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM domain_admins WHERE domain = ?1")?.execute([domain.as_str()])?;
    let mut delete = transaction.prepare_cached(
        "DELETE FROM domain_admins
          WHERE domain = ?1 AND NOT EXISTS (SELECT 1 FROM domain_settings WHERE domain = ?1)",
    )?;
    subdomains.iter().try_for_each(|name| delete.execute([name]).map(|_| ()))
}

/// Whether what a password of this name rests on is there, and in a status that is `good`.
fn stands(
    connection: &Connection,
    name: &DomainName,
    basis: Basis<'_>,
    good: impl Fn(Status) -> bool,
) -> rusqlite::Result<bool> {
    let status = |name: &str| {
        let mut select = connection.prepare_cached("SELECT status FROM domain_settings WHERE domain = ?1")?;
        select.query_row([name], |row| row.get(0).map(Status::new)).optional()
    };
    if basis == Basis::Static {
        return Ok(true);
    }
    if let Some(own) = status(name.as_str())? {
        return Ok(good(own));
    }
    Ok(match basis {
        Basis::Row => false,
        Basis::Parent(parent) => status(parent)?.is_some_and(good),
        Basis::Subdomain | Basis::Static => true,
    })
}

fn add_event(transaction: &Transaction<'_>, domain: &DomainName) -> rusqlite::Result<EventId> {
    transaction.prepare_cached("INSERT INTO domain_events (domain) VALUES (?1)")?.execute([domain.as_str()])?;
    Ok(EventId(transaction.last_insert_rowid()))
}
