//! PostgreSQL, changed: one statement a change, which is one transaction and one round trip.
//!
//! A statement without BEGIN is a transaction of its own, and its WITH parts make the whole change:
//! the row, the event and the notification. A part that writes shows its
//! row to the others by RETURNING only; what was there before comes from the statement's snapshot,
//! or from FOR UPDATE, which sees what is newest.

use std::sync::Arc;
use std::time::Instant;

use domain_core::{DomainName, EventId};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSqlOwned, ToSql, Type};

use super::admins;
use super::bounded::{name, text};
use super::change::change;
use super::clock::{now, now_ns};
use super::connect::Target;
use super::sequences;
use super::session::{Session, run_script};
use super::{Bytes, READING_IDENTITY, cell, log, rights};
use crate::freshness::NEVER;
use crate::reading::{self, Cell};
use crate::schema;
use crate::writer::*;
use crate::{DatabaseIdentity, FreshnessDeclaration, Readable, ServerRole, Signal, StoreError, Timeouts, Ttl};

/// Events for the rows of a WITH part; their ids.
macro_rules! logged {
    ($from:literal) => {
        concat!("logged AS (INSERT INTO domain_events (domain) SELECT domain FROM ", $from, " RETURNING id, domain)")
    };
}

/// The passwords of the domains of a WITH part go, and those of these subdomains, where they are no domains themselves.
macro_rules! admin_deleted {
    ($of:literal, $subdomains:literal) => {
        concat!(
            "admin AS (DELETE FROM domain_admins a USING ",
            $of,
            " d WHERE a.domain = d.domain
                   OR a.domain = ANY(",
            $subdomains,
            ") AND NOT EXISTS (SELECT FROM domain_settings o WHERE o.domain = a.domain))"
        )
    };
}

/// Tells listeners, if there is an event.
macro_rules! notified {
    () => {
        "(SELECT pg_notify('mongoose_domain_events', '')::text FROM logged LIMIT 1)"
    };
}

/// The row of the domain $1, which nobody else changes meanwhile, and the end of the job that the owner $2 has of it, if
/// that is void. RemovalJobs are locked after rows, everywhere.
macro_rules! judged {
    ($lock:literal) => {
        concat!(
            "WITH present AS (SELECT host_type, status FROM domain_settings WHERE domain = $1 ",
            $lock,
            "), ended AS (DELETE FROM domain_removals r
                           WHERE domain = $1 AND owner = $2
                             AND NOT EXISTS (SELECT FROM present p WHERE p.status = 2 AND p.host_type = r.host_type)
                          RETURNING 1), "
        )
    };
}

/// Whether there was such a job and was not void, whether it ended, and the row: see [`held`].
macro_rules! verdict {
    () => {
        concat!(
            " SELECT EXISTS (SELECT FROM mine), EXISTS (SELECT FROM ended), (SELECT ",
            name!("host_type"),
            " FROM present), (SELECT status FROM present)"
        )
    };
}

pub(crate) struct PostgresWriter {
    session: Session,
    identity: Option<DatabaseIdentity>,
    removals: OwnTable,
    freshness: OwnTable,
}

/// A table of this project's own, which a database that MongooseIM prepared does not have.
struct OwnTable {
    name: &'static str,
    script: &'static str,
    /// Whether it was found or made; it is not looked for again.
    found: Found,
}

impl OwnTable {
    const REMOVALS: OwnTable = OwnTable { name: "domain_removals", script: schema::REMOVALS, found: Found::No };
    const FRESHNESS: OwnTable = OwnTable { name: "domain_freshness", script: schema::FRESHNESS, found: Found::No };

    /// Whether it is there.
    fn find(&mut self, session: &Session, doing: &'static str, until: Instant) -> Result<Found, StoreError> {
        if self.found == Found::No {
            let sql = "SELECT WHERE to_regclass($1) IS NOT NULL";
            if !query(session, doing, sql, &[(&self.name, Type::TEXT)], until)?.is_empty() {
                self.found = Found::Yes;
            }
        }
        Ok(self.found)
    }

    /// Makes it when it is not there.
    fn make(&mut self, session: &Session, doing: &'static str, until: Instant) -> Result<(), StoreError> {
        if self.find(session, doing, until)? == Found::No {
            let left = until.saturating_duration_since(Instant::now());
            session.call(doing, left, run_script(&session.client, self.script))?;
            self.found = Found::Yes;
        }
        Ok(())
    }
}

