//! Reads all rows in one snapshot.
//!
//! One read-only, repeatable-read transaction reads the log's bounds and gaps, then the rows. These rows include every
//! change whose event is in the snapshot. A change whose event has a larger id may be missing, and so may one whose
//! transaction was open: the id of its event is in a gap.
//!
//! The rows are sent by binary COPY, without portals, pages or escaping. Where a database does not support COPY from a
//! query (CockroachDB), they are read in pages ordered by id, with a round trip each.
//!
//! The size of a load is not known, so there is no deadline for all of it. Each step has one: a statement, and the
//! next row.

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use domain_core::HostTypes;
use futures_util::{FutureExt, StreamExt};
use tokio_postgres::binary_copy::BinaryCopyOutStream;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::session::{Session, with_deadline};
use super::sql::bounded_name;
use super::sqlstate::if_supported;
use super::value::{RawText, row_settings};
use super::{freshness, log};
use crate::{LoadSummary, Row, Signal, StoreError, TableContents};

const DOING: &str = "loading domain_settings";

/// Rows of a page, where there is no COPY.
const PAGE_ROWS: i64 = 10_000;

/// How the rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoadMethod {
    Copy,
    Pages,
}

enum LoadError {
    /// The database does not support this method. No row was read.
    Unsupported,
    Store(StoreError),
}

impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> Self {
        LoadError::Store(error)
    }
}

impl From<LoadError> for StoreError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => error,
            LoadError::Unsupported => {
                StoreError::Failed { doing: DOING, reason: "the database supports neither COPY nor pages".to_owned() }
            }
        }
    }
}

/// What a load is for: see [`crate::Store::load`].
pub(super) struct LoadRequest<'a> {
    pub(super) host_types: &'a HostTypes,
    pub(super) batch: usize,
    pub(super) gaps: usize,
    pub(super) take: &'a mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
}

/// Loads by COPY, or by pages where there is no COPY.
pub(super) fn load(session: &mut Session, request: LoadRequest<'_>) -> Result<Option<LoadSummary>, StoreError> {
    let Session { client, runtime, timeouts, signal, .. } = session;
    let mut load = Load { request, signal, limit: timeouts.statement, rows: Vec::new() };
    match runtime.block_on(load.run(client, LoadMethod::Copy)) {
        Err(LoadError::Unsupported) => runtime.block_on(load.run(client, LoadMethod::Pages)),
        result => result,
    }
    .map_err(LoadError::into)
}

struct Load<'a, 'r> {
    request: LoadRequest<'r>,
    signal: &'a Signal,
    limit: Duration,
    /// The rows of the next batch.
    rows: Vec<Row>,
}

