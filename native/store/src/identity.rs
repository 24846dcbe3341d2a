//! Where a connection leads: which file, or which database of which server.
//!
//! Several connections of one node may lead to several databases, although the URL is the same: a file is
//! replaced while it is open, an address moves to another server while the old one still runs, one host of
//! several is promoted. [`DatabaseIdentity::is_same_as`] tells whether a change that is made by one connection can be seen
//! by the other.

use std::fmt;

use crate::PersistentId;

/// What a connection leads to. It is read when the connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseIdentity {
    /// A file. Another one that takes its name has another inode.
    File {
        /// The device that it is on.
        device: u64,
        /// Its number there.
        inode: u64,
    },
    /// A database of a PostgreSQL server.
    Server {
        /// The cluster's system identifier and the database's OID. A copy of the cluster has the same ones.
        database: String,
        /// The timeline. A promotion begins a new one.
        timeline: String,
        /// What the server is for the cluster.
        role: ServerRole,
    },
}

/// What a PostgreSQL server is for its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerRole {
    /// It takes changes.
    Primary {
        /// When it was started, in microseconds since 1970: two servers that run copies of one cluster differ in it.
        started: i64,
    },
    /// It is in recovery: it repeats what some primary does.
    Standby,
}

impl DatabaseIdentity {
    /// The name that is remembered when the connection has ended. It stays the same when the server is restarted.
    pub fn persistent_id(&self) -> PersistentId {
        PersistentId(match self {
            DatabaseIdentity::File { device, inode } => format!("file {device}/{inode}"),
            DatabaseIdentity::Server { database, timeline, .. } => format!("{database}/{timeline}"),
        })
    }

    /// Whether a change that is made here can be seen there. A standby shows what its primary does, but does not
    /// say which server that is: it is the same as any server of its cluster.
    pub fn is_same_as(&self, there: &DatabaseIdentity) -> bool {
        match (self, there) {
            (
                DatabaseIdentity::Server { database: here, role: ServerRole::Standby, .. },
                DatabaseIdentity::Server { database: there, .. },
            )
            | (
                DatabaseIdentity::Server { database: here, .. },
                DatabaseIdentity::Server { database: there, role: ServerRole::Standby, .. },
            ) => here == there,
            _ => self == there,
        }
    }
}

impl fmt::Display for DatabaseIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.persistent_id().0)?;
        match self {
            DatabaseIdentity::Server { role: ServerRole::Primary { started }, .. } => {
                write!(f, " (a primary, started at {started} µs)")
            }
            DatabaseIdentity::Server { role: ServerRole::Standby, .. } => f.write_str(" (a standby)"),
            DatabaseIdentity::File { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(database: &str, timeline: &str, role: ServerRole) -> DatabaseIdentity {
        DatabaseIdentity::Server { database: database.to_owned(), timeline: timeline.to_owned(), role }
    }

    #[test]
    fn a_copy_that_runs_beside_the_original_is_another_place() {
        let [one, other] = [1, 2].map(|started| server("7/5", "00000001", ServerRole::Primary { started }));
        assert!(one.is_same_as(&one) && !one.is_same_as(&other));
        assert_eq!(one.persistent_id(), other.persistent_id());
    }

    #[test]
    fn a_standby_is_the_same_place_as_its_primary_and_none_of_another_cluster() {
        let primary = server("7/5", "00000002", ServerRole::Primary { started: 1 });
        assert!(primary.is_same_as(&server("7/5", "00000001", ServerRole::Standby)));
        assert!(server("7/5", "00000001", ServerRole::Standby).is_same_as(&primary));
        assert!(!primary.is_same_as(&server("8/5", "00000002", ServerRole::Standby)));
    }
}
