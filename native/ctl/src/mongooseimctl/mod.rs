//! MongooseIM's command line: `domainctl domain addDomain --domain example.com --hostType type1`.
//!
//! A command becomes a GraphQL document that asks for all fields of its result, and the response is shown unchanged.
//! All output, errors included, goes to standard output, as in MongooseIM.
//!
//! There a script calls into the node on the same machine; here an HTTP client sends credentials, so a command may be
//! refused for lack of permissions.

mod commands;
mod help;
mod parser;

use std::io::Write;

use serde_json::{Map, Value, json};

use self::commands::{CATEGORIES, Category, Command, Need, Operation};
use self::help::Help;
use self::parser::{ParseError, ParsedLine};
use crate::client::{Client, ReadTimeout};
use crate::error::{Error, Exit, Result};
use crate::output;
use crate::settings::{Flags, Settings};

/// Runs a line.
pub fn run(words: &[String], flags: &Flags, output: &mut impl Write) -> Result<Exit> {
    let request = match parser::parse(words) {
        Ok(ParsedLine::CategoryHelp(category)) => return show_help(output, Help::Category(category)),
        Ok(ParsedLine::CommandHelp(category, command)) => return show_help(output, Help::Command(category, command)),
        Ok(ParsedLine::Run(category, command, arguments)) => {
            json!({"query": document(category, command, &arguments), "variables": arguments})
        }
        Ok(ParsedLine::Document(document)) => json!({"query": document}),
        Err(error) => return show_error(output, error),
    };
    let client = Client::new(&Settings::gather(flags)?, ReadTimeout::Response)?;
    match client.graphql(&request) {
        Ok((_, Some(response))) => {
            output::json(output, &response)?;
            Ok(if response.get("errors").is_some() { Exit::Failed } else { Exit::Done })
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

/// MongooseIM's commands as commands of `clap`, for completion scripts and manual pages.
pub fn clap_commands() -> Vec<clap::Command> {
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

fn show_help(output: &mut impl Write, help: Help) -> Result<Exit> {
    write!(output, "{help}")?;
    Ok(Exit::Done)
}

fn show_error(output: &mut impl Write, error: ParseError) -> Result<Exit> {
    let (text, help) = match error {
        ParseError::Empty => {
            write!(output, "{}", Help::General)?;
            return Ok(Exit::Usage);
        }
        ParseError::Document(text) => {
            writeln!(output, "{text}")?;
            return Ok(Exit::Failed);
        }
        // It may be a mistyped command of this program.
        ParseError::Line(text) => {
            writeln!(output, "{text}\n\n{}", Help::General)?;
            return Ok(Exit::Usage);
        }
        ParseError::Category(category, text) => (text, Help::Category(category)),
        ParseError::Command(category, command, text) => (text, Help::Command(category, command)),
    };
    writeln!(output, "{}\n\n{help}", output::printable(&text))?;
    Ok(Exit::Failed)
}

/// The document of a command. Arguments become variables, so values need no escaping.
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
        selection = command.result.selection(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document_of(line: &str) -> String {
        match parser::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()) {
            Ok(ParsedLine::Run(category, command, arguments)) => document(category, command, &arguments),
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
    fn each_kind_of_line_has_its_output_and_its_exit_code() {
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
