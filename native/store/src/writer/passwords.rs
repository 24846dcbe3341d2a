//! Passwords of domain admins: the rows of `domain_admins`.

use std::time::Instant;

use domain_core::DomainName;

use crate::StoreError;

/// Stores, reads and deletes passwords.
pub trait PasswordOperations {
    /// Stores the password of this name's admin, replacing any other, if the name exists and is enabled. A name with a
    /// row of its own is not taken for a subdomain.
    ///
    /// No removal and no addition takes place between the check and the write, so the password does not outlive the row.
    fn put_password(
        &mut self,
        name: &DomainName,
        origin: NameOrigin<'_>,
        stored: &str,
        until: Instant,
    ) -> Result<Found, StoreError>;

    /// Reads the stored password of this name's admin, if the name exists and is not in removal. If the name has a row of
    /// its own, that decides, and not `origin`.
    fn password(
        &mut self,
        name: &DomainName,
        origin: NameOrigin<'_>,
        until: Instant,
    ) -> Result<Option<String>, StoreError>;

    /// Deletes the stored password of a domain's admin.
    fn delete_password(&mut self, domain: &DomainName, until: Instant) -> Result<Found, StoreError>;
}

/// Where a name comes from, and so what has to exist for its password to be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameOrigin<'a> {
    /// A row of its own.
    Row,
    /// It is a subdomain of this domain, which has a row.
    SubdomainOf(&'a str),
    /// It is a subdomain of a static domain, or a subdomain that a host type has once. Both are configured.
    ConfiguredSubdomain,
    /// It is a static domain. Rows do not matter.
    StaticDomain,
}

/// Whether something was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It was.
    Yes,
    /// It was not.
    No,
}
