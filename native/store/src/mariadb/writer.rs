//! MariaDB's connection for changes. Each change is one transaction of two or three round trips: statements that depend on
//! nothing in between are sent together, except on Galera.
//!
//! The server returns the ids of inserted events (`INSERT … RETURNING`), but has no statement that changes several tables
//! and says how. So a transaction first claims the names that it may change, locks their rows and reads them, and then
//! writes the rows and their events, and commits.
//!
//! The transactions are at READ COMMITTED: each of their statements sees what was committed before it. They lock no gaps
//! between rows, as the server's default level does. What those gaps protect there, a name that has no row yet, is
//! protected here by claims, which also two nodes of a Galera cluster see of each other.
//!
//! No client is notified of a change. Followers find its event by themselves.
//!
//! | file | what it holds |
//! |---|---|
//! | `sql` | parts of statements |
//! | `columns` | the columns that names are searched in |
//! | `cell` | the columns of an answer |
//! | `batch` | runs several statements in one round trip, and transactions |
//! | `found` | the rows that a name has |
//! | `claims` | keeps transactions that change the same names apart |
//! | `events` | inserts the events of a change, and commits |
//! | `addition` | adds rows, and finds out why an addition was refused |
//! | `own_table` | tables that are created by the first operation that needs them |
//! | `jobs` | reads jobs with the rows of their domains |
//! | `findings` | what may be wrong with the tables and the user's rights |
//! | `domains`, `passwords`, `removals`, `declarations`, `diagnostics` | the parts of [`Writer`] |

mod addition;
mod batch;
mod cell;
mod claims;
mod columns;
mod declarations;
mod diagnostics;
mod domains;
mod events;
mod findings;
mod found;
mod jobs;
mod own_table;
mod passwords;
mod removals;
mod sql;

use std::sync::Arc;
use std::time::Instant;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use self::batch::Sending;
use self::columns::NameColumns;
use self::own_table::OwnTable;
use super::connect::Target;
use super::session::Session;
use super::{identity, schema};
use crate::writer::Writer;
use crate::{DatabaseIdentity, Signal, StoreError, Timeouts};

pub(crate) struct MariadbWriter {
    session: Session,
    identity: Option<DatabaseIdentity>,
    columns: NameColumns,
    sending: Sending,
    removals: OwnTable,
    freshness: OwnTable,
}

impl MariadbWriter {
    pub(crate) fn connect(
        target: &Target,
        timeouts: Timeouts,
        signal: Arc<Signal>,
    ) -> Result<MariadbWriter, StoreError> {
        let mut session = Session::connect(target, timeouts, signal)?;
        schema::prepare(&mut session)?;
        let server = session.server.clone();
        let identity = session
            .call(identity::DOING, timeouts.statement, async |conn: &mut Conn| identity::read(conn, &server).await)?;
        let columns = session.call("reading how names are stored", timeouts.statement, async |conn: &mut Conn| {
            conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
            NameColumns::read(conn).await
        })?;
        let sending = if session.server.cluster.is_some() { Sending::OneByOne } else { Sending::Together };
        Ok(MariadbWriter {
            session,
            identity,
            columns,
            sending,
            removals: OwnTable::REMOVALS,
            freshness: OwnTable::FRESHNESS,
        })
    }
}

impl Writer for MariadbWriter {
    fn is_alive(&mut self) -> bool {
        self.session.is_alive()
    }

    fn identity(&mut self, _until: Instant) -> Result<Option<DatabaseIdentity>, StoreError> {
        Ok(self.identity.clone())
    }
}
