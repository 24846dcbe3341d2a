//! Runs several statements in one round trip, and whole transactions.
//!
//! On Galera each statement has a round trip of its own. A node rolls a transaction back when a change of another node
//! needs what it has locked, at any time. The client gets the error with its present statement or its next one; between two
//! statements of one round trip nothing says so, and the second one would be a transaction of its own.

use std::time::Instant;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};

use super::MariadbWriter;
use super::columns::NameColumns;
use crate::StoreError;
use crate::mariadb::error::{DEADLOCK, change_error, reason, statement_error};

/// The rows of the statements of a batch.
pub(super) struct Answers(Vec<Vec<Row>>);

impl Answers {
    /// The rows of the statement at this place, which [`Batch::add`] returned.
    pub(super) fn take(&mut self, place: usize) -> Vec<Row> {
        self.0.get_mut(place).map(std::mem::take).unwrap_or_default()
    }
}

/// The last statement of a transaction that changes something.
pub(super) const COMMIT: &str = "COMMIT";

/// A connection within an operation.
pub(super) struct Access<'a> {
    pub(super) conn: &'a mut Conn,
    pub(super) columns: &'a NameColumns,
    pub(super) sending: Sending,
}

/// How the statements of a batch are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// In one round trip.
    Together,
    /// In a round trip each.
    OneByOne,
}

/// Statements that are sent together. The first that fails ends the batch.
#[derive(Default)]
pub(super) struct Batch {
    statements: Vec<String>,
}

impl Batch {
    /// Begins a transaction.
    pub(super) fn transaction() -> Batch {
        Batch { statements: vec!["START TRANSACTION".to_owned()] }
    }

    /// Adds a statement, and returns its place among the answers.
    pub(super) fn add(&mut self, statement: impl Into<String>) -> usize {
        self.statements.push(statement.into());
        self.statements.len() - 1
    }

    pub(super) async fn run(self, access: &mut Access<'_>) -> Result<Answers, Error> {
        let mut answers = Vec::with_capacity(self.statements.len());
        if access.sending == Sending::OneByOne {
            for statement in self.statements {
                let is_commit = statement == COMMIT;
                let answer = access.conn.query(statement).await;
                answers.push(answer.map_err(|error| if is_commit { commit_error(error) } else { error })?);
            }
            return Ok(Answers(answers));
        }
        let mut result = access.conn.query_iter(self.statements.join(";\n")).await?;
        // One set for each statement, also for those without rows, except the last.
        while !result.is_empty() {
            let mut rows = Vec::new();
            while let Some(row) = result.next().await? {
                rows.push(row);
            }
            answers.push(rows);
        }
        result.drop_result().await?;
        Ok(Answers(answers))
    }
}

/// The error of a commit on Galera. Only a lost race says that nothing was changed: with another error the change may have
/// reached the other nodes.
fn commit_error(error: Error) -> Error {
    match error {
        Error::Server(server) if server.code != DEADLOCK => {
            let reason = format!("the change was made or not: {} (error {})", server.message, server.code);
            Error::Other(reason.into())
        }
        other => other,
    }
}

impl MariadbWriter {
    /// Runs a change, which begins and ends its transaction itself. After a refusal nothing was changed.
    pub(super) fn change<T>(
        &mut self,
        doing: &'static str,
        until: Instant,
        change: impl AsyncFnOnce(&mut Access<'_>) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.attempt(doing, until, change)?.map_err(|error| self.explain(doing, &error, until, change_error))
    }

    /// The same, with the driver's error as it is.
    pub(super) fn attempt<T>(
        &mut self,
        doing: &'static str,
        until: Instant,
        change: impl AsyncFnOnce(&mut Access<'_>) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, StoreError> {
        let (left, columns, sending) = (self.session.time_left(until), &self.columns, self.sending);
        self.session.attempt(doing, left, async |conn: &mut Conn| {
            let result = change(&mut Access { conn, columns, sending }).await;
            if let Err(Error::Server(_)) = &result {
                conn.query_drop("ROLLBACK").await?;
            }
            result
        })
    }

    /// Runs statements that change nothing, and once again where a table was altered.
    pub(super) fn read(
        &mut self,
        doing: &'static str,
        until: Instant,
        batch: impl Fn(&NameColumns, &mut Batch),
    ) -> Result<Answers, StoreError> {
        let mut read = || {
            let mut statements = Batch::default();
            batch(&self.columns, &mut statements);
            // Nothing is lost between two of these statements.
            let (left, columns, sending) = (self.session.time_left(until), &self.columns, Sending::Together);
            let answers = self.session.attempt(doing, left, async |conn: &mut Conn| {
                statements.run(&mut Access { conn, columns, sending }).await
            })?;
            answers.map_err(|error| self.explain(doing, &error, until, statement_error))
        };
        match read() {
            Err(StoreError::Conflict { .. }) => read(),
            result => result,
        }
    }

    /// What an error means. Where a table was altered, its columns are read again for the next try.
    pub(super) fn explain(
        &mut self,
        doing: &'static str,
        error: &Error,
        until: Instant,
        otherwise: fn(&'static str, &Error) -> StoreError,
    ) -> StoreError {
        if !NameColumns::are_outdated(error) {
            return otherwise(doing, error);
        }
        let left = self.session.time_left(until);
        match self.session.call(doing, left, async |conn: &mut Conn| NameColumns::read(conn).await) {
            Ok(columns) => {
                self.columns = columns;
                StoreError::Conflict { doing, reason: reason(error) }
            }
            Err(error) => error,
        }
    }
}
