//! Statements that the server parses once for a connection, and plans a few times.
//!
//! A statement is prepared at its first use, which takes one more round trip. PostgreSQL plans a prepared statement for
//! its parameters five times, and then keeps a plan that suits all parameters. That plan stays until the statistics of a
//! table change, however fast the tables grow meanwhile. So a statement is prepared only if it has one reasonable plan
//! whatever the tables hold: each row of a table is found by an index, which [`settings`](super::settings) and the shape
//! of the statement ensure.
//!
//! The driver names statements by numbers that each process counts from zero. Behind a pooler that assigns another server
//! connection to each transaction, such a name may be another process's statement, and running that would do something
//! else. So statements are prepared only where the connection leads to the server's process itself
//! ([`Route::Direct`]).
//!
//! What was prepared may be gone (`DEALLOCATE`, `DISCARD ALL`), or its result may have other types since a table was
//! altered. The server then refuses the statement before it runs, and it is sent again.

use std::cell::RefCell;
use std::collections::HashMap;

use tokio::io::AsyncReadExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use super::tls::Connector;
use crate::Route;

/// Parameters of a statement with their types.
pub(super) type Parameters<'a> = [(&'a (dyn ToSql + Sync), Type)];

/// The process that the server named at the log-in. A pooler names one of its own.
pub(super) async fn process_id(client: &Client) -> Option<i32> {
    // The driver shows it only in a request to cancel a statement: its length, a code, the process and a key.
    const REQUEST: usize = 16;
    let (ours, mut theirs) = tokio::io::duplex(REQUEST);
    client.cancel_token().cancel_query_raw(ours, Connector::clear().to_host("")).await.ok()?;
    let mut request = [0; REQUEST];
    theirs.read_exact(&mut request).await.ok()?;
    let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = request;
    Some(i32::from_be_bytes([a, b, c, d]))
}

/// The prepared statements of a connection, by their texts. None: statements are not prepared.
pub(super) struct PreparedStatements(RefCell<Option<HashMap<&'static str, Statement>>>);

impl PreparedStatements {
    pub(super) fn new(route: Route) -> PreparedStatements {
        PreparedStatements(RefCell::new((route == Route::Direct).then(HashMap::new)))
    }

    /// Runs a statement.
    pub(super) async fn query(
        &self,
        client: &Client,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        let attempt = async || {
            let statement = self.prepare(client, sql, parameters).await?;
            run(client, statement, sql, parameters).await
        };
        self.repeat_if_refused(attempt).await
    }

    /// Runs two statements in this order, in one round trip.
    pub(super) async fn query_both(
        &self,
        client: &Client,
        (first, first_parameters): (&'static str, &Parameters<'_>),
        (second, second_parameters): (&'static str, &Parameters<'_>),
    ) -> Result<(Vec<Row>, Vec<Row>), Error> {
        let attempt = async || {
            let (one, two) = tokio::try_join!(
                self.prepare(client, first, first_parameters),
                self.prepare(client, second, second_parameters),
            )?;
            // Each is sent when it is polled first.
            tokio::try_join!(run(client, one, first, first_parameters), run(client, two, second, second_parameters),)
        };
        self.repeat_if_refused(attempt).await
    }

    /// The prepared statement, if statements are prepared here.
    async fn prepare(
        &self,
        client: &Client,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Option<Statement>, Error> {
        let known = match &*self.0.borrow() {
            None => return Ok(None),
            Some(known) => known.get(sql).cloned(),
        };
        if known.is_some() {
            return Ok(known);
        }
        let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
        let statement = client.prepare_typed(sql, &types).await?;
        if let Some(known) = &mut *self.0.borrow_mut() {
            known.insert(sql, statement.clone());
        }
        Ok(Some(statement))
    }

    /// Repeats an attempt once, if the server refused it because of how it was prepared. Nothing was changed then.
    async fn repeat_if_refused<T>(&self, attempt: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
        match attempt().await {
            Err(refused) if self.has_forgotten(&refused) => {
                // A pooler may have closed the connection with its refusal, which is what says that nothing was changed.
                attempt().await.map_err(|error| if error.is_closed() { refused } else { error })
            }
            result => result,
        }
    }

    /// Whether the error is about what was prepared, which is then forgotten.
    fn has_forgotten(&self, error: &Error) -> bool {
        let (Some(db), state) = (error.as_db_error(), &mut *self.0.borrow_mut()) else { return false };
        let Some(prepared) = state else { return false };
        let of_sessions =
            [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT, SqlState::PROTOCOL_VIOLATION];
        if of_sessions.contains(db.code()) {
            // Somebody else uses this session, too.
            *state = None;
            return true;
        }
        // The message, that the result of a plan must not change, depends on the server's language.
        let is_altered = *db.code() == SqlState::FEATURE_NOT_SUPPORTED && db.routine() == Some("RevalidateCachedQuery");
        if is_altered {
            prepared.clear();
        }
        is_altered
    }
}

/// Runs a statement, prepared or not.
async fn run(
    client: &Client,
    statement: Option<Statement>,
    sql: &str,
    parameters: &Parameters<'_>,
) -> Result<Vec<Row>, Error> {
    match statement {
        None => client.query_typed(sql, parameters).await,
        Some(statement) => {
            let values: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|(value, _)| *value).collect();
            client.query(&statement, &values).await
        }
    }
}
