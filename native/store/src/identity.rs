//! Which file, or which database of which server, a connection is connected to.
//!
//! Several connections of one node may be connected to several databases, although their URL is the same: a file is
//! replaced while it is open, an address moves to another server while the old one still runs, one host of several is
//! promoted. [`DatabaseIdentity::is_same_as`] tells whether one connection sees the changes of another.

use std::fmt;

/// The identity of a database, read when the connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseIdentity {
    /// A file. Another file of the same name has another inode.
    File {
        /// The device of the file.
        device: u64,
        /// The inode of the file.
        inode: u64,
    },
    /// A database of a PostgreSQL server.
    Server {
        /// The cluster's system identifier and the database's OID. A copy of the cluster has the same ones.
        database: String,
        /// The timeline. A promotion begins a new one.
        timeline: String,
        /// The role of the server in its cluster.
        role: ServerRole,
    },
    /// A database of a MariaDB server, or of a Galera cluster.
    Mariadb {
        /// The id of the server or of the cluster. All nodes of a cluster show the changes of each.
        server: String,
        /// The name of the database.
        database: String,
    },
}

/// The role of a PostgreSQL server in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerRole {
    /// It takes changes.
    Primary {
        /// When it was started, in microseconds since 1970. Tells apart two servers that run copies of one cluster.
        started: i64,
    },
    /// It is in recovery, and repeats the changes of a primary.
    Standby,
}

/// The part of an identity that outlives the connection and a restart of the server: the cluster or server, the database
/// and the timeline, or the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersistentId(pub String);

impl DatabaseIdentity {
    /// The part that outlives the connection.
    pub fn persistent_id(&self) -> PersistentId {
        PersistentId(match self {
            DatabaseIdentity::File { device, inode } => format!("file {device}/{inode}"),
            DatabaseIdentity::Server { database, timeline, .. } => format!("{database}/{timeline}"),
            DatabaseIdentity::Mariadb { server, database } => format!("{server}/{database}"),
        })
    }

    /// Whether a connection to `other` sees the changes of a connection to `self`. A standby shows the changes of its
    /// primary, but does not say which server that is. So it is the same as every server of its cluster.
    pub fn is_same_as(&self, other: &DatabaseIdentity) -> bool {
        match (self, other) {
            (
                DatabaseIdentity::Server { database: this, role: ServerRole::Standby, .. },
                DatabaseIdentity::Server { database: other, .. },
            )
            | (
                DatabaseIdentity::Server { database: this, .. },
                DatabaseIdentity::Server { database: other, role: ServerRole::Standby, .. },
            ) => this == other,
            _ => self == other,
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
            DatabaseIdentity::File { .. } | DatabaseIdentity::Mariadb { .. } => Ok(()),
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
    fn a_copy_that_runs_beside_the_original_has_another_identity() {
        let [one, other] = [1, 2].map(|started| server("7/5", "00000001", ServerRole::Primary { started }));
        assert!(one.is_same_as(&one) && !one.is_same_as(&other));
        assert_eq!(one.persistent_id(), other.persistent_id());
    }

    #[test]
    fn every_node_of_a_cluster_shows_the_changes_of_the_others() {
        let database = |server: &str, database: &str| DatabaseIdentity::Mariadb {
            server: server.to_owned(),
            database: database.to_owned(),
        };
        assert!(database("Galera 1", "d").is_same_as(&database("Galera 1", "d")));
        assert!(!database("Galera 1", "d").is_same_as(&database("Galera 2", "d")));
        assert!(!database("Galera 1", "d").is_same_as(&database("Galera 1", "e")));
    }

    #[test]
    fn a_standby_is_the_same_as_its_primary_and_not_as_one_of_another_cluster() {
        let primary = server("7/5", "00000002", ServerRole::Primary { started: 1 });
        assert!(primary.is_same_as(&server("7/5", "00000001", ServerRole::Standby)));
        assert!(server("7/5", "00000001", ServerRole::Standby).is_same_as(&primary));
        assert!(!primary.is_same_as(&server("8/5", "00000002", ServerRole::Standby)));
    }
}