fn query(
    session: &Session,
    doing: &'static str,
    sql: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
    until: Instant,
) -> Result<Vec<Row>, StoreError> {
    change(session, doing, until, session.client.query_typed(sql, parameters))
}

impl PostgresWriter {
    pub(crate) fn connect(
        target: &Target,
        timeouts: Timeouts,
        signal: Arc<Signal>,
    ) -> Result<PostgresWriter, StoreError> {
        let session = Session::connect(target, timeouts, signal)?;
        session.prepare_schema()?;
        let identity = session.call(READING_IDENTITY, timeouts.statement, log::identity(&session.client))?;
        Ok(PostgresWriter { session, identity, removals: OwnTable::REMOVALS, freshness: OwnTable::FRESHNESS })
    }

    fn query(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        until: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        query(&self.session, doing, sql, parameters, until)
    }

    /// The same with the table of removals; nothing where it is not there.
    fn query_removals_if_any(
        &mut self,
        doing: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        until: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        match self.removals.find(&self.session, doing, until)? {
            Found::Yes => self.query(doing, sql, parameters, until),
            Found::No => Ok(Vec::new()),
        }
    }

    /// The same with the table of removals, which is made when it is not there.
    fn query_removals(
        &mut self,
        doing: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        until: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        self.removals.make(&self.session, doing, until)?;
        self.query(doing, sql, parameters, until)
    }
}

impl Writer for PostgresWriter {
    fn is_alive(&mut self) -> bool {
        self.session.is_alive()
    }

    fn identity(&mut self, until: Instant) -> Result<Option<DatabaseIdentity>, StoreError> {
        // No other server exchanges its timeline while a connection lives.
        if let Some(DatabaseIdentity::Server { role: ServerRole::Standby, .. }) = &self.identity {
            let left = until.saturating_duration_since(Instant::now()).min(self.session.timeouts.statement);
            self.identity = self.session.call(READING_IDENTITY, left, log::identity(&self.session.client))?;
        }
        Ok(self.identity.clone())
    }

