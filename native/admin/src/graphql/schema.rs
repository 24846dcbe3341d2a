//! The schema: what can be asked, as types. `schema.graphql` beside this file is the same in GraphQL's own
//! words, and a test holds the two together. How the fields of the category `domain` are answered is in `domains`.
//!
//! The category is MongooseIM's; the field `domains` in it is this project's. The fields of a mutation are done one
//! after the other, in the order of the document.

use async_graphql::{Context, EmptySubscription, Enum, Object, Schema, SimpleObject};

use super::domains;
use super::fault::Fault;
use super::gate::Gate;
use super::permissions::Role;
use super::scalars::{DomainName, NonEmptyString, StoredName};
use crate::request::{Details, Listing, Request, Status};

/// What one document may cost, where a field costs 1 and a listing what is said with it.
const COMPLEXITY: usize = 10_000;

/// Fields in fields. What editors ask to know the schema has 15 or less.
const DEPTH: usize = 20;

/// All that can be asked.
pub type AdminSchema = Schema<AdminQuery, AdminMutation, EmptySubscription>;

/// What a field answers; if it fails, it is null, and the others are answered all the same.
type Answer<T> = Option<Result<T, Fault>>;

/// The schema, behind its gate.
pub fn schema() -> AdminSchema {
    Schema::build(AdminQuery, AdminMutation, EmptySubscription)
        .limit_complexity(COMPLEXITY)
        .limit_depth(DEPTH)
        .disable_suggestions()
        .extension(Gate)
        .finish()
}

/// What can be asked for.
pub struct AdminQuery;

/// What can be changed.
pub struct AdminMutation;

/// Asking for domains.
pub struct DomainAdminQuery;

/// Changing domains.
pub struct DomainAdminMutation;

/// What can be asked for.
#[Object]
impl AdminQuery {
    /// Who asks.
    async fn check_auth(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<AdminAuthInfo>> {
        Ok(Some(AdminAuthInfo::of(ctx.data::<Role>()?)))
    }

    /// Dynamic domains, and the static ones beside them.
    async fn domain(&self) -> Option<DomainAdminQuery> {
        Some(DomainAdminQuery)
    }
}

/// What can be changed.
#[Object(serial)]
impl AdminMutation {
    /// Dynamic domains.
    async fn domain(&self) -> Option<DomainAdminMutation> {
        Some(DomainAdminMutation)
    }
}

/// Asking for domains.
#[Object]
impl DomainAdminQuery {
    /// The domains of a host type that this node serves, in no order. Only for the global admin.
    #[graphql(complexity = 1_000)]
    async fn domains_by_host_type(&self, ctx: &Context<'_>, host_type: String) -> Answer<Vec<StoredName>> {
        Some(domains::of_host_type(ctx, &host_type).await)
    }

    /// All domains, static and dynamic, ordered by name. Only for the global admin.
    #[graphql(complexity = 2_000)]
    async fn all_domains(&self, ctx: &Context<'_>) -> Answer<Vec<DomainWithType>> {
        Some(domains::all(ctx).await)
    }

    /// A part of the dynamic domains, ordered as the database orders names: up to `limit` (1 to 1000, or 100) behind
    /// the domain `after`, of this host type, with this status, whose names begin with `prefix`. A part that is
    /// shorter than the limit is the last one. Only for the global admin.
    #[graphql(complexity = 100)]
    async fn domains(
        &self,
        ctx: &Context<'_>,
        after: Option<DomainName>,
        limit: Option<i32>,
        host_type: Option<String>,
        status: Option<DomainStatus>,
        prefix: Option<String>,
    ) -> Answer<Vec<DomainWithType>> {
        let after = after.map(|DomainName(domain)| domain.as_str().to_owned());
        let listing = Listing { after, limit: 0, host_type, status: status.map(Status::from), prefix };
        Some(domains::page(ctx, listing, limit).await)
    }

    /// What is known of a domain.
    async fn domain_details(&self, ctx: &Context<'_>, domain: DomainName) -> Answer<DomainWithType> {
        Some(domains::details(ctx, &domain.0).await)
    }
}

/// Changing domains.
#[Object(serial)]
impl DomainAdminMutation {
    /// Adds a domain, enabled. Only for the global admin.
    async fn add_domain(&self, ctx: &Context<'_>, domain: DomainName, host_type: String) -> Answer<Domain> {
        Some(domains::add(ctx, domain.0, host_type).await)
    }

    /// Removes a domain with all its data, and answers when it is gone. Only for the global admin.
    async fn remove_domain(&self, ctx: &Context<'_>, domain: DomainName, host_type: String) -> Answer<Domain> {
        Some(domains::change(ctx, Request::Delete(&domain.0, &host_type)).await)
    }

