//! The object and enum types of the schema.

use async_graphql::{Enum, SimpleObject};

use super::permissions::Role;
use super::scalars::StoredName;
use crate::model::{Details, Status};

/// A domain after a change.
#[derive(SimpleObject)]
pub struct Domain {
    /// Its name.
    domain: Option<StoredName>,
    /// Its host type.
    host_type: Option<String>,
    /// Its status.
    status: Option<DomainStatus>,
}

/// The details of a domain.
#[derive(SimpleObject)]
pub struct DomainWithType {
    /// Its name.
    domain: Option<StoredName>,
    /// Its host type.
    host_type: Option<String>,
    /// Its status.
    status: Option<DomainStatus>,
    /// Where it comes from.
    #[graphql(name = "type")]
    kind: Option<DomainType>,
}

/// Whether a domain is served.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainStatus {
    /// It is served.
    Enabled,
    /// It is not served.
    Disabled,
    /// It is being removed.
    Deleting,
    /// It was removed.
    Deleted,
}

/// Where a domain comes from.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainType {
    /// From the configuration.
    Static,
    /// From the database.
    Dynamic,
}

/// The role of a client.
#[derive(SimpleObject)]
pub struct AdminAuthInfo {
    /// The domain of a domain's admin.
    domain: Option<StoredName>,
    /// Whether the client is authenticated.
    auth_status: Option<AuthStatus>,
    /// The kind of admin.
    auth_type: Option<AuthType>,
}

/// Whether a client is authenticated.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthStatus {
    /// It is authenticated.
    Authorized,
    /// It is not authenticated.
    Unauthorized,
}

/// The kind of admin.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthType {
    /// The global admin.
    Admin,
    /// The admin of one domain.
    DomainAdmin,
}

impl From<DomainStatus> for Status {
    fn from(status: DomainStatus) -> Status {
        match status {
            DomainStatus::Enabled => Status::Enabled,
            DomainStatus::Disabled => Status::Disabled,
            DomainStatus::Deleting => Status::Deleting,
            DomainStatus::Deleted => Status::Deleted,
        }
    }
}

impl DomainStatus {
    /// An unknown status becomes null.
    fn of(status: Status) -> Option<DomainStatus> {
        match status {
            Status::Enabled => Some(DomainStatus::Enabled),
            Status::Disabled => Some(DomainStatus::Disabled),
            Status::Deleting => Some(DomainStatus::Deleting),
            Status::Deleted => Some(DomainStatus::Deleted),
            Status::Unknown => None,
        }
    }
}

impl From<Details> for Domain {
    fn from(Details { domain, host_type, status }: Details) -> Domain {
        Domain { domain: Some(StoredName(domain)), host_type, status: status.and_then(DomainStatus::of) }
    }
}

impl DomainWithType {
    /// A row of the database.
    pub fn new_dynamic(row: Details) -> DomainWithType {
        let Domain { domain, host_type, status } = row.into();
        DomainWithType { domain, host_type, status, kind: Some(DomainType::Dynamic) }
    }

    /// A domain of the configuration, which is always enabled.
    pub fn new_static(domain: String, host_type: String) -> DomainWithType {
        let domain = Some(StoredName(domain));
        let (status, kind) = (Some(DomainStatus::Enabled), Some(DomainType::Static));
        DomainWithType { domain, host_type: Some(host_type), status, kind }
    }
}

impl AdminAuthInfo {
    /// The information about a role.
    pub fn of(role: &Role) -> AdminAuthInfo {
        let (domain, status, kind) = match role {
            Role::Anonymous => (None, AuthStatus::Unauthorized, None),
            Role::DomainAdmin(own) => (Some(&own.domain), AuthStatus::Authorized, Some(AuthType::DomainAdmin)),
            Role::Admin => (None, AuthStatus::Authorized, Some(AuthType::Admin)),
        };
        let domain = domain.map(|domain| StoredName(domain.as_str().to_owned()));
        AdminAuthInfo { domain, auth_status: Some(status), auth_type: kind }
    }
}