    fn insert(&mut self, pairs: &[NewDomain<'_>], until: Instant) -> Result<Vec<InsertOutcome>, StoreError> {
        const DOING: &str = "adding domains";
        let domains: Vec<&str> = pairs.iter().map(|pair| pair.domain.as_str()).collect();
        let host_types: Vec<&str> = pairs.iter().map(|pair| pair.host_type).collect();
        let statuses: Vec<i16> = pairs.iter().map(|pair| pair.status.number()).collect();
        let beneath =
            pairs.iter().flat_map(|pair| pair.subdomains.iter().map(|name| (name.as_str(), pair.domain.as_str())));
        let (subdomains, parents): (Vec<&str>, Vec<&str>) = beneath.unzip();
        let rows = self.query(
            DOING,
            concat!(
                "WITH wanted AS (SELECT * FROM unnest($1::text[], $2::text[], $5::int2[])
                                    WITH ORDINALITY AS w (domain, host_type, status, position)),
                   added AS (INSERT INTO domain_settings (domain, host_type, status)
                             SELECT domain, host_type, status FROM wanted
                              WHERE NOT EXISTS (SELECT FROM domain_settings s WHERE s.domain = wanted.domain)
                              ORDER BY domain RETURNING domain), ",
                logged!("added"),
                // What an earlier life left: a row that was deleted by hand takes no password along.
                ", cleared AS (DELETE FROM domain_admins a
                    USING (SELECT domain AS name FROM added
                           UNION ALL
                           SELECT b.name FROM unnest($3::text[], $4::text[]) AS b (name, parent)
                             JOIN added ON added.domain = b.parent
                            WHERE NOT EXISTS (SELECT FROM domain_settings o WHERE o.domain = b.name)) c
                    WHERE a.domain = c.name)
                   SELECT l.id, ",
                name!("s.host_type"),
                ", s.status, ",
                notified!(),
                " FROM wanted w LEFT JOIN logged l USING (domain) LEFT JOIN domain_settings s USING (domain) ORDER BY w.position"
            ),
            &[
                (&domains, Type::TEXT_ARRAY),
                (&host_types, Type::TEXT_ARRAY),
                (&subdomains, Type::TEXT_ARRAY),
                (&parents, Type::TEXT_ARRAY),
                (&statuses, Type::INT2_ARRAY),
            ],
            until,
        )?;
        rows.iter()
            .map(|row| match (get(row, 0, DOING)?, settings(row, 1)) {
                (Some(id), _) => Ok(InsertOutcome::Added(EventId(id))),
                (None, Some(settings)) => Ok(InsertOutcome::Exists(settings)),
                (None, None) => Ok(InsertOutcome::Skipped),
            })
            .collect()
    }

    fn set_status(
        &mut self,
        domain: &DomainName,
        wanted: Activation,
        rules: Rules<'_>,
        until: Instant,
    ) -> Result<SetStatusOutcome, StoreError> {
        const DOING: &str = "changing a domain's status";
        let status = wanted.number();
        let rows = self.query(
            DOING,
            concat!(
                "WITH found AS (SELECT host_type, status, host_type = ANY($3) AS allowed
                                  FROM domain_settings WHERE domain = $1 FOR UPDATE),
                   changed AS (UPDATE domain_settings s SET status = $2 FROM found
                                WHERE domain = $1 AND found.allowed AND found.status <> 2 AND found.status <> $2
                               RETURNING s.domain), ",
                logged!("changed"),
                " SELECT status, allowed, (SELECT id FROM logged), ",
                notified!(),
                " FROM found"
            ),
            &[(&domain.as_str(), Type::VARCHAR), (&status, Type::INT2), (&rules.allowed, Type::TEXT_ARRAY)],
            until,
        )?;
        let Some(row) = rows.first() else { return Ok(SetStatusOutcome::NotFound) };
        let before = Status::new(i64::from(get::<i16>(row, 0, DOING)?));
        match (get(row, 1, DOING)?, before, get::<Option<i64>>(row, 2, DOING)?) {
            (false, ..) => Ok(SetStatusOutcome::UnknownHostType),
            (true, Status::Deleting, _) => Ok(SetStatusOutcome::Deleting),
            (true, _, Some(id)) => Ok(SetStatusOutcome::Changed(EventId(id))),
            (true, before, None) if before == Status::new(i64::from(status)) => Ok(SetStatusOutcome::Unchanged),
            (true, _, None) => Err(StoreError::row_refused(DOING, StoreError::SKIPPED.to_owned())),
        }
    }

    fn settings(&mut self, domain: &DomainName, until: Instant) -> Result<Option<DomainSettings>, StoreError> {
        const DOING: &str = "reading a domain";
        let sql = concat!("SELECT ", name!("host_type"), ", status FROM domain_settings WHERE domain = $1");
        let rows = self.query(DOING, sql, &[(&domain.as_str(), Type::VARCHAR)], until)?;
        Ok(rows.first().and_then(|row| settings(row, 0)))
    }

    fn list(&mut self, filter: &Filter, limit: u32, until: Instant) -> Result<Readable<ListedDomain>, StoreError> {
        const DOING: &str = "listing domains";
        let Filter { after, host_type, status, prefix } = filter;
        let mut after = after.as_ref().map(|after| after.as_bytes().to_vec());
        let mut listed = Readable::default();
        loop {
            let behind = after.as_deref().map(Bytes);
            let left = i64::from(limit) - listed.rows.len() as i64;
            let rows = self.query(
                DOING,
                // Behind a name that was cut, it would come again. The survey counts those.
                concat!(
                    "SELECT domain, ",
                    name!("host_type"),
                    ", status FROM domain_settings
                  WHERE octet_length(domain) <= 1000 AND ($1::text IS NULL OR domain > $1)
                    AND ($2::text IS NULL OR host_type = $2)
                    AND ($3::int2 IS NULL OR status = $3)
                    AND ($4::text IS NULL OR starts_with(domain, $4))
                  ORDER BY domain LIMIT $5"
                ),
                &[
                    (&behind, Type::TEXT),
                    (host_type, Type::TEXT),
                    (status, Type::INT2),
                    (prefix, Type::TEXT),
                    (&left, Type::INT8),
                ],
                until,
            )?;
            for row in &rows {
                listed.push(reading::listed(cell(row, 0), cell(row, 1), cell(row, 2)));
            }
            // Each round goes on behind the last row, whether that could be read or not.
            match rows.last().map(|row| cell(row, 0)) {
                Some(Cell::Text(last)) if listed.rows.len() < limit as usize && rows.len() as i64 == left => {
                    after = Some(last.to_vec());
                }
                _ => return Ok(listed),
            }
        }
    }

    fn put_password(
        &mut self,
        name: &DomainName,
        basis: Basis<'_>,
        stored: &str,
        until: Instant,
    ) -> Result<Found, StoreError> {
        admins::put(&self.session, name, basis, stored, until)
    }

    fn password(&mut self, name: &DomainName, basis: Basis<'_>, until: Instant) -> Result<Option<String>, StoreError> {
        const DOING: &str = "reading a password";
        let rows = self.query(DOING, admins::HOLDS, &admins::parameters(&name.as_str(), &basis.into()), until)?;
        rows.first().map(|row| get(row, 0, DOING)).transpose()
    }

    fn delete_password(&mut self, domain: &DomainName, until: Instant) -> Result<Found, StoreError> {
        let sql = "DELETE FROM domain_admins WHERE domain = $1 RETURNING 1";
        let rows = self.query("deleting a password", sql, &[(&domain.as_str(), Type::VARCHAR)], until)?;
        Ok(if rows.is_empty() { Found::No } else { Found::Yes })
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
        const DOING: &str = "marking a domain as in removal";
        let rows = self.query_removals(
            DOING,
            concat!(
                "WITH found AS (SELECT host_type, status FROM domain_settings WHERE domain = $1 FOR UPDATE),
                   marked AS (UPDATE domain_settings s SET status = 2 FROM found
                               WHERE domain = $1 AND found.host_type = $2 RETURNING s.domain, s.host_type),
                   ",
                admin_deleted!("marked", "$6"),
                ",
                   claimed AS (INSERT INTO domain_removals AS r (domain, host_type, owner, handlers, lease_until)
                               SELECT domain, host_type, $3, $5, ",
                now!(),
                " + $4 FROM marked
                               ON CONFLICT (domain) DO UPDATE
                                  SET (host_type, handlers, handlers_done, failure, owner, lease_until) =
                                      (SELECT excluded.host_type, excluded.handlers, 0, NULL,
                                              CASE WHEN free THEN excluded.owner ELSE left('former ' || r.owner, 250) END,
                                              CASE WHEN free THEN excluded.lease_until ELSE r.lease_until END
                                         FROM (SELECT r.owner IS NULL OR r.lease_until < ",
                now!(),
                " AS free) AS job)
                                WHERE r.owner IS NULL OR r.lease_until < ",
                now!(),
                " OR r.host_type <> excluded.host_type OR (SELECT status FROM found) <> 2
                               RETURNING owner), ",
                logged!("marked"),
                " SELECT (SELECT id FROM logged), EXISTS (SELECT FROM claimed WHERE owner = $3), ",
                notified!(),
                " FROM found"
            ),
            &[
                (&domain.as_str(), Type::VARCHAR),
                (&host_type, Type::VARCHAR),
                (&lease.owner, Type::VARCHAR),
                (&lease.milliseconds, Type::INT8),
                (&i64::from(handlers), Type::INT8),
                (&subdomains, Type::TEXT_ARRAY),
            ],
            until,
        )?;
        let Some(row) = rows.first() else { return Ok(BeginRemovalOutcome::NotFound) };
        Ok(match (get::<Option<i64>>(row, 0, DOING)?, get(row, 1, DOING)?) {
            (None, _) => BeginRemovalOutcome::WrongHostType,
            (Some(id), true) => BeginRemovalOutcome::Claimed(EventId(id)),
            (Some(id), false) => BeginRemovalOutcome::OwnedElsewhere(EventId(id)),
        })
    }

    fn renew_removals(&mut self, lease: Lease<'_>, until: Instant) -> Result<RemovalJobs, StoreError> {
        const DOING: &str = "prolonging removals";
        let sql = concat!(
            "WITH mine AS (UPDATE domain_removals r SET lease_until = ",
            now!(),
            " + $2 FROM domain_settings s
                WHERE r.owner = $1 AND s.domain = r.domain AND s.status = 2 AND s.host_type = r.host_type
               RETURNING r.domain, r.host_type, r.handlers)
             SELECT true, domain, host_type, handlers, NULL::text, NULL::int2 FROM mine
              UNION ALL
             SELECT false, r.domain, r.host_type, r.handlers, ",
            name!("s.host_type"),
            ", s.status
               FROM domain_removals r LEFT JOIN domain_settings s ON s.domain = r.domain
              WHERE r.owner = $1 AND (s.status = 2 AND s.host_type = r.host_type) IS NOT TRUE"
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&lease.owner, Type::VARCHAR), (&lease.milliseconds, Type::INT8)];
        let rows = self.query_removals_if_any(DOING, sql, &parameters, until)?;
        jobs(&rows, DOING)
    }

    fn note_removal(
        &mut self,
        domain: &DomainName,
        progress: HandlerProgress,
        lease: Lease<'_>,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        const DOING: &str = "noting how far a removal is";
        let (done, of) = (i64::from(progress.done), i64::from(progress.of));
        let rows = self.query_removals(
            DOING,
            concat!(
                judged!("FOR SHARE"),
                "mine AS (UPDATE domain_removals r SET handlers_done = $3, handlers = $4, lease_until = ",
                now!(),
                " + $5 FROM present p
                   WHERE domain = $1 AND owner = $2 AND p.status = 2 AND p.host_type = r.host_type RETURNING 1)",
                verdict!()
            ),
            &[
                (&domain.as_str(), Type::VARCHAR),
                (&lease.owner, Type::VARCHAR),
                (&done, Type::INT8),
                (&of, Type::INT8),
                (&lease.milliseconds, Type::INT8),
            ],
            until,
        )?;
        held(&rows, DOING)
    }

    fn fail_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        failure: &str,
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        const DOING: &str = "noting why a removal failed";
        let rows = self.query_removals(
            DOING,
            concat!(
                judged!("FOR SHARE"),
                "mine AS (UPDATE domain_removals r SET owner = NULL, failure = $3 FROM present p
                   WHERE domain = $1 AND owner = $2 AND p.status = 2 AND p.host_type = r.host_type RETURNING 1)",
                verdict!()
            ),
            &[(&domain.as_str(), Type::VARCHAR), (&owner, Type::VARCHAR), (&failure, Type::TEXT)],
            until,
        )?;
        held(&rows, DOING)
    }

    fn finish_removal(
        &mut self,
        domain: &DomainName,
        owner: &str,
        subdomains: &[String],
        until: Instant,
    ) -> Result<JobOutcome, StoreError> {
        const DOING: &str = "finishing a removal";
        let rows = self.query_removals(
            DOING,
            concat!(
                judged!("FOR UPDATE"),
                "mine AS (DELETE FROM domain_removals r USING present p
                           WHERE domain = $1 AND owner = $2 AND p.status = 2 AND p.host_type = r.host_type
                          RETURNING r.domain),
                   gone AS (DELETE FROM domain_settings s USING mine WHERE s.domain = mine.domain RETURNING s.domain),
                   ",
                admin_deleted!("gone", "$3"),
                ", ",
                logged!("gone"),
                verdict!(),
                ", ",
                notified!()
            ),
            &[(&domain.as_str(), Type::VARCHAR), (&owner, Type::VARCHAR), (&subdomains, Type::TEXT_ARRAY)],
            until,
        )?;
        held(&rows, DOING)
    }

    fn take_over_removals(
        &mut self,
        lease: Lease<'_>,
        rules: Rules<'_>,
        limit: u32,
        until: Instant,
    ) -> Result<RemovalJobs, StoreError> {
        const DOING: &str = "taking over removals";
        let rows = self.query_removals_if_any(
            DOING,
            concat!(
                "WITH abandoned AS (SELECT r.domain FROM domain_removals r JOIN domain_settings s ON s.domain = r.domain
                                     WHERE r.owner IS NOT NULL AND r.host_type = ANY($3) AND r.lease_until < ",
                now!(),
                " AND s.status = 2 AND s.host_type = r.host_type
                                     ORDER BY r.lease_until LIMIT $4 FOR UPDATE OF r SKIP LOCKED),
                   taken AS (UPDATE domain_removals r SET owner = $1, lease_until = ",
                now!(),
                " + $2, handlers_done = 0 FROM abandoned a WHERE r.domain = a.domain
                             RETURNING r.domain, r.host_type, r.handlers),
                   void AS (SELECT r.domain, ",
                name!("s.host_type"),
                " AS host_type, s.status
                              FROM domain_removals r LEFT JOIN domain_settings s ON s.domain = r.domain
                             WHERE (r.owner IS NULL OR r.lease_until < ",
                now!(),
                ") AND (s.status = 2 AND s.host_type = r.host_type) IS NOT TRUE
                             ORDER BY r.domain LIMIT $4 FOR UPDATE OF r SKIP LOCKED),
                   ended AS (DELETE FROM domain_removals r USING void v WHERE r.domain = v.domain
                             RETURNING r.domain, r.host_type, r.handlers, v.host_type, v.status)
                 SELECT true, domain, host_type, handlers, NULL::text, NULL::int2 FROM taken
                  UNION ALL SELECT false, * FROM ended"
            ),
            &[
                (&lease.owner, Type::VARCHAR),
                (&lease.milliseconds, Type::INT8),
                (&rules.allowed, Type::TEXT_ARRAY),
                (&i64::from(limit), Type::INT8),
            ],
            until,
        )?;
        jobs(&rows, DOING)
    }

    fn removals(&mut self, which: Which<'_>, until: Instant) -> Result<Readable<RemovalStatus>, StoreError> {
        const DOING: &str = "reading removals";
        let domain = match which {
            Which::One(domain) => Some(domain.as_str()),
            Which::All => None,
        };
        let rows = self.query_removals_if_any(
            DOING,
            concat!(
                "SELECT ",
                name!("domain"),
                ", ",
                name!("host_type"),
                ", ",
                text!("owner"),
                ", (lease_until < ",
                now!(),
                ")::int, handlers_done, handlers, ",
                text!("failure"),
                " FROM domain_removals r
                  WHERE ($1::text IS NULL OR domain = $1)
                    AND (owner IS NOT NULL OR EXISTS (SELECT FROM domain_settings s
                                                       WHERE s.domain = r.domain AND s.status = 2
                                                         AND s.host_type = r.host_type))
                  ORDER BY domain"
            ),
            &[(&domain, Type::TEXT)],
            until,
        )?;
        Ok(Readable::collect(rows.iter().map(|row| reading::removal(std::array::from_fn(|column| cell(row, column))))))
    }

    fn upsert_freshness(&mut self, domain: &str, ttl: Ttl, until: Instant) -> Result<(), StoreError> {
        const DOING: &str = "declaring freshness";
        self.freshness.make(&self.session, DOING, until)?;
        self.query(
            DOING,
            concat!(
                "WITH declared AS (INSERT INTO domain_freshness (domain, expire_time) VALUES ($1, coalesce(",
                now_ns!(),
                " + $2, $3))
                   ON CONFLICT (domain) DO UPDATE SET expire_time = excluded.expire_time RETURNING 1)
                 SELECT pg_notify('mongoose_domain_events', '')::text FROM declared"
            ),
            &[(&domain, Type::VARCHAR), (&ttl.nanoseconds(), Type::INT8), (&NEVER, Type::INT8)],
            until,
        )
        .map(|_| ())
    }

    fn freshness(&mut self, until: Instant) -> Result<Readable<FreshnessDeclaration>, StoreError> {
        const DOING: &str = "reading freshness";
        if self.freshness.find(&self.session, DOING, until)? == Found::No {
            return Ok(Readable::default());
        }
        let sql = concat!(
            "SELECT ",
            name!("domain"),
            ", expire_time, ",
            now_ns!(),
            r#" FROM domain_freshness ORDER BY domain_freshness.domain COLLATE "C""#
        );
        let rows = self.query(DOING, sql, &[], until)?;
        Ok(Readable::collect(rows.iter().map(|row| reading::freshness(cell(row, 0), cell(row, 1), cell(row, 2)))))
    }

    fn changes(
        &mut self,
        after: Option<EventId>,
        limit: u32,
        until: Instant,
    ) -> Result<Readable<ChangedDomain>, StoreError> {
        const DOING: &str = "reading changes";
        let sql = concat!(
            "SELECT e.id, ",
            name!("e.domain"),
            ", ",
            name!("s.host_type"),
            ", s.status, s.found
                     FROM (SELECT id, domain FROM domain_events
                            WHERE domain <> '' AND CASE WHEN $1 IS NULL
                                  THEN id = (SELECT max(id) FROM domain_events WHERE domain <> '') ELSE id > $1 END
                            ORDER BY id LIMIT $2) e
                     LEFT JOIN (SELECT domain, host_type, status, 1 AS found FROM domain_settings) s USING (domain)
                    ORDER BY e.id"
        );
        let mut after = after.map(|EventId(id)| id);
        let mut changes = Readable::default();
        loop {
            let left = i64::from(limit) - changes.rows.len() as i64;
            let rows = self.query(DOING, sql, &[(&after, Type::INT8), (&left, Type::INT8)], until)?;
            for row in &rows {
                let settings = (cell(row, 4) != Cell::Null).then(|| (cell(row, 2), cell(row, 3)));
                changes.push(reading::changed(EventId(get(row, 0, DOING)?), cell(row, 1), settings));
            }
            // Behind none there is one at the most.
            match rows.last() {
                Some(last) if after.is_some() && changes.rows.len() < limit as usize && rows.len() as i64 == left => {
                    after = Some(get(last, 0, DOING)?);
                }
                _ => return Ok(changes),
            }
        }
    }

    fn findings(&mut self, until: Instant) -> Result<Vec<Finding>, StoreError> {
        let left = until.saturating_duration_since(Instant::now()).min(self.session.timeouts.statement);
        self.session.call("looking at the rights", left, rights::findings(&self.session.client))
    }

    fn sequences(&mut self, until: Instant) -> Result<Vec<Sequence>, StoreError> {
        sequences::all(&self.session, until)
    }

    fn survey(&mut self, until: Instant) -> Result<Survey, StoreError> {
        const DOING: &str = "counting rows";
        let time = self.query(DOING, concat!("SELECT ", now!()), &[], until)?;
        let time = time.first().map_or(Err(unreadable(DOING)), |row| get(row, 0, DOING))?;
        let sql = concat!(
            "SELECT ",
            name!("host_type"),
            r#", count(*) FROM domain_settings GROUP BY host_type ORDER BY domain_settings.host_type COLLATE "C""#
        );
        let rows = self.query(DOING, sql, &[], until)?;
        let counted = rows.iter().map(|row| Ok((cell(row, 0).shown(), get(row, 1, DOING)?)));
        let host_types = counted.collect::<Result<_, StoreError>>()?;
        // In an encoding, a text is one; in none, what is not printable ASCII may be none.
        let suspects = concat!(
            "SELECT ",
            name!("domain"),
            ", ",
            name!("host_type"),
            ", status FROM domain_settings
              WHERE domain IS NULL OR host_type IS NULL OR status IS NULL
                 OR octet_length(domain) > 1000 OR octet_length(host_type) > 1000
                 OR getdatabaseencoding() = 'SQL_ASCII'
                    AND (domain !~ '^[ -~]*$' OR host_type !~ '^[ -~]*$')
              LIMIT 10000"
        );
        let rows = self.query(DOING, suspects, &[], until)?;
        let read = rows.iter().map(|row| reading::listed(cell(row, 0), cell(row, 1), cell(row, 2)));
        Ok(Survey { time, host_types, left_out: Readable::collect(read).left_out })
    }
}

