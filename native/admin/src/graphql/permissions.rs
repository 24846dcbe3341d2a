//! Which fields a client may call, checked before anything is executed.
//!
//! Every client may read the schema and its own role. The admin of a domain may read the details of that domain and of
//! its subdomains, and set their passwords; the global admin may do everything. One forbidden field refuses the whole
//! document, whether it would be skipped or not.

use async_graphql::{Value, Variables};
use domain_core::DomainName;

use super::document::{Call, Document, too_complex};
use super::error::{Code, GraphqlError};

/// The most fields in a document of a client without credentials. The queries by which editors read the schema have
/// half as many.
const MAX_ANONYMOUS_CALLS: usize = 500;

/// The role of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A client without credentials.
    Anonymous,
    /// The admin of one domain.
    DomainAdmin(OwnDomain),
    /// The global admin.
    Admin,
}

/// The domain of a domain's admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDomain {
    /// The domain.
    pub domain: DomainName,
    /// Its current subdomains.
    pub subdomains: Vec<DomainName>,
}

impl OwnDomain {
    fn contains(&self, value: &Value) -> bool {
        let Value::String(text) = value else { return false };
        DomainName::prepare(text).is_ok_and(|name| name == self.domain || self.subdomains.contains(&name))
    }
}

/// Refuses a document with a field that this role may not call.
pub fn check(role: &Role, document: &Document, variables: &Variables) -> Result<(), GraphqlError> {
    let calls = document.calls()?;
    let operation = document.operation_label();
    let forbidden = |detail: &str| {
        let message = format!("Cannot execute query {operation} without {detail}");
        GraphqlError::new(Code::NoPermissions, message)
    };
    match role {
        Role::Admin => Ok(()),
        Role::Anonymous if calls.len() > MAX_ANONYMOUS_CALLS => Err(too_complex()),
        Role::Anonymous => match calls.iter().all(is_public) {
            true => Ok(()),
            false => Err(forbidden("permissions").at([operation])),
        },
        Role::DomainAdmin(own) => calls.iter().filter(|call| !is_public(call)).try_for_each(|call| {
            let forbidden = |detail| forbidden(detail).at([operation].iter().chain(&call.names).copied());
            match call.names.as_slice() {
                ["domain"] => Ok(()),
                ["domain", "domainDetails" | "setDomainPassword"] => {
                    let domain = call.field.node.get_argument("domain").map(|value| &value.node);
                    let domain = domain.and_then(|value| document.resolve(value, variables));
                    match domain.is_some_and(|domain| own.contains(&domain)) {
                        true => Ok(()),
                        false => Err(forbidden("permissions to the given domain. Args with invalid value: domain")),
                    }
                }
                [_] | [_, _] => Err(forbidden("a global admin permissions")),
                // The fields of a result that the client may get.
                _ => Ok(()),
            }
        }),
    }
}

fn is_public(call: &Call<'_>) -> bool {
    let outermost = call.names.first().copied().unwrap_or_default();
    outermost == "checkAuth" || outermost.starts_with("__") || call.names.last().is_some_and(|it| *it == "__typename")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DETAILS: &str = "query Q($d: DomainName!) { domain { x: domainDetails(domain: $d) { domain } } }";

    /// The message and the path of the error, if the document is refused.
    fn error(role: Role, text: &str, variables: serde_json::Value) -> Option<serde_json::Value> {
        let document = Document::parse(text, None).expect("the document parses");
        let refused = check(&role, &document, &Variables::from_json(variables)).err()?;
        let error = serde_json::to_value(refused).ok()?;
        Some(json!([error.get("message")?, error.get("path")?]))
    }

    fn admin_of(domain: &str) -> Role {
        let domain = DomainName::new(domain).expect("the name is valid");
        let subdomains = ["muc.", "files."].map(|prefix| DomainName::new(&format!("{prefix}{domain}")).expect("valid"));
        Role::DomainAdmin(OwnDomain { domain, subdomains: subdomains.to_vec() })
    }

    fn foreign(field: &str) -> Option<serde_json::Value> {
        let message =
            "Cannot execute query ROOT without permissions to the given domain. Args with invalid value: domain";
        Some(json!([message, ["ROOT", "domain", field]]))
    }

    #[test]
    fn every_client_may_read_the_schema_and_its_role() {
        let text = "{ __typename checkAuth { authStatus } __schema { types { name } } ...f } \
                    fragment f on Q { __type(name: \"Q\") { name } }";
        assert_eq!(error(Role::Anonymous, text, json!({})), None);
        assert_eq!(error(admin_of("a.example"), text, json!({})), None);
    }

    #[test]
    fn a_client_without_credentials_may_do_nothing_else() {
        let expected = json!(["Cannot execute query ROOT without permissions", ["ROOT"]]);
        for text in ["{ domain { allDomains { domain } } }", "{ checkAuth { domain } domain { __typename } }"] {
            assert_eq!(error(Role::Anonymous, text, json!({})), Some(expected.clone()));
        }
    }

    #[test]
    fn the_admin_of_a_domain_may_read_it_in_any_spelling() {
        assert_eq!(error(admin_of("a.example"), DETAILS, json!({"d": "A.Example"})), None);
        assert_eq!(error(admin_of("b.example"), DETAILS, json!({"d": "a.example"})), foreign("domainDetails"));
        assert_eq!(error(admin_of("b.example"), DETAILS, json!({})), foreign("domainDetails"));
    }

    #[test]
    fn the_admin_of_a_domain_may_read_its_subdomains() {
        assert_eq!(error(admin_of("a.example"), DETAILS, json!({"d": "MUC.a.example"})), None);
        for other in ["muc.b.example", "pubsub.a.example", "muc.muc.a.example"] {
            assert_eq!(error(admin_of("a.example"), DETAILS, json!({"d": other})), foreign("domainDetails"), "{other}");
        }
    }

    #[test]
    fn the_default_of_a_variable_counts() {
        let text = "mutation M($d: DomainName = \"a.example\") \
                    { domain { setDomainPassword(domain: $d, password: \"x\") } }";
        assert_eq!(error(admin_of("a.example"), text, json!({})), None);
        assert_eq!(error(admin_of("b.example"), text, json!({})), foreign("setDomainPassword"));
        assert_eq!(error(admin_of("b.example"), text, json!({"d": "b.example"})), None);
    }

    #[test]
    fn one_forbidden_field_refuses_all_however_it_is_hidden() {
        let message = "Cannot execute query ROOT without a global admin permissions";
        let expected = Some(json!([message, ["ROOT", "domain", "allDomains"]]));
        for text in [
            "{ domain { domainDetails(domain: \"a.example\") { domain } domainDetails: allDomains { domain } } }",
            "{ ... { domain { ... on X { allDomains { domain } } } } }",
            "{ ...f } fragment f on X { x: domain { ...g } } fragment g on Y { allDomains { domain } }",
            "{ domain { allDomains @skip(if: true) { domain } } }",
        ] {
            assert_eq!(error(admin_of("a.example"), text, json!({})), expected, "{text}");
            assert_eq!(error(Role::Admin, text, json!({})), None);
        }
    }
}
