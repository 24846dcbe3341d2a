//! Where a connection leads: which file, or which database of which server.
//!
//! Several connections of one node may lead to several databases, although the URL is the same: a file is
//! replaced while it is open, an address moves to another server while the old one still runs, one host of
//! several is promoted. [`Place::is_same`] tells whether a change that is made by one connection can be seen
//! by the other.

use std::fmt;

use crate::Identity;

/// What a connection leads to. It is read when the connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
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
        role: Role,
    },
}

/// What a PostgreSQL server is for its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It takes changes.
    Primary {
        /// When it was started, in microseconds since 1970: two servers that run copies of one cluster differ in it.
        started: i64,
    },
    /// It is in recovery: it repeats what some primary does.
    Standby,
}

impl Place {
    /// The name that is remembered when the connection has ended. It stays the same when the server is restarted.
    pub fn identity(&self) -> Identity {
        Identity(match self {
            Place::File { device, inode } => format!("file {device}/{inode}"),
            Place::Server { database, timeline, .. } => format!("{database}/{timeline}"),
        })
    }

    /// Whether a change that is made here can be seen there. A standby shows what its primary does, but does not
    /// say which server that is: it is the same as any server of its cluster.
    pub fn is_same(&self, there: &Place) -> bool {
        match (self, there) {
            (Place::Server { database: here, role: Role::Standby, .. }, Place::Server { database: there, .. })
            | (Place::Server { database: here, .. }, Place::Server { database: there, role: Role::Standby, .. }) => {
                here == there
            }
            _ => self == there,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.identity().0)?;
        match self {
            Place::Server { role: Role::Primary { started }, .. } => write!(f, " (a primary, started at {started} µs)"),
            Place::Server { role: Role::Standby, .. } => f.write_str(" (a standby)"),
            Place::File { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(database: &str, timeline: &str, role: Role) -> Place {
        Place::Server { database: database.to_owned(), timeline: timeline.to_owned(), role }
    }

    #[test]
    fn a_copy_that_runs_beside_the_original_is_another_place() {
        let [one, other] = [1, 2].map(|started| server("7/5", "00000001", Role::Primary { started }));
        assert!(one.is_same(&one) && !one.is_same(&other));
        assert_eq!(one.identity(), other.identity());
    }

    #[test]
    fn a_standby_is_the_same_place_as_its_primary_and_none_of_another_cluster() {
        let primary = server("7/5", "00000002", Role::Primary { started: 1 });
        assert!(primary.is_same(&server("7/5", "00000001", Role::Standby)));
        assert!(server("7/5", "00000001", Role::Standby).is_same(&primary));
        assert!(!primary.is_same(&server("8/5", "00000002", Role::Standby)));
    }
}
