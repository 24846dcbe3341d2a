//! Declarations of freshness: the rows of `domain_freshness`.

use std::time::Instant;

use crate::{FreshnessDeclaration, Readable, StoreError, Ttl};

/// Makes and lists declarations.
pub trait FreshnessOperations {
    /// Declares a freshness domain fresh from now on, by the database's clock, replacing any earlier declaration. Writes
    /// no event, since no domain changes, but notifies listeners where the database can: routes that were kept may now be dropped.
    fn upsert_freshness(&mut self, domain: &str, ttl: Ttl, until: Instant) -> Result<(), StoreError>;

    /// Lists all declarations, in the order of the bytes of their domains. The table does not have to exist, and is not
    /// created.
    fn freshness(&mut self, until: Instant) -> Result<Readable<FreshnessDeclaration>, StoreError>;
}
