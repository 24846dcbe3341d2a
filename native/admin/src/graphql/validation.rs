//! An extension of the GraphQL library that runs after its validation and before the execution.
//!
//! The library's rules come first, so an invalid document is reported as such to every client. Then come this project's
//! rules: variables that must be given, and permissions.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ServerError, ValidationResult, Variables};

use super::document::Document;
use super::permissions::{self, Role};

/// A request whose document is parsed.
pub struct ParsedRequest {
    /// The document.
    pub document: Document,
    /// The values of its variables.
    pub variables: Variables,
}

/// The extension. The data of each request contain a [`ParsedRequest`] and a [`Role`].
pub struct RequestValidation;

impl ExtensionFactory for RequestValidation {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(RequestValidation)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for RequestValidation {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(ctx).await?;
        let missing = |_| vec![ServerError::new("a request without its parsed document or its role", None)];
        let request = ctx.data::<ParsedRequest>().map_err(missing)?;
        let role = ctx.data::<Role>().map_err(missing)?;
        request.document.check_variables(&request.variables).map_err(ServerError::from)?;
        permissions::check(role, &request.document, &request.variables).map_err(ServerError::from)?;
        Ok(result)
    }
}