impl Load<'_, '_> {
    /// Returns nothing when `take` stopped the load.
    async fn run(&mut self, client: &mut Client, method: LoadMethod) -> Result<Option<LoadSummary>, LoadError> {
        self.rows = Vec::with_capacity(self.request.batch);
        let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let snapshot = self.step(builder.start()).await?;
        // The server's statement time-out is for short statements, and an index for few rows.
        self.step(snapshot.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL enable_seqscan = on")).await?;
        let loaded = self.step(self.summary(&snapshot)).await?;
        let read = match method {
            LoadMethod::Copy => self.copy(&snapshot).await?,
            LoadMethod::Pages => self.pages(&snapshot).await?,
        };
        if read.is_break() || self.flush().is_break() {
            return Ok(None);
        }
        self.step(snapshot.commit()).await?;
        Ok(Some(loaded))
    }

    /// Reads everything but the rows.
    async fn summary(&self, snapshot: &Transaction<'_>) -> Result<LoadSummary, tokio_postgres::Error> {
        let gaps = i64::try_from(self.request.gaps).unwrap_or(i64::MAX);
        // Pipelined: one round trip.
        let (bounds, newest_domain, gaps, rows, fresh) = tokio::try_join!(
            snapshot.query_typed_one("SELECT min(id), max(id) FROM domain_events", &[]),
            log::newest_domain(snapshot),
            log::gaps(snapshot, gaps),
            snapshot.query_typed_one("SELECT EXISTS (SELECT FROM domain_settings)", &[]),
            freshness::fresh(snapshot, self.request.host_types),
        )?;
        let rows = if rows.try_get(0)? { TableContents::NotEmpty } else { TableContents::Empty };
        Ok(LoadSummary { bounds: log::read_bounds(&bounds)?, newest_domain, gaps, rows, fresh })
    }

    async fn copy(&mut self, snapshot: &Transaction<'_>) -> Result<ControlFlow<()>, LoadError> {
        let start = snapshot.copy_out(concat!(
            "COPY (SELECT ",
            bounded_name!("domain"),
            ", ",
            bounded_name!("host_type"),
            ", status FROM domain_settings WHERE status NOT IN (0, 2) OR status IS NULL) TO STDOUT (FORMAT binary)"
        ));
        let stream = self.step(async { if_supported(start.await) }).await?.ok_or(LoadError::Unsupported)?;
        let mut stream = pin!(BinaryCopyOutStream::new(stream, &[Type::VARCHAR, Type::VARCHAR, Type::INT2]));
        loop {
            // Most rows are buffered already, and a deadline costs more than reading a row.
            let next = match stream.next().now_or_never() {
                Some(ready) => ready.transpose().map_err(failed)?,
                None => self.step(async { stream.next().await.transpose() }).await?,
            };
            let Some(row) = next else { return Ok(ControlFlow::Continue(())) };
            let domain: Option<RawText<'_>> = row.try_get(0).map_err(failed)?;
            let host_type: Option<RawText<'_>> = row.try_get(1).map_err(failed)?;
            let status: Option<i16> = row.try_get(2).map_err(failed)?;
            if self.push(domain, host_type, status).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    async fn pages(&mut self, snapshot: &Transaction<'_>) -> Result<ControlFlow<()>, LoadError> {
        let mut after = i64::MIN;
        loop {
            let page = concat!(
                "SELECT id, ",
                bounded_name!("domain"),
                ", ",
                bounded_name!("host_type"),
                ", status FROM domain_settings
                  WHERE id > $1 AND (status NOT IN (0, 2) OR status IS NULL) ORDER BY id LIMIT $2"
            );
            let rows = self.step(snapshot.query_typed(page, &[(&after, Type::INT8), (&PAGE_ROWS, Type::INT8)])).await?;
            let Some(last) = rows.last() else {
                return Ok(ControlFlow::Continue(()));
            };
            after = last.try_get(0).map_err(failed)?;
            for row in &rows {
                let domain: Option<RawText<'_>> = row.try_get(1).map_err(failed)?;
                let host_type: Option<RawText<'_>> = row.try_get(2).map_err(failed)?;
                let status: Option<i16> = row.try_get(3).map_err(failed)?;
                if self.push(domain, host_type, status).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }

    /// A table with another schema may allow NULL: such a row is invalid.
    fn push(
        &mut self,
        domain: Option<RawText<'_>>,
        host_type: Option<RawText<'_>>,
        status: Option<i16>,
    ) -> ControlFlow<()> {
        let settings = Some(row_settings(host_type, status));
        self.rows.push(Row::read(self.request.host_types, domain.unwrap_or_default().0, settings));
        if self.rows.len() == self.request.batch { self.flush() } else { ControlFlow::Continue(()) }
    }

    fn flush(&mut self) -> ControlFlow<()> {
        let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(self.request.batch));
        if rows.is_empty() { ControlFlow::Continue(()) } else { (self.request.take)(rows) }
    }

    /// Runs one step against its deadline and the stop signal.
    async fn step<T>(&self, step: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
        with_deadline(self.signal, DOING, self.limit, step).await
    }
}

fn failed(error: tokio_postgres::Error) -> LoadError {
    LoadError::Store(StoreError::failed(DOING, &error))
}

#[cfg(test)]
mod tests {
    use super::super::connect::Target;
    use super::super::test_server::TestServer;
    use super::*;
    use domain_core::EventId;

    use crate::{Database, LogBounds, Timeouts};

    #[test]
    fn both_methods_read_the_same_rows() {
        let server = TestServer::start(&[]);
        let minute = Duration::from_secs(60);
        let timeouts = Timeouts { connect: minute, statement: minute, lock: minute };
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port());
        drop(Database::parse(&url, timeouts).unwrap().connect(Default::default(), Default::default()).unwrap());
        let target = Target::new(&url, &timeouts).unwrap();
        let mut session = Session::connect(&target, timeouts, Default::default()).unwrap();
        let fill = "INSERT INTO domain_settings (domain, host_type, status)
                        SELECT 'tenant-' || n || '.example', 'type1', n % 4 FROM generate_series(1, 50000) n;
                    INSERT INTO domain_events (domain) VALUES ('tenant-1.example')";
        session.runtime.block_on(session.client.batch_execute(fill)).unwrap();

        let mut read = |method| {
            let mut all = Vec::new();
            let mut take = |rows: Vec<Row>| {
                all.extend(rows);
                ControlFlow::Continue(())
            };
            let Session { client, runtime, timeouts, signal, .. } = &mut session;
            let host_types = HostTypes::default();
            let request = LoadRequest { host_types: &host_types, batch: 999, gaps: 10, take: &mut take };
            let mut load = Load { request, signal, limit: timeouts.statement, rows: Vec::new() };
            let loaded = runtime.block_on(load.run(client, method)).map_err(StoreError::from).unwrap();
            all.sort_by_key(|row| format!("{row:?}"));
            (loaded, all)
        };
        let (loaded, rows) = read(LoadMethod::Copy);
        let bounds = LogBounds::From { oldest: EventId(1), newest: EventId(1) };
        assert_eq!((loaded.as_ref().unwrap().bounds, rows.len()), (bounds, 25_000));
        assert!(read(LoadMethod::Pages) == (loaded, rows), "pages returned other rows than COPY");
    }
}