    /// Begins to remove a domain, and answers at once. Only for the global admin.
    async fn request_remove_domain(&self, ctx: &Context<'_>, domain: DomainName, host_type: String) -> Answer<Domain> {
        Some(domains::change(ctx, Request::BeginDelete(&domain.0, &host_type)).await)
    }

    /// Has a domain served. Only for the global admin.
    async fn enable_domain(&self, ctx: &Context<'_>, domain: DomainName) -> Answer<Domain> {
        Some(domains::change(ctx, Request::Enable(&domain.0)).await)
    }

    /// Has a domain not served. Only for the global admin.
    async fn disable_domain(&self, ctx: &Context<'_>, domain: DomainName) -> Answer<Domain> {
        Some(domains::change(ctx, Request::Disable(&domain.0)).await)
    }

    /// Sets the password of the domain's admin, in place of the one before.
    async fn set_domain_password(
        &self,
        ctx: &Context<'_>,
        domain: DomainName,
        password: NonEmptyString,
    ) -> Answer<String> {
        Some(domains::ask(ctx, Request::SetPassword(&domain.0, &password.0)).await)
    }

    /// Deletes the password of the domain's admin. Only for the global admin.
    async fn delete_domain_password(&self, ctx: &Context<'_>, domain: DomainName) -> Answer<String> {
        Some(domains::ask(ctx, Request::DeletePassword(&domain.0)).await)
    }
}

/// What a change tells of a domain.
#[derive(SimpleObject)]
pub struct Domain {
    /// Its name.
    domain: Option<StoredName>,
    /// Its host type.
    host_type: Option<String>,
    /// Its status.
    status: Option<DomainStatus>,
}

/// What is known of a domain.
#[derive(SimpleObject)]
pub struct DomainWithType {
    /// Its name.
    domain: Option<StoredName>,
    /// Its host type.
    host_type: Option<String>,
    /// Its status.
    status: Option<DomainStatus>,
    /// Where it is from.
    #[graphql(name = "type")]
    kind: Option<DomainType>,
}

/// Whether a domain is served.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainStatus {
    /// It is served.
    Enabled,
    /// It is not.
    Disabled,
    /// It is being removed.
    Deleting,
    /// It is gone.
    Deleted,
}

/// Where a domain is from.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainType {
    /// The configuration.
    Static,
    /// The database.
    Dynamic,
}

/// Who asks.
#[derive(SimpleObject)]
pub struct AdminAuthInfo {
    /// The domain that an admin is of.
    domain: Option<StoredName>,
    /// Whether it is an admin.
    auth_status: Option<AuthStatus>,
    /// Which kind of admin.
    auth_type: Option<AuthType>,
}

/// Whether somebody is known.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthStatus {
    /// By name and password.
    Authorized,
    /// Not at all.
    Unauthorized,
}

/// Which kind of admin.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthType {
    /// Of everything.
    Admin,
    /// Of one domain.
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
    /// A number that means nothing is shown as null.
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
    pub fn dynamic(row: Details) -> DomainWithType {
        let Domain { domain, host_type, status } = row.into();
        DomainWithType { domain, host_type, status, kind: Some(DomainType::Dynamic) }
    }

    /// A domain from the configuration, which is always served.
    pub fn fixed(domain: String, host_type: String) -> DomainWithType {
        let domain = Some(StoredName(domain));
        let (status, kind) = (Some(DomainStatus::Enabled), Some(DomainType::Static));
        DomainWithType { domain, host_type: Some(host_type), status, kind }
    }
}

impl AdminAuthInfo {
    fn of(role: &Role) -> AdminAuthInfo {
        let (domain, status, kind) = match role {
            Role::Nobody => (None, AuthStatus::Unauthorized, None),
            Role::DomainAdmin(own) => (Some(&own.domain), AuthStatus::Authorized, Some(AuthType::DomainAdmin)),
            Role::Admin => (None, AuthStatus::Authorized, Some(AuthType::Admin)),
        };
        let domain = domain.map(|domain| StoredName(domain.as_str().to_owned()));
        AdminAuthInfo { domain, auth_status: Some(status), auth_type: kind }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::SDLExportOptions;

    use super::*;

    #[test]
    fn the_schema_is_what_its_file_says() {
        let code = schema().sdl_with_options(SDLExportOptions::new().prefer_single_line_descriptions());
        let file = include_str!("schema.graphql");
        let lines = file.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n"));
        assert_eq!(code.trim(), lines.collect::<String>().trim(), "schema.graphql should be:\n{code}");
    }
}
