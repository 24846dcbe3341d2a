//! Stands between the library's rules and the execution: what passes here may be done by who asks.
//!
//! The library runs its rules first, so that a document that makes no sense is told so whoever sent it; then
//! comes what this project asks for: variables that must be given, and permissions.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ServerError, ValidationResult, Variables};

use super::document::Document;
use super::permissions::{self, Role};

/// What was asked, by whom.
pub struct Asked {
    /// The document.
    pub document: Document,
    /// Its variables.
    pub variables: Variables,
}

/// The gate, as the library knows it. Each request has an [`Asked`] and a [`Role`].
pub struct Gate;

impl ExtensionFactory for Gate {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Gate)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for Gate {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(ctx).await?;
        let refused = |_| vec![ServerError::new("a request without what was asked", None)];
        let asked = ctx.data::<Asked>().map_err(refused)?;
        let role = ctx.data::<Role>().map_err(refused)?;
        asked.document.check_variables(&asked.variables).map_err(ServerError::from)?;
        permissions::check(role, &asked.document, &asked.variables).map_err(ServerError::from)?;
        Ok(result)
    }
}
