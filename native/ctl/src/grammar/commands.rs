//! The commands of MongooseIM's command line: what its GraphQL schema has for the category `domain`.
//!
//! There they are read from the schema at start. This program runs where no schema is at hand, and this one is
//! fixed; so here they are a table.

/// A group of commands: a field of the schema's roots.
#[derive(Debug)]
pub struct Category {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub description: &'static str,
    /// In the order of their names.
    pub commands: &'static [Command],
}

/// A command: a field of a category.
#[derive(Debug)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Whether it changes anything.
    pub operation: Operation,
    /// In the order of their names.
    pub arguments: &'static [Argument],
    /// What it answers.
    pub answer: Answer,
}

/// What a GraphQL document begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It asks.
    Query,
    /// It changes something.
    Mutation,
}

/// Something that a command is told.
#[derive(Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Its type, without the `!`.
    pub kind: Kind,
    /// Whether it has to be there.
    pub need: Need,
}

/// A type of GraphQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A domain's name; the server says whether it is one.
    DomainName,
    /// The status of a domain; the server says whether it is one.
    DomainStatus,
    /// A number.
    Int,
    /// A text that is not empty; the server says whether it is.
    NonEmptyString,
    /// A text.
    String,
}

/// Whether an argument has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It has to: GraphQL's `!`.
    Required,
    /// It may.
    Optional,
}

/// What a command answers, all of which is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A text, a name, or a list of these.
    Scalar,
    /// A `Domain`.
    Domain,
    /// A `DomainWithType`, or a list of them.
    DomainWithType,
}

const fn required(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, need: Need::Required }
}

const fn optional(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, need: Need::Optional }
}

const DOMAIN: Argument = required("domain", Kind::DomainName);
const HOST_TYPE: Argument = required("hostType", Kind::String);
const PASSWORD: Argument = required("password", Kind::NonEmptyString);

/// All of them, in the order of their names.
pub const CATEGORIES: &[Category] = &[Category {
    name: "domain",
    description: "Which domains there are, which host types serve them, and who may administer them",
    commands: &[
        Command {
            name: "addDomain",
            description: "Adds a domain, which is served at once. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN, HOST_TYPE],
            answer: Answer::Domain,
        },
        Command {
            name: "allDomains",
            description: "All static and dynamic domains, sorted by name. Only for the global admin",
            operation: Operation::Query,
            arguments: &[],
            answer: Answer::DomainWithType,
        },
        Command {
            name: "deleteDomainPassword",
            description: "Takes the password of a domain's admin away. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN],
            answer: Answer::Scalar,
        },
        Command {
            name: "disableDomain",
            description: "Has a domain not served, while its data stays. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN],
            answer: Answer::Domain,
        },
        Command {
            name: "domainDetails",
            description: "The host type, status and type of a domain. Also for the domain's own admin",
            operation: Operation::Query,
            arguments: &[DOMAIN],
            answer: Answer::DomainWithType,
        },
        Command {
            name: "domains",
            description: "A part of the domains, sorted by name: up to `limit` of those behind `after`, which have \
                          this host type and status and begin with `prefix`. Only for the global admin",
            operation: Operation::Query,
            arguments: &[
                optional("after", Kind::DomainName),
                optional("hostType", Kind::String),
                optional("limit", Kind::Int),
                optional("prefix", Kind::String),
                optional("status", Kind::DomainStatus),
            ],
            answer: Answer::DomainWithType,
        },
        Command {
            name: "domainsByHostType",
            description: "The names of the domains that a host type serves. Only for the global admin",
            operation: Operation::Query,
            arguments: &[HOST_TYPE],
            answer: Answer::Scalar,
        },
        Command {
            name: "enableDomain",
            description: "Has a domain served again. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN],
            answer: Answer::Domain,
        },
        Command {
            name: "removeDomain",
            description: "Removes a domain, and answers when all its data is gone. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN, HOST_TYPE],
            answer: Answer::Domain,
        },
        Command {
            name: "requestRemoveDomain",
            description: "Begins to remove a domain, and answers at once. Only for the global admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN, HOST_TYPE],
            answer: Answer::Domain,
        },
        Command {
            name: "setDomainPassword",
            description: "Gives a domain's admin a password. Also for the domain's own admin",
            operation: Operation::Mutation,
            arguments: &[DOMAIN, PASSWORD],
            answer: Answer::Scalar,
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
    /// The type, as GraphQL writes it.
    pub fn type_text(&self) -> String {
        let name = match self.kind {
            Kind::DomainName => "DomainName",
            Kind::DomainStatus => "DomainStatus",
            Kind::Int => "Int",
            Kind::NonEmptyString => "NonEmptyString",
            Kind::String => "String",
        };
        match self.need {
            Need::Required => format!("{name}!"),
            Need::Optional => name.to_owned(),
        }
    }
}

impl Answer {
    /// The fields, as GraphQL asks for them.
    pub fn selection(self) -> &'static str {
        match self {
            Answer::Scalar => "",
            Answer::Domain => " { domain hostType status }",
            Answer::DomainWithType => " { domain hostType status type }",
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
