//! Reading a million rows in one snapshot.
//!
//! One read-only, repeatable-read transaction: first the log's ends and gaps, then every row of
//! interest. So an event after the newest one is about a change that these rows may lack, and one up to
//! it is about a change that they have, unless its transaction was still open: then its id is in a gap.
//!
//! The rows come by binary COPY, which needs no portal, no page and no escaping. Where a database
//! does not offer COPY from a query (CockroachDB), they come in pages ordered by id, which cost a
//! round trip each.
//!
//! No single deadline fits a load of unknown size, so each step has one: to answer, and to send the
//! next row.

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use domain_core::HostTypes;
use futures_util::{FutureExt, StreamExt};
use tokio_postgres::binary_copy::BinaryCopyOutStream;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::bounded::name;
use super::session::guarded;
use super::{Bytes, freshness, log, offered};
use crate::{LoadSummary, Row, Signal, StoreError, TableContents};

const DOING: &str = "loading domain_settings";

/// Rows a page, where there is no COPY.
const PAGE: i64 = 10_000;

/// How the rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadMethod {
    Copy,
    Pages,
}

pub(super) enum LoadError {
    /// The database does not offer this method; nothing was read yet.
    NotOffered,
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
            LoadError::NotOffered => {
                StoreError::Failed { doing: DOING, reason: "the database offers neither COPY nor pages".to_owned() }
            }
        }
    }
}

pub(super) struct Load<'a> {
    pub(super) host_types: &'a HostTypes,
    pub(super) signal: &'a Signal,
    pub(super) limit: Duration,
    pub(super) batch: usize,
    pub(super) gaps: usize,
    pub(super) take: &'a mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    /// Read and not taken yet.
    pub(super) rows: Vec<Row>,
}

impl Load<'_> {
    /// Answers nothing when `take` broke off.
    pub(super) async fn run(
        &mut self,
        client: &mut Client,
        method: LoadMethod,
    ) -> Result<Option<LoadSummary>, LoadError> {
        self.rows = Vec::with_capacity(self.batch);
        let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let snapshot = self.guarded(builder.start()).await?;
        // The server's own statement time-out is for small statements; see above for this one's.
        self.guarded(snapshot.batch_execute("SET LOCAL statement_timeout = 0")).await?;
        let loaded = self.guarded(self.about(&snapshot)).await?;
        let read = match method {
            LoadMethod::Copy => self.copy(&snapshot).await?,
            LoadMethod::Pages => self.pages(&snapshot).await?,
        };
        if read.is_break() || self.hand_over().is_break() {
            return Ok(None);
        }
        self.guarded(snapshot.commit()).await?;
        Ok(Some(loaded))
    }

    /// All that is to know but the rows.
    async fn about(&self, snapshot: &Transaction<'_>) -> Result<LoadSummary, tokio_postgres::Error> {
        let gaps = i64::try_from(self.gaps).unwrap_or(i64::MAX);
        // The statements go out at once.
        let (bounds, newest_domain, gaps, rows, fresh) = tokio::try_join!(
            snapshot.query_typed_one("SELECT min(id), max(id) FROM domain_events", &[]),
            log::newest_domain(snapshot),
            log::gaps(snapshot, gaps),
            snapshot.query_typed_one("SELECT EXISTS (SELECT FROM domain_settings)", &[]),
            freshness::fresh(snapshot, self.host_types),
        )?;
        let rows = if rows.try_get(0)? { TableContents::NotEmpty } else { TableContents::Empty };
        Ok(LoadSummary { bounds: log::read_bounds(&bounds)?, newest_domain, gaps, rows, fresh })
    }

    async fn copy(&mut self, snapshot: &Transaction<'_>) -> Result<ControlFlow<()>, LoadError> {
        let start = snapshot.copy_out(concat!(
            "COPY (SELECT ",
            name!("domain"),
            ", ",
            name!("host_type"),
            ", status FROM domain_settings WHERE status NOT IN (0, 2) OR status IS NULL) TO STDOUT (FORMAT binary)"
        ));
        let stream = self.guarded(async { offered(start.await) }).await?.ok_or(LoadError::NotOffered)?;
        let mut stream = pin!(BinaryCopyOutStream::new(stream, &[Type::VARCHAR, Type::VARCHAR, Type::INT2]));
        loop {
            // Most rows are there already, and a deadline costs more than a row.
            let next = match stream.next().now_or_never() {
                Some(ready) => ready.transpose().map_err(unreadable)?,
                None => self.guarded(async { stream.next().await.transpose() }).await?,
            };
            let Some(row) = next else { return Ok(ControlFlow::Continue(())) };
            let domain: Option<Bytes<'_>> = row.try_get(0).map_err(unreadable)?;
            let host_type: Option<Bytes<'_>> = row.try_get(1).map_err(unreadable)?;
            let status: Option<i16> = row.try_get(2).map_err(unreadable)?;
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
                name!("domain"),
                ", ",
                name!("host_type"),
                ", status FROM domain_settings
                  WHERE id > $1 AND (status NOT IN (0, 2) OR status IS NULL) ORDER BY id LIMIT $2"
            );
            let rows = self.guarded(snapshot.query_typed(page, &[(&after, Type::INT8), (&PAGE, Type::INT8)])).await?;
            let Some(last) = rows.last() else {
                return Ok(ControlFlow::Continue(()));
            };
            after = last.try_get(0).map_err(unreadable)?;
            for row in &rows {
                let domain: Option<Bytes<'_>> = row.try_get(1).map_err(unreadable)?;
                let host_type: Option<Bytes<'_>> = row.try_get(2).map_err(unreadable)?;
                let status: Option<i16> = row.try_get(3).map_err(unreadable)?;
                if self.push(domain, host_type, status).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }

    /// A table that somebody else made may allow NULL: such a row makes no sense.
    fn push(
        &mut self,
        domain: Option<Bytes<'_>>,
        host_type: Option<Bytes<'_>>,
        status: Option<i16>,
    ) -> ControlFlow<()> {
        let settings = Some(Bytes::settings(host_type, status));
        self.rows.push(Row::read(self.host_types, domain.unwrap_or_default().0, settings));
        if self.rows.len() == self.batch { self.hand_over() } else { ControlFlow::Continue(()) }
    }

    fn hand_over(&mut self) -> ControlFlow<()> {
        let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(self.batch));
        if rows.is_empty() { ControlFlow::Continue(()) } else { (self.take)(rows) }
    }

    async fn guarded<T>(&self, step: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
        guarded(self.signal, DOING, self.limit, step).await
    }
}

