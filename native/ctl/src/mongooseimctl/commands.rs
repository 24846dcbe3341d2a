//! MongooseIM's commands: the fields of the category `domain` in its GraphQL schema.
//!
//! MongooseIM reads them from the schema when it starts. This program runs without one at hand, and the schema is
//! fixed, so here they are a table.

/// A group of commands: a field of the schema's roots.
#[derive(Debug)]
pub struct Category {
    /// Its name.
    pub name: &'static str,
    /// Its description.
    pub description: &'static str,
    /// In the order of their names.
    pub commands: &'static [Command],
}

/// A command: a field of a category.
#[derive(Debug)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Its description.
    pub description: &'static str,
    /// Whether it changes something.
    pub operation: Operation,
    /// In the order of their names.
    pub arguments: &'static [Argument],
    /// The type of its result.
    pub result: ResultType,
}

/// What a GraphQL document begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It reads.
    Query,
    /// It changes something.
    Mutation,
}

/// An argument of a command.
#[derive(Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Its type, without the `!`.
    pub kind: ArgumentType,
    /// Whether it is required.
    pub need: Need,
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentType {
    /// A domain name, which the server checks.
    DomainName,
    /// The status of a domain, which the server checks.
    DomainStatus,
    /// A number.
    Int,
    /// A string that is not empty, which the server checks.
    NonEmptyString,
    /// A string.
    String,
}

/// Whether an argument is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It is: GraphQL's `!`.
    Required,
    /// It is not.
    Optional,
}

/// The type of a command's result, all fields of which are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultType {
    /// A string, a name, or a list of these.
    Scalar,
    /// A `Domain`.
    Domain,
    /// A `DomainWithType`, or a list of them.
    DomainWithType,
}

const fn required(name: &'static str, kind: ArgumentType) -> Argument {
    Argument { name, kind, need: Need::Required }
}

const fn optional(name: &'static str, kind: ArgumentType) -> Argument {
    Argument { name, kind, need: Need::Optional }
}

const DOMAIN: Argument = required("domain", ArgumentType::DomainName);
const HOST_TYPE: Argument = required("hostType", ArgumentType::String);
const PASSWORD: Argument = required("password", ArgumentType::NonEmptyString);

/// All of them, in the order of their names.
pub const CATEGORIES: &[Category] = &[Category {
    name: "domain",
    description: "Which domains there are, which host types serve them, and who may administer them",
    commands: &[
        Command {
            name: "addDomain",
            description: "Adds a domain, enabled. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN, HOST_TYPE],
            result: ResultType::Domain,
        },
        Command {
            name: "allDomains",
            description: "All static and dynamic domains, sorted by name. Only for the global admin",
            operation: Operation::Query,
            arguments: &[],
            result: ResultType::DomainWithType,
        },
        Command {
            name: "deleteDomainPassword",
            description: "Deletes the password of a domain's admin. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN],
            result: ResultType::Scalar,
        },
        Command {
            name: "disableDomain",
            description: "Disables a domain and keeps its data. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN],
            result: ResultType::Domain,
        },
        Command {
            name: "domainDetails",
            description: "The host type, status and type of a domain. Also for the domain's own admin",
            operation: Operation::Query,
            arguments: &[DOMAIN],
            result: ResultType::DomainWithType,
        },
        Command {
            name: "domains",
            description: "A page of the domains, sorted by name: up to `limit` names after `after`, with this host \
                          type, this status and this prefix. Only for the global admin",
            operation: Operation::Query,
            arguments: &[
                optional("after", ArgumentType::DomainName),
                optional("hostType", ArgumentType::String),
                optional("limit", ArgumentType::Int),
                optional("prefix", ArgumentType::String),
                optional("status", ArgumentType::DomainStatus),
            ],
            result: ResultType::DomainWithType,
        },
        Command {
            name: "domainsByHostType",
            description: "The names of the domains that a host type serves. Only for the global admin",
            operation: Operation::Query,
            arguments: &[HOST_TYPE],
            result: ResultType::Scalar,
        },
        Command {
            name: "enableDomain",
            description: "Enables a domain. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN],
            result: ResultType::Domain,
        },
        Command {
            name: "removeDomain",
            description: "Removes a domain with all its data; answers when that is done. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN, HOST_TYPE],
            result: ResultType::Domain,
        },
        Command {
            name: "requestRemoveDomain",
            description: "Begins to remove a domain; answers at once. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN, HOST_TYPE],
            result: ResultType::Domain,
        },
        Command {
            name: "setDomainPassword",
            description: "Sets the password of a domain's admin. Also for the domain's own admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN, PASSWORD],
            result: ResultType::Scalar,
        },
    ],
}];

impl Category {
    /// The command of this name.
    pub fn command(&self, name: &str) -> Option<&'static Command> {
        self.commands.iter().find(|command| command.name == name)
    }
}

impl Argument {
    /// The type in GraphQL's syntax.
    pub fn type_text(&self) -> String {
        let name = match self.kind {
            ArgumentType::DomainName => "DomainName",
            ArgumentType::DomainStatus => "DomainStatus",
            ArgumentType::Int => "Int",
            ArgumentType::NonEmptyString => "NonEmptyString",
            ArgumentType::String => "String",
        };
        match self.need {
            Need::Required => format!("{name}!"),
            Need::Optional => name.to_owned(),
        }
    }
}

impl ResultType {
    /// The selection of all fields.
    pub fn selection(self) -> &'static str {
        match self {
            ResultType::Scalar => "",
            ResultType::Domain => " { domain hostType status }",
            ResultType::DomainWithType => " { domain hostType status type }",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_commands_and_arguments_are_in_the_order_of_their_names() {
        assert!(CATEGORIES.is_sorted_by_key(|category| category.name));
        for category in CATEGORIES {
            assert!(category.commands.is_sorted_by_key(|command| command.name.to_lowercase()));
            for command in category.commands {
                assert!(command.arguments.is_sorted_by_key(|argument| argument.name), "{}", command.name);
            }
        }
    }
}
