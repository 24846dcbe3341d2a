//! The schema: its root types. `schema.graphql` beside this file is the same in GraphQL's own language, and a test
//! keeps both equal. `types` has the other types, `domains` resolves the fields.
//!
//! The category `domain` is MongooseIM's; its field `domains` is this project's. The fields of a mutation are executed
//! one after the other, in the order of the document.

use async_graphql::{Context, EmptySubscription, Object, Schema};

use super::domains;
use super::error::GraphqlError;
use super::permissions::Role;
use super::scalars::{DomainName, NonEmptyString, StoredName};
use super::types::{AdminAuthInfo, Domain, DomainStatus, DomainWithType};
use super::validation::RequestValidation;
use crate::model::{Listing, Status};
use crate::request::Request;

/// The highest cost of a document. A field costs 1; listings declare their cost below.
const MAX_COMPLEXITY: usize = 10_000;

/// The deepest nesting of fields. The queries by which editors read the schema have 15 or less.
const MAX_DEPTH: usize = 20;

/// The schema.
pub type AdminSchema = Schema<AdminQuery, AdminMutation, EmptySubscription>;

/// The result of a field. A field that fails is null and does not affect the others.
type NullableField<T> = Option<Result<T, GraphqlError>>;

/// Builds the schema.
pub fn schema() -> AdminSchema {
    Schema::build(AdminQuery, AdminMutation, EmptySubscription)
        .limit_complexity(MAX_COMPLEXITY)
        .limit_depth(MAX_DEPTH)
        .disable_suggestions()
        .extension(RequestValidation)
        .finish()
}

/// The root of queries.
pub struct AdminQuery;

/// The root of mutations.
pub struct AdminMutation;

/// Queries about domains.
pub struct DomainAdminQuery;

/// Changes of domains.
pub struct DomainAdminMutation;

/// All queries.
#[Object]
impl AdminQuery {
    /// The role of the client.
    async fn check_auth(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<AdminAuthInfo>> {
        Ok(Some(AdminAuthInfo::of(ctx.data::<Role>()?)))
    }

    /// Queries about dynamic and static domains.
    async fn domain(&self) -> Option<DomainAdminQuery> {
        Some(DomainAdminQuery)
    }
}

/// All changes.
#[Object(serial)]
impl AdminMutation {
    /// Changes of dynamic domains.
    async fn domain(&self) -> Option<DomainAdminMutation> {
        Some(DomainAdminMutation)
    }
}

/// Queries about domains.
#[Object]
impl DomainAdminQuery {
    /// The domains of a host type in this node's table, in no particular order. Only for the global admin.
    #[graphql(complexity = 1_000)]
    async fn domains_by_host_type(&self, ctx: &Context<'_>, host_type: String) -> NullableField<Vec<StoredName>> {
        Some(domains::of_host_type(ctx, &host_type).await)
    }

    /// All domains, static and dynamic, ordered by name. Only for the global admin.
    #[graphql(complexity = 2_000)]
    async fn all_domains(&self, ctx: &Context<'_>) -> NullableField<Vec<DomainWithType>> {
        Some(domains::all(ctx).await)
    }

    /// A page of the dynamic domains, in the database's order of names: up to `limit` (1 to 1000, by default 100) after the
    /// domain `after`, of this host type, with this status, whose names begin with `prefix`. A page that is shorter
    /// than the limit is the last one. Only for the global admin.
    #[graphql(complexity = 100)]
    async fn domains(
        &self,
        ctx: &Context<'_>,
        after: Option<DomainName>,
        limit: Option<i32>,
        host_type: Option<String>,
        status: Option<DomainStatus>,
        prefix: Option<String>,
    ) -> NullableField<Vec<DomainWithType>> {
        let after = after.map(|DomainName(domain)| domain.as_str().to_owned());
        let listing = Listing { after, limit: 0, host_type, status: status.map(Status::from), prefix };
        Some(domains::page(ctx, listing, limit).await)
    }

    /// The details of a domain.
    async fn domain_details(&self, ctx: &Context<'_>, domain: DomainName) -> NullableField<DomainWithType> {
        Some(domains::details(ctx, &domain.0).await)
    }
}

/// Changes of domains.
#[Object(serial)]
impl DomainAdminMutation {
    /// Adds a domain, enabled. Only for the global admin.
    async fn add_domain(&self, ctx: &Context<'_>, domain: DomainName, host_type: String) -> NullableField<Domain> {
        Some(domains::add(ctx, domain.0, host_type).await)
    }

    /// Removes a domain with all its data; answers when that is done. Only for the global admin.
    async fn remove_domain(&self, ctx: &Context<'_>, domain: DomainName, host_type: String) -> NullableField<Domain> {
        Some(domains::change(ctx, Request::Delete(&domain.0, &host_type)).await)
    }

    /// Begins to remove a domain; answers at once. Only for the global admin.
    async fn request_remove_domain(
        &self,
        ctx: &Context<'_>,
        domain: DomainName,
        host_type: String,
    ) -> NullableField<Domain> {
        Some(domains::change(ctx, Request::BeginDelete(&domain.0, &host_type)).await)
    }

    /// Enables a domain. Only for the global admin.
    async fn enable_domain(&self, ctx: &Context<'_>, domain: DomainName) -> NullableField<Domain> {
        Some(domains::change(ctx, Request::Enable(&domain.0)).await)
    }

    /// Disables a domain. Only for the global admin.
    async fn disable_domain(&self, ctx: &Context<'_>, domain: DomainName) -> NullableField<Domain> {
        Some(domains::change(ctx, Request::Disable(&domain.0)).await)
    }

    /// Sets the password of the domain's admin.
    async fn set_domain_password(
        &self,
        ctx: &Context<'_>,
        domain: DomainName,
        password: NonEmptyString,
    ) -> NullableField<String> {
        Some(domains::ask(ctx, Request::SetPassword(&domain.0, &password.0)).await)
    }

    /// Deletes the password of the domain's admin. Only for the global admin.
    async fn delete_domain_password(&self, ctx: &Context<'_>, domain: DomainName) -> NullableField<String> {
        Some(domains::ask(ctx, Request::DeletePassword(&domain.0)).await)
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
