//! Who may call what: looked at in the document, before anything of it is done.
//!
//! Everybody may ask for the schema and who they are. The admin of a domain may ask for the details of that domain and
//! of its subdomains, and set their passwords; the global admin may do everything. One field too many refuses the whole document,
//! whether it would be skipped or not.

use async_graphql::{Value, Variables};
use domain_core::DomainName;

use super::document::{Call, Document, too_complex};
use super::fault::{Code, Fault};

/// How many fields a document may call of somebody who said nothing of himself. What editors ask to know the schema has
/// half as many.
const OF_STRANGERS: usize = 500;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Somebody who said nothing of themselves.
    Nobody,
    /// The admin of one domain.
    DomainAdmin(Own),
    /// The admin of all.
    Admin,
}

/// What the admin of a domain may ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The domain.
    pub domain: DomainName,
    /// The subdomains that it has now.
    pub subdomains: Vec<DomainName>,
}

impl Own {
    fn is(&self, value: &Value) -> bool {
        let Value::String(text) = value else { return false };
        DomainName::prepare(text).is_ok_and(|name| name == self.domain || self.subdomains.contains(&name))
    }
}

/// Refuses a document with a field that this role may not call.
pub fn check(role: &Role, document: &Document, variables: &Variables) -> Result<(), Fault> {
    let calls = document.calls()?;
    let asked = document.asked();
    let told = |detail: &str| {
        let message = format!("Cannot execute query {asked} without {detail}");
        Fault::new(Code::NoPermissions, message)
    };
    match role {
        Role::Admin => Ok(()),
        Role::Nobody if calls.len() > OF_STRANGERS => Err(too_complex()),
        Role::Nobody => match calls.iter().all(is_for_everybody) {
            true => Ok(()),
            false => Err(told("permissions").at([asked])),
        },
        Role::DomainAdmin(own) => calls.iter().filter(|call| !is_for_everybody(call)).try_for_each(|call| {
            let told = |detail| told(detail).at([asked].iter().chain(&call.names).copied());
            match call.names.as_slice() {
                ["domain"] => Ok(()),
                ["domain", "domainDetails" | "setDomainPassword"] => {
                    let domain = call.field.node.get_argument("domain").map(|value| &value.node);
                    let domain = domain.and_then(|value| document.resolve(value, variables));
                    match domain.is_some_and(|domain| own.is(&domain)) {
                        true => Ok(()),
                        false => Err(told("permissions to the given domain. Args with invalid value: domain")),
                    }
                }
                [_] | [_, _] => Err(told("a global admin permissions")),
                // What is shown of what may be called.
                _ => Ok(()),
            }
        }),
    }
}

fn is_for_everybody(call: &Call<'_>) -> bool {
    let outermost = call.names.first().copied().unwrap_or_default();
    outermost == "checkAuth" || outermost.starts_with("__") || call.names.last().is_some_and(|it| *it == "__typename")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DETAILS: &str = "query Q($d: DomainName!) { domain { x: domainDetails(domain: $d) { domain } } }";

    /// What this role is told, if it is refused: the message and the path.
    fn told(role: Role, text: &str, variables: serde_json::Value) -> Option<serde_json::Value> {
        let document = Document::parse(text, None).expect("the document parses");
        let refused = check(&role, &document, &Variables::from_json(variables)).err()?;
        let fault = serde_json::to_value(refused).ok()?;
        Some(json!([fault.get("message")?, fault.get("path")?]))
    }

    fn admin_of(domain: &str) -> Role {
        let domain = DomainName::new(domain).expect("the name is valid");
        let subdomains = ["muc.", "files."].map(|prefix| DomainName::new(&format!("{prefix}{domain}")).expect("valid"));
        Role::DomainAdmin(Own { domain, subdomains: subdomains.to_vec() })
    }

    fn foreign(field: &str) -> Option<serde_json::Value> {
        let message =
            "Cannot execute query ROOT without permissions to the given domain. Args with invalid value: domain";
        Some(json!([message, ["ROOT", "domain", field]]))
    }

    #[test]
    fn everybody_may_ask_for_the_schema_and_who_they_are() {
        let text = "{ __typename checkAuth { authStatus } __schema { types { name } } ...f } \
                    fragment f on Q { __type(name: \"Q\") { name } }";
        assert_eq!(told(Role::Nobody, text, json!({})), None);
        assert_eq!(told(admin_of("a.example"), text, json!({})), None);
    }

    #[test]
    fn nobody_may_do_nothing_else() {
        let expected = json!(["Cannot execute query ROOT without permissions", ["ROOT"]]);
        for text in ["{ domain { allDomains { domain } } }", "{ checkAuth { domain } domain { __typename } }"] {
            assert_eq!(told(Role::Nobody, text, json!({})), Some(expected.clone()));
        }
    }

    #[test]
    fn the_admin_of_a_domain_may_ask_for_its_own_in_any_spelling() {
        assert_eq!(told(admin_of("a.example"), DETAILS, json!({"d": "A.Example"})), None);
        assert_eq!(told(admin_of("b.example"), DETAILS, json!({"d": "a.example"})), foreign("domainDetails"));
        assert_eq!(told(admin_of("b.example"), DETAILS, json!({})), foreign("domainDetails"));
    }

    #[test]
    fn the_admin_of_a_domain_may_ask_for_its_subdomains() {
        assert_eq!(told(admin_of("a.example"), DETAILS, json!({"d": "MUC.a.example"})), None);
        for other in ["muc.b.example", "pubsub.a.example", "muc.muc.a.example"] {
            assert_eq!(told(admin_of("a.example"), DETAILS, json!({"d": other})), foreign("domainDetails"), "{other}");
        }
    }

    #[test]
    fn the_default_of_a_variable_counts() {
        let text = "mutation M($d: DomainName = \"a.example\") \
                    { domain { setDomainPassword(domain: $d, password: \"x\") } }";
        assert_eq!(told(admin_of("a.example"), text, json!({})), None);
        assert_eq!(told(admin_of("b.example"), text, json!({})), foreign("setDomainPassword"));
        assert_eq!(told(admin_of("b.example"), text, json!({"d": "b.example"})), None);
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
            assert_eq!(told(admin_of("a.example"), text, json!({})), expected, "{text}");
            assert_eq!(told(Role::Admin, text, json!({})), None);
        }
    }
}
