//! Calls a writer of the pool for an operation.
//!
//! A change that conflicts with another transaction is run again, a limited number of times and within the caller's
//! time.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use domain_core::{DomainName, HostTypeId, HostTypes, Table};
use domain_store::{IdentityMatch, Lease, StoreError, Writer};

use crate::pool::{self, Condition, Pool};
use crate::{OperationError, Options};

/// The number of attempts of a change.
const MAX_ATTEMPTS: u32 = 10;
/// How often a stale connection is replaced. The URL may name several servers in random order.
const MAX_RECONNECTS: u32 = 2;
/// The pause after a conflict, which is multiplied by the number of conflicts and a random factor.
const PAUSE: Duration = Duration::from_millis(5);

/// Shared by all workers.
pub(crate) struct Executor {
    pool: Pool,
    pub(crate) table: Arc<Table>,
    pub(crate) options: Options,
}

impl Executor {
    pub(crate) fn new(pool: Pool, table: Arc<Table>, options: Options) -> Executor {
        Executor { pool, table, options }
    }

    /// Has the workers and the follower reconnect.
    pub(crate) fn reconnect(&self) {
        self.pool.reconnect();
    }

    /// Calls a writer that is connected to the followed database. Calls it again after a conflict, and another one if it is
    /// stale.
    pub(crate) fn write<T>(
        &self,
        until: Instant,
        call: impl FnMut(&mut dyn Writer) -> Result<T, StoreError>,
    ) -> Result<T, OperationError> {
        self.write_compared(until, call).map(|(answer, _)| answer)
    }

    /// The same. Tells whether the follower is known to be connected to the database of the change.
    pub(crate) fn write_compared<T>(
        &self,
        until: Instant,
        mut call: impl FnMut(&mut dyn Writer) -> Result<T, StoreError>,
    ) -> Result<(T, IdentityMatch), OperationError> {
        let (mut reconnects, mut attempts) = (0, 0);
        let mut last_conflict = None;
        loop {
            // A later failure does not hide the conflict that caused the repetition.
            let contended = |failure| {
                last_conflict.clone().map_or(failure, |last| OperationError::Contended { tries: attempts, last })
            };
            if attempts == MAX_ATTEMPTS || Instant::now() >= until {
                return Err(contended(OperationError::Expired));
            }
            let (mut connection, identity) = self.pool.get(until).map_err(contended)?;
            match call(&mut *connection.writer) {
                // The follower may have connected to another database since.
                Ok(answer) => match self.pool.compare(identity.as_ref()) {
                    IdentityMatch::Different => {
                        self.pool.expire();
                        return Err(OperationError::FollowerMoved { database: pool::name(identity.as_ref()) });
                    }
                    compared => return Ok((answer, compared)),
                },
                // Another server of the URL may take changes, or another file has the name.
                Err(StoreError::StaleConnection { .. }) if reconnects < MAX_RECONNECTS => {
                    reconnects += 1;
                    connection.condition = Condition::Broken;
                    self.pool.expire();
                }
                Err(conflict @ StoreError::Conflict { .. }) => {
                    drop(connection);
                    attempts += 1;
                    last_conflict = Some(conflict);
                    thread::sleep(PAUSE.mul_f64(f64::from(attempts) * fastrand::f64()));
                }
                Err(error @ (StoreError::Refused { .. } | StoreError::RowRefused { .. })) => return Err(error.into()),
                Err(error) => {
                    connection.condition = Condition::Broken;
                    return Err(error.into());
                }
            }
        }
    }

    /// The names of a domain's subdomains on this node.
    pub(crate) fn subdomains(&self, domain: &DomainName, host_types: &[HostTypeId]) -> Vec<String> {
        let names = self.table.subdomain_names(domain, host_types);
        names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect()
    }

    pub(crate) fn lease(&self) -> Lease<'_> {
        let milliseconds = i64::try_from(self.options.lease.as_millis()).unwrap_or(i64::MAX);
        Lease { owner: &self.options.owner, milliseconds }
    }

    pub(crate) fn host_types(&self) -> &HostTypes {
        self.table.host_types()
    }

    pub(crate) fn name(&self, id: HostTypeId) -> String {
        self.host_types().name(id).to_string()
    }

    pub(crate) fn allowed(&self) -> Vec<String> {
        self.table.allowed_host_types().into_iter().map(|id| self.name(id)).collect()
    }
}
