//! MongooseIM's command line: `domainctl domain addDomain --domain example.com --hostType type1`.
//!
//! A command becomes a GraphQL document that asks for every field of what it answers, and what comes back is shown
//! as it is. Everything, complaints included, goes to standard output, as there.
//!
//! It differs in what it runs on: there a script calls into the node on the same machine; here it is an HTTP client
//! with an account, so what the account may not do is refused.

mod commands;
mod help;
mod parse;

use std::io::Write;

use serde_json::{Map, Value, json};

use self::commands::{CATEGORIES, Category, Command, Need, Operation};
use self::help::Help;
use self::parse::{Action, Complaint};
use crate::client::{Client, Patience};
use crate::error::{Error, Exit, Result};
use crate::output;
use crate::settings::{Flags, Settings};

/// Does what a line says.
pub fn run(words: &[String], flags: &Flags, output: &mut impl Write) -> Result<Exit> {
    let request = match parse::parse(words) {
        Ok(Action::ShowCategory(category)) => return shown(output, Help::Category(category)),
        Ok(Action::ShowCommand(category, command)) => return shown(output, Help::Command(category, command)),
        Ok(Action::Run(category, command, arguments)) => {
            json!({"query": document(category, command, &arguments), "variables": arguments})
        }
        Ok(Action::Document(document)) => json!({"query": document}),
        Err(complaint) => return complained(output, complaint),
    };
    let client = Client::new(&Settings::gather(flags)?, Patience::Answer)?;
    match client.graphql(&request) {
        Ok((_, Some(answer))) => {
            output::json(output, &answer)?;
            Ok(if answer.get("errors").is_some() { Exit::Failed } else { Exit::Done })
        }
        Ok((status, None)) => {
            writeln!(output, "The server answers with HTTP code {status} and without JSON")?;
            Ok(Exit::Failed)
        }
        Err(Error::Unreachable { url, reason, .. }) => {
            let reason = output::printable(&reason);
            writeln!(output, "Failed RPC connection to the node {url}: {reason}\n\n{}", Help::General)?;
            Ok(Exit::Unreachable)
        }
        Err(error) => Err(error),
    }
}

/// MongooseIM's commands as `clap` would have them, which describes them to shells and in manual pages.
pub fn described() -> Vec<clap::Command> {
    let argument = |it: &commands::Argument| {
        clap::Arg::new(it.name)
            .long(it.name)
            .value_name("VALUE")
            .help(it.type_text())
            .required(it.need == Need::Required)
    };
    let command =
        |it: &Command| clap::Command::new(it.name).about(it.description).args(it.arguments.iter().map(argument));
    let category = |it: &Category| {
        let commands = it.commands.iter().map(command);
        clap::Command::new(it.name).about(it.description).subcommands(commands).disable_help_subcommand(true)
    };
    let document = clap::Arg::new("document").required(true).help("The document");
    let graphql = clap::Command::new("graphql").about("Run a GraphQL document").arg(document);
    CATEGORIES.iter().map(category).chain([graphql]).collect()
}

fn shown(output: &mut impl Write, help: Help) -> Result<Exit> {
    write!(output, "{help}")?;
    Ok(Exit::Done)
}

fn complained(output: &mut impl Write, complaint: Complaint) -> Result<Exit> {
    let (text, help) = match complaint {
        Complaint::Nothing => {
            write!(output, "{}", Help::General)?;
            return Ok(Exit::Usage);
        }
        Complaint::Document(text) => {
            writeln!(output, "{text}")?;
            return Ok(Exit::Failed);
        }
        // It may have been meant for a verb of this program.
        Complaint::Line(text) => {
            writeln!(output, "{text}\n\n{}", Help::General)?;
            return Ok(Exit::Usage);
        }
        Complaint::Category(category, text) => (text, Help::Category(category)),
        Complaint::Command(category, command, text) => (text, Help::Command(category, command)),
    };
    writeln!(output, "{}\n\n{help}", output::printable(&text))?;
    Ok(Exit::Failed)
}

/// The arguments are variables: so no value has to be escaped.
fn document(category: &Category, command: &Command, arguments: &Map<String, Value>) -> String {
    let given = command.arguments.iter().filter(|argument| arguments.contains_key(argument.name));
    let declared: Vec<_> = given.clone().map(|it| format!("${}: {}", it.name, it.type_text())).collect();
    let passed: Vec<_> = given.map(|it| format!("{0}: ${0}", it.name)).collect();
    let parenthesized =
        |list: &[String]| if list.is_empty() { String::new() } else { format!("({})", list.join(", ")) };
    let operation = match command.operation {
        Operation::Query => "query",
        Operation::Mutation => "mutation",
    };
    format!(
        "{operation} {name}{declared} {{ {category} {{ {name}{passed}{selection} }} }}",
        name = command.name,
        declared = parenthesized(&declared),
        category = category.name,
        passed = parenthesized(&passed),
        selection = command.answer.selection(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document_of(line: &str) -> String {
        match parse::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()) {
            Ok(Action::Run(category, command, arguments)) => document(category, command, &arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_document_asks_for_every_field_and_only_for_arguments_that_are_given() {
        let add = "mutation addDomain($domain: DomainName!, $hostType: String!) { domain { \
                   addDomain(domain: $domain, hostType: $hostType) { domain hostType status } } }";
        assert_eq!(document_of("domain addDomain --hostType t --domain a"), add);
        let all = "query allDomains { domain { allDomains { domain hostType status type } } }";
        assert_eq!(document_of("domain allDomains"), all);
        let some = "query domains($limit: Int) { domain { domains(limit: $limit) { domain hostType status type } } }";
        assert_eq!(document_of("domain domains --limit 3"), some);
        let password = "mutation deleteDomainPassword($domain: DomainName!) { domain { \
                        deleteDomainPassword(domain: $domain) } }";
        assert_eq!(document_of("domain deleteDomainPassword --domain a"), password);
    }

    fn run_without_a_server(line: &str) -> (Exit, String) {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let flags = Flags { url: Some("http://127.0.0.1:1".into()), ..Flags::default() };
        let mut output = Vec::new();
        let exit = run(&words, &flags, &mut output).unwrap();
        (exit, String::from_utf8(output).unwrap())
    }

    #[test]
    fn each_kind_of_line_has_its_words_and_its_exit_code() {
        let rows = [
            ("", Exit::Usage, "Usage: domainctl [category] command [arguments]\n"),
            ("account", Exit::Usage, "Unknown category\n\nUsage: domainctl [category] command [arguments]\n"),
            ("domain", Exit::Done, "Usage: domainctl domain command arguments\n"),
            ("domain x --y", Exit::Failed, "Unknown command 'x'\n\nUsage: domainctl domain command arguments\n"),
            ("domain addDomain --help", Exit::Done, "Usage: domainctl domain addDomain arguments\n"),
            (
                "domain addDomain x",
                Exit::Failed,
                "Could not parse the command arguments\n\nUsage: domainctl domain addDomain",
            ),
            ("graphql", Exit::Failed, "This command requires"),
            ("domain allDomains", Exit::Unreachable, "Failed RPC connection to the node http://127.0.0.1:1: "),
        ];
        for (line, exit, beginning) in rows {
            let (had, text) = run_without_a_server(line);
            assert_eq!(had, exit, "{line}");
            assert!(text.starts_with(beginning), "{line}: {text}");
        }
    }
}