/// What [`verdict`] selected.
fn held(rows: &[Row], doing: &'static str) -> Result<JobOutcome, StoreError> {
    let row = rows.first().ok_or_else(|| unreadable(doing))?;
    Ok(match (get(row, 0, doing)?, get(row, 1, doing)?) {
        (true, _) => JobOutcome::Updated,
        (false, true) => JobOutcome::Void(settings(row, 2)),
        (false, false) => JobOutcome::NotOwned,
    })
}

/// Rows of: whether the job is not void, its domain, its host type, its handlers, and the domain's row.
fn jobs(rows: &[Row], doing: &'static str) -> Result<RemovalJobs, StoreError> {
    let mut jobs = RemovalJobs::default();
    for row in rows {
        match (reading::job(cell(row, 1), cell(row, 2), cell(row, 3)), get(row, 0, doing)?) {
            (Ok(job), true) => jobs.held.push(job),
            (Ok(job), false) => jobs.void.push(VoidJob { job, row: settings(row, 4) }),
            (Err(spoilt), _) => jobs.left_out.push(spoilt),
        }
    }
    Ok(jobs)
}

fn get<T: FromSqlOwned>(row: &Row, column: usize, doing: &'static str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::failed(doing, &error))
}

/// What two columns of one domain's row say; nothing where there is no row. A host type that is no text is escaped.
fn settings(row: &Row, column: usize) -> Option<DomainSettings> {
    match (cell(row, column), cell(row, column + 1)) {
        (Cell::Null, Cell::Null) => None,
        (host_type, status) => Some(reading::settings_of_one(host_type, status)),
    }
}

fn unreadable(doing: &'static str) -> StoreError {
    StoreError::Refused { doing, reason: "a row is not what it should be".to_owned() }
}