fn unreadable(error: tokio_postgres::Error) -> LoadError {
    LoadError::Store(StoreError::failed(DOING, &error))
}

#[cfg(test)]
mod tests {
    use super::super::PostgresStore;
    use super::super::session::Session;
    use super::super::test_server::TestServer;
    use super::*;
    use domain_core::EventId;

    use crate::{Database, LogBounds, Timeouts};

    #[test]
    fn both_roads_bring_the_same_rows() {
        let server = TestServer::start(&[]);
        let minute = Duration::from_secs(60);
        let timeouts = Timeouts { connect: minute, statement: minute, lock: minute };
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port());
        drop(Database::parse(&url, timeouts).unwrap().connect(Default::default(), Default::default()).unwrap());
        let target = super::super::Target::new(&url, &timeouts).unwrap();
        let mut store = PostgresStore::connect(&target, timeouts, Default::default(), Default::default()).unwrap();
        let fill = "INSERT INTO domain_settings (domain, host_type, status)
                        SELECT 'tenant-' || n || '.example', 'type1', n % 4 FROM generate_series(1, 50000) n;
                    INSERT INTO domain_events (domain) VALUES ('tenant-1.example')";
        store.session.runtime.block_on(store.session.client.batch_execute(fill)).unwrap();

        let mut read = |method| {
            let mut all = Vec::new();
            let mut take = |rows: Vec<Row>| {
                all.extend(rows);
                ControlFlow::Continue(())
            };
            let PostgresStore { session: Session { client, runtime, timeouts, signal, .. }, host_types, .. } =
                &mut store;
            let (limit, rows) = (timeouts.statement, Vec::new());
            let mut load = Load { host_types, signal, limit, batch: 999, gaps: 10, take: &mut take, rows };
            let loaded = runtime.block_on(load.run(client, method)).map_err(StoreError::from).unwrap();
            all.sort_by_key(|row| format!("{row:?}"));
            (loaded, all)
        };
        let (loaded, rows) = read(LoadMethod::Copy);
        let bounds = LogBounds::From { oldest: EventId(1), newest: EventId(1) };
        assert_eq!((loaded.as_ref().unwrap().bounds, rows.len()), (bounds, 25_000));
        assert!(read(LoadMethod::Pages) == (loaded, rows), "pages brought other rows than COPY");
    }
}
